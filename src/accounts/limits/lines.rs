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
pub(in crate::accounts) struct Lines(Arc<Hall>);

#[derive(Debug, Default)]
struct Hall {
    lines: Mutex<HashMap<Key, Arc<Line>>>,
    /// In all lines together.
    waiting: AtomicUsize,
}

/// How many may wait for permits.
#[derive(Clone, Copy, Debug)]
pub(in crate::accounts) struct Room {
    pub in_each: usize,
    pub in_all: usize,
}

#[derive(Debug)]
struct Line {
    permits: Arc<Semaphore>,
    /// How many permits there are.
    most: usize,
    waiting: AtomicUsize,
}

/// A place in a line; leaves it when dropped.
#[derive(Debug)]
pub(in crate::accounts) struct InLine {
    lines: Lines,
    key: Key,
    // before the drop of the whole removes a line that nobody stands in any more
    line: Option<Arc<Line>>,
}

/// What lets a try go on. Given back when dropped.
pub(in crate::accounts) type Permit = OwnedSemaphorePermit;

/// Counts whoever waits, until they do no more, whatever ends their waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// `None` if as many as there is room for wait already.
    fn among(waiting: &'a AtomicUsize, room: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Self(waiting);
        (before < room).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lines {
    /// Stands in the line of a key, which has `most` permits.
    pub(in crate::accounts) fn enter(&self, key: &Digest, most: usize) -> InLine {
        let key = *key.as_bytes();
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(key).or_insert_with(|| {
            let permits = Arc::new(Semaphore::new(most));
            Arc::new(Line { permits, most, waiting: AtomicUsize::new(0) })
        });
        InLine { lines: self.clone(), key, line: Some(Arc::clone(line)) }
    }
}

impl InLine {
    /// `weight` permits, if nobody has to be waited for.
    pub(in crate::accounts) fn try_take(&self, weight: usize) -> Option<Permit> {
        let line = self.line.as_ref()?;
        Arc::clone(&line.permits).try_acquire_many_owned(line.weight(weight)).ok()
    }

    /// `weight` permits, when they come free. `None` if there is no room to wait.
    pub(in crate::accounts) async fn take(&self, weight: usize, room: Room) -> Option<Permit> {
        if let Some(permit) = self.try_take(weight) {
            return Some(permit);
        }
        let line = self.line.as_ref()?;
        let _here = Waiting::among(&line.waiting, room.in_each)?;
        let _anywhere = Waiting::among(&self.lines.0.waiting, room.in_all)?;
        Arc::clone(&line.permits).acquire_many_owned(line.weight(weight)).await.ok()
    }
}

impl Line {
    fn weight(&self, weight: usize) -> u32 {
        u32::try_from(weight.min(self.most)).unwrap_or(u32::MAX)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.line = None;
        let mut lines = self.lines.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.get(&self.key).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn r20_who_has_failed_before_holds_more() {
        let lines = Lines::default();
        let key = Digest::of(b"ada");
        let (first, second) = (lines.enter(&key, 10), lines.enter(&key, 10));
        let held = first.try_take(7).unwrap();
        assert!(second.try_take(4).is_none());
        let beside = second.try_take(3).unwrap();
        let room = |in_each, in_all| Room { in_each, in_all };
        assert!(first.take(1, room(5, 5)).now_or_never().is_none());
        assert!(first.take(1, room(0, 5)).now_or_never().unwrap().is_none(), "too many wait");
        drop((held, beside));
        // never more than there are
        assert!(first.try_take(1_000).is_some());
        assert!(lines.enter(&Digest::of(b"bob"), 10).try_take(10).is_some());
        drop((first, second));
        assert!(lines.0.lines.lock().unwrap().is_empty(), "nobody stands there any more");
    }

    #[test]
    fn r51_who_waits_for_one_name_leaves_room_for_others() {
        let lines = Lines::default();
        let room = Room { in_each: 2, in_all: 3 };
        let names = ["ada", "bob", "cyd"].map(|name| lines.enter(&Digest::of(name.as_bytes()), 1));
        let held = names.each_ref().map(|line| line.try_take(1).unwrap());
        let wait = |name: usize| {
            let mut waiting = Box::pin(names[name].take(1, room));
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
