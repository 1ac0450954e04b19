//! [`Connection`]: a connection for the length of one closure, with the end of its transaction.
//!
//! Its methods are the statements; they are in [`crate::storage::tables`].

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Transaction};

use super::error::StoreError;
use super::revisions::PendingChanges;

/// Time limit for the work on one connection. No statement takes so long, but a connection whose
/// peer vanished silently would wait for ever. PostgreSQL ends longer work by itself
/// (`statement_timeout`, 10 s), and SQLite has stopped waiting for locks by then (5 s).
const WORK_TIMEOUT: Duration = Duration::from_secs(12);

pub(super) async fn with_timeout<T, E: From<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(WORK_TIMEOUT, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::unavailable("it takes too long").into()),
    }
}

/// A connection lent by a [`Store`](super::Store).
#[derive(Debug)]
pub struct Connection {
    pub(super) lent: ConnectionKind,
    /// Counted on drop, when the transaction is over.
    pub(in crate::storage) pending: PendingChanges,
}

#[derive(Debug)]
pub(super) enum ConnectionKind {
    Pooled(PoolConnection<Any>),
    Transaction(Transaction<'static, Any>),
}

impl Connection {
    pub(in crate::storage) fn raw(&mut self) -> &mut AnyConnection {
        match &mut self.lent {
            ConnectionKind::Pooled(connection) => connection,
            ConnectionKind::Transaction(transaction) => transaction,
        }
    }

    /// Writes to the disk and leaves the row as it was. SQLite writes nothing for an update to an
    /// equal value, so the value goes up and down again. No other row refers to this one: otherwise
    /// SQLite would scan the tables that may, such as the events.
    pub(super) async fn write_nothing_new(&mut self) -> Result<(), StoreError> {
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
    pub(super) async fn end<T, E: From<StoreError>>(self, outcome: Result<T, E>) -> Result<T, E> {
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
