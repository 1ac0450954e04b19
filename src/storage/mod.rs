//! The database: every SQL statement of the service, and nothing else of it.
//!
//! [`Store::read`] and [`Store::write`] are the ways in. Both lend a [`Connection`], whose methods are
//! the statements, grouped by table in the files beside this one; `write` wraps them in one
//! transaction and answers only once that is durable. What many wait for and is one statement is a
//! method of [`Store`] itself, and a transaction by itself. Statements are one text for both
//! engines; only `pool`, `migrate` and what is about databases as such know which one it is.
//!
//! Rows are held in one order, or two requests on PostgreSQL wait for each other until one of them
//! fails: the row of a sign-up, the row of an account, and only then what belongs to the account. A
//! foreign key holds the row that it points to, so a statement that inserts may come too late for
//! that; [`Connection::lock_account`] comes first. Work that touches rows of many accounts cannot
//! keep to an order and goes through [`Store::write_best_effort`].
//!
//! Single use is a conditional `UPDATE` or `DELETE` and the number of rows it touched, never a read
//! and then a write. `RETURNING` is not used: outside a transaction its row can be seen although
//! the commit behind it failed.

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

/// Connects to the database, at once: a wrong setting stops the start and not the first request.
pub fn connect() -> impl Fairing {
    Db::init()
}

/// Brings the schema up to date and manages a [`Store`]. A start on a wrong schema fails here.
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

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    revisions: Revisions,
    metrics: ConnectionMetrics,
    /// The disk has refused a write, and none has gone through since as far as is known.
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
    /// without a Rocket around it.
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

    /// Opens the database at `databases.vestibule` of `figment` as it is, with one connection that
    /// writes, for a command beside a service that may be running. Nothing is created or migrated:
    /// an older service would not know the schema any more.
    ///
    /// # Errors
    /// When there is no database, or its schema is not one that this binary can work with.
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

    /// Closes the connections; nothing goes through afterwards. On SQLite, if no other process has the
    /// database open, the file is whole by itself then: nothing is left in a write-ahead log.
    pub async fn close(&self) {
        self.pool.close_connections().await;
    }

    /// Which database it is.
    pub fn engine(&self) -> &Engine {
        self.pool.engine()
    }

    /// What was changed through this store.
    pub fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// A mark that is the same as before only if nothing was written to the database meanwhile but
    /// through this store; `None` where that cannot be told. No request waits for it, so a wait in vain
    /// is not counted.
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

    /// Runs `work` in one transaction and commits it if it succeeds; what it did is durable once
    /// this answers `Ok`. On SQLite writers take turns; on both engines an `Err` from `work`, or a
    /// request that is dropped halfway, leaves no trace.
    ///
    /// Where the database undid the transaction because of others (a deadlock, say), `work` is run
    /// once more, and so it has to be all that is done. A commit that failed is never tried again:
    /// nobody knows whether it counts.
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

    /// As [`Store::write`], for work that nobody waits for. Where it would wait for others' rows it
    /// fails as unavailable, long before the database looks for a deadlock: so no request ever fails
    /// because of it.
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

    /// Ends the transaction of the connection, by what came of the work in it.
    async fn end<T, E>(&self, connection: Connection, outcome: Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError> + StdError + 'static,
    {
        // before the connection goes back to the pool
        let outcome = self.note_read_only(outcome);
        self.note_read_only(connection.end(outcome).await)
    }

    /// Has the connections given up where the outcome tells that their server takes no writes, and
    /// remembers where the disk takes none.
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

    /// Runs one statement as a transaction of its own, in one trip to the database; answers how many
    /// rows it has touched once that is durable. It may count even if the request is dropped halfway.
    async fn run(&self, statement: Statement, change: Change) -> Result<u64, StoreError> {
        let mut pending = PendingChanges::new(&self.revisions);
        pending.add(change);
        let run = async {
            let done = self.pool.run(statement, pending).await;
            done.map_err(|error| StoreError::from(self.count_timeout(error)))
        };
        self.note_read_only(with_timeout(run).await)
    }

    /// Why there is no connection.
    fn unreachable(&self, error: sqlx::Error) -> StoreError {
        StoreError::unreachable(self.count_timeout(error))
    }

    /// The error, counted if it is a wait in vain for a connection.
    fn count_timeout(&self, error: sqlx::Error) -> sqlx::Error {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            self.metrics.timed_out();
        }
        error
    }

    /// Moves what is in the write-ahead log of an SQLite database into its file and empties the log,
    /// so that it holds nothing any more that was deleted. Waits for readers for no longer than others
    /// do not feel; answers whether they let it. Always so on PostgreSQL, which has no such file of
    /// ours.
    pub async fn truncate_wal(&self) -> Result<bool, StoreError> {
        with_timeout(async { Ok(self.pool.truncate_wal().await?) }).await
    }

    /// How its connections are used at this moment.
    pub fn load(&self) -> Vec<PoolLoad> {
        self.pool.load()
    }

    /// What it counts.
    pub fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// Whether the database answers, takes writes, and has a schema that this binary can work with.
    /// Where the disk has refused a write, one that changes nothing has to go through first.
    pub async fn check(&self) -> Result<(), StoreError> {
        migrate::check(&self.pool).await?;
        if self.disk_failed.load(Ordering::Relaxed) {
            self.write(async |tx: &mut Connection| tx.write_nothing_new().await).await?;
            self.disk_failed.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What [`Pool`] reads, with the defaults of a service without Rocket's pool around it.
fn database_settings(figment: &Figment) -> Figment {
    figment
        .focus("databases.vestibule")
        .join(Serialized::default("max_connections", 8))
        .join(Serialized::default("connect_timeout", 5))
}

/// How often a transaction is begun that others undo.
const MAX_ATTEMPTS: usize = 4;

/// How long the database may take over what it was lent for. No statement takes so long; a peer that
/// is gone, and has not said so, takes for ever. PostgreSQL ends what takes that long by itself, and
/// SQLite has stopped waiting for others.
const WORK_TIMEOUT: Duration = Duration::from_secs(12);

async fn with_timeout<T, E: From<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(WORK_TIMEOUT, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::unavailable("it takes too long").into()),
    }
}

/// What the error code of the database means that is at the bottom of it, if there is one.
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

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error("the database could not be brought up to date")]
    Migration(#[from] MigrationError),
    #[error("the schema is not up to date: run `vestibule migrate`")]
    OlderSchema,
    #[error(
        "the schema is of another version than this program, which cannot work with it: use the \
         one that the service runs"
    )]
    OtherSchema,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection lent by a [`Store`].
#[derive(Debug)]
pub struct Connection {
    lent: ConnectionKind,
    /// Dropped, and so counted, when the transaction is over.
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

    /// Writes to the disk, and leaves all as it is.
    async fn write_nothing_new(&mut self) -> Result<(), StoreError> {
        sqlx::query("UPDATE nobody SET id = id").execute(self.raw()).await?;
        Ok(())
    }

    /// Commits what was done if it succeeded, and undoes it otherwise. A commit that takes too long is
    /// not waited for; but it goes on, and what it has changed is counted when it is over.
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
