//! Bounded table of hourly counts by key. Each entry is one instant, as in [`super::gcra`].

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use super::gcra::Gcra;
use crate::clock::Timestamp;

/// Largest number of keys in one table. Beyond it, the key whose count ends first makes room; that
/// key has used least. So a flood of keys takes nothing from other keys, and resets no key that has
/// used much.
pub(super) const MAX_KEYS: usize = 10_000;

/// The instant at which all uses of each key are forgotten.
#[derive(Debug)]
pub(super) struct GcraTable<K> {
    spent_until: HashMap<K, Timestamp>,
    by_end: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for GcraTable<K> {
    fn default() -> Self {
        Self { spent_until: HashMap::new(), by_end: BTreeSet::new() }
    }
}

impl<K: Copy + Eq + Hash + Ord> GcraTable<K> {
    pub(super) fn get(&self, key: &K) -> Option<Timestamp> {
        self.spent_until.get(key).copied()
    }

    /// Takes logarithmic time, amortised, at any size: each key is removed once.
    pub(super) fn set(&mut self, key: K, until: Timestamp, now: Timestamp) {
        if let Some(before) = self.spent_until.remove(&key) {
            self.by_end.remove(&(before, key));
        }
        while let Some(&(end, first)) = self.by_end.first()
            && (end <= now || self.by_end.len() >= MAX_KEYS)
        {
            self.by_end.pop_first();
            self.spent_until.remove(&first);
        }
        // entries from before the clock was set back
        while let Some(&(end, last)) = self.by_end.last()
            && end > Gcra::latest_plausible(now)
        {
            self.by_end.pop_last();
            self.spent_until.remove(&last);
        }
        self.spent_until.insert(key, until);
        self.by_end.insert((until, key));
    }

    /// Gives back `charged` of a use that came to nothing.
    pub(super) fn refund(&mut self, key: K, charged: Duration, now: Timestamp) {
        if let Some(until) = self.get(&key) {
            self.set(key, until - charged, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000_000);
    const GCRA: Gcra = Gcra::new(NonZeroU32::new(60).unwrap());

    fn spend(counts: &mut GcraTable<usize>, key: usize, now: Timestamp) -> usize {
        let until = GCRA.spend(counts.get(&key), now);
        counts.set(key, until, now);
        GCRA.outstanding(counts.get(&key), now)
    }

    #[test]
    fn s9_flood_of_keys_is_bounded_and_resets_no_heavy_key() {
        let mut counts = GcraTable::default();
        for _ in 0..5 {
            spend(&mut counts, 0, NOW);
        }
        for key in 1..3 * MAX_KEYS {
            assert_eq!(spend(&mut counts, key, NOW), 1, "{key} has a count of its own");
            assert!(counts.spent_until.len() <= MAX_KEYS);
            assert_eq!(counts.spent_until.len(), counts.by_end.len());
        }
        assert_eq!(spend(&mut counts, 0, NOW), 6, "the count of the first key stays");
        // a new key is counted even though all other keys have used more
        let mut full = GcraTable::default();
        for key in 0..MAX_KEYS {
            spend(&mut full, key, NOW);
            spend(&mut full, key, NOW);
        }
        for count in 1..4 {
            assert_eq!(spend(&mut full, MAX_KEYS, NOW), count);
        }
    }

    #[test]
    fn s9_expired_keys_and_clock_set_back_make_room() {
        let mut counts = GcraTable::default();
        for key in 0..1_000 {
            spend(&mut counts, key, NOW);
        }
        spend(&mut counts, 0, NOW + GCRA.interval());
        assert_eq!(counts.spent_until.len(), 1);
        spend(&mut counts, 1, NOW - Duration::from_secs(3 * 3_600));
        assert_eq!(counts.spent_until.len(), 1);
        counts.refund(1, GCRA.interval(), NOW - Duration::from_secs(3 * 3_600));
        assert_eq!(spend(&mut counts, 1, NOW - Duration::from_secs(3 * 3_600)), 1);
    }
}
