//! Tracker of session activity, written in the background.
//!
//! The last use of an access token matters for the predecessor rule and for the list of devices. No
//! request should wait for a write because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::model::SessionId;

/// Uses since the last flush. Sorted, so that two nodes write them in the same order and do not
/// deadlock. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ActivityTracker(Arc<Mutex<BTreeMap<SessionId, LastUse>>>);

/// The latest access token of a session in use, and the time of its use.
#[derive(Clone, Copy, Debug)]
pub struct LastUse {
    /// Serial number of the access token in its session.
    pub serial: i64,
    /// Time of the use.
    pub at: Timestamp,
}

impl ActivityTracker {
    pub(super) fn record(&self, session: SessionId, serial: i64, at: Timestamp) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(session)
            .and_modify(|used| {
                *used = LastUse { serial: used.serial.max(serial), at: used.at.max(at) };
            })
            .or_insert(LastUse { serial, at });
    }

    pub(super) fn take(&self) -> BTreeMap<SessionId, LastUse> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps uses that could not be written for the next flush.
    pub(super) fn put_back(&self, unwritten: BTreeMap<SessionId, LastUse>) {
        for (session, used) in unwritten {
            self.record(session, used.serial, used.at);
        }
    }
}
