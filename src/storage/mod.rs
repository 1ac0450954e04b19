//! Storage: every SQL statement of the service, and the only code that talks to the database.
//!
//! This module owns the schema, the statements, the connections and the transactions. It must not
//! know the rules of accounts, OAuth or mail; the callers decide and then name a statement.
//!
//! Callers enter through [`Store::read`] and [`Store::write`]. Both lend a [`Connection`], whose
//! methods are the statements, grouped by table in the files beside this one. `write` wraps its
//! statements in one transaction and answers only once the commit is durable. A single statement
//! that many requests run is a method of [`Store`] itself, and a transaction by itself. Each
//! statement is one text for both engines; only `pool`, `migrate` and the files about databases as
//! such know the engine.
//!
//! Lock order: the row of a sign-up first, then the row of an account, then the rows that belong to
//! the account. Without one order, two requests on PostgreSQL can wait for each other until one of
//! them fails. A foreign key locks the row that it points to, so an `INSERT` may take that lock too
//! late; [`Connection::lock_account`] comes first. Work on rows of many accounts cannot keep to an
//! order and goes through [`Store::write_best_effort`].
//!
//! Single use is a conditional `UPDATE` or `DELETE` and the number of rows that it touched, never a
//! read followed by a write. No statement uses `RETURNING`: outside a transaction the caller can
//! see the returned row although the commit behind it failed.

mod account_links;
mod accounts;
mod backup;
mod batches;
mod clients;
mod clock_set_back;
mod column;
mod copy;
mod credentials;
mod data_version;
mod deletions;
mod deliveries;
mod email_changes;
mod email_search;
mod error;
mod error_codes;
mod events;
mod failed_attempts;
mod held_letters;
mod integrity;
mod janitor;
mod letters;
mod links;
mod migrate;
mod outbox;
mod page_sessions;
mod pool;
mod revisions;
mod server;
mod session_limit;
mod sessions;
mod sign_ups;
mod sqlite_files;
mod tables;
mod write_batch;

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use figment::Figment;
use figment::providers::Serialized;
use rocket::fairing::{AdHoc, Fairing};
use rocket::{Build, Rocket};
use rocket_db_pools::Database;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Transaction};

use crate::metrics::{ConnectionMetrics, PoolLoad};

pub use account_links::{AccountLinkRecord, AccountLinkSummary, LinkKey, NewAccountLink};
pub use accounts::{AccountRecord, NewAccount};
pub use backup::BackupError;
pub use clients::ClientRecord;
pub use copy::{CopiedTable, CopyError, copy};
pub use credentials::{CredentialOwner, PasswordCredentials};
pub use data_version::DataVersion;
pub use deliveries::{ClaimLimit, ClaimedLetter, MAX_DOMAINS, RefusedLetter};
pub use email_changes::NewEmailChange;
pub use error::{StoreError, StoreErrorKind};
use error_codes::Meaning;
pub use events::NewEvent;
pub use failed_attempts::{FAILURE_DECAY_INTERVAL, FailedAttempts, Failures};
pub use integrity::IntegrityReport;
pub use janitor::{FAILED_ATTEMPTS_MAX_AGE, Janitor};
pub use letters::{LetterRecord, LetterState};
pub use links::LinkRecord;
pub use migrate::MigrationError;
use migrate::Schema;
pub use outbox::{Backlog, LetterId, LetterSummary, NewLetter};
pub use page_sessions::{NewPageSession, PageSessionSummary};
pub use pool::{Db, Engine, Pool, PoolError};
use revisions::{Change, PendingChanges};
pub use revisions::{Revision, Revisions};
pub use session_limit::{ExcessPageSession, ExcessSession};
pub use sessions::{AccessSlot, NewSession, Renewal, Rotation, SessionRecord};
pub use sign_ups::{NewSignUp, SignUpRecord};
use write_batch::Statement;

use crate::crypto::entropy::Entropy;

/// Fairing that connects to the database at launch, so that a wrong setting stops the start and not
/// the first request.
pub fn connect() -> impl Fairing {
    Db::init()
}

/// Fairing that brings the schema up to date and manages a [`Store`]. A start on a wrong schema
/// fails here.
pub fn migrate() -> impl Fairing {
    AdHoc::try_on_ignite("migrations", open)
}

async fn open(rocket: Rocket<Build>) -> Result<Rocket<Build>, Rocket<Build>> {
    let Some(db) = Db::fetch(&rocket) else { return Err(rocket) };
    if let Err(error) = migrate::run(&db.0).await {
        tracing::error!(error = %chain(&error), "the database could not be brought up to date");
        db.0.close_connections().await;
        return Err(rocket);
    }
    let store = Store::over(db.0.clone());
    if let Ok(letters @ 1..) = store.read(async |db| db.count_held_letters().await).await {
        tracing::warn!(
            letters,
            "letters are held back since a backup was restored: `vestibule mail list --held` shows \
             them, and `vestibule mail retry --all-held` sends them"
        );
    }
    Ok(rocket.manage(store))
}

/// An error and its causes in one line, as logs show them.
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    let (mut said, mut advice) = (None, None);
    while let Some(cause) = source {
        if let Some(driver) = cause.downcast_ref::<sqlx::Error>() {
            said = said.or_else(|| error::postgres_words(driver));
            advice = advice.or_else(|| error::advice(driver));
        }
        let cause_text = cause.to_string();
        if !line.ends_with(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        source = cause.source();
    }
    if let Some((shown, message)) = said {
        line = line.replace(&shown, &message);
    }
    match advice {
        Some(advice) if !line.ends_with(advice) => format!("{line}: {advice}"),
        _ => line,
    }
}

/// Handle to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    revisions: Revisions,
    metrics: ConnectionMetrics,
    /// True after the disk refused a write, until a later [`Store::check`] writes successfully.
    disk_failed: Arc<AtomicBool>,
}

impl Store {
    fn over(pool: Pool) -> Self {
        Self {
            pool,
            revisions: Revisions::default(),
            metrics: ConnectionMetrics::default(),
            disk_failed: Arc::default(),
        }
    }

    /// Opens the database at `databases.vestibule` of `figment` and brings its schema up to date,
    /// without Rocket.
    pub async fn open(figment: &Figment) -> Result<Self, OpenError> {
        let figment = database_settings(figment);
        let pool = <Pool as rocket_db_pools::Pool>::init(&figment).await?;
        let store = Self::over(pool);
        match migrate::run(&store.pool).await {
            Ok(()) => Ok(store),
            Err(error) => store.close_after(error.into()).await,
        }
    }

    /// Checks the settings at `databases.vestibule` of `figment`, without connecting.
    ///
    /// # Errors
    /// The first setting that [`Store::open`] would refuse.
    pub fn check_settings(figment: &Figment) -> Result<(), PoolError> {
        Pool::check_settings(&database_settings(figment))
    }

    /// Opens the database at `databases.vestibule` of `figment` as it is, with `max_connections =
    /// 1`, for a command beside a service that may be running. The command creates and migrates
    /// nothing: an older service could not work with a newer schema.
    ///
    /// # Errors
    /// When there is no database, or this binary cannot work with its schema.
    pub async fn open_without_migrating(figment: &Figment) -> Result<Self, OpenError> {
        let store = Self::open_unchecked(figment).await?;
        match migrate::inspect(&store.pool).await {
            Ok(Schema::Known | Schema::Newer) => Ok(store),
            Ok(Schema::Older) => store.close_after(OpenError::OlderSchema).await,
            Ok(Schema::Other) => store.close_after(OpenError::OtherSchema).await,
            Err(error) => store.close_after(error.into()).await,
        }
    }

    async fn close_after(self, error: OpenError) -> Result<Self, OpenError> {
        self.close().await;
        Err(error)
    }

    async fn open_unchecked(figment: &Figment) -> Result<Self, OpenError> {
        let figment = figment
            .focus("databases.vestibule")
            .merge(Serialized::global("max_connections", 1))
            .join(Serialized::default("connect_timeout", 5));
        Ok(Self::over(Pool::open_existing(&figment).await?))
    }

    /// Closes the connections; every later statement fails. On SQLite, if no other process has the
    /// database open, the file is then complete by itself: the write-ahead log is empty.
    pub async fn close(&self) {
        self.pool.close_connections().await;
    }

    /// The engine, and on SQLite its file.
    pub fn engine(&self) -> &Engine {
        self.pool.engine()
    }

    /// Counters of the changes made through this store, for caches.
    pub fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// Data version of the SQLite file: equal to an earlier one only if nothing but this store has
    /// written in between. `None` on PostgreSQL, which has no such counter. No request waits for
    /// this read, so a pool time-out here is not counted.
    pub async fn data_version(&self) -> Result<Option<DataVersion>, StoreError> {
        with_timeout(async { Ok(self.pool.data_version().await?) }).await
    }

    fn lend(&self, lent: ConnectionKind) -> Connection {
        Connection { lent, pending: PendingChanges::new(&self.revisions) }
    }

    /// Lends a connection for statements that only read.
    pub async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.reader().await.map_err(|error| self.unreachable(error))?;
        let mut connection = self.lend(ConnectionKind::Pooled(connection));
        self.note_read_only(with_timeout(work(&mut connection)).await)
    }

    /// Runs `work` in one transaction and commits the transaction if `work` succeeds. The changes
    /// are durable once this answers `Ok`. On SQLite writers take turns. On both engines an `Err`
    /// from `work`, or a request that is dropped halfway, leaves no trace.
    ///
    /// If the database undid the transaction because of other transactions (a deadlock, say),
    /// `work` runs again, with at most `MAX_ATTEMPTS` (4) attempts in all; so `work` must have no
    /// other effects. A failed commit is never retried: its outcome is unknown.
    pub async fn write<T, E>(
        &self,
        work: impl Clone + AsyncFnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError> + StdError + 'static,
    {
        for _ in 1..MAX_ATTEMPTS {
            let transaction = self.pool.begin().await.map_err(|error| self.unreachable(error))?;
            let mut connection = self.lend(ConnectionKind::Transaction(transaction));
            match with_timeout(work.clone()(&mut connection)).await {
                Err(error) if meaning_of(&error) == Some(Meaning::Undone) => drop(connection),
                outcome => return self.end(connection, outcome).await,
            }
            let [random] = Entropy.bytes::<1>();
            tokio::time::sleep(Duration::from_millis(u64::from(random) / 8)).await;
        }
        let transaction = self.pool.begin().await.map_err(|error| self.unreachable(error))?;
        let mut connection = self.lend(ConnectionKind::Transaction(transaction));
        let outcome = with_timeout(work(&mut connection)).await;
        self.end(connection, outcome).await
    }

    /// As [`Store::write`], for background work, without a retry. If `work` would wait for rows
    /// that another transaction has locked, it fails as unavailable after 100 ms, long before the
    /// database looks for a deadlock; so no request fails because of it.
    pub async fn write_best_effort<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError> + StdError + 'static,
    {
        let transaction = self.pool.begin_with_lock_timeout().await;
        let transaction = transaction.map_err(|error| self.unreachable(error))?;
        let mut connection = self.lend(ConnectionKind::Transaction(transaction));
        let outcome = with_timeout(work(&mut connection)).await;
        self.end(connection, outcome).await
    }

    /// Commits the transaction of the connection if `outcome` is `Ok`, and undoes it otherwise.
    async fn end<T, E>(&self, connection: Connection, outcome: Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError> + StdError + 'static,
    {
        // must come before the connection goes back to the pool
        let outcome = self.note_read_only(outcome);
        self.note_read_only(connection.end(outcome).await)
    }

    /// Looks for two kinds of error: a read-only server, whose connections the pool then discards,
    /// and a disk that takes no writes, which [`Store::check`] remembers.
    fn note_read_only<T, E: StdError + 'static>(&self, outcome: Result<T, E>) -> Result<T, E> {
        if let Err(error) = &outcome {
            match meaning_of(error) {
                Some(Meaning::ReadOnly) => self.pool.discard_read_only_connections(),
                Some(Meaning::NoDisk) => self.disk_failed.store(true, Ordering::Relaxed),
                _ => {}
            }
        }
        outcome
    }

    /// Runs one statement as a transaction of its own, in one round trip. Answers the number of
    /// rows that it touched once the commit is durable. The statement may take effect even if the
    /// request is dropped halfway.
    async fn run(&self, statement: Statement, change: Change) -> Result<u64, StoreError> {
        let mut pending = PendingChanges::new(&self.revisions);
        pending.add(change);
        let run = async {
            let done = self.pool.run(statement, pending).await;
            done.map_err(|error| StoreError::from(self.count_timeout(error)))
        };
        self.note_read_only(with_timeout(run).await)
    }

    /// Maps an error of acquiring a connection.
    fn unreachable(&self, error: sqlx::Error) -> StoreError {
        StoreError::unreachable(self.count_timeout(error))
    }

    /// Returns the error, and counts it if it is a pool time-out.
    fn count_timeout(&self, error: sqlx::Error) -> sqlx::Error {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            self.metrics.timed_out();
        }
        error
    }

    /// Moves the content of SQLite's write-ahead log into the database file and empties the log, so
    /// that the log holds no deleted data any more. The wait for readers is at most 40 ms, so that
    /// writers do not notice it. Answers whether the readers allowed it; always `true` on
    /// PostgreSQL, which has no such file of ours.
    pub async fn truncate_wal(&self) -> Result<bool, StoreError> {
        with_timeout(async { Ok(self.pool.truncate_wal().await?) }).await
    }

    /// Open, idle and maximal connections of each pool, now.
    pub fn load(&self) -> Vec<PoolLoad> {
        self.pool.load()
    }

    /// Counters of the connections.
    pub fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// Readiness check: the database answers, takes writes, and has a schema that this binary can
    /// work with. After the disk refused a write, a write that changes nothing must succeed first.
    pub async fn check(&self) -> Result<(), StoreError> {
        migrate::check(&self.pool).await?;
        if self.disk_failed.load(Ordering::Relaxed) {
            self.write(async |tx: &mut Connection| tx.write_nothing_new().await).await?;
            self.disk_failed.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Settings for [`Pool`], with defaults for use without Rocket's pool.
fn database_settings(figment: &Figment) -> Figment {
    figment
        .focus("databases.vestibule")
        .join(Serialized::default("max_connections", 8))
        .join(Serialized::default("connect_timeout", 5))
}

/// Attempts at a transaction that the database undoes because of other transactions.
const MAX_ATTEMPTS: usize = 4;

/// Time limit for the work on one connection. No statement takes so long, but a connection whose
/// peer vanished silently would wait for ever. PostgreSQL ends longer work by itself
/// (`statement_timeout`, 10 s), and SQLite has stopped waiting for locks by then (5 s).
const WORK_TIMEOUT: Duration = Duration::from_secs(12);

async fn with_timeout<T, E: From<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(WORK_TIMEOUT, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::unavailable("it takes too long").into()),
    }
}

/// Meaning of the database error code in the chain of causes, if there is one.
fn meaning_of(error: &(dyn StdError + 'static)) -> Option<Meaning> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(database)) = error.downcast_ref() {
            return database.code().map(|code| error_codes::meaning(&code));
        }
        cause = error.source();
    }
    None
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pool cannot be opened.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The migrations failed.
    #[error("the database could not be brought up to date")]
    Migration(#[from] MigrationError),
    /// Migrations of this program have not run yet.
    #[error("the schema is not up to date: run `vestibule migrate`")]
    OlderSchema,
    /// This program cannot work with the schema.
    #[error(
        "the schema is of another version than this program, which cannot work with it: use the \
         one that the service runs"
    )]
    OtherSchema,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection lent by a [`Store`].
#[derive(Debug)]
pub struct Connection {
    lent: ConnectionKind,
    /// Counted on drop, when the transaction is over.
    pending: PendingChanges,
}

#[derive(Debug)]
enum ConnectionKind {
    Pooled(PoolConnection<Any>),
    Transaction(Transaction<'static, Any>),
}

impl Connection {
    fn raw(&mut self) -> &mut AnyConnection {
        match &mut self.lent {
            ConnectionKind::Pooled(connection) => connection,
            ConnectionKind::Transaction(transaction) => transaction,
        }
    }

    /// Writes to the disk and leaves the row as it was. SQLite writes nothing for an update to an
    /// equal value, so the value goes up and down again. No other row refers to this one: otherwise
    /// SQLite would scan the tables that may, such as the events.
    async fn write_nothing_new(&mut self) -> Result<(), StoreError> {
        const UP: &str =
            "UPDATE _sqlx_migrations SET execution_time = execution_time + 1 WHERE version = 1";
        const DOWN: &str =
            "UPDATE _sqlx_migrations SET execution_time = execution_time - 1 WHERE version = 1";
        sqlx::query(UP).execute(self.raw()).await?;
        sqlx::query(DOWN).execute(self.raw()).await?;
        Ok(())
    }

    /// Commits if `outcome` is `Ok`, and undoes the transaction otherwise. A commit that exceeds
    /// `WORK_TIMEOUT` (12 s) is not waited for; it continues in its own task, and its changes are
    /// counted when it ends.
    async fn end<T, E: From<StoreError>>(self, outcome: Result<T, E>) -> Result<T, E> {
        let Self { lent, pending } = self;
        let ConnectionKind::Transaction(transaction) = lent else { return outcome };
        let done = outcome?;
        let commit = tokio::spawn(async move {
            let committed = transaction.commit().await;
            drop(pending);
            committed
        });
        let committed = async {
            let lost = |_| StoreError::unavailable("nobody knows what became of it");
            Ok::<_, StoreError>(commit.await.map_err(lost)??)
        };
        with_timeout(committed).await.map_err(StoreError::of_commit)?;
        Ok(done)
    }
}
