//! Detects writes by other processes to the SQLite file (`PRAGMA data_version`;
//! docs/decisions/0033).
//!
//! While there are none, cached tokens stay valid without being read again; this node counts its
//! own writes itself. One query about the whole database replaces one query per token. The query
//! runs in the background, at most every [`POLL_INTERVAL`] (0.5 s), and only while tokens are in
//! use. No request waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Reading};
use crate::storage::{DataVersion, Store, StoreError};

/// Age at which an observation is renewed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Latest observation of the database's data version. Cheap to clone.
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
    /// Taken after the first check that returned this data version.
    since: Instant,
    /// Taken before the latest check began.
    pub(super) checked_at: Reading,
}

impl ExternalWrites {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, last_check: Arc::default() }
    }

    /// Whether a check less than `life` before `now` has shown that no other process wrote since
    /// `read`.
    pub fn unchanged_since(&self, read: &Reading, life: Duration, now: &Reading) -> bool {
        self.observation().is_some_and(|observation| {
            observation.since <= read.instant && observation.checked_at.is_within(life, now)
        })
    }

    /// Starts a check in the background if the latest one is older than [`POLL_INTERVAL`].
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
                // this database has no data version: never check again
                Ok(false) => return,
                Ok(true) => {}
                // the last observation grows older meanwhile
                Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
            this.last_check.is_checking.store(false, Ordering::SeqCst);
        });
    }

    /// Reads the data version. `false` if this database has none.
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
