//! Names of limits, and refusals by them.

use std::time::Duration;

/// The limit that refused a request: a setting by its name, the networks around an address, or the
/// queue of attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    FreeFailures,
    FailuresInARow,
    FailuresPerAddress,
    FailuresPerNetwork,
    FailuresInAll,
    SignUpsPerAddress,
    SignUpsPerNetwork,
    SignUpsInAll,
    RequestsPerAccount,
    RequestsPerAddress,
    RequestsPerNetwork,
    RequestsInAll,
    UnknownLinksPerAddress,
    UnknownLinksPerNetwork,
    Waiting,
}

impl Limit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreeFailures => "free_failures",
            Self::FailuresInARow => "failures_in_a_row",
            Self::FailuresPerAddress => "failures_per_address",
            Self::FailuresPerNetwork => "failures_per_network",
            Self::FailuresInAll => "failures_in_all",
            Self::SignUpsPerAddress => "sign_ups_per_address",
            Self::SignUpsPerNetwork => "sign_ups_per_network",
            Self::SignUpsInAll => "sign_ups_in_all",
            Self::RequestsPerAccount => "requests_per_account",
            Self::RequestsPerAddress => "requests_per_address",
            Self::RequestsPerNetwork => "requests_per_network",
            Self::RequestsInAll => "requests_in_all",
            Self::UnknownLinksPerAddress => "unknown_links_per_address",
            Self::UnknownLinksPerNetwork => "unknown_links_per_network",
            Self::Waiting => "waiting",
        }
    }
}

/// Refusal by a limit, with the time until the next use.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitExceeded {
    pub limit: Limit,
    pub wait: Duration,
}

impl LimitExceeded {
    pub fn longer(self, other: Self) -> Self {
        if self.wait >= other.wait { self } else { other }
    }
}
