//! What was changed lately, for whoever keeps what they have read (docs/decisions/0030).
//!
//! Statements that end or change what a token opens say so on their [`super::Connection`]. Once its
//! transaction is over, and before anybody is answered, [`Revisions`] counts it: after the commit, so
//! that whoever reads from then on reads what it left. A transaction that failed is counted as well,
//! since nobody knows whether its commit did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{AccountId, SessionId};

/// Two that share a mark make each other's readers look again, and no more.
const BUCKETS: usize = 8_192;

/// Something that was changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Session(SessionId),
    Account(AccountId),
    /// Nobody counts which: a client and its sessions, or what the janitor removes.
    Everything,
}

/// When a read began, as changes are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Revision(u64);

/// Counts what is changed through one [`super::Store`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Revisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: AtomicU64,
    /// What the count was at the latest change of whatever has this mark.
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
    /// To be asked for before a read begins.
    pub fn current(&self) -> Revision {
        Revision(self.0.count.load(Ordering::SeqCst))
    }

    /// Whether what was read of a session, its account and its client may have changed since a read
    /// that began at `revision`.
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

    /// By the random end of a UUIDv7.
    fn bucket(&self, id: uuid::Uuid) -> &AtomicU64 {
        let [.., high, low] = *id.as_bytes();
        &self.0.latest[usize::from(u16::from_be_bytes([high, low])) % BUCKETS]
    }
}

/// What a transaction has changed; counted when it is dropped, whatever became of it.
#[derive(Debug)]
pub(super) struct PendingChanges {
    revisions: Revisions,
    made: Vec<Change>,
}

impl PendingChanges {
    pub fn new(revisions: &Revisions) -> Self {
        Self { revisions: revisions.clone(), made: Vec::new() }
    }

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
    fn a_change_concerns_what_was_read_before_it_and_nothing_else() {
        let revisions = Revisions::default();
        let (session, account) = (SessionId::new(id(1)), AccountId::new(id(2)));
        let others = (SessionId::new(id(3)), AccountId::new(id(4)));
        for change in [Change::Session(session), Change::Account(account), Change::Everything] {
            let before = revisions.current();
            assert!(!revisions.changed_since(before, session, account), "{change:?}");
            let mut pending = PendingChanges::new(&revisions);
            pending.add(change);
            assert!(!revisions.changed_since(before, session, account), "{change:?}: not over yet");
            drop(pending);
            assert!(revisions.changed_since(before, session, account), "{change:?}");
            assert!(!revisions.changed_since(revisions.current(), session, account), "{change:?}");
            let is_of_all = matches!(change, Change::Everything);
            assert_eq!(revisions.changed_since(before, others.0, others.1), is_of_all);
        }
    }
}
