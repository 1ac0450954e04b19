//! Data version of an SQLite file: detects writes by other processes (docs/decisions/0033).
//!
//! For each connection SQLite counts the changes that other connections made to the file (`PRAGMA
//! data_version`). This module reads the counter of the one connection that writes. A write by this
//! process over any further connection counts as foreign, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AnyPool, Error};

/// Equal to an earlier value only if no other process has written in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataVersion {
    /// Number of the connection. Counters of two connections are not comparable.
    connection: u64,
    data_version: i64,
}

/// Number of connections that a pool has opened. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionCounter(Arc<AtomicU64>);

impl ConnectionCounter {
    /// Counts a new connection.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads the data version on the only connection of `writers`, when its turn comes.
pub(super) async fn read(
    writers: &AnyPool,
    opened_connections: &ConnectionCounter,
) -> Result<DataVersion, Error> {
    let mut writer = writers.acquire().await?;
    // the pool has one connection, and we hold it; so the counter is its number
    let connection = opened_connections.0.load(Ordering::SeqCst);
    let query = sqlx::query_scalar("SELECT data_version FROM pragma_data_version");
    let data_version = query.fetch_one(&mut *writer).await?;
    Ok(DataVersion { connection, data_version })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::any::AnyConnectOptions;
    use tempfile::TempDir;

    use super::*;
    use crate::storage::engine::pool::sqlite;

    /// The writing pool of one process.
    struct Process {
        writers: AnyPool,
        opened_connections: ConnectionCounter,
    }

    impl Process {
        async fn on(folder: &TempDir) -> Self {
            sqlx::any::install_default_drivers();
            let url = format!("sqlite://{}/a.db?mode=rwc", folder.path().display());
            let options: AnyConnectOptions = url.parse().unwrap();
            let opened_connections = ConnectionCounter::default();
            let writers =
                sqlite(1, Duration::from_secs(5), "PRAGMA query_only = OFF", &opened_connections);
            Self { writers: writers.connect_with(options).await.unwrap(), opened_connections }
        }

        async fn execute(&self, statement: &'static str) {
            sqlx::query(statement).execute(&self.writers).await.unwrap();
        }

        async fn read(&self) -> DataVersion {
            read(&self.writers, &self.opened_connections).await.unwrap()
        }
    }

    #[tokio::test]
    async fn data_version_changes_only_after_a_write_by_another_connection() {
        let folder = TempDir::new().unwrap();
        let (one, another) = (Process::on(&folder).await, Process::on(&folder).await);
        one.execute("CREATE TABLE numbers (n BIGINT)").await;
        let before = one.read().await;
        one.execute("INSERT INTO numbers VALUES (1)").await;
        // moves the written pages from the log into the file and starts the log again
        one.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        one.execute("DELETE FROM numbers").await;
        assert_eq!(one.read().await, before);
        another.execute("INSERT INTO numbers VALUES (2)").await;
        let after = one.read().await;
        assert_ne!(after, before);
        assert_eq!(one.read().await, after);
    }

    #[tokio::test]
    async fn data_version_of_a_new_connection_differs() {
        let folder = TempDir::new().unwrap();
        let process = Process::on(&folder).await;
        let before = process.read().await;
        process.writers.acquire().await.unwrap().close().await.unwrap();
        let after = process.read().await;
        assert_eq!(before.data_version, after.data_version, "both start alike");
        assert_ne!(before, after);
    }
}
