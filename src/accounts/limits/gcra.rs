//! Generic cell rate algorithm (GCRA, ITU-T I.371): an hourly limit whose count decays evenly. One
//! instant holds the whole state.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

/// Hourly limit. The state of a limit is one instant, `spent_until`: the time at which every
/// counted use is forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra(NonZeroU32);

impl Gcra {
    pub(super) const fn new(per_hour: NonZeroU32) -> Self {
        Self(per_hour)
    }

    /// The same limit, `factor` times as large.
    pub(super) const fn times(self, factor: NonZeroU32) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    pub(super) fn burst(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX)
    }

    /// Time until one use is forgotten, in whole milliseconds, as a [`Timestamp`] has.
    pub(super) fn interval(self) -> Duration {
        let exact = HOUR / self.0.get();
        Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// Latest instant that this limit writes. A later stored instant means that the clock was set
    /// back since.
    pub(super) fn latest_plausible(now: Timestamp) -> Timestamp {
        now + 2 * HOUR
    }

    /// Number of uses that are not forgotten yet.
    pub(super) fn outstanding(self, spent_until: Option<Timestamp>, now: Timestamp) -> usize {
        let spent = Self::trusted(spent_until, now).since(now).as_millis();
        let interval = self.interval().as_millis().max(1);
        usize::try_from(spent.div_ceil(interval)).unwrap_or(usize::MAX)
    }

    /// Time until the next use is allowed; `None` if it is allowed now.
    pub(super) fn wait(self, spent_until: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        self.wait_beyond(spent_until, now, self.burst())
    }

    /// As [`Gcra::wait`], with at most `most` uses at once. The number that is forgotten in an hour
    /// stays the same.
    pub(super) fn wait_beyond(
        self,
        spent_until: Option<Timestamp>,
        now: Timestamp,
        most: usize,
    ) -> Option<Duration> {
        (self.outstanding(spent_until, now) >= most).then(|| {
            let spent = Self::trusted(spent_until, now).since(now);
            let others = u32::try_from(most.saturating_sub(1)).unwrap_or(u32::MAX);
            spent.saturating_sub(self.interval().saturating_mul(others))
        })
    }

    /// The new `spent_until` after one more use.
    pub(super) fn spend(self, spent_until: Option<Timestamp>, now: Timestamp) -> Timestamp {
        Self::trusted(spent_until, now) + self.interval()
    }

    fn trusted(spent_until: Option<Timestamp>, now: Timestamp) -> Timestamp {
        spent_until
            .filter(|until| (now..=Self::latest_plausible(now)).contains(until))
            .unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000_000);

    fn after(gcra: Gcra, times: usize) -> Option<Timestamp> {
        (0..times).fold(None, |spent, _| Some(gcra.spend(spent, NOW)))
    }

    #[test]
    fn whole_limit_can_be_spent_at_once_and_recovers_evenly() {
        for per_hour in [1, 7, 60, 200, 3_000, 1_000_000] {
            let gcra = Gcra::new(NonZeroU32::new(per_hour).unwrap());
            let most = gcra.burst().min(5_000);
            let full = after(gcra, most);
            assert_eq!(gcra.outstanding(full, NOW), most, "{per_hour}");
            if most < gcra.burst() {
                continue;
            }
            let wait = gcra.wait(full, NOW).unwrap();
            assert!(wait <= gcra.interval() && !wait.is_zero(), "{per_hour}: {wait:?}");
            // the announced wait is long enough, and one millisecond less is not
            assert!(gcra.wait(full, NOW + wait).is_none(), "{per_hour}");
            assert!(gcra.wait(full, NOW + (wait - Duration::from_millis(1))).is_some());
            assert!(gcra.wait(after(gcra, most - 1), NOW).is_none());
            assert_eq!(gcra.outstanding(full, NOW + HOUR), 0);
        }
    }

    #[test]
    fn clock_set_back_locks_no_key_out() {
        let gcra = Gcra::new(NonZeroU32::new(60).unwrap());
        let full = after(gcra, 60);
        let before = NOW - 3 * HOUR;
        assert!(gcra.wait(full, before).is_none());
        assert_eq!(gcra.spend(full, before), before + gcra.interval());
    }
}
