//! Since when nothing but this node has written to the database: whatever was read since then still
//! stands, but for what this node has changed itself (docs/decisions/0033).
//!
//! One question about the whole database takes the place of one for each token. It is put while tokens
//! are used and at no other time, and nobody waits for its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Reading};
use crate::storage::{DataVersion, Store, StoreError};

/// An answer is asked for again after this time.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ExternalWrites {
    pub(super) store: Store,
    clock: Clock,
    last_check: Arc<LastCheck>,
}

#[derive(Debug, Default)]
struct LastCheck {
    observation: RwLock<Option<Observation>>,
    is_checking: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    data_version: DataVersion,
    /// After the first answer with this mark.
    since: Instant,
    /// Before the latest question.
    pub(super) checked_at: Reading,
}

impl ExternalWrites {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, last_check: Arc::default() }
    }

    /// Whether what was read at `read` still stood less than `life` before `now`.
    pub fn unchanged_since(&self, read: &Reading, life: Duration, now: &Reading) -> bool {
        self.observation().is_some_and(|observation| {
            observation.since <= read.instant && observation.checked_at.is_within(life, now)
        })
    }

    /// Sees to it that there is a fresh answer soon.
    pub fn refresh_in_background(&self, now: &Reading) {
        let is_checking = &self.last_check.is_checking;
        let is_fresh = || {
            self.observation()
                .is_some_and(|observation| observation.checked_at.is_within(POLL_INTERVAL, now))
        };
        if is_checking.load(Ordering::SeqCst)
            || is_fresh()
            || is_checking.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            match this.check().await {
                // who cannot tell is not asked again
                Ok(false) => return,
                Ok(true) => {}
                // what is known grows old meanwhile
                Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
            this.last_check.is_checking.store(false, Ordering::SeqCst);
        });
    }

    /// Answers whether this database can tell.
    pub(super) async fn check(&self) -> Result<bool, StoreError> {
        let checked_at = self.clock.read();
        let Some(data_version) = self.store.data_version().await? else { return Ok(false) };
        let before =
            self.observation().filter(|observation| observation.data_version == data_version);
        let since = before.map_or_else(|| self.clock.instant(), |observation| observation.since);
        let mut observation =
            self.last_check.observation.write().unwrap_or_else(PoisonError::into_inner);
        *observation = Some(Observation { data_version, since, checked_at });
        Ok(true)
    }

    pub(super) fn observation(&self) -> Option<Observation> {
        *self.last_check.observation.read().unwrap_or_else(PoisonError::into_inner)
    }
}
