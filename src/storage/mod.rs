//! The database: every SQL statement of the service, and nothing else of it.
//!
//! [`Store::read`] and [`Store::write`] are the only ways in. Both lend a [`Connection`], whose
//! methods are the statements, grouped by table in the files beside this one; `write` wraps them in
//! one transaction and answers only once that is durable. Statements are one text for both
//! engines; only `pool` and `migrate` know which one it is.
//!
//! Rows are held in one order, or two requests on PostgreSQL wait for each other until one of them
//! fails: the row of a sign-up, the row of an account, and only then what belongs to the account. A
//! foreign key holds the row that it points to, so a statement that inserts may come too late for
//! that; [`Connection::lock_account`] comes first. Work that touches rows of many accounts cannot
//! keep to an order and goes through [`Store::write_behind`].
//!
//! Single use is a conditional `UPDATE` or `DELETE` and the number of rows it touched, never a read
//! and then a write. `RETURNING` is not used: outside a transaction its row can be seen although
//! the commit behind it failed.

mod account_links;
mod accounts;
mod clients;
mod email_changes;
mod events;
mod janitor;
mod links;
mod migrate;
mod outbox;
mod page_sessions;
mod pool;
mod sessions;
mod sign_ups;

use std::error::Error as StdError;
use std::fmt;

use figment::Figment;
use figment::providers::Serialized;
use rocket::fairing::{AdHoc, Fairing};
use rocket::{Build, Rocket};
use rocket_db_pools::Database;
use sqlx::any::AnyRow;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Transaction};

pub use account_links::{AccountLinkRecord, AccountLinkSummary, NewAccountLink};
pub use accounts::{AccountRecord, NewAccount};
pub use clients::ClientRecord;
pub use email_changes::NewEmailChange;
pub use events::NewEvent;
pub use janitor::Janitor;
pub use links::LinkRecord;
pub use migrate::MigrationError;
use migrate::Schema;
pub use outbox::{ClaimedLetter, LetterId, LetterSummary, NewLetter};
pub use page_sessions::{NewPageSession, PageSessionSummary};
pub use pool::{Db, Engine, Pool, PoolError};
pub use sessions::{AccessSlot, NewSession, Renewal, Rotation, SessionRecord};
pub use sign_ups::{NewSignUp, SignUpRecord};

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
        return Err(rocket);
    }
    let store = Store::new(db);
    Ok(rocket.manage(store))
}

/// An error and its causes in one line, as logs show them.
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !line.ends_with(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        source = cause.source();
    }
    line
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
}

impl Store {
    fn new(db: &Db) -> Self {
        Self { pool: db.0.clone() }
    }

    /// Opens the database at `databases.vestibule` of `figment` and brings its schema up to date,
    /// without a Rocket around it.
    pub async fn open(figment: &Figment) -> Result<Self, OpenError> {
        let figment = figment.focus("databases.vestibule");
        let figment = figment
            .join(Serialized::default("max_connections", 8))
            .join(Serialized::default("connect_timeout", 5));
        let pool = <Pool as rocket_db_pools::Pool>::init(&figment).await?;
        migrate::run(&pool).await?;
        Ok(Self { pool })
    }

    /// Opens the database at `databases.vestibule` of `figment` as it is, with one connection that
    /// writes, for a command beside a service that may be running. Nothing is created or migrated:
    /// an older service would not know the schema any more.
    ///
    /// # Errors
    /// When there is no database, or its schema is not the one that this binary was built for.
    pub async fn open_as_it_is(figment: &Figment) -> Result<Self, OpenError> {
        let figment = figment
            .focus("databases.vestibule")
            .merge(Serialized::global("max_connections", 1))
            .join(Serialized::default("connect_timeout", 5));
        let pool = Pool::open_existing(&figment).await?;
        match migrate::inspect(&pool).await? {
            Schema::Known => Ok(Self { pool }),
            Schema::Older => Err(OpenError::OlderSchema),
            Schema::Other => Err(OpenError::OtherSchema),
        }
    }

    /// Closes the connections; nothing goes through afterwards.
    pub async fn close(&self) {
        self.pool.close_connections().await;
    }

    /// Which database it is.
    pub fn engine(&self) -> &Engine {
        self.pool.engine()
    }

    /// Lends a connection for statements that only read.
    pub async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.reader().acquire().await?;
        work(&mut Connection(Lent::Pooled(connection))).await
    }

    /// Runs `work` in one transaction and commits it if it succeeds; what it did is durable once
    /// this answers `Ok`. On SQLite writers take turns; on both engines an `Err` from `work`, or a
    /// request that is dropped halfway, leaves no trace.
    pub async fn write<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.pool.begin().await.map_err(StoreError::from)?;
        Self::finish(transaction, work).await
    }

    /// As [`Store::write`], for work that nobody waits for. Where it would wait for others' rows it
    /// fails as unavailable, long before the database looks for a deadlock: so no request ever fails
    /// because of it.
    pub async fn write_behind<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.pool.begin_patiently().await.map_err(StoreError::from)?;
        Self::finish(transaction, work).await
    }

    async fn finish<T, E: From<StoreError>>(
        transaction: Transaction<'static, Any>,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = Connection(Lent::Transaction(transaction));
        let outcome = work(&mut connection).await?;
        if let Lent::Transaction(transaction) = connection.0 {
            transaction.commit().await.map_err(StoreError::from)?;
        }
        Ok(outcome)
    }

    /// Whether the database answers and has the schema that this binary was built for.
    pub async fn check(&self) -> Result<(), StoreError> {
        migrate::check(&self.pool).await
    }
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
        "the schema is of another version than this program: use the one that the service runs"
    )]
    OtherSchema,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection lent by a [`Store`].
#[derive(Debug)]
pub struct Connection(Lent);

#[derive(Debug)]
enum Lent {
    Pooled(PoolConnection<Any>),
    Transaction(Transaction<'static, Any>),
}

impl Connection {
    fn raw(&mut self) -> &mut AnyConnection {
        match &mut self.0 {
            Lent::Pooled(connection) => connection,
            Lent::Transaction(transaction) => transaction,
        }
    }
}

/// The database did not do what it was asked to.
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// A row like it exists already, or one that it needs does not.
    Conflict,
    /// Out of reach, overloaded, locked or out of space; may go through later.
    Unavailable,
    /// Anything else: a bug, or a database that somebody changed.
    Internal,
}

impl StoreError {
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    pub fn is_conflict(&self) -> bool {
        self.kind == StoreErrorKind::Conflict
    }

    /// What was to be stored has no JSON.
    pub(crate) fn unserializable(error: serde_json::Error) -> Self {
        Self { kind: StoreErrorKind::Internal, source: Box::new(error) }
    }

    /// Others changed the same row so often that this request gave up.
    pub(crate) fn contended() -> Self {
        Self { kind: StoreErrorKind::Unavailable, source: "the row changed too often".into() }
    }

    /// A row holds what this program never writes.
    fn corrupt(column: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = format!("column {column}: {}", source.into());
        Self { kind: StoreErrorKind::Internal, source: source.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        use sqlx::error::ErrorKind;

        let kind = match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                StoreErrorKind::Unavailable
            }
            E::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation => {
                    StoreErrorKind::Conflict
                }
                _ if database.code().is_some_and(|code| pool::is_transient(&code)) => {
                    StoreErrorKind::Unavailable
                }
                _ => StoreErrorKind::Internal,
            },
            _ => StoreErrorKind::Internal,
        };
        Self { kind, source: Box::new(error) }
    }
}

/// Without the driver's own `Debug`, in which PostgreSQL repeats keys and whole rows.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("source", &format_args!("{}", self.source))
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Conflict => "the row conflicts with another",
            StoreErrorKind::Unavailable => "the database is unavailable",
            StoreErrorKind::Internal => "the database failed",
        })
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// Reading columns into model types.
mod column {
    use std::fmt::Display;
    use std::str::FromStr;

    use sqlx::Row;

    use super::{AnyRow, StoreError};
    use crate::clock::Timestamp;
    use crate::model::Digest;

    pub fn text(row: &AnyRow, column: &'static str) -> Result<String, StoreError> {
        Ok(row.try_get(column)?)
    }

    pub fn parsed<T: FromStr<Err: Display>>(
        row: &AnyRow,
        column: &'static str,
    ) -> Result<T, StoreError> {
        text(row, column)?.parse().map_err(|error: T::Err| corrupt(column, &error))
    }

    /// A nullable text, through a parser that may find nothing in it.
    pub fn optional<T, E: Display>(
        row: &AnyRow,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = row.try_get(column)?;
        text.map(|text| parse(&text).map_err(|error| corrupt(column, &error))).transpose()
    }

    /// A nullable text, as far as the parser makes anything of it.
    pub fn some<T>(
        row: &AnyRow,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.and_then(|text| parse(&text)))
    }

    pub fn integer(row: &AnyRow, column: &'static str) -> Result<i64, StoreError> {
        Ok(row.try_get(column)?)
    }

    pub fn optional_integer(row: &AnyRow, column: &'static str) -> Result<Option<i64>, StoreError> {
        Ok(row.try_get(column)?)
    }

    pub fn instant(row: &AnyRow, column: &'static str) -> Result<Timestamp, StoreError> {
        integer(row, column).map(Timestamp::from_unix_millis)
    }

    pub fn optional_instant(
        row: &AnyRow,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(optional_integer(row, column)?.map(Timestamp::from_unix_millis))
    }

    pub fn bytes<const N: usize>(
        row: &AnyRow,
        column: &'static str,
    ) -> Result<[u8; N], StoreError> {
        optional_bytes(row, column)?.ok_or_else(|| corrupt(column, &"null"))
    }

    pub fn optional_bytes<const N: usize>(
        row: &AnyRow,
        column: &'static str,
    ) -> Result<Option<[u8; N]>, StoreError> {
        let bytes: Option<Vec<u8>> = row.try_get(column)?;
        let array = |bytes: Vec<u8>| bytes.try_into().map_err(|_| corrupt(column, &"wrong length"));
        bytes.map(array).transpose()
    }

    pub fn digest(row: &AnyRow, column: &'static str) -> Result<Digest, StoreError> {
        bytes(row, column).map(Digest::from_bytes)
    }

    pub fn optional_digest(
        row: &AnyRow,
        column: &'static str,
    ) -> Result<Option<Digest>, StoreError> {
        Ok(optional_bytes(row, column)?.map(Digest::from_bytes))
    }

    /// The value is left out: it may be personal.
    fn corrupt(column: &'static str, error: &dyn Display) -> StoreError {
        StoreError::corrupt(column, error.to_string())
    }
}
