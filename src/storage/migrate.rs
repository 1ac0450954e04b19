//! Bringing the schema up to date, once at each start, one node at a time.

use std::io;

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::pool::{self, Engine, Pool};
use super::{StoreError, StoreErrorKind};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("cannot lock the database for its migration")]
    Lock(#[from] io::Error),
    #[error("a migration failed")]
    Migrate(#[from] MigrateError),
}

/// Runs what has not run yet. Each migration is a transaction of its own.
pub(super) async fn run(pool: &Pool) -> Result<(), MigrationError> {
    // sqlx's own lock is an advisory one on PostgreSQL and does nothing on SQLite
    let _lock = match pool.engine() {
        Engine::Sqlite { file } => {
            let mut name = file.as_os_str().to_owned();
            name.push(".migrating");
            let lock = pool::open_private(name.as_ref())?;
            Some(
                tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
                    .await
                    .map_err(io::Error::other)??,
            )
        }
        Engine::Postgres => None,
    };
    Ok(migrator(pool.engine()).run(pool.writer()).await?)
}

/// How the schema of a database stands to the one that this binary was built for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Schema {
    Known,
    /// Migrations of this binary have not run yet, or none has.
    Older,
    /// Migrations have run that this binary does not know, or others under the same number.
    Other,
}

/// Looks at the schema and changes nothing.
pub(super) async fn inspect(pool: &Pool) -> Result<Schema, StoreError> {
    let mut connection = pool.reader().acquire().await?;
    let migrator = migrator(pool.engine());
    let applied = match connection.list_applied_migrations(&migrator.table_name).await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.code().is_some_and(|code| pool::is_missing_table(&code)) =>
        {
            return Ok(Schema::Older);
        }
        Err(MigrateError::Execute(error)) => return Err(error.into()),
        Err(other) => return Err(internal(other.to_string())),
    };
    let is_known = |version, checksum: &[u8]| {
        migrator.iter().any(|known| known.version == version && *known.checksum == *checksum)
    };
    if !applied.iter().all(|migration| is_known(migration.version, &migration.checksum)) {
        return Ok(Schema::Other);
    }
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    let is_whole = migrator.iter().all(|migration| is_applied(migration.version));
    Ok(if is_whole { Schema::Known } else { Schema::Older })
}

/// Whether every migration that this binary knows has run.
pub(super) async fn check(pool: &Pool) -> Result<(), StoreError> {
    let mut connection = pool.reader().acquire().await?;
    let migrator = migrator(pool.engine());
    let applied = connection.list_applied_migrations(&migrator.table_name).await;
    let applied = applied.map_err(|error| match error {
        MigrateError::Execute(error) => error.into(),
        other => internal(other.to_string()),
    })?;
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    match migrator.iter().find(|migration| !is_applied(migration.version)) {
        Some(missing) => Err(internal(format!("migration {} has not run", missing.version))),
        None => Ok(()),
    }
}

fn internal(problem: String) -> StoreError {
    StoreError { kind: StoreErrorKind::Internal, source: problem.into() }
}

fn migrator(engine: &Engine) -> &'static Migrator {
    match engine {
        Engine::Sqlite { .. } => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}
