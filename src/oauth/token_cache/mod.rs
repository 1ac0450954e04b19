//! Cache of verified access tokens, so that not every request reads the database
//! (docs/decisions/0030, 0033).
//!
//! A cached result is outdated by at most [`TTL`] (1 s), and never misses a change by this node. Rules
//! of freshness:
//!
//! | Event | Effect on an entry | By |
//! |---|---|---|
//! | read from the database | valid for [`TTL`] (1 s) from the start of the read | [`ReadStamp`] |
//! | check, after the read, that no other process has written | valid for [`TTL`] (1 s) from the check; for [`MAX_AGE`] (30 s) from the read at most | [`ExternalWrites`] |
//! | change by this node of the session or account | ends at once: it is counted after its commit and before its response | [`Revisions`] |
//! | change by another node or the command line; unreachable database | ends within [`TTL`] (1 s) | no further check |
//! | expiry of the token | ends at once: each use compares the expiry with the clock | `expires_at` |
//! | clock set back | prolongs nothing: the monotonic clock counts, too | [`Reading`] |
//! | unknown token | has no entry: another node may have issued it a moment ago | |
//!
//! The cache holds a token's digest, never the token. A token's last use is recorded on a cache miss
//! only, so it may lag by up to [`MAX_AGE`] (30 s). Uses are recorded at most once a minute anyway.

mod external_writes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Reading, Timestamp};
use crate::model::{Digest, SessionId};
use crate::oauth::Grant;
use crate::storage::{Revision, Revisions, Store};

use external_writes::ExternalWrites;

/// Lifetime of an entry since it was last known to be valid.
const TTL: Duration = Duration::from_secs(1);
/// Longest lifetime of an entry, from the start of its read.
const MAX_AGE: Duration = Duration::from_secs(30);
const SHARDS: usize = 64;
/// Entries per shard: more than a hundred thousand in total, at some hundred bytes each.
const SHARD_CAPACITY: usize = 1_600;

/// Access tokens in recent use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenCache {
    clock: Clock,
    revisions: Revisions,
    external_writes: ExternalWrites,
    shards: Arc<[Mutex<Shard>]>,
}

/// The last used token of each session.
type Shard = HashMap<SessionId, CacheEntry>;

#[derive(Debug)]
struct CacheEntry {
    token: Digest,
    grant: Arc<Grant>,
    expires_at: Timestamp,
    read: ReadStamp,
}

/// Start of a read.
#[derive(Clone, Copy, Debug)]
pub(in crate::oauth) struct ReadStamp {
    clocks: Reading,
    revision: Revision,
}

impl TokenCache {
    /// Empty cache, in front of `store`.
    pub fn new(clock: Clock, store: Store) -> Self {
        let revisions = store.revisions().clone();
        let external_writes = ExternalWrites::new(store, clock.clone());
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { clock, revisions, external_writes, shards }
    }

    /// Stamps a read that is about to begin. The entry of this read will be used soon, so this also
    /// starts the check for external writes.
    pub(in crate::oauth) fn stamp(&self) -> ReadStamp {
        let revision = self.revisions.current();
        let clocks = self.clock.read();
        self.external_writes.refresh_in_background(&clocks);
        ReadStamp { clocks, revision }
    }

    /// The token's grant, if it is cached and valid.
    pub(in crate::oauth) fn find(&self, session: SessionId, token: &Digest) -> Option<Arc<Grant>> {
        let (grant, expires_at, read) = {
            let shard = self.shard(session);
            let found = shard.get(&session).filter(|found| found.token == *token)?;
            (Arc::clone(&found.grant), found.expires_at, found.read)
        };
        let now = self.clock.read();
        self.external_writes.refresh_in_background(&now);
        (now.at < expires_at && self.is_valid(&grant, &read, &now)).then_some(grant)
    }

    fn is_valid(&self, grant: &Grant, read: &ReadStamp, now: &Reading) -> bool {
        let stands = read.clocks.is_within(TTL, now)
            || (read.clocks.is_within(MAX_AGE, now)
                && self.external_writes.unchanged_since(&read.clocks, TTL, now));
        stands && !self.revisions.changed_since(read.revision, grant.session, grant.owner.id)
    }

    /// Stores the result of `read`, even if it is already outdated; `find` checks that.
    pub(in crate::oauth) fn put(
        &self,
        read: ReadStamp,
        token: Digest,
        grant: Arc<Grant>,
        expires_at: Timestamp,
    ) {
        let session = grant.session;
        let entry = CacheEntry { token, grant, expires_at, read };
        let mut shard = self.shard(session);
        // expired entries make room before a shard grows
        if shard.len() >= shard.capacity().min(SHARD_CAPACITY) {
            let now = self.clock.read();
            shard.retain(|_, kept| self.is_valid(&kept.grant, &kept.read, &now));
            // otherwise the next insertion would search all entries again
            if shard.len() > SHARD_CAPACITY / 4 * 3 {
                shard.clear();
            }
            let as_many = shard.len().min(SHARD_CAPACITY - shard.len());
            shard.reserve(as_many);
        }
        shard.insert(session, entry);
    }

    /// Shard by the random end of a UUIDv7.
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

    /// A cache, its clock, and its database file.
    struct Fixture {
        cache: TokenCache,
        stepper: Stepper,
        folder: TempDir,
    }

    impl Fixture {
        async fn open() -> Self {
            let (clock, stepper) = Clock::stepped(START);
            let folder = TempDir::new().unwrap();
            let cache = TokenCache::new(clock, store_in(&folder).await);
            Self { cache, stepper, folder }
        }

        /// Stores a token that was read just now and expires long after every test.
        fn put(&self, grant: &Arc<Grant>) {
            let (read, token) = (self.cache.stamp(), Digest::of(b"token"));
            self.cache.put(read, token, Arc::clone(grant), START + MAX_AGE * 9);
        }

        fn contains(&self, grant: &Grant) -> bool {
            self.cache.find(grant.session, &Digest::of(b"token")).is_some()
        }
    }

    async fn store_in(folder: &TempDir) -> Store {
        let url = format!("sqlite://{}/a.db", folder.path().display());
        Store::open(&Figment::from(("databases.vestibule.url", url))).await.unwrap()
    }

    #[tokio::test]
    async fn r27_entry_is_valid_for_one_second_despite_clock_changes() {
        let Fixture { cache, .. } = Fixture::open().await;
        let (read, grant) = (cache.stamp(), grant(1));
        let is_valid = |clock: Duration, truly: Duration| {
            let (at, instant) = (read.clocks.at + clock, read.clocks.instant + truly);
            cache.is_valid(&grant, &read, &Reading { at, instant })
        };
        assert!(is_valid(NEARLY, NEARLY));
        assert!(!is_valid(TTL, NEARLY));
        assert!(!is_valid(NEARLY, TTL));
    }

    #[tokio::test]
    async fn r27_entry_stays_valid_without_external_writes() {
        let fixture = Fixture::open().await;
        let (early, late) = (grant(1), grant(2));
        fixture.put(&early);
        assert!(fixture.cache.external_writes.check().await.unwrap());
        fixture.put(&late);
        let pass = async |seconds| {
            for _ in 0..seconds {
                fixture.stepper.advance(NEARLY);
                assert!(fixture.cache.external_writes.check().await.unwrap());
            }
        };
        pass(20).await;
        assert!(!fixture.contains(&early), "the entry was read before the first check");
        assert!(fixture.contains(&late));
        fixture.stepper.advance(TTL);
        assert!(!fixture.contains(&late), "no check for a second");
        pass(9).await;
        assert!(fixture.contains(&late), "after a new check the entry is valid");
        pass(1).await;
        assert!(!fixture.contains(&late), "the entry is older than MAX_AGE");
    }

    #[tokio::test]
    async fn r27_entry_expires_within_a_second_of_an_external_write() {
        let fixture = Fixture::open().await;
        fixture.cache.external_writes.check().await.unwrap();
        let (early, late) = (grant(1), grant(2));
        fixture.put(&early);
        let other = store_in(&fixture.folder).await;
        other.write(async |tx| tx.insert_failure(&Digest::of(b"a"), START).await).await.unwrap();
        fixture.stepper.advance(NEARLY);
        fixture.cache.external_writes.check().await.unwrap();
        fixture.put(&late);
        assert!(fixture.contains(&early));
        fixture.stepper.advance(Duration::from_millis(1));
        fixture.cache.external_writes.check().await.unwrap();
        assert!(!fixture.contains(&early));
        fixture.stepper.advance(NEARLY);
        fixture.cache.external_writes.check().await.unwrap();
        assert!(fixture.contains(&late), "no write since the check");
    }

    #[tokio::test]
    async fn r52_entry_expires_within_a_second_of_a_database_outage() {
        let fixture = Fixture::open().await;
        let external_writes = &fixture.cache.external_writes;
        external_writes.check().await.unwrap();
        let grant = grant(1);
        fixture.put(&grant);
        for _ in 0..5 {
            fixture.stepper.advance(NEARLY);
            external_writes.check().await.unwrap();
        }
        external_writes.store.close().await;
        fixture.stepper.advance(NEARLY);
        external_writes.check().await.unwrap_err();
        assert!(fixture.contains(&grant));
        fixture.stepper.advance(Duration::from_millis(1));
        assert!(!fixture.contains(&grant));
    }

    /// The check that requests start in the background.
    #[tokio::test]
    async fn read_or_hit_starts_the_check_for_external_writes() {
        let fixture = Fixture::open().await;
        let asked =
            || fixture.cache.external_writes.observation().map(|seen| seen.checked_at.instant);
        while asked().is_none() {
            fixture.cache.stamp();
            tokio::task::yield_now().await;
        }
        let (grant, first) = (grant(1), asked());
        fixture.put(&grant);
        fixture.stepper.advance(NEARLY);
        while asked() == first {
            assert!(fixture.contains(&grant));
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn expired_entries_make_room() {
        let fixture = Fixture::open().await;
        for number in 0..2_000 {
            fixture.put(&grant(number * 256));
            fixture.stepper.advance(TTL / 10);
        }
        let shards = fixture.cache.shards.iter();
        let kept: usize = shards.map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept < 100, "{kept} entries, of which ten are valid");
    }

    #[tokio::test]
    async fn flood_of_tokens_takes_bounded_memory() {
        let fixture = Fixture::open().await;
        for number in 0..4_u128 * 1_600 {
            // all of one shard
            let grant = grant(number * 256);
            fixture.put(&grant);
            assert!(fixture.contains(&grant));
        }
        let shards = fixture.cache.shards.iter();
        let kept: usize = shards.map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= SHARD_CAPACITY, "{kept}");
    }
}
