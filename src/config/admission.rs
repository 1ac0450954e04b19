//! `[vestibule.admission]`: limits on concurrent requests.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::nonzero::nonzero_size;
use super::setting_error::Problem;

/// `[vestibule.admission]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Concurrent requests; further requests are refused with 503.
    pub in_flight: NonZeroUsize,
    /// Longest time for the whole body of a request to arrive; a slower request is refused with
    /// 408.
    pub body_timeout: Lifetime,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self { in_flight: nonzero_size(1_024), body_timeout: Lifetime::of(10, Unit::Second) }
    }
}

impl AdmissionSettings {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.body_timeout.duration().is_zero() {
            return Err(("admission.body_timeout", "expected more than 0s".to_owned()));
        }
        Ok(())
    }
}
