//! The connections, and all that differs between the engines but migrations.

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
use super::revisions::PendingChanges;
use super::server::Server;
use super::write_batch::{Statement, WriteBatcher};
use crate::config::{SettingError, check_database};
use crate::metrics::PoolLoad;

/// The pool as Rocket manages it; configured at `databases.vestibule`.
#[derive(Database, Debug)]
#[database("vestibule")]
pub struct Db(pub(super) Pool);

/// Connections to one database. On SQLite one of them writes and several read, so that writers
/// queue here and not on the file's lock; on PostgreSQL they are all alike.
#[derive(Clone, Debug)]
pub struct Pool {
    engine: Engine,
    connections: EnginePool,
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

/// Which database it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite { file: PathBuf },
    Postgres,
}

/// So that nobody works on another database than they think; a URL may hold a password.
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

    /// All that can be checked without the database.
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

/// What is done about an SQLite file that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfMissing {
    Create,
    Fail,
}

/// Why no pool could be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error("{0}")]
    Setting(SettingError),
    #[error("{0}")]
    Settings(Box<figment::Error>),
    #[error("cannot create the database file {}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("cannot write to the database file {}, which is there: {source}", file.display())]
    FileThere { file: PathBuf, source: io::Error },
    #[error("{} is a folder: the URL of the database names a file", file.display())]
    Folder { file: PathBuf },
    #[error(
        "there is no database file {}: the first start of the service, or `vestibule migrate`, \
         makes it",
        file.display()
    )]
    NoFile { file: PathBuf },
    #[error(
        "the encoding of the PostgreSQL database is {0}, which cannot hold every name: it has to be \
         UTF8. Make a new one by `CREATE DATABASE vestibule OWNER vestibule ENCODING 'UTF8' TEMPLATE \
         template0`, and move what the old one holds with pg_dump and psql"
    )]
    Encoding(String),
    #[error("cannot connect to the database")]
    Connect(#[from] sqlx::Error),
}

impl Pool {
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A connection for statements that only read.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
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
            // a deferred transaction would find out only at its first write that another is ahead
            EnginePool::Sqlite { writers, .. } => writers.begin_with("BEGIN IMMEDIATE").await,
            EnginePool::Postgres(server) => server.begin().await,
        }
    }

    /// Runs the statement as a transaction of its own; answers how many rows it has touched.
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

    /// What is the same as before only if nobody but this pool has written; `None` on PostgreSQL, where
    /// any number may.
    pub(super) async fn data_version(&self) -> Result<Option<DataVersion>, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { writers, opened_connections, .. } => {
                data_version::read(writers, opened_connections).await.map(Some)
            }
            EnginePool::Postgres(_) => Ok(None),
        }
    }

    /// Moves the write-ahead log into the file and empties it, on the connection that writes: so others'
    /// writes are not taken for those of another process. `false` where a reader still needs the log.
    pub(super) async fn truncate_wal(&self) -> Result<bool, sqlx::Error> {
        let EnginePool::Sqlite { writers, .. } = &self.connections else { return Ok(true) };
        let writer = writers.acquire().await?;
        // to its end even if the caller is gone: the connection is given back as it was
        tokio::spawn(truncate_wal(writer)).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Gives up connections to a server that takes no writes: another may be in its place by now.
    pub(super) fn discard_read_only_connections(&self) {
        if let EnginePool::Postgres(server) = &self.connections {
            server.discard_read_only_connections();
        }
    }

    /// Whether writes are taken, as far as that shows without one. SQLite finds out by a write alone.
    pub(super) async fn is_writable(&self) -> Result<bool, sqlx::Error> {
        match &self.connections {
            EnginePool::Sqlite { .. } => Ok(true),
            EnginePool::Postgres(server) => server.is_writable().await,
        }
    }

    /// A transaction that gives up where others hold what it wants. On SQLite writers take turns
    /// anyway.
    pub(super) async fn begin_with_lock_timeout(
        &self,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        if self.engine == Engine::Postgres {
            // a tenth of the time after which the server looks for deadlocks
            transaction.execute("SET LOCAL lock_timeout = '100ms'").await?;
        }
        Ok(transaction)
    }

    /// Runs `work` on a connection beside the pool, which may take its time, and closes that whatever
    /// comes of it.
    pub(super) async fn on_dedicated_connection<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.connect_dedicated().await.map_err(StoreError::from)?;
        let outcome = work(&mut connection).await;
        let closed = connection.close().await.map_err(StoreError::from);
        let done = outcome?;
        closed?;
        Ok(done)
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

    pub(super) async fn close_connections(&self) {
        match &self.connections {
            EnginePool::Sqlite { readers, writers, .. } => {
                readers.close().await;
                writers.close().await;
            }
            EnginePool::Postgres(server) => server.pool().close().await,
        }
    }

    /// Connects to a database that is there already. Nothing is logged: who asks is told.
    pub(super) async fn open_existing(figment: &Figment) -> Result<Self, PoolError> {
        Self::open(figment, IfMissing::Fail).await
    }

    /// Connects to a database, and makes the file where there is none.
    pub(super) async fn open_or_create(figment: &Figment) -> Result<Self, PoolError> {
        Self::open(figment, IfMissing::Create).await
    }

    /// Checks the settings of the database, focused on, without connecting.
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
        // the URL is not repeated: it may hold a password
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
                    // one that may not be looked at is the connection's business
                    IfMissing::Fail if file.try_exists().unwrap_or(true) => {}
                    IfMissing::Fail => return Err(PoolError::NoFile { file }),
                }
                let opened_connections = ConnectionCounter::default();
                let writers = sqlite(1, timeout, "PRAGMA query_only = OFF", &opened_connections);
                let count = settings.max_connections.min(8);
                let readers =
                    sqlite(count, timeout, "PRAGMA query_only = ON", &ConnectionCounter::default());
                // the writer first: it turns the file into one with a write-ahead log
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
                })
            }
            "postgres" | "postgresql" => {
                let server = Server::connect(options, settings.max_connections, timeout).await?;
                let encoding = server.encoding().await?;
                if encoding != "UTF8" {
                    return Err(PoolError::Encoding(encoding));
                }
                Ok(Self { engine: Engine::Postgres, connections: EnginePool::Postgres(server) })
            }
            other => {
                Err(wrong(format!("unknown database `{other}`; known are sqlite and postgres")))
            }
        }
    }
}

/// The file that an SQLite URL names; `None` for every other URL.
pub(super) fn file_of(url: &str) -> Option<PathBuf> {
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
        // there is no server that could be gone
        .test_before_acquire(false)
        // SQLite ends a transaction by itself where the disk fails, and the driver, whose rollback is
        // then refused, takes it for open ever after
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .after_connect(move |connection, _| {
            opened_connections.count();
            Box::pin(prepare(connection, last_pragma))
        })
}

async fn truncate_wal(mut writer: PoolConnection<Any>) -> Result<bool, sqlx::Error> {
    // writers wait while this waits for readers
    writer.execute("PRAGMA busy_timeout = 40").await?;
    let emptied = writer.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
    if let Err(error) = writer.execute(BUSY_TIMEOUT).await {
        writer.close().await?;
        return Err(error);
    }
    // whether it was kept from it
    Ok(emptied?.try_get::<i32, _>(0)? == 0)
}

/// How long a connection waits for a lock of another, in milliseconds.
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
        // deleted rows leave nothing readable behind in the file
        "PRAGMA secure_delete = ON",
        last_pragma,
    ] {
        connection.execute(pragma).await?;
    }
    Ok(())
}

/// Creates the file, and the folder around it, for its owner alone.
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

/// Opens the file, and creates it for its owner alone where it is missing.
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
            // Rocket's own log of it is off
            tracing::error!("{}", super::chain(error));
        }
        pool
    }

    async fn get(&self) -> Result<PoolConnection<Any>, PoolError> {
        Ok(self.reader().await?)
    }

    /// Asked for when a shutdown begins; but then requests are still being answered. The program
    /// closes the connections when the last one is: [`super::Store::close`].
    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn f20_the_writing_connection_is_as_it_was_whenever_the_emptying_of_the_log_is_given_up()
    {
        let folder = tempfile::tempdir().unwrap();
        let figment = Figment::new()
            .merge(("url", format!("sqlite://{}/test.db", folder.path().display())))
            .merge(("max_connections", 1))
            .merge(("connect_timeout", 5));
        let pool = Pool::open_or_create(&figment).await.unwrap();
        let EnginePool::Sqlite { writers, .. } = &pool.connections else {
            panic!("it is a file");
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
            assert_eq!(row.get::<i32, _>(0), 5_000, "given up after {polls} polls");
        }
    }
}
