//! `[vestibule.shutdown]`: the end of the service.

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};

/// `[vestibule.shutdown]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// Time for which the listener stays open after SIGTERM while `/health/ready` answers 503, so
    /// that load balancers can first remove this node.
    pub delay: Lifetime,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { delay: Lifetime::of(0, Unit::Second) }
    }
}
