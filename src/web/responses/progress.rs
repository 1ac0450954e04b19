//! The short JSON response that reports the state of a process, such as `activation_pending`.

use serde::Serialize;
use utoipa::ToSchema;

/// The state of a process.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Progress {
    status: Step,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    ActivationPending,
    Active,
    ResetPending,
    ConfirmationPending,
    Live,
    Ready,
}

impl Progress {
    /// A link may be on its way. The response is the same for every address (R34).
    pub const ACTIVATION_PENDING: Self = Self { status: Step::ActivationPending };
    pub const ACTIVE: Self = Self { status: Step::Active };
    /// The response is the same for every address (R47).
    pub const RESET_PENDING: Self = Self { status: Step::ResetPending };
    pub const CONFIRMATION_PENDING: Self = Self { status: Step::ConfirmationPending };
    pub const LIVE: Self = Self { status: Step::Live };
    pub const READY: Self = Self { status: Step::Ready };
}
