//! [`StoreError`]: a failure of the database, by the kind that the rest of the service
//! distinguishes.
//!
//! It must not print row values: they may be personal.

use std::error::Error as StdError;
use std::fmt;

use super::error_codes::{self, Meaning};

/// Failure of a statement, a transaction or a connection.
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn StdError + Send + Sync>,
    /// True if the answer to a commit was lost, so that the work may have taken effect.
    may_be_done: bool,
}

/// Kind of a [`StoreError`], as callers distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// A unique or foreign-key constraint failed: the row exists already, or a row that it needs
    /// does not.
    Conflict,
    /// Out of reach, overloaded, locked or out of space; a later attempt may succeed.
    Unavailable,
    /// Any other error: a bug, or a database changed from outside.
    Internal,
}

impl StoreError {
    fn new(kind: StoreErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: source.into(), may_be_done: false }
    }

    /// Marks the error as that of a commit. The work may have taken effect, unless the database
    /// itself refused the commit.
    pub(super) fn of_commit(self) -> Self {
        let refused = self
            .source
            .downcast_ref()
            .is_some_and(|error: &sqlx::Error| matches!(error, sqlx::Error::Database(_)));
        Self { may_be_done: !refused, ..self }
    }

    /// Whether the work may have taken effect: the database's answer to the commit was lost.
    pub fn may_be_done(&self) -> bool {
        self.may_be_done
    }

    /// Kind of the error.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the kind is [`StoreErrorKind::Conflict`].
    pub fn is_conflict(&self) -> bool {
        self.kind == StoreErrorKind::Conflict
    }

    /// A value to be stored cannot be written as JSON.
    pub(crate) fn unserializable(error: serde_json::Error) -> Self {
        Self::new(StoreErrorKind::Internal, error)
    }

    /// Other requests changed the same row so often that this request gave up.
    pub(crate) fn contended() -> Self {
        Self::unavailable("the row changed too often")
    }

    pub(super) fn unavailable(why: &'static str) -> Self {
        Self::new(StoreErrorKind::Unavailable, why)
    }

    /// There is no connection, for any reason: the statement did not run, and a later attempt may
    /// succeed.
    pub(super) fn unreachable(error: sqlx::Error) -> Self {
        Self::new(StoreErrorKind::Unavailable, error)
    }

    pub(in crate::storage) fn internal(problem: String) -> Self {
        Self::new(StoreErrorKind::Internal, problem)
    }

    /// A column holds a value that this program never writes.
    pub(in crate::storage) fn corrupt(
        column: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = format!("column {column}: {}", source.into());
        Self::new(StoreErrorKind::Internal, source)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        use sqlx::error::ErrorKind;

        let kind = match &error {
            // `Protocol` and `BeginFailed`: the server went away during an answer, or during a
            // `BEGIN`
            E::Io(_)
            | E::Tls(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::Protocol(_)
            | E::BeginFailed => StoreErrorKind::Unavailable,
            E::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation => {
                    StoreErrorKind::Conflict
                }
                _ => match database.code().map(|code| error_codes::meaning(&code)) {
                    Some(
                        Meaning::Undone | Meaning::NotNow | Meaning::NoDisk | Meaning::ReadOnly,
                    ) => StoreErrorKind::Unavailable,
                    Some(Meaning::MissingTable | Meaning::Fault) | None => StoreErrorKind::Internal,
                },
            },
            _ => StoreErrorKind::Internal,
        };
        Self::new(kind, error)
    }
}

/// An error and its causes in one line, as logs show them.
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    let (mut said, mut hint) = (None, None);
    while let Some(cause) = source {
        if let Some(driver) = cause.downcast_ref::<sqlx::Error>() {
            said = said.or_else(|| postgres_words(driver));
            hint = hint.or_else(|| advice(driver));
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
    match hint {
        Some(hint) if !line.ends_with(hint) => format!("{line}: {hint}"),
        _ => line,
    }
}

/// A PostgreSQL error as the driver prints it, and as the server worded it. The driver adds the
/// line of PostgreSQL's own source, which reads like a line of ours.
fn postgres_words(error: &sqlx::Error) -> Option<(String, String)> {
    let sqlx::Error::Database(database) = error else { return None };
    let is_postgres = database.code().is_some_and(|code| code.len() == 5);
    is_postgres.then(|| (database.to_string(), database.message().to_owned()))
}

/// Advice for a PostgreSQL error that only the operator can mend.
fn advice(error: &sqlx::Error) -> Option<&'static str> {
    let sqlx::Error::Database(database) = error else { return None };
    let (code, message) = (database.code()?, database.message());
    if message.contains("startup parameter") {
        return Some(
            "this is pgbouncer; it needs `ignore_startup_parameters = extra_float_digits` and \
             `pool_mode = session`",
        );
    }
    match &*code {
        "42501" if message.contains("schema") => Some(
            "since PostgreSQL 15 only the owner of a database may make tables in it: run `GRANT \
             USAGE, CREATE ON SCHEMA public TO …` for the user of the service, or make that user the \
             owner by `ALTER DATABASE … OWNER TO …`",
        ),
        _ => None,
    }
}

/// Leaves out the driver's own `Debug`, in which PostgreSQL repeats keys and whole rows.
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
