//! `[vestibule.limits]`: limits on attempts, and on letters and sign-ups that strangers can cause.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::nonzero::{nonzero, nonzero_size};
use super::setting_error::Problem;

/// `[vestibule.limits]`. Hourly limits recover evenly: after half an hour, half of the limit is
/// available again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// `false` switches all limits off: for tests, and for deployments with limits elsewhere.
    pub enabled: bool,
    /// Letters to one address in an hour; further letters wait.
    pub letters_per_hour: NonZeroUsize,
    /// Notices of one kind to the owner of an account in an hour; further notices wait.
    pub notices_per_hour: NonZeroUsize,
    /// Wrong passwords in a row for a name before the next attempt must wait.
    pub free_failures: NonZeroU32,
    /// Wrong passwords in a row for a name after which no attempt is admitted, except from
    /// locations with an earlier sign-in. At most 100 (NIST SP 800-63B-4 §3.2.2).
    pub failures_in_a_row: NonZeroU32,
    /// Longest wait. The wait starts at 1 s and doubles.
    pub longest_delay: Lifetime,
    /// Wrong passwords from one address in an hour.
    pub failures_per_address: NonZeroU32,
    /// Wrong passwords in an hour on one node, from locations without an earlier sign-in.
    pub failures_in_all: NonZeroU32,
    /// Sign-ups from one address in an hour.
    pub sign_ups_per_address: NonZeroU32,
    /// Sign-ups in an hour on one node.
    pub sign_ups_in_all: NonZeroU32,
    /// Letters to other addresses than its own that one account may request in an hour.
    pub requests_per_account: NonZeroU32,
    /// Letters that one address may request in an hour, other than by signing up.
    pub requests_per_address: NonZeroU32,
    /// Letters that may be requested in an hour on one node, other than by signing up.
    pub requests_in_all: NonZeroU32,
    /// Sessions of one account, and as many sign-ins at its page. Beyond the limit, the session
    /// that has been unused longest ends.
    pub sessions_per_account: NonZeroU32,
    /// Links from one address in an hour that the service never sent.
    pub unknown_links_per_address: NonZeroU32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            letters_per_hour: nonzero_size(6),
            notices_per_hour: nonzero_size(6),
            free_failures: nonzero(10),
            failures_in_a_row: nonzero(100),
            longest_delay: Lifetime::of(15, Unit::Minute),
            failures_per_address: nonzero(200),
            failures_in_all: nonzero(3_000),
            sign_ups_per_address: nonzero(1_000),
            sign_ups_in_all: nonzero(20_000),
            requests_per_account: nonzero(10),
            requests_per_address: nonzero(500),
            requests_in_all: nonzero(20_000),
            sessions_per_account: nonzero(1_000),
            unknown_links_per_address: nonzero(500),
        }
    }
}

impl LimitSettings {
    /// Limit on the sessions of an account; `None` if limits are off.
    pub fn session_limit(&self) -> Option<i64> {
        self.enabled.then(|| i64::from(self.sessions_per_account.get()))
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let (free, row) = (self.free_failures.get(), self.failures_in_a_row.get());
        if row > 100 {
            return Err(("limits.failures_in_a_row", "expected 1 to 100".to_owned()));
        }
        if free > row {
            let wanted = format!("expected no more than failures_in_a_row, which is {row}");
            return Err(("limits.free_failures", wanted));
        }
        if !(10..=10_000).contains(&self.sessions_per_account.get()) {
            return Err(("limits.sessions_per_account", "expected 10 to 10000".to_owned()));
        }
        let longest = self.longest_delay.duration();
        if !(Duration::from_secs(1)..=Duration::from_secs(24 * 3_600)).contains(&longest) {
            return Err(("limits.longest_delay", "expected 1s to 24h".to_owned()));
        }
        for (key, per_hour) in [
            ("limits.failures_per_address", self.failures_per_address),
            ("limits.failures_in_all", self.failures_in_all),
            ("limits.sign_ups_per_address", self.sign_ups_per_address),
            ("limits.sign_ups_in_all", self.sign_ups_in_all),
            ("limits.requests_per_account", self.requests_per_account),
            ("limits.requests_per_address", self.requests_per_address),
            ("limits.requests_in_all", self.requests_in_all),
            ("limits.unknown_links_per_address", self.unknown_links_per_address),
        ] {
            if per_hour.get() > 1_000_000 {
                return Err((key, "expected 1 to 1000000".to_owned()));
            }
        }
        Ok(())
    }
}
