//! Policy against password guessing: the wrong passwords that are free, the delays after them, and
//! the caps (R20; NIST SP 800-63B-4 §3.2.2).
//!
//! | Key | Free failures | Delay after them | Cap |
//! |---|---|---|---|
//! | name, from unknown locations | `free_failures` (10) | [`FIRST_DELAY`] (1 s), doubled up to `longest_delay` (15 min) | `failures_in_a_row` (100) |
//! | name at a known location | the same | the same | the same |
//! | account, by its signed-in owner | the same | the same | the same |
//! | IPv4 address or /64, from unknown locations | | | `failures_per_address` (200) per hour, in the database |
//! | /56; /48 or IPv4 /24 | | | twice and four times as much, in memory |
//! | node, from unknown locations | | | `failures_in_all` (3,000) per hour, in memory |
//!
//! Of failures in a row, one is forgotten each [`FAILURE_DECAY_INTERVAL`] (21.6 h) after the last.

use std::num::NonZeroU32;
use std::time::Duration;

use super::gcra::Gcra;
use super::limit::{Limit, LimitExceeded};
use super::rate_limiter::RateLimiter;
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::config::LimitSettings;
use crate::storage::{FAILURE_DECAY_INTERVAL, Failures};

/// Delay after the last free attempt. Each further failure doubles the delay.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The policy, with the counts in the node's memory.
#[derive(Debug)]
pub(super) struct GuessPolicy {
    /// Wrong passwords in a row without a delay, and the permits of each key.
    pub free_failures: usize,
    longest_delay: Duration,
    failures_in_a_row: usize,
    /// Counted in the database.
    pub per_address: Gcra,
    /// Counts of the larger networks and of the node.
    pub per_node: RateLimiter,
}

impl GuessPolicy {
    pub fn new(limits: &LimitSettings) -> Self {
        let count = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        Self {
            free_failures: count(limits.free_failures),
            longest_delay: limits.longest_delay.duration(),
            failures_in_a_row: count(limits.failures_in_a_row),
            per_address: Gcra::new(limits.failures_per_address),
            per_node: RateLimiter::new(
                (Limit::FailuresPerAddress, limits.failures_per_address),
                Limit::FailuresPerNetwork,
                Some((Limit::FailuresInAll, limits.failures_in_all)),
            )
            .of_larger_networks(),
        }
    }

    /// Permits after a number of failures: one more than the failures. Once there is a delay, an
    /// attempt takes all permits, so that attempts run one at a time.
    ///
    /// # Errors
    /// The time until the next attempt.
    pub fn permits_after(
        &self,
        failures: Failures,
        now: Timestamp,
    ) -> Result<usize, LimitExceeded> {
        let Some(last_at) = failures.last_at else { return Ok(1) };
        let at_last = usize::try_from(failures.count).unwrap_or(usize::MAX);
        let forgotten = now.since(last_at).as_millis() / FAILURE_DECAY_INTERVAL.as_millis().max(1);
        let count = at_last.saturating_sub(usize::try_from(forgotten).unwrap_or(usize::MAX));
        let mut limit = Limit::FreeFailures;
        let (due, is_known) = if count >= self.failures_in_a_row {
            limit = Limit::FailuresInARow;
            let too_many = u32::try_from(at_last - self.failures_in_a_row).unwrap_or(u32::MAX);
            let until = FAILURE_DECAY_INTERVAL.saturating_mul(too_many.saturating_add(1));
            (last_at + until, true)
        } else if count >= self.free_failures {
            let doublings = u32::try_from(count - self.free_failures).unwrap_or(u32::MAX);
            let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
            // a failure stored before the clock was set back delays no attempt
            let is_known = last_at <= now + MAX_CLOCK_SKEW;
            (last_at + delay.min(self.longest_delay), is_known)
        } else {
            return Ok(count + 1);
        };
        match due.since(now) {
            Duration::ZERO => Ok(self.free_failures),
            _ if !is_known => Ok(self.free_failures),
            wait => Err(LimitExceeded { limit, wait }),
        }
    }
}
