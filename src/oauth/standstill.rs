//! Since when nothing but this node has written to the database: whatever was read since then still
//! stands, but for what this node has changed itself (docs/decisions/0033).
//!
//! One question about the whole database takes the place of one for each token. It is put while tokens
//! are used and at no other time, and nobody waits for its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Reading};
use crate::storage::{OthersMark, Store, StoreError};

/// An answer is asked for again after this time.
const FRESH: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Standstill {
    pub(super) store: Store,
    clock: Clock,
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    seen: RwLock<Option<Seen>>,
    is_asked: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    mark: OthersMark,
    /// After the first answer with this mark.
    since: Instant,
    /// Before the latest question.
    pub(super) asked: Reading,
}

impl Standstill {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, known: Arc::default() }
    }

    /// Whether what was read at `read` still stood less than `life` before `now`.
    pub fn covers(&self, read: &Reading, life: Duration, now: &Reading) -> bool {
        self.seen()
            .is_some_and(|seen| seen.since <= read.instant && seen.asked.is_within(life, now))
    }

    /// Sees to it that there is a fresh answer soon.
    pub fn keep_up(&self, now: &Reading) {
        let is_asked = &self.known.is_asked;
        let is_fresh = || self.seen().is_some_and(|seen| seen.asked.is_within(FRESH, now));
        if is_asked.load(Ordering::SeqCst) || is_fresh() || is_asked.swap(true, Ordering::SeqCst) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            match this.ask().await {
                // who cannot tell is not asked again
                Ok(false) => return,
                Ok(true) => {}
                // what is known grows old meanwhile
                Err(_) => tokio::time::sleep(FRESH).await,
            }
            this.known.is_asked.store(false, Ordering::SeqCst);
        });
    }

    /// Answers whether this database can tell.
    pub(super) async fn ask(&self) -> Result<bool, StoreError> {
        let asked = self.clock.read();
        let Some(mark) = self.store.mark_of_others().await? else { return Ok(false) };
        let before = self.seen().filter(|seen| seen.mark == mark);
        let since = before.map_or_else(|| self.clock.instant(), |seen| seen.since);
        let mut seen = self.known.seen.write().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(Seen { mark, since, asked });
        Ok(true)
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        *self.known.seen.read().unwrap_or_else(PoisonError::into_inner)
    }
}
