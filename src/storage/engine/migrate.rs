//! Migrations: bring the schema up to date at each start, one node at a time.
//!
//! Expand, then contract: a migration adds, and a migration of a later version removes only parts
//! that no program uses any more. So a program keeps running, and can start, while the schema is
//! ahead of it.
//!
//! A migration that removes a part ends its name in `needs_NNNN`: the last migration that a program
//! must know in order to do without the part. A program that does not know migration `NNNN` neither
//! starts nor is ready.

use std::fs::TryLockError;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{AnyConnection, Row};

use super::StoreError;
use super::error_codes::{self, Meaning};
use super::pool::{self, Engine, Pool};

/// Pause between two attempts at the lock of an SQLite database.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

static SQLITE: LazyLock<Migrator> =
    LazyLock::new(|| ignoring_unknown_migrations(sqlx::migrate!("migrations/sqlite")));
static POSTGRES: LazyLock<Migrator> =
    LazyLock::new(|| ignoring_unknown_migrations(sqlx::migrate!("migrations/postgres")));

/// Tolerates migrations that this program does not know; [`inspect`] judges them.
fn ignoring_unknown_migrations(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The lock file beside an SQLite database cannot be locked.
    #[error("cannot lock the database for its migration")]
    Lock(#[from] io::Error),
    /// A migration failed.
    #[error("a migration failed")]
    Migrate(#[from] MigrateError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The schema has another version's migrations, with which this program cannot work.
    #[error("the schema is of another version than this program, which cannot work with it")]
    OtherSchema,
}

/// Runs the outstanding migrations. Each migration is a transaction of its own.
pub(in crate::storage) async fn run(pool: &Pool) -> Result<(), MigrationError> {
    // sqlx's own lock is an advisory lock on PostgreSQL and nothing on SQLite
    let _lock = match pool.engine() {
        Engine::Sqlite { file } => {
            let mut name = file.as_os_str().to_owned();
            name.push(".migrating");
            let lock = pool::open_private(name.as_ref())?;
            // a blocking wait would need a thread that could not be ended
            while let Err(error) = lock.try_lock() {
                match error {
                    TryLockError::WouldBlock => tokio::time::sleep(LOCK_INTERVAL).await,
                    TryLockError::Error(error) => return Err(error.into()),
                }
            }
            Some(lock)
        }
        Engine::Postgres => None,
    };
    match inspect(pool).await? {
        Schema::Other => Err(MigrationError::OtherSchema),
        Schema::Newer => {
            tracing::warn!(
                "the schema is ahead of this program, as in an upgrade; the program goes on with it"
            );
            Ok(())
        }
        Schema::Known | Schema::Older => {
            pool.on_dedicated_connection(async |connection| {
                migrate(connection, pool.engine()).await
            })
            .await
        }
    }
}

async fn migrate(connection: &mut AnyConnection, engine: &Engine) -> Result<(), MigrationError> {
    migrator(engine).run_direct(None, connection, false).await?;
    if let Engine::Sqlite { .. } = engine {
        // so that the file has its tables even if this process ends without closing it, as a start
        // does that fails later; PASSIVE waits for no other connection
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(connection)
            .await
            .map_err(StoreError::from)?;
    }
    Ok(())
}

/// Relation of a database's schema to this binary's schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) enum Schema {
    Known,
    /// Some or all migrations of this binary have not run yet.
    Older,
    /// All have run, and later ones that removed nothing this binary uses.
    Newer,
    /// Different migrations have run under the same numbers, or later ones that removed a part this
    /// binary uses.
    Other,
}

/// Inspects the schema without changing it.
pub(in crate::storage) async fn inspect(pool: &Pool) -> Result<Schema, StoreError> {
    let mut connection = pool.reader().await?;
    let migrator = migrator(pool.engine());
    let Some(last_known) = migrator.iter().map(|known| known.version).max() else {
        return Ok(Schema::Known);
    };
    let applied = match connection.list_applied_migrations(&migrator.table_name).await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error
                .code()
                .is_some_and(|code| error_codes::meaning(&code) == Meaning::MissingTable) =>
        {
            return Ok(Schema::Older);
        }
        Err(MigrateError::Execute(error)) => return Err(error.into()),
        Err(other) => return Err(StoreError::internal(other.to_string())),
    };
    let is_known = |version, checksum: &[u8]| {
        migrator.iter().any(|known| known.version == version && *known.checksum == *checksum)
    };
    let (later, ours): (Vec<_>, Vec<_>) =
        applied.iter().partition(|migration| migration.version > last_known);
    if !ours.iter().all(|migration| is_known(migration.version, &migration.checksum)) {
        return Ok(Schema::Other);
    }
    let is_whole = ours.len() == migrator.iter().count();
    Ok(match (is_whole, later.is_empty()) {
        (true, true) => Schema::Known,
        (false, true) => Schema::Older,
        (true, false) if is_usable(&mut connection, last_known).await? => Schema::Newer,
        (_, false) => Schema::Other,
    })
}

/// Whether the migrations after ours have kept every part that this binary uses.
async fn is_usable(connection: &mut AnyConnection, last_known: i64) -> Result<bool, StoreError> {
    let sql = "SELECT description FROM _sqlx_migrations WHERE version > $1";
    let later = sqlx::query(sql).bind(last_known).fetch_all(connection).await?;
    let needed = |row: &AnyRow| {
        let description: String = row.try_get("description")?;
        let needed = description.rsplit_once("needs ").and_then(|(_, number)| number.parse().ok());
        Ok::<i64, StoreError>(needed.unwrap_or(0))
    };
    for row in &later {
        if needed(row)? > last_known {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether this binary can work with the schema, and the database takes writes.
pub(super) async fn check(pool: &Pool) -> Result<(), StoreError> {
    match inspect(pool).await? {
        Schema::Known | Schema::Newer if pool.is_writable().await? => Ok(()),
        Schema::Known | Schema::Newer => {
            Err(StoreError::unavailable("it takes no writes: it is read-only, or a standby"))
        }
        Schema::Older => Err(StoreError::internal("a migration has not run".to_owned())),
        Schema::Other => Err(StoreError::internal("the schema is of another version".to_owned())),
    }
}

fn migrator(engine: &Engine) -> &'static Migrator {
    match engine {
        Engine::Sqlite { .. } => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}
