//! Keyed semaphore: stops concurrent guesses from exceeding the sequential limit.
//!
//! Each key has one permit per allowed attempt. An attempt takes one permit more than the failures
//! before it. So the concurrent attempts together cannot exceed the attempts that are left, however
//! each one ends.
//!
//! Attempts without permits queue, at most as long as a request may wait for a hash: many
//! concurrent requests with the right password are no guessing. The queue is bounded per key and in
//! total, so that a few keys cannot fill it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::Digest;

type Key = [u8; 32];

/// Semaphores by key, with their queues. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyedSemaphore(Arc<SemaphoreTable>);

#[derive(Debug, Default)]
struct SemaphoreTable {
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    /// Queued attempts of all keys together.
    waiting: AtomicUsize,
}

/// Largest number of attempts that wait for permits.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimit {
    pub per_key: usize,
    pub total: usize,
}

#[derive(Debug)]
struct Entry {
    permits: Arc<Semaphore>,
    /// Number of permits of this key.
    max_permits: usize,
    waiting: AtomicUsize,
}

/// Reference to the entry of a key. The last drop removes the entry.
#[derive(Debug)]
pub(super) struct Slot {
    semaphore: KeyedSemaphore,
    key: Key,
    // `Slot::drop` releases it first, and then removes an entry that no slot refers to
    entry: Option<Arc<Entry>>,
}

/// Permits that an attempt holds. Dropping them gives them back.
#[derive(Debug)]
pub(in crate::accounts) struct Permit {
    _permits: OwnedSemaphorePermit,
    // after the permits: an entry without a slot has all of them
    _slot: Slot,
}

/// Counts one queued attempt until it is dropped, also when its request is cancelled.
struct WaitGuard<'a>(&'a AtomicUsize);

impl<'a> WaitGuard<'a> {
    /// `None` if `limit` attempts wait already.
    fn among(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Self(waiting);
        (before < limit).then_some(counted)
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeyedSemaphore {
    /// Refers to the entry of a key, and creates it with `max_permits` permits if it is new.
    pub(super) fn slot(&self, key: &Digest, max_permits: usize) -> Slot {
        let key = *key.as_bytes();
        let mut entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(key).or_insert_with(|| {
            let permits = Arc::new(Semaphore::new(max_permits));
            Arc::new(Entry { permits, max_permits, waiting: AtomicUsize::new(0) })
        });
        Slot { semaphore: self.clone(), key, entry: Some(Arc::clone(entry)) }
    }
}

impl Slot {
    /// Takes `weight` permits if they are free.
    pub(super) fn try_acquire(&self, weight: usize) -> Option<Permit> {
        let entry = self.entry.as_ref()?;
        let permits = Arc::clone(&entry.permits).try_acquire_many_owned(entry.weight(weight));
        permits.ok().map(|permits| self.holding(permits))
    }

    /// Waits for `weight` permits. `None` if the queue is full.
    pub(super) async fn acquire(&self, weight: usize, limit: QueueLimit) -> Option<Permit> {
        if let Some(permit) = self.try_acquire(weight) {
            return Some(permit);
        }
        let entry = self.entry.as_ref()?;
        let _of_key = WaitGuard::among(&entry.waiting, limit.per_key)?;
        let _of_all = WaitGuard::among(&self.semaphore.0.waiting, limit.total)?;
        let permits = Arc::clone(&entry.permits).acquire_many_owned(entry.weight(weight)).await;
        permits.ok().map(|permits| self.holding(permits))
    }

    fn holding(&self, permits: OwnedSemaphorePermit) -> Permit {
        let Self { semaphore, key, entry } = self;
        let slot = Self { semaphore: semaphore.clone(), key: *key, entry: entry.clone() };
        Permit { _permits: permits, _slot: slot }
    }
}

impl Entry {
    fn weight(&self, weight: usize) -> u32 {
        u32::try_from(weight.min(self.max_permits)).unwrap_or(u32::MAX)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.entry = None;
        let mut entries = self.semaphore.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.get(&self.key).is_some_and(|entry| Arc::strong_count(entry) == 1) {
            entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn r20_attempt_after_failures_takes_more_permits() {
        let semaphore = KeyedSemaphore::default();
        let key = Digest::of(b"ada");
        let (first, second) = (semaphore.slot(&key, 10), semaphore.slot(&key, 10));
        let held = first.try_acquire(7).unwrap();
        assert!(second.try_acquire(4).is_none());
        let beside = second.try_acquire(3).unwrap();
        let limit = |per_key, total| QueueLimit { per_key, total };
        assert!(first.acquire(1, limit(5, 5)).now_or_never().is_none());
        assert!(
            first.acquire(1, limit(0, 5)).now_or_never().unwrap().is_none(),
            "the queue is full"
        );
        drop((held, beside));
        // a weight above the number of permits takes all of them
        assert!(first.try_acquire(1_000).is_some());
        assert!(semaphore.slot(&Digest::of(b"bob"), 10).try_acquire(10).is_some());
        drop((first, second));
        assert!(semaphore.0.entries.lock().unwrap().is_empty(), "idle entries are removed");
    }

    #[test]
    fn r51_queue_of_one_key_leaves_room_for_other_keys() {
        let semaphore = KeyedSemaphore::default();
        let limit = QueueLimit { per_key: 2, total: 3 };
        let names =
            ["ada", "bob", "cyd"].map(|name| semaphore.slot(&Digest::of(name.as_bytes()), 1));
        let held = names.each_ref().map(|slot| slot.try_acquire(1).unwrap());
        let wait = |name: usize| {
            let mut waiting = Box::pin(names[name].acquire(1, limit));
            let refused = waiting.as_mut().now_or_never().map(|permit| assert!(permit.is_none()));
            (refused.is_none()).then_some(waiting)
        };
        let ada = [wait(0), wait(0)];
        assert!(ada.iter().all(Option::is_some));
        assert!(wait(0).is_none(), "the queue of one key is full");
        let bob = wait(1);
        assert!(bob.is_some());
        assert!(wait(2).is_none(), "the queue of all keys is full");
        drop(ada);
        assert!(wait(2).is_some(), "a dropped waiter makes room");
        drop((bob, held));
    }
}
