//! Which sessions were used, written behind.
//!
//! That an access token was used matters for the predecessor rule and for the list of devices, but
//! no request should wait for a write because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::model::SessionId;

/// What was seen in use since it was last written down; in one order, so that two nodes which write
/// it down do not wait for each other. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Mutex<BTreeMap<SessionId, Used>>>);

/// The latest access token of a session that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub serial: i64,
    pub at: Timestamp,
}

impl Usage {
    pub(super) fn note(&self, session: SessionId, serial: i64, at: Timestamp) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(session)
            .and_modify(|used| {
                *used = Used { serial: used.serial.max(serial), at: used.at.max(at) };
            })
            .or_insert(Used { serial, at });
    }

    pub(super) fn take(&self) -> BTreeMap<SessionId, Used> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// They could not be written: next time.
    pub(super) fn put_back(&self, unwritten: BTreeMap<SessionId, Used>) {
        for (session, used) in unwritten {
            self.note(session, used.serial, used.at);
        }
    }
}
