//! A cache of access tokens that were found live, so that not every request asks the database
//! (docs/decisions/0030). What it says is never older than [`LIFE`], and on this node never older
//! than the last change:
//!
//! - A read is dated before it begins: by the clock, by the monotonic clock, and by the count of
//!   [`Changes`]. An entry is put in and found only while nothing that concerns it was changed since
//!   then; changes are counted after their commit and before their answer.
//! - Other nodes and the command line do not count here: what they end is over with the entry's
//!   second, which begins with the read. A clock that is set back does not prolong it, and a database
//!   that is out of reach does not either.
//! - Nothing is kept of a token but its digest. Whether it has expired is asked of the clock at
//!   each use. That it is unknown is not kept: it may have been issued a moment ago, elsewhere.
//! - Each entry comes from a use that was noted, and in so short a life no other would be news.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};
use crate::model::{Digest, SessionId};
use crate::oauth::Grant;
use crate::storage::{Changes, Moment};

/// How long an entry counts, from the beginning of its read.
const LIFE: Duration = Duration::from_secs(1);
const SHARDS: usize = 64;
/// Of one shard: more than a hundred thousand in all, at some hundred bytes each.
const CAPACITY: usize = 1_600;

/// The access tokens that were used within the last second. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifiedTokens {
    clock: Clock,
    changes: Changes,
    shards: Arc<[Mutex<Shard>]>,
}

/// By session: of its tokens the one that was used last.
type Shard = HashMap<SessionId, Verified>;

#[derive(Debug)]
struct Verified {
    token: Digest,
    grant: Arc<Grant>,
    expires_at: Timestamp,
    read: Reading,
}

/// When a read began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub at: Timestamp,
    instant: Instant,
    moment: Moment,
}

impl VerifiedTokens {
    pub fn new(clock: Clock, changes: Changes) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { clock, changes, shards }
    }

    /// Dates a read that is about to begin.
    pub(super) fn begin(&self) -> Reading {
        let moment = self.changes.moment();
        Reading { at: self.clock.now(), instant: self.clock.instant(), moment }
    }

    /// What the token grants, if that is known.
    pub(super) fn find(&self, session: SessionId, token: &Digest) -> Option<Arc<Grant>> {
        let shard = self.shard(session);
        let found = shard.get(&session).filter(|found| found.token == *token)?;
        let now = self.begin();
        (found.counts(&now, &self.changes) && now.at < found.expires_at)
            .then(|| Arc::clone(&found.grant))
    }

    /// Keeps what `read` has found, and may be too late already.
    pub(super) fn put(
        &self,
        read: Reading,
        token: Digest,
        grant: Arc<Grant>,
        expires_at: Timestamp,
    ) {
        let session = grant.session;
        let verified = Verified { token, grant, expires_at, read };
        let mut shard = self.shard(session);
        if shard.len() >= CAPACITY {
            let now = self.begin();
            shard.retain(|_, kept| kept.counts(&now, &self.changes));
            if shard.len() >= CAPACITY {
                shard.clear();
            }
        }
        shard.insert(session, verified);
    }

    /// By the random end of a UUIDv7.
    fn shard(&self, session: SessionId) -> MutexGuard<'_, Shard> {
        let [.., last] = *session.uuid().as_bytes();
        let shard = &self.shards[usize::from(last) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verified {
    fn counts(&self, now: &Reading, changes: &Changes) -> bool {
        let is_young = now.at >= self.read.at && now.at < self.read.at + LIFE;
        // whatever the clock was set to meanwhile
        let is_truly_young = now.instant.duration_since(self.read.instant) < LIFE;
        let account = self.grant.owner.id;
        is_young
            && is_truly_young
            && !changes.may_concern(self.read.moment, self.grant.session, account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Account, AccountId, EmailAddress, Scope};

    const START: Timestamp = Timestamp::from_unix_millis(1_767_225_600_000);

    fn grant(number: u128) -> Arc<Grant> {
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let id = AccountId::new(uuid::Uuid::from_u128(1 << 64));
        let owner = Account { id, email, name: None, locale: None, created_at: START };
        let session = SessionId::new(uuid::Uuid::from_u128(number));
        Arc::new(Grant { owner, session, client_id: "web".to_owned(), scope: Scope::empty() })
    }

    fn verified() -> VerifiedTokens {
        VerifiedTokens::new(Clock::stepped(START).0, Changes::default())
    }

    #[test]
    fn r27_an_entry_counts_for_a_second_whatever_the_clock_is_set_to() {
        let (cache, token) = (verified(), Digest::of(b"token"));
        let read = cache.begin();
        let entry = Verified { token, grant: grant(1), expires_at: START + LIFE * 9, read };
        let later = |clock: Duration, truly: Duration| Reading {
            at: read.at + clock,
            instant: read.instant + truly,
            moment: read.moment,
        };
        let nearly = Duration::from_millis(999);
        assert!(entry.counts(&later(nearly, nearly), &cache.changes));
        assert!(!entry.counts(&later(LIFE, nearly), &cache.changes));
        assert!(!entry.counts(&later(nearly, LIFE), &cache.changes));
    }

    #[test]
    fn a_flood_of_tokens_takes_a_bounded_amount_of_memory() {
        let cache = verified();
        for number in 0..4_u128 * 1_600 {
            // all of one shard
            let session = number * 256;
            let read = cache.begin();
            cache.put(read, Digest::of(b"token"), grant(session), START + LIFE);
            assert!(cache.find(grant(session).session, &Digest::of(b"token")).is_some());
        }
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= CAPACITY, "{kept}");
    }
}
