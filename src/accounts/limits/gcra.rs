//! So many an hour, forgotten evenly: the generic cell rate algorithm (ITU-T I.371), by which one
//! instant says all that there is to know.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

/// How many of something may happen in an hour. What did happen is an instant: when all of it will be
/// forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra(NonZeroU32);

impl Gcra {
    pub(super) const fn new(per_hour: NonZeroU32) -> Self {
        Self(per_hour)
    }

    /// So many times as many.
    pub(super) const fn times(self, factor: NonZeroU32) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    pub(super) fn burst(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX)
    }

    /// How long it takes until one of them is forgotten: whole milliseconds, as instants have.
    pub(super) fn interval(self) -> Duration {
        let exact = HOUR / self.0.get();
        Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// No instant of ours is later: who reads one has had the clock set back meanwhile.
    pub(super) fn latest_plausible(now: Timestamp) -> Timestamp {
        now + 2 * HOUR
    }

    /// How many are not forgotten yet.
    pub(super) fn outstanding(self, spent_until: Option<Timestamp>, now: Timestamp) -> usize {
        let spent = Self::trusted(spent_until, now).since(now).as_millis();
        let interval = self.interval().as_millis().max(1);
        usize::try_from(spent.div_ceil(interval)).unwrap_or(usize::MAX)
    }

    /// How long nothing more may happen; `None` if something may.
    pub(super) fn wait(self, spent_until: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        self.wait_beyond(spent_until, now, self.burst())
    }

    /// The same where no more than `most` may happen at once, though as many are forgotten in an hour.
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

    /// When all is forgotten once one more has happened.
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
    fn all_may_happen_at_once_and_are_forgotten_evenly() {
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
            // what is said is true, and not late
            assert!(gcra.wait(full, NOW + wait).is_none(), "{per_hour}");
            assert!(gcra.wait(full, NOW + (wait - Duration::from_millis(1))).is_some());
            assert!(gcra.wait(after(gcra, most - 1), NOW).is_none());
            assert_eq!(gcra.outstanding(full, NOW + HOUR), 0);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let gcra = Gcra::new(NonZeroU32::new(60).unwrap());
        let full = after(gcra, 60);
        let before = NOW - 3 * HOUR;
        assert!(gcra.wait(full, before).is_none());
        assert_eq!(gcra.spend(full, before), before + gcra.interval());
    }
}
