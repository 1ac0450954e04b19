//! Dedicated connections: connections outside the pool, for work that takes long.
//!
//! Work may be dropped in the middle of a statement, for example because a signal ends a command.
//! Then its connection is closed in the background, and the pool closes after that: an SQLite
//! connection that is not closed leaves the write-ahead log behind.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection, SqliteConnection};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::StoreError;

/// Number of SQLite's instructions between two looks whether a statement is still wanted.
const PROGRESS_INTERVAL: i32 = 1_000;

/// The dedicated connections of a pool. Each holds the lock for reading. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct DedicatedConnections(Arc<RwLock<()>>);

/// A connection that is closed in the background when it is dropped.
struct Dedicated<C: Connection + 'static>(Option<(C, OwnedRwLockReadGuard<()>)>);

impl<C: Connection + 'static> Drop for Dedicated<C> {
    fn drop(&mut self) {
        if let Some((connection, open)) = self.0.take() {
            tokio::spawn(async move {
                // no caller is left for the error
                let _ = connection.close().await;
                drop(open);
            });
        }
    }
}

impl DedicatedConnections {
    /// Runs `work` on a connection, and closes the connection in every case.
    pub async fn run<C: Connection + 'static, T, E: From<StoreError>>(
        &self,
        connect: impl Future<Output = Result<C, sqlx::Error>>,
        work: impl AsyncFnOnce(&mut C) -> Result<T, E>,
    ) -> Result<T, E> {
        let open = Arc::clone(&self.0).read_owned().await;
        let mut dedicated = Dedicated(None);
        let connection = connect.await.map_err(StoreError::from)?;
        let (connection, _) = dedicated.0.insert((connection, open));
        let outcome = work(connection).await;
        if let Some((connection, _open)) = dedicated.0.take() {
            let closed = connection.close().await.map_err(StoreError::from);
            let done = outcome?;
            closed?;
            return Ok(done);
        }
        outcome
    }

    /// As [`DedicatedConnections::run`], on a connection to an SQLite file whose statements end
    /// soon after `work` is dropped.
    pub async fn run_on_sqlite<T>(
        &self,
        file: &Path,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let wanted = Arc::new(());
        let is_wanted = Arc::downgrade(&wanted);
        let connect = async {
            let mut connection = SqliteConnectOptions::new().filename(file).connect().await?;
            connection
                .lock_handle()
                .await?
                .set_progress_handler(PROGRESS_INTERVAL, move || is_wanted.strong_count() > 0);
            Ok(connection)
        };
        let outcome = self.run(connect, work).await;
        drop(wanted);
        outcome
    }

    /// Waits until no connection is open.
    pub async fn wait(&self) {
        drop(self.0.write().await);
    }
}
