//! Revision counters of sessions and accounts, by which caches notice changes
//! (docs/decisions/0030).
//!
//! A statement that ends a session, or changes the data behind a token, says so on its
//! [`super::Connection`]. [`Revisions`] counts the change once the transaction is over and before
//! the caller gets its answer: after the commit, so that each later read sees the change. A failed
//! transaction is counted as well, since it is unknown whether its commit took effect.
//!
//! This module knows ids only. Changes by other processes are the subject of
//! [`super::data_version`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{AccountId, SessionId};

/// Number of counters. Two ids that share a counter only cause one read too many.
const BUCKETS: usize = 8_192;

/// The subject of a change.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) enum Change {
    Session(SessionId),
    Account(AccountId),
    /// Any number of sessions: a client and its sessions, or the rows that the janitor removes.
    Everything,
}

/// Value of the change counter when a read began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Revision(u64);

/// Counters of the changes made through one [`super::Store`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Revisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: AtomicU64,
    /// Value of `count` at the latest change, per bucket of ids.
    latest: Box<[AtomicU64]>,
    latest_of_all: AtomicU64,
}

impl Default for Revisions {
    fn default() -> Self {
        let latest = std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect();
        let (count, latest_of_all) = Default::default();
        Self(Arc::new(Inner { count, latest, latest_of_all }))
    }
}

impl Revisions {
    /// The current revision. A reader must ask for it before its read begins.
    pub fn current(&self) -> Revision {
        Revision(self.0.count.load(Ordering::SeqCst))
    }

    /// Whether a session, its account or its client may have changed since a read that began at
    /// `revision`.
    pub fn changed_since(
        &self,
        revision: Revision,
        session: SessionId,
        account: AccountId,
    ) -> bool {
        [self.bucket(session.uuid()), self.bucket(account.uuid()), &self.0.latest_of_all]
            .into_iter()
            .any(|latest| latest.load(Ordering::SeqCst) > revision.0)
    }

    fn note(&self, change: Change) {
        let count = self.0.count.fetch_add(1, Ordering::SeqCst) + 1;
        let latest = match change {
            Change::Session(id) => self.bucket(id.uuid()),
            Change::Account(id) => self.bucket(id.uuid()),
            Change::Everything => &self.0.latest_of_all,
        };
        latest.fetch_max(count, Ordering::SeqCst);
    }

    /// Counter of an id, by the random last bytes of the UUIDv7.
    fn bucket(&self, id: uuid::Uuid) -> &AtomicU64 {
        let [.., high, low] = *id.as_bytes();
        &self.0.latest[usize::from(u16::from_be_bytes([high, low])) % BUCKETS]
    }
}

/// Changes of one transaction; counted on drop, after success and failure alike.
#[derive(Debug)]
pub(in crate::storage) struct PendingChanges {
    revisions: Revisions,
    made: Vec<Change>,
}

impl PendingChanges {
    /// No changes yet.
    pub fn new(revisions: &Revisions) -> Self {
        Self { revisions: revisions.clone(), made: Vec::new() }
    }

    /// Adds a change.
    pub fn add(&mut self, change: Change) {
        self.made.push(change);
    }
}

impl Drop for PendingChanges {
    fn drop(&mut self) {
        for change in self.made.drain(..) {
            self.revisions.note(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(end: u16) -> uuid::Uuid {
        uuid::Uuid::from_u128(end.into())
    }

    #[test]
    fn revision_concerns_earlier_reads_of_its_rows_only() {
        let revisions = Revisions::default();
        let (session, account) = (SessionId::new(id(1)), AccountId::new(id(2)));
        let others = (SessionId::new(id(3)), AccountId::new(id(4)));
        for change in [Change::Session(session), Change::Account(account), Change::Everything] {
            let before = revisions.current();
            assert!(!revisions.changed_since(before, session, account), "{change:?}");
            let mut pending = PendingChanges::new(&revisions);
            pending.add(change);
            assert!(!revisions.changed_since(before, session, account), "{change:?}: pending");
            drop(pending);
            assert!(revisions.changed_since(before, session, account), "{change:?}");
            assert!(!revisions.changed_since(revisions.current(), session, account), "{change:?}");
            let is_of_all = matches!(change, Change::Everything);
            assert_eq!(revisions.changed_since(before, others.0, others.1), is_of_all);
        }
    }
}
