//! The short JSON response that says how far something is.

use serde::Serialize;
use utoipa::ToSchema;

/// How far something is.
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
    /// A letter is to be opened, if there is one: the same whoever the address belongs to (R34).
    pub const ACTIVATION_PENDING: Self = Self { status: Step::ActivationPending };
    pub const ACTIVE: Self = Self { status: Step::Active };
    /// The same whoever the address belongs to (R47).
    pub const RESET_PENDING: Self = Self { status: Step::ResetPending };
    pub const CONFIRMATION_PENDING: Self = Self { status: Step::ConfirmationPending };
    pub const LIVE: Self = Self { status: Step::Live };
    pub const READY: Self = Self { status: Step::Ready };
}
