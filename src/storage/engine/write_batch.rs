//! Group commit: single-statement transactions that share commits on SQLite (docs/decisions/0031).
//!
//! A transaction of one statement takes one round trip and not three. On SQLite writers take turns,
//! and each commit waits for the disk. So one task runs all these statements: it commits the
//! statements that queued up meanwhile together, and answers each of them once the commit is
//! durable. PostgreSQL does group commit by itself, so [`super::Pool`] does not use this module
//! there.
//!
//! It must not know any table; a statement arrives ready to run.

use std::io;

use sqlx::any::AnyArguments;
use sqlx::error::ErrorKind;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyPool, Error, SqlStr, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::revisions::PendingChanges;

/// Largest batch. The first statement of a batch waits for all the others, so the batch is bounded.
const MAX_BATCH: usize = 64;

/// A statement with its bound values.
pub(in crate::storage) type Statement = Query<'static, Any, AnyArguments>;

/// Queue in front of the one connection that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct WriteBatcher(mpsc::UnboundedSender<QueuedWrite>);

/// A queued statement, which runs even if its caller is gone.
struct QueuedWrite {
    statement: Statement,
    waiter: Waiter,
}

struct Waiter {
    pending: PendingChanges,
    answer: oneshot::Sender<Result<u64, Error>>,
}

impl Waiter {
    /// Counts the changes before the caller gets its answer, so that no cache serves old data after
    /// it.
    fn answer(self, outcome: Result<u64, Error>) {
        drop(self.pending);
        let _ = self.answer.send(outcome);
    }
}

impl WriteBatcher {
    /// Starts the task, which ends when the last clone is dropped.
    pub fn new(writers: AnyPool) -> Self {
        let (batcher, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
                let writer = writers.acquire().await;
                // more statements may have queued up while another writer had the connection
                while batch.len() < MAX_BATCH
                    && let Ok(late) = waiting.try_recv()
                {
                    batch.push(late);
                }
                match writer {
                    Ok(writer) => run(writer, std::mem::take(&mut batch)).await,
                    Err(error) => {
                        batch.drain(..).for_each(|one| one.waiter.answer(Err(clone_error(&error))));
                    }
                }
            }
        });
        Self(batcher)
    }

    /// Runs the statement. Answers the number of rows that it touched, once the commit is durable.
    pub async fn run(&self, statement: Statement, pending: PendingChanges) -> Result<u64, Error> {
        let (answer, answered) = oneshot::channel();
        let waiting = QueuedWrite { statement, waiter: Waiter { pending, answer } };
        self.0.send(waiting).map_err(|_| Error::WorkerCrashed)?;
        answered.await.map_err(|_| Error::WorkerCrashed)?
    }
}

/// Runs a batch and gives each waiter its outcome.
async fn run(writer: PoolConnection<Any>, batch: Vec<QueuedWrite>) {
    let (statements, waiters): (Vec<Statement>, Vec<Waiter>) =
        batch.into_iter().map(|waiting| (waiting.statement, waiting.waiter)).unzip();
    match run_in_one_transaction(writer, statements).await {
        Ok(outcomes) => {
            for (waiter, outcome) in waiters.into_iter().zip(outcomes) {
                waiter.answer(outcome);
            }
        }
        Err(error) => {
            waiters.into_iter().for_each(|waiter| waiter.answer(Err(clone_error(&error))));
        }
    }
}

/// Runs the statements and commits them together; answers each outcome once the commit is durable.
/// An `Err` is the outcome of all the statements: it is unknown whether they took effect.
async fn run_in_one_transaction(
    mut writer: PoolConnection<Any>,
    statements: Vec<Statement>,
) -> Result<Vec<Result<u64, Error>>, Error> {
    const BEGIN: SqlStr = SqlStr::from_static("BEGIN IMMEDIATE");
    let statements = match <[Statement; 1]>::try_from(statements) {
        Ok([alone]) => {
            let outcome = alone.execute(&mut *writer).await;
            return Ok(vec![outcome.map(|done| done.rows_affected())]);
        }
        Err(several) => several,
    };
    let mut outcomes = Vec::with_capacity(statements.len());
    let mut transaction = Transaction::begin(writer, Some(BEGIN)).await?;
    for statement in statements {
        match statement.execute(&mut *transaction).await {
            Ok(done) => outcomes.push(Ok(done.rows_affected())),
            // a violated constraint undoes its own statement only
            Err(error) if is_violation(&error) => outcomes.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    transaction.commit().await?;
    Ok(outcomes)
}

/// Whether a constraint refused the statement. Any other error may have ended the transaction.
fn is_violation(error: &Error) -> bool {
    matches!(error, Error::Database(database) if database.kind() != ErrorKind::Other)
}

/// Copy of the error for another waiter; `sqlx::Error` is not `Clone`.
fn clone_error(error: &Error) -> Error {
    match error {
        Error::PoolTimedOut => Error::PoolTimedOut,
        other => Error::Io(io::Error::other(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use sqlx::any::AnyConnectOptions;
    use tempfile::TempDir;

    use super::*;
    use crate::storage::engine::data_version::ConnectionCounter;
    use crate::storage::engine::pool::sqlite;
    use crate::storage::engine::revisions::Revisions;

    /// A batcher, its pool with the one writing connection, and a table of unique numbers.
    struct Fixture {
        batcher: WriteBatcher,
        writers: AnyPool,
        folder: TempDir,
    }

    impl Fixture {
        async fn open() -> Self {
            sqlx::any::install_default_drivers();
            let folder = TempDir::new().unwrap();
            let url = format!("sqlite://{}/a.db?mode=rwc", folder.path().display());
            let options: AnyConnectOptions = url.parse().unwrap();
            let opened_connections = ConnectionCounter::default();
            let writers =
                sqlite(1, Duration::from_secs(5), "PRAGMA query_only = OFF", &opened_connections);
            let writers = writers.connect_with(options).await.unwrap();
            let table = "CREATE TABLE numbers (n BIGINT PRIMARY KEY)";
            sqlx::query(table).execute(&writers).await.unwrap();
            Self { batcher: WriteBatcher::new(writers.clone()), writers, folder }
        }

        async fn run(&self, statement: Statement) -> Result<u64, Error> {
            self.batcher.run(statement, PendingChanges::new(&Revisions::default())).await
        }

        /// Outcomes of statements that queue up while another writer has the connection.
        async fn run_behind_another(&self, statements: Vec<Statement>) -> Vec<Result<u64, Error>> {
            let writer = self.writers.acquire().await.unwrap();
            let mut all = Box::pin(join_all(statements.into_iter().map(|one| self.run(one))));
            assert!(all.as_mut().now_or_never().is_none());
            drop(writer);
            all.await
        }

        async fn numbers(&self) -> Vec<i64> {
            let query = sqlx::query_scalar("SELECT n FROM numbers ORDER BY n");
            query.fetch_all(&self.writers).await.unwrap()
        }

        fn log_size(&self) -> u64 {
            self.folder.path().join("a.db-wal").metadata().unwrap().len()
        }
    }

    fn insert(number: i64) -> Statement {
        sqlx::query("INSERT INTO numbers VALUES ($1)").bind(number)
    }

    #[tokio::test]
    async fn statements_that_wait_share_a_commit() {
        let fixture = Fixture::open().await;
        let new = fixture.log_size();
        assert_eq!(fixture.run(insert(0)).await.unwrap(), 1);
        let one = fixture.log_size() - new;
        for outcome in fixture.run_behind_another((1..=9).map(insert).collect()).await {
            assert_eq!(outcome.unwrap(), 1);
        }
        assert_eq!(fixture.log_size() - new, 2 * one, "two commits in the log");
        assert_eq!(fixture.numbers().await, Vec::from_iter(0..=9));
    }

    #[tokio::test]
    async fn constraint_violation_fails_its_own_statement_only() {
        let fixture = Fixture::open().await;
        let outcomes = fixture.run_behind_another([1, 1, 2].map(insert).into()).await;
        assert!(matches!(&outcomes[..], [Ok(1), Err(Error::Database(_)), Ok(1)]), "{outcomes:?}");
        assert_eq!(fixture.numbers().await, [1, 2]);
    }

    #[tokio::test]
    async fn failed_commit_fails_every_statement_of_its_batch() {
        let fixture = Fixture::open().await;
        let statements = vec![insert(1), sqlx::query("ROLLBACK"), insert(2)];
        for outcome in fixture.run_behind_another(statements).await {
            assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
        }
        assert!(!fixture.numbers().await.contains(&1));
        assert_eq!(fixture.run(insert(3)).await.unwrap(), 1, "the next batch works");
    }

    #[tokio::test]
    async fn error_that_may_end_the_transaction_fails_the_batch() {
        let fixture = Fixture::open().await;
        let statements = vec![insert(1), sqlx::query("DROP TABLE nothing"), insert(2)];
        for outcome in fixture.run_behind_another(statements).await {
            assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
        }
        assert!(fixture.numbers().await.is_empty());
        assert_eq!(fixture.run(insert(3)).await.unwrap(), 1, "the next batch works");
    }

    #[tokio::test]
    async fn statements_of_dropped_waiters_still_run() {
        let fixture = Fixture::open().await;
        let writer = fixture.writers.acquire().await.unwrap();
        assert!(fixture.run(insert(1)).now_or_never().is_none());
        let mut stays = Box::pin(fixture.run(insert(2)));
        assert!(stays.as_mut().now_or_never().is_none());
        assert!(fixture.run(insert(3)).now_or_never().is_none());
        drop(writer);
        assert_eq!(stays.await.unwrap(), 1);
        assert_eq!(fixture.numbers().await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn missing_connection_fails_every_waiting_statement() {
        let fixture = Fixture::open().await;
        fixture.writers.close().await;
        let all = join_all([1, 2].map(|number| fixture.run(insert(number))));
        assert!(all.await.iter().all(Result::is_err));
    }
}
