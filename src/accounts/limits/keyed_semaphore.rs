//! Tries that are under way, so that many at once get no further than one after the other.
//!
//! Each key has so many permits as it has tries. A try holds one more than what has been wrong before
//! it: then what others hold is at most what is left, whatever becomes of them. Whoever finds no
//! permits waits, as long as the wait for a hash may take: many right passwords at once are no guessing.
//! How many wait is bounded for each key and in all, so that a few keys take nobody else's place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::Digest;

type Key = [u8; 32];

/// Everybody who stands in line, by what they are limited by. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::accounts) struct KeyedSemaphore(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    /// In all lines together.
    waiting: AtomicUsize,
}

/// How many may wait for permits.
#[derive(Clone, Copy, Debug)]
pub(in crate::accounts) struct QueueLimit {
    pub per_key: usize,
    pub total: usize,
}

#[derive(Debug)]
struct Entry {
    permits: Arc<Semaphore>,
    /// How many permits there are.
    max_permits: usize,
    waiting: AtomicUsize,
}

/// A place in a line; leaves it when dropped.
#[derive(Debug)]
pub(in crate::accounts) struct Slot {
    semaphore: KeyedSemaphore,
    key: Key,
    // before the drop of the whole removes a line that nobody stands in any more
    entry: Option<Arc<Entry>>,
}

/// What lets a try go on. Given back when dropped.
pub(in crate::accounts) type Permit = OwnedSemaphorePermit;

/// Counts whoever waits, until they do no more, whatever ends their waiting.
struct WaitGuard<'a>(&'a AtomicUsize);

impl<'a> WaitGuard<'a> {
    /// `None` if as many as there is room for wait already.
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
    /// Stands in the line of a key, which has `max_permits` permits.
    pub(in crate::accounts) fn slot(&self, key: &Digest, max_permits: usize) -> Slot {
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
    /// `weight` permits, if nobody has to be waited for.
    pub(in crate::accounts) fn try_acquire(&self, weight: usize) -> Option<Permit> {
        let entry = self.entry.as_ref()?;
        Arc::clone(&entry.permits).try_acquire_many_owned(entry.weight(weight)).ok()
    }

    /// `weight` permits, when they come free. `None` if there is no room to wait.
    pub(in crate::accounts) async fn acquire(
        &self,
        weight: usize,
        limit: QueueLimit,
    ) -> Option<Permit> {
        if let Some(permit) = self.try_acquire(weight) {
            return Some(permit);
        }
        let entry = self.entry.as_ref()?;
        let _of_key = WaitGuard::among(&entry.waiting, limit.per_key)?;
        let _of_all = WaitGuard::among(&self.semaphore.0.waiting, limit.total)?;
        Arc::clone(&entry.permits).acquire_many_owned(entry.weight(weight)).await.ok()
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
    fn r20_who_has_failed_before_holds_more() {
        let semaphore = KeyedSemaphore::default();
        let key = Digest::of(b"ada");
        let (first, second) = (semaphore.slot(&key, 10), semaphore.slot(&key, 10));
        let held = first.try_acquire(7).unwrap();
        assert!(second.try_acquire(4).is_none());
        let beside = second.try_acquire(3).unwrap();
        let limit = |per_key, total| QueueLimit { per_key, total };
        assert!(first.acquire(1, limit(5, 5)).now_or_never().is_none());
        assert!(first.acquire(1, limit(0, 5)).now_or_never().unwrap().is_none(), "too many wait");
        drop((held, beside));
        // never more than there are
        assert!(first.try_acquire(1_000).is_some());
        assert!(semaphore.slot(&Digest::of(b"bob"), 10).try_acquire(10).is_some());
        drop((first, second));
        assert!(semaphore.0.entries.lock().unwrap().is_empty(), "nobody stands there any more");
    }

    #[test]
    fn r51_who_waits_for_one_name_leaves_room_for_others() {
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
        assert!(wait(0).is_none(), "one name has its share and no more");
        let bob = wait(1);
        assert!(bob.is_some());
        assert!(wait(2).is_none(), "and all together have theirs");
        drop(ada);
        assert!(wait(2).is_some(), "who goes away makes room");
        drop((bob, held));
    }
}
