//! A cache of access tokens that were found live, so that not every request asks the database
//! (docs/decisions/0030, 0033). What it says is never older than [`LIFE`], and on this node never older
//! than the last change:
//!
//! - A read is dated before it begins: by the clock, by the monotonic clock, and by the count of
//!   [`Changes`]. An entry is put in and found only while nothing that concerns it was changed since
//!   then; changes are counted after their commit and before their answer.
//! - Other nodes and the command line do not count here: what they end is over with the entry's
//!   second. It begins with the read, or with the latest question to a database that can tell whether
//!   anybody else has written since the read ([`Standstill`]). A clock that is set back does not
//!   prolong it, and a database that is out of reach does not either.
//! - Nothing is kept of a token but its digest. Whether it has expired is asked of the clock at
//!   each use. That it is unknown is not kept: it may have been issued a moment ago, elsewhere.
//! - Uses are noted when tokens are looked up. So what is known of them is behind by [`LONGEST`] more
//!   than it would be, which is little beside the minute in which no other is news.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Reading, Timestamp};
use crate::model::{Digest, SessionId};
use crate::oauth::Grant;
use crate::oauth::standstill::Standstill;
use crate::storage::{Changes, Moment, Store};

/// How long an entry counts after it was known to stand.
const LIFE: Duration = Duration::from_secs(1);
/// How long an entry counts at most, from the beginning of its read.
const LONGEST: Duration = Duration::from_secs(30);
const SHARDS: usize = 64;
/// Of one shard: more than a hundred thousand in all, at some hundred bytes each.
const CAPACITY: usize = 1_600;

/// The access tokens that were used lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifiedTokens {
    clock: Clock,
    changes: Changes,
    standstill: Standstill,
    shards: Arc<[Mutex<Shard>]>,
}

/// By session: of its tokens the one that was used last.
type Shard = HashMap<SessionId, Verified>;

#[derive(Debug)]
struct Verified {
    token: Digest,
    grant: Arc<Grant>,
    expires_at: Timestamp,
    read: Begun,
}

/// When a read began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    clocks: Reading,
    moment: Moment,
}

impl VerifiedTokens {
    pub fn new(clock: Clock, store: Store) -> Self {
        let changes = store.changes().clone();
        let standstill = Standstill::new(store, clock.clone());
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { clock, changes, standstill, shards }
    }

    /// Dates a read that is about to begin. What is read from now on will be asked for, and so it is
    /// asked already whether it stands.
    pub(super) fn begin(&self) -> Begun {
        let moment = self.changes.moment();
        let clocks = self.clock.read();
        self.standstill.keep_up(&clocks);
        Begun { clocks, moment }
    }

    /// What the token grants, if that is known.
    pub(super) fn find(&self, session: SessionId, token: &Digest) -> Option<Arc<Grant>> {
        let (grant, expires_at, read) = {
            let shard = self.shard(session);
            let found = shard.get(&session).filter(|found| found.token == *token)?;
            (Arc::clone(&found.grant), found.expires_at, found.read)
        };
        let now = self.clock.read();
        self.standstill.keep_up(&now);
        (now.at < expires_at && self.counts(&grant, &read, &now)).then_some(grant)
    }

    fn counts(&self, grant: &Grant, read: &Begun, now: &Reading) -> bool {
        let stands = read.clocks.is_within(LIFE, now)
            || (read.clocks.is_within(LONGEST, now)
                && self.standstill.covers(&read.clocks, LIFE, now));
        stands && !self.changes.may_concern(read.moment, grant.session, grant.owner.id)
    }

    /// Keeps what `read` has found, and may be too late already.
    pub(super) fn put(&self, read: Begun, token: Digest, grant: Arc<Grant>, expires_at: Timestamp) {
        let session = grant.session;
        let verified = Verified { token, grant, expires_at, read };
        let mut shard = self.shard(session);
        // what is over makes room before a shard grows
        if shard.len() >= shard.capacity().min(CAPACITY) {
            let now = self.clock.read();
            shard.retain(|_, kept| self.counts(&kept.grant, &kept.read, &now));
            // else the next one looks through all of them again
            if shard.len() > CAPACITY / 4 * 3 {
                shard.clear();
            }
            let as_many = shard.len().min(CAPACITY - shard.len());
            shard.reserve(as_many);
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

#[cfg(test)]
mod tests {
    use figment::Figment;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::Stepper;
    use crate::model::{Account, AccountId, EmailAddress, Scope};

    const START: Timestamp = Timestamp::from_unix_millis(1_767_225_600_000);
    const NEARLY: Duration = Duration::from_millis(999);

    fn grant(number: u128) -> Arc<Grant> {
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let id = AccountId::new(uuid::Uuid::from_u128(1 << 64));
        let owner = Account { id, email, name: None, locale: None, created_at: START };
        let session = SessionId::new(uuid::Uuid::from_u128(number));
        Arc::new(Grant { owner, session, client_id: "web".to_owned(), scope: Scope::empty() })
    }

    /// A cache, its clock, and the file that it asks about.
    struct Place {
        cache: VerifiedTokens,
        stepper: Stepper,
        folder: TempDir,
    }

    impl Place {
        async fn open() -> Self {
            let (clock, stepper) = Clock::stepped(START);
            let folder = TempDir::new().unwrap();
            let cache = VerifiedTokens::new(clock, store_in(&folder).await);
            Self { cache, stepper, folder }
        }

        /// Keeps what is read just now, until long after every test.
        fn put(&self, grant: &Arc<Grant>) {
            let (read, token) = (self.cache.begin(), Digest::of(b"token"));
            self.cache.put(read, token, Arc::clone(grant), START + LONGEST * 9);
        }

        fn knows(&self, grant: &Grant) -> bool {
            self.cache.find(grant.session, &Digest::of(b"token")).is_some()
        }
    }

    async fn store_in(folder: &TempDir) -> Store {
        let url = format!("sqlite://{}/a.db", folder.path().display());
        Store::open(&Figment::from(("databases.vestibule.url", url))).await.unwrap()
    }

    #[tokio::test]
    async fn r27_an_entry_counts_for_a_second_whatever_the_clock_is_set_to() {
        let Place { cache, .. } = Place::open().await;
        let (read, grant) = (cache.begin(), grant(1));
        let counts = |clock: Duration, truly: Duration| {
            let (at, instant) = (read.clocks.at + clock, read.clocks.instant + truly);
            cache.counts(&grant, &read, &Reading { at, instant })
        };
        assert!(counts(NEARLY, NEARLY));
        assert!(!counts(LIFE, NEARLY));
        assert!(!counts(NEARLY, LIFE));
    }

    #[tokio::test]
    async fn r27_an_entry_counts_on_while_nobody_else_writes() {
        let place = Place::open().await;
        let (early, late) = (grant(1), grant(2));
        place.put(&early);
        assert!(place.cache.standstill.ask().await.unwrap());
        place.put(&late);
        let pass = async |seconds| {
            for _ in 0..seconds {
                place.stepper.advance(NEARLY);
                assert!(place.cache.standstill.ask().await.unwrap());
            }
        };
        pass(20).await;
        assert!(!place.knows(&early), "read before anybody asked");
        assert!(place.knows(&late));
        place.stepper.advance(LIFE);
        assert!(!place.knows(&late), "nobody has asked for a second");
        pass(9).await;
        assert!(place.knows(&late), "and then somebody has");
        pass(1).await;
        assert!(!place.knows(&late), "it has counted long enough");
    }

    #[tokio::test]
    async fn r27_an_entry_is_over_within_a_second_after_somebody_else_has_written() {
        let place = Place::open().await;
        place.cache.standstill.ask().await.unwrap();
        let (early, late) = (grant(1), grant(2));
        place.put(&early);
        let other = store_in(&place.folder).await;
        other.write(async |tx| tx.insert_failure(&Digest::of(b"a"), START).await).await.unwrap();
        place.stepper.advance(NEARLY);
        place.cache.standstill.ask().await.unwrap();
        place.put(&late);
        assert!(place.knows(&early));
        place.stepper.advance(Duration::from_millis(1));
        place.cache.standstill.ask().await.unwrap();
        assert!(!place.knows(&early));
        place.stepper.advance(NEARLY);
        place.cache.standstill.ask().await.unwrap();
        assert!(place.knows(&late), "nobody has written since");
    }

    #[tokio::test]
    async fn r52_an_entry_is_over_within_a_second_after_the_database_has_gone() {
        let place = Place::open().await;
        let standstill = &place.cache.standstill;
        standstill.ask().await.unwrap();
        let grant = grant(1);
        place.put(&grant);
        for _ in 0..5 {
            place.stepper.advance(NEARLY);
            standstill.ask().await.unwrap();
        }
        standstill.store.close().await;
        place.stepper.advance(NEARLY);
        standstill.ask().await.unwrap_err();
        assert!(place.knows(&grant));
        place.stepper.advance(Duration::from_millis(1));
        assert!(!place.knows(&grant));
    }

    /// What requests set off by themselves.
    #[tokio::test]
    async fn whoever_reads_or_finds_an_entry_sees_to_it_that_somebody_asks() {
        let place = Place::open().await;
        let asked = || place.cache.standstill.seen().map(|seen| seen.asked.instant);
        while asked().is_none() {
            place.cache.begin();
            tokio::task::yield_now().await;
        }
        let (grant, first) = (grant(1), asked());
        place.put(&grant);
        place.stepper.advance(NEARLY);
        while asked() == first {
            assert!(place.knows(&grant));
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_over_makes_room() {
        let place = Place::open().await;
        for number in 0..2_000 {
            place.put(&grant(number * 256));
            place.stepper.advance(LIFE / 10);
        }
        let shards = place.cache.shards.iter();
        let kept: usize = shards.map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept < 100, "{kept}, of which ten count");
    }

    #[tokio::test]
    async fn a_flood_of_tokens_takes_a_bounded_amount_of_memory() {
        let place = Place::open().await;
        for number in 0..4_u128 * 1_600 {
            // all of one shard
            let grant = grant(number * 256);
            place.put(&grant);
            assert!(place.knows(&grant));
        }
        let shards = place.cache.shards.iter();
        let kept: usize = shards.map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= CAPACITY, "{kept}");
    }
}
