//! `[vestibule.limits]`: how often something may be tried, and how much may be caused by strangers.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Lifetime;

/// `[vestibule.limits]`. What is counted by the hour is forgotten evenly: after half an hour, half of
/// it may be done once more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// `false` switches all limits off; for tests, and for those who limit elsewhere.
    pub enabled: bool,
    /// Letters that one address gets in an hour; further ones wait.
    pub letters_per_hour: NonZeroUsize,
    /// Notices of one kind that the owner of an account gets in an hour; further ones wait.
    pub notices_per_hour: NonZeroUsize,
    /// Wrong passwords in a row for a name before the next try has to wait.
    pub free_failures: NonZeroU32,
    /// Wrong passwords in a row for a name after which none is tried any more, but where somebody
    /// has signed in before. At most 100 (NIST SP 800-63B-4 §3.2.2).
    pub failures_in_a_row: NonZeroU32,
    /// What the wait, which doubles from one second, grows to.
    pub longest_delay: Lifetime,
    /// Wrong passwords from one address in an hour.
    pub failures_per_address: NonZeroU32,
    /// Wrong passwords in an hour on one node, from places where nobody has signed in before.
    pub failures_in_all: NonZeroU32,
    /// Sign-ups from one address in an hour.
    pub sign_ups_per_address: NonZeroU32,
    /// Sign-ups in an hour on one node.
    pub sign_ups_in_all: NonZeroU32,
    /// Letters to addresses that are not its own which one account asks for in an hour.
    pub requests_per_account: NonZeroU32,
    /// Letters asked for from one address in an hour, by other ways than signing up.
    pub requests_per_address: NonZeroU32,
    /// The same on one node.
    pub requests_in_all: NonZeroU32,
    /// Sessions of one account, and as many sign-ins at its page; beyond it the longest unused ends.
    pub sessions_per_account: NonZeroU32,
    /// Links from one address in an hour that were never sent.
    pub unknown_links_per_address: NonZeroU32,
}

impl LimitSettings {
    /// How many sessions an account may have; `None` where limits are off.
    pub fn session_limit(&self) -> Option<i64> {
        self.enabled.then(|| i64::from(self.sessions_per_account.get()))
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
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
