//! Connection pools, and every difference between the two engines except migrations.
//!
//! This module owns the pools, their settings and SQLite's pragmas. It must not know any table.
//! [`super::server`] has the failure handling for PostgreSQL, [`super::write_batch`] the group
//! commit for SQLite.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Once;
use std::time::Duration;

use figment::Figment;
use rocket_db_pools::Database;
use serde::Deserialize;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Row as _, Transaction,
};

use super::StoreError;
use super::data_version::{self, ConnectionCounter, DataVersion};
use super::dedicated::DedicatedConnections;
use super::revisions::PendingChanges;
use super::server::Server;
use super::write_batch::{Statement, WriteBatcher};
use crate::config::{SettingError, check_database};
use crate::metrics::PoolLoad;

/// The pool as Rocket manages it; its settings are at `databases.vestibule`.
#[derive(Database, Debug)]
#[database("vestibule")]
pub struct Db(pub(in crate::storage) Pool);

/// Connections to one database. On SQLite one connection writes and several read, so that writers
/// queue here and not on the file's lock. On PostgreSQL all connections are alike.
#[derive(Clone, Debug)]
pub struct Pool {
    engine: Engine,
    connections: EnginePool,
    dedicated: DedicatedConnections,
}

#[derive(Clone, Debug)]
enum EnginePool {
    Sqlite {
        readers: AnyPool,
        writers: AnyPool,
        opened_connections: ConnectionCounter,
        batcher: WriteBatcher,
    },
    Postgres(Server),
}

/// The engine, and on SQLite its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, with the path of the database file.
    Sqlite { file: PathBuf },
    /// PostgreSQL.
    Postgres,
}

/// Names the database for an operator, so that a command does not run on the wrong one. The URL is
/// left out: it may hold a password.
impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { file } => write!(f, "the file {}", file.display()),
            Self::Postgres => f.write_str("the PostgreSQL database of the settings"),
        }
    }
}

/// `[default.databases.vestibule]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSettings {
    url: String,
    max_connections: u32,
    /// In seconds.
    connect_timeout: u64,
}

impl DatabaseSettings {
    fn read(figment: &Figment) -> Result<Self, PoolError> {
        figment.extract().map_err(|error| PoolError::Settings(Box::new(error)))
    }

    /// Checks the settings as far as possible without connecting.
    fn check(&self, figment: &Figment) -> Result<(), PoolError> {
        let wrong = |problem: String| wrong_url(figment, problem);
        check_database(&self.url).map_err(|error| wrong(error.to_string()))?;
        let is_in_memory = self.url.contains(":memory:") || self.url.contains("mode=memory");
        if self.url.starts_with("sqlite:") && is_in_memory {
            return Err(wrong("expected a file: sqlite://path".to_owned()));
        }
        if self.max_connections == 0 || self.connect_timeout == 0 {
            let (key, wanted) =
                ("databases.vestibule", "max_connections and connect_timeout: expected at least 1");
            return Err(PoolError::Setting(SettingError::new(figment, key, wanted)));
        }
        Ok(())
    }
}

fn wrong_url(figment: &Figment, problem: String) -> PoolError {
    PoolError::Setting(SettingError::new(figment, "databases.vestibule.url", problem))
}

/// Treatment of a missing SQLite file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfMissing {
    Create,
    Fail,
}

/// Why a pool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A setting has a wrong value.
    #[error("{0}")]
    Setting(SettingError),
    /// The settings cannot be read.
    #[error("{0}")]
    Settings(Box<figment::Error>),
    /// The SQLite file does not exist and cannot be created.
    #[error("cannot create the database file {}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    /// The SQLite file exists and cannot be written.
    #[error("cannot write to the database file {}, which is there: {source}", file.display())]
    FileThere { file: PathBuf, source: io::Error },
    /// The path of the SQLite file is a folder.
    #[error("{} is a folder: the URL of the database names a file", file.display())]
    Folder { file: PathBuf },
    /// The SQLite file does not exist, and the caller does not create one.
    #[error(
        "there is no database file {}: the first start of the service, or `vestibule migrate`, \
         makes it",
        file.display()
    )]
    NoFile { file: PathBuf },
    /// The PostgreSQL database has an encoding other than UTF8.
    #[error(
        "the encoding of the PostgreSQL database is {0}, which cannot hold every name: it has to be \
         UTF8. Make a new one by `CREATE DATABASE vestibule OWNER vestibule ENCODING 'UTF8' TEMPLATE \
         template0`, and move what the old one holds with pg_dump and psql"
    )]
    Encoding(String),
    /// The connection failed.
    #[error("cannot connect to the database")]
    Connect(#[from] sqlx::Error),
}

impl Pool {
    /// The engine, and on SQLite its file.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Acquires a connection for statements that only read.
    pub(in crate::storage) async fn reader(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { readers, .. } => readers.acquire().await,
            EnginePool::Postgres(server) => server.acquire().await,
        }
    }

    pub(super) fn load(&self) -> Vec<PoolLoad> {
        let load = |name, pool: &AnyPool| PoolLoad {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            max: pool.options().get_max_connections(),
        };
        match &self.connections {
            EnginePool::Sqlite { readers, writers, .. } => {
                vec![load("readers", readers), load("writer", writers)]
            }
            EnginePool::Postgres(server) => vec![load("all", server.pool())],
        }
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match &self.connections {
            // a deferred transaction would learn only at its first write that another writer is
            // ahead
            EnginePool::Sqlite { writers, .. } => writers.begin_with("BEGIN IMMEDIATE").await,
            EnginePool::Postgres(server) => server.begin().await,
        }
    }

    /// Runs the statement as a transaction of its own; answers the number of rows that it touched.
    pub(super) async fn run(
        &self,
        statement: Statement,
        pending: PendingChanges,
    ) -> Result<u64, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { batcher, .. } => batcher.run(statement, pending).await,
            EnginePool::Postgres(server) => {
                let mut connection = server.acquire().await?;
                let done = statement.execute(&mut *connection).await;
                drop(pending);
                Ok(done?.rows_affected())
            }
        }
    }

    /// Data version of the SQLite file: unchanged only if nothing but this pool has written. `None`
    /// on PostgreSQL, where any number of nodes may write.
    pub(super) async fn data_version(&self) -> Result<Option<DataVersion>, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { writers, opened_connections, .. } => {
                data_version::read(writers, opened_connections).await.map(Some)
            }
            EnginePool::Postgres(_) => Ok(None),
        }
    }

    /// Moves the write-ahead log into the file and empties it. Answers `false` if a reader still
    /// needs the log. The writing connection does this, so that the data version does not take our
    /// writes for another process's writes.
    pub(super) async fn truncate_wal(&self) -> Result<bool, sqlx::Error> {
        let EnginePool::Sqlite { writers, .. } = &self.connections else { return Ok(true) };
        let writer = writers.acquire().await?;
        // in its own task: it must restore the connection's time-out even if the caller is gone
        tokio::spawn(truncate_wal(writer)).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Discards the connections to a server that takes no writes: another server may have replaced
    /// it.
    pub(super) fn discard_read_only_connections(&self) {
        if let EnginePool::Postgres(server) = &self.connections {
            server.discard_read_only_connections();
        }
    }

    /// Whether the database takes writes, as far as a read can tell. On SQLite only a write can
    /// tell, so the answer is always `true`.
    pub(super) async fn is_writable(&self) -> Result<bool, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { .. } => Ok(true),
            EnginePool::Postgres(server) => server.is_writable().await,
        }
    }

    /// Begins a transaction that fails after 100 ms of waiting for a locked row. On SQLite writers
    /// take turns, so no such limit is set.
    pub(super) async fn begin_with_lock_timeout(
        &self,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        if self.engine == Engine::Postgres {
            // a tenth of `deadlock_timeout`, after which the server looks for deadlocks (1 s by
            // default)
            transaction.execute("SET LOCAL lock_timeout = '100ms'").await?;
        }
        Ok(transaction)
    }

    /// Runs `work`, which may be slow, on a connection outside the pool. The connection is closed in
    /// every case: [`Pool::close_connections`] waits for that if this future is dropped.
    pub(in crate::storage) async fn on_dedicated_connection<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.dedicated.run(self.connect_dedicated(), work).await
    }

    pub(in crate::storage) fn dedicated(&self) -> &DedicatedConnections {
        &self.dedicated
    }

    async fn connect_dedicated(&self) -> Result<AnyConnection, sqlx::Error> {
        let pool = match &self.connections {
            EnginePool::Sqlite { writers, .. } => writers,
            EnginePool::Postgres(server) => server.pool(),
        };
        let mut connection = pool.connect_options().connect().await?;
        if let Engine::Sqlite { .. } = self.engine {
            prepare(&mut connection, "PRAGMA query_only = OFF").await?;
        }
        Ok(connection)
    }

    pub(in crate::storage) async fn close_connections(&self) {
        self.dedicated.wait().await;
        match &self.connections {
            EnginePool::Sqlite { readers, writers, .. } => {
                readers.close().await;
                writers.close().await;
            }
            EnginePool::Postgres(server) => server.pool().close().await,
        }
    }

    /// Connects to an existing database, and logs nothing: the caller reports the error.
    pub(in crate::storage) async fn open_existing(figment: &Figment) -> Result<Self, PoolError> {
        Self::open(figment, IfMissing::Fail).await
    }

    /// Connects to a database, and creates the SQLite file if it is missing.
    pub(in crate::storage) async fn open_or_create(figment: &Figment) -> Result<Self, PoolError> {
        Self::open(figment, IfMissing::Create).await
    }

    /// Checks the settings of `figment`, which is focused on the database, without connecting.
    pub(super) fn check_settings(figment: &Figment) -> Result<(), PoolError> {
        DatabaseSettings::read(figment)?.check(figment)
    }

    async fn open(figment: &Figment, if_missing: IfMissing) -> Result<Self, PoolError> {
        let settings = DatabaseSettings::read(figment)?;
        Self::connect(settings, figment, if_missing).await
    }

    async fn connect(
        settings: DatabaseSettings,
        figment: &Figment,
        if_missing: IfMissing,
    ) -> Result<Self, PoolError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);

        settings.check(figment)?;
        let wrong = |problem: String| wrong_url(figment, problem);
        // the error leaves the URL out: it may hold a password
        let options = AnyConnectOptions::from_str(&settings.url)
            .map_err(|_| wrong("expected sqlite://path or postgres://user@host/name".to_owned()))?;
        let timeout = Duration::from_secs(settings.connect_timeout);
        match options.database_url.scheme() {
            "sqlite" => {
                let file = SqliteConnectOptions::from_str(&settings.url)
                    .map_err(|error| wrong(error.to_string()))?
                    .get_filename()
                    .to_path_buf();
                match if_missing {
                    _ if file.is_dir() => return Err(PoolError::Folder { file }),
                    IfMissing::Create => {
                        create_private(&file).map_err(|source| match file.exists() {
                            true => PoolError::FileThere { file: file.clone(), source },
                            false => PoolError::File { file: file.clone(), source },
                        })?;
                    }
                    // if the file cannot be examined, connecting gives the error
                    IfMissing::Fail if file.try_exists().unwrap_or(true) => {}
                    IfMissing::Fail => return Err(PoolError::NoFile { file }),
                }
                let opened_connections = ConnectionCounter::default();
                let writers = sqlite(1, timeout, "PRAGMA query_only = OFF", &opened_connections);
                let count = settings.max_connections.min(8);
                let readers =
                    sqlite(count, timeout, "PRAGMA query_only = ON", &ConnectionCounter::default());
                // the writer connects first: it switches the file to write-ahead logging
                let writers = writers.connect_with(options.clone()).await?;
                let readers = readers.connect_with(options).await?;
                Ok(Self {
                    engine: Engine::Sqlite { file },
                    connections: EnginePool::Sqlite {
                        readers,
                        batcher: WriteBatcher::new(writers.clone()),
                        writers,
                        opened_connections,
                    },
                    dedicated: DedicatedConnections::default(),
                })
            }
            "postgres" | "postgresql" => {
                let server = Server::connect(options, settings.max_connections, timeout).await?;
                let encoding = server.encoding().await?;
                if encoding != "UTF8" {
                    return Err(PoolError::Encoding(encoding));
                }
                Ok(Self {
                    engine: Engine::Postgres,
                    connections: EnginePool::Postgres(server),
                    dedicated: DedicatedConnections::default(),
                })
            }
            other => {
                Err(wrong(format!("unknown database `{other}`; known are sqlite and postgres")))
            }
        }
    }
}

/// File named by an SQLite URL; `None` for every other URL.
pub(in crate::storage) fn file_of(url: &str) -> Option<PathBuf> {
    let options =
        SqliteConnectOptions::from_str(url).ok().filter(|_| url.starts_with("sqlite:"))?;
    Some(options.get_filename().to_path_buf())
}

pub(super) fn sqlite(
    connections: u32,
    timeout: Duration,
    last_pragma: &'static str,
    opened_connections: &ConnectionCounter,
) -> AnyPoolOptions {
    let opened_connections = opened_connections.clone();
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(timeout)
        // an embedded database has no server that could be gone
        .test_before_acquire(false)
        // if the disk fails, SQLite ends a transaction by itself; then it refuses the driver's
        // rollback, and the driver considers the transaction open for ever
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .after_connect(move |connection, _| {
            opened_connections.count();
            Box::pin(prepare(connection, last_pragma))
        })
}

async fn truncate_wal(mut writer: PoolConnection<Any>) -> Result<bool, sqlx::Error> {
    // 40 ms only: all writers wait while this waits for readers
    writer.execute("PRAGMA busy_timeout = 40").await?;
    let emptied = writer.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
    if let Err(error) = writer.execute(BUSY_TIMEOUT).await {
        writer.close().await?;
        return Err(error);
    }
    // the first column says whether readers blocked it
    Ok(emptied?.try_get::<i32, _>(0)? == 0)
}

/// Time limit for waiting on a lock of another connection: 5000 ms.
const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 5000";

async fn prepare(
    connection: &mut AnyConnection,
    last_pragma: &'static str,
) -> Result<(), sqlx::Error> {
    for pragma in [
        BUSY_TIMEOUT,
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        // SQLite overwrites deleted rows with zeros, so the file keeps no readable rest
        "PRAGMA secure_delete = ON",
        last_pragma,
    ] {
        connection.execute(pragma).await?;
    }
    Ok(())
}

/// Creates the file (mode 0600) and its folder (mode 0700) for the owner alone.
fn create_private(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    open_private(file).map(drop)
}

/// Opens the file for writing; creates it with mode 0600 if it is missing.
pub(super) fn open_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for Pool {
    type Connection = PoolConnection<Any>;
    type Error = PoolError;

    /// Connects at once, so that a wrong setting stops the start and not the first request.
    async fn init(figment: &Figment) -> Result<Self, PoolError> {
        let pool = Self::open_or_create(figment).await;
        if let Err(error) = &pool {
            // Rocket's own log of this error is off
            tracing::error!("{}", super::chain(error));
        }
        pool
    }

    async fn get(&self) -> Result<PoolConnection<Any>, PoolError> {
        Ok(self.reader().await?)
    }

    /// Does nothing. Rocket calls this when a shutdown begins, while it still answers requests. The
    /// program closes the connections after the last response: [`super::Store::close`].
    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn f20_cancelled_wal_truncation_restores_the_writing_connection() {
        let folder = tempfile::tempdir().unwrap();
        let figment = Figment::new()
            .merge(("url", format!("sqlite://{}/test.db", folder.path().display())))
            .merge(("max_connections", 1))
            .merge(("connect_timeout", 5));
        let pool = Pool::open_or_create(&figment).await.unwrap();
        let EnginePool::Sqlite { writers, .. } = &pool.connections else {
            panic!("the engine is a file");
        };
        for polls in (0..14).map(|n| 1_u32 << n) {
            {
                let mut emptying = pin!(pool.truncate_wal());
                for _ in 0..polls {
                    let polled = poll_fn(|cx| Poll::Ready(emptying.as_mut().poll(cx).is_ready()));
                    if polled.await {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let mut writer = writers.acquire().await.unwrap();
            let row = writer.fetch_one("PRAGMA busy_timeout").await.unwrap();
            assert_eq!(row.get::<i32, _>(0), 5_000, "cancelled after {polls} polls");
        }
    }
}
