//! [`Store`]: the database, as the rest of the service knows it. Lends connections, and runs
//! transactions with their retries and time limits.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::connection::{Connection, ConnectionKind, with_timeout};
use super::data_version::DataVersion;
use super::error::StoreError;
use super::error_codes::{self, Meaning};
use super::migrate;
use super::pool::{Engine, Pool};
use super::revisions::{Change, PendingChanges, Revisions};
use super::write_batch::Statement;
use crate::crypto::entropy::Entropy;
use crate::metrics::{ConnectionMetrics, PoolLoad};

/// Attempts at a transaction that the database undoes because of other transactions.
const MAX_ATTEMPTS: usize = 4;

/// Handle to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(in crate::storage) pool: Pool,
    revisions: Revisions,
    metrics: ConnectionMetrics,
    /// True after the disk refused a write, until a later [`Store::check`] writes successfully.
    disk_failed: Arc<AtomicBool>,
}

impl Store {
    pub(in crate::storage) fn over(pool: Pool) -> Self {
        Self {
            pool,
            revisions: Revisions::default(),
            metrics: ConnectionMetrics::default(),
            disk_failed: Arc::default(),
        }
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
    pub(in crate::storage) async fn run(
        &self,
        statement: Statement,
        change: Change,
    ) -> Result<u64, StoreError> {
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
