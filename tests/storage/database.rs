//! A fresh database for each test, with helpers for the usual first steps.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rocket::figment::Figment;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;
use vestibule::clock::Timestamp;
use vestibule::crypto::entropy::Entropy;
use vestibule::crypto::hasher::PasswordHash;
use vestibule::model::{AccountId, ClientId, Digest, EmailAddress, Scope, SessionId, SignUpId};
use vestibule::storage::{
    ClaimLimit, ClaimedLetter, LetterId, NewAccount, NewLetter, NewSession, NewSignUp, OpenError,
    Renewal, Rotation, SessionRecord, Store,
};

/// The instant at which every test begins.
pub const NOW: Timestamp = Timestamp::from_unix_millis(1_764_000_000_000);

/// So many seconds after [`NOW`].
pub fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

pub fn client(text: &str) -> ClientId {
    text.parse().unwrap()
}

/// The digest of a secret called `name`.
pub fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// A stand-in for a hash: storage parses no hash, so the tests need no real one.
pub fn hash(name: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=8,t=1,p=1${name}"))
}

/// An id of a row made at [`NOW`].
pub fn new_id() -> Uuid {
    Entropy.uuid_v7(NOW)
}

pub struct TestDatabase {
    pub store: Store,
    pub url: String,
    /// The folder of the SQLite file, deleted when the test ends.
    pub folder: Option<TempDir>,
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let (folder, url) = sqlite_url();
        let store = open(&url).await.unwrap();
        Self { store, url, folder: Some(folder) }
    }

    /// `None` without a PostgreSQL server.
    pub async fn postgres() -> Option<Self> {
        let url = crate::postgres::cluster()?.new_database();
        let store = open(&url).await.unwrap();
        Some(Self { store, url, folder: None })
    }

    /// Another node on the same database.
    pub async fn another_store(&self) -> Store {
        open(&self.url).await.unwrap()
    }

    /// A connection outside the store's pool.
    pub async fn raw(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await.unwrap()
    }

    /// Runs a statement outside the store, and returns the number of rows that it changed.
    pub async fn execute(&self, sql: &str) -> u64 {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        query.execute(&mut self.raw().await).await.unwrap().rows_affected()
    }

    async fn row(&self, sql: String) -> AnyRow {
        sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.raw().await).await.unwrap()
    }

    /// The first column of the one row that `sql` finds.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.row(sql.to_owned()).await.get(0)
    }

    /// The first column of the one row that `sql` finds.
    pub async fn integer(&self, sql: &str) -> Option<i64> {
        self.row(sql.to_owned()).await.get(0)
    }

    /// How many rows the table has.
    pub async fn count(&self, table: &str) -> i64 {
        self.row(format!("SELECT COUNT(*) FROM {table}")).await.get(0)
    }

    /// Signs `address` up; the sign-up waits for 1000 seconds.
    pub async fn sign_up(&self, address: &str) -> SignUpId {
        let new = WaitingSignUp::of(address);
        assert!(self.store.write(async |tx| tx.insert_sign_up(&new.row()).await).await.unwrap());
        new.id
    }

    pub async fn account(&self, address: &str) -> AccountId {
        let id = AccountId::new(new_id());
        let (email, password_hash) = (email(address), hash("first"));
        let new = NewAccount {
            id,
            email: &email,
            password_hash: &password_hash,
            name: None,
            locale: None,
            now: NOW,
        };
        assert!(self.store.write(async |tx| tx.insert_account(&new).await).await.unwrap());
        id
    }

    /// Starts a session in epoch 0, with the refresh token `r0` and the access token `a0`.
    pub async fn session(&self, account: AccountId) -> SessionId {
        let new = StartingSession::of(account);
        assert!(self.start(&new).await);
        new.id
    }

    pub async fn start(&self, new: &StartingSession) -> bool {
        self.store.write(async |tx| tx.insert_session(&new.row()).await).await.unwrap()
    }

    pub async fn find_session(&self, id: SessionId) -> Option<SessionRecord> {
        self.store.read(async |db| db.find_session(id).await).await.unwrap()
    }

    pub async fn renew(&self, read: &SessionRecord, renewal: &Renewal<'_>) -> bool {
        self.store.renew_session(read, renewal).await.unwrap()
    }

    /// Posts a letter that is due at `due`.
    pub async fn letter(&self, address: &str, due: Timestamp) -> LetterId {
        let id = LetterId::new(Entropy.uuid_v7(due));
        let email = email(address);
        let new = NewLetter {
            id,
            kind: "sign-up",
            email: &email,
            locale: None,
            account: None,
            facts: "{}".to_owned(),
            now: due,
        };
        self.store.write(async |tx| tx.insert_letter(&new).await).await.unwrap();
        id
    }

    /// Claims letters as a courier does, with a new lease, here of 60 seconds.
    pub async fn claim(&self, now: Timestamp, limit: usize) -> Vec<ClaimedLetter> {
        claim(&self.store, now, limit).await
    }
}

/// Up to `limit` letters that were never refused, and as many that were.
pub async fn claim(store: &Store, now: Timestamp, limit: usize) -> Vec<ClaimedLetter> {
    let (lease, until) = (new_id(), now + Duration::from_secs(60));
    let limit = ClaimLimit { fresh: limit, refused: limit };
    store.write(async |tx| tx.claim_letters(lease, now, until, limit).await).await.unwrap()
}

/// The URL of a SQLite file that does not exist yet.
pub fn sqlite_url() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", folder.path().display());
    (folder, url)
}

pub async fn open(url: &str) -> Result<Store, OpenError> {
    Store::open(&Figment::new().merge(("databases.vestibule.url", url))).await
}

/// Owns the values that a [`NewSignUp`] borrows.
pub struct WaitingSignUp {
    pub id: SignUpId,
    pub email: EmailAddress,
    pub password_hash: PasswordHash,
}

impl WaitingSignUp {
    pub fn of(address: &str) -> Self {
        let id = SignUpId::new(new_id());
        Self { id, email: email(address), password_hash: hash("first") }
    }

    pub fn row(&self) -> NewSignUp<'_> {
        NewSignUp {
            id: self.id,
            email: &self.email,
            password_hash: &self.password_hash,
            name: None,
            locale: None,
            user_agent: None,
            now: NOW,
            expires_at: after(1_000),
        }
    }
}

/// Owns the values that a [`NewSession`] borrows.
#[derive(Clone)]
pub struct StartingSession {
    pub id: SessionId,
    pub account: AccountId,
    pub epoch: i64,
    pub client: ClientId,
    pub client_is_stored: bool,
    pub scope: Scope,
    pub now: Timestamp,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
}

impl StartingSession {
    pub fn of(account: AccountId) -> Self {
        Self {
            id: SessionId::new(new_id()),
            account,
            epoch: 0,
            client: client("web"),
            client_is_stored: false,
            scope: scope("read write"),
            now: NOW,
            idle_expires_at: after(1_000),
            expires_at: after(5_000),
        }
    }

    pub fn row(&self) -> NewSession<'_> {
        NewSession {
            id: self.id,
            account: self.account,
            epoch: self.epoch,
            client_id: &self.client,
            client_is_stored: self.client_is_stored,
            scope: &self.scope,
            user_agent: None,
            now: self.now,
            idle_expires_at: self.idle_expires_at,
            expires_at: self.expires_at,
            tag_digest: digest("tag"),
            salt: [0; 32],
            refresh_digest: digest("r0"),
            access_digest: digest("a0"),
            access_expires_at: after(600),
        }
    }
}

/// A renewal at `now` that hands out the access token `a<number>`.
pub fn access_only(number: usize, scope: &Scope, now: Timestamp) -> Renewal<'_> {
    Renewal {
        access_digest: digest(&format!("a{number}")),
        access_scope: scope,
        access_expires_at: now + Duration::from_secs(600),
        rotation: None,
        client_is_stored: false,
        now,
    }
}

/// A renewal at `now` that hands out `a<number>` and `r<number>` under the salt `[number; 32]`.
pub fn rotating(number: usize, scope: &Scope, now: Timestamp) -> Renewal<'_> {
    let rotation = Rotation {
        salt: [u8::try_from(number % 256).unwrap(); 32],
        refresh_digest: digest(&format!("r{number}")),
        idle_expires_at: now + Duration::from_secs(1_000),
    };
    Renewal { rotation: Some(rotation), ..access_only(number, scope, now) }
}

/// Runs `count` tasks at once; their answers come in the order of their starts.
pub async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let task = task(index);
        tasks.spawn(async move { (index, task.await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Polls `future` at most `polls` times, whenever it wakes, and then drops it.
pub async fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
