//! Copy: transfers all rows of one database into an empty one, of either engine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use figment::Figment;
use figment::providers::Serialized;
use futures_util::TryStreamExt;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

use super::catalog::{self, Table, Value};
use super::sqlite_files;
use crate::model::Digest;
use crate::storage::engine::migrate::{self, Schema};
use crate::storage::engine::pool::{self, Engine, Pool};
use crate::storage::engine::{OpenError, StoreError};

/// Rows that are held in memory and written by one statement.
const BATCH: usize = 100;

/// A table and the number of copied rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Name of the table.
    pub name: String,
    /// Number of copied rows.
    pub rows: u64,
}

/// Why the copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be opened.
    #[error("the database to copy from")]
    From(#[source] OpenError),
    /// The target cannot be opened.
    #[error("the database to copy to")]
    To(#[source] OpenError),
    /// Both are the same database. Two different URLs of one PostgreSQL database are not
    /// recognized; then the target is not empty, or has no rows to lose.
    #[error("both are the same database")]
    Same,
    /// The target is a side file of the settings' database, or has the name of one.
    #[error("{} is a file of the database of the settings, or is named as SQLite's own files are", file.display())]
    Reserved { file: PathBuf },
    /// The target has rows.
    #[error("the database to copy to is not empty: there are rows in {table}")]
    NotEmpty { table: String },
    /// The tables or columns of the two databases differ.
    #[error("the two databases have not the same tables and columns")]
    OtherTables,
    /// The rows read back differ from the written ones.
    #[error("what was written of {table} is not what was read; nothing was kept")]
    Differs { table: String },
    /// The caller stopped the copy.
    #[error("interrupted; nothing was kept")]
    Interrupted,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies all rows of one snapshot in one transaction, reads them back, and commits if they are the
/// same.
///
/// - `own` is the URL of the settings; a service may be using its files.
/// - The copy stops, and is undone, when `until` completes.
/// - `progress` gets each table and its number of copied rows, every 10,000 rows and at the end.
/// - At the end the connections to both databases are closed, so that an SQLite file is complete by
///   itself.
pub async fn copy(
    (from, to, own): (&str, &str, &str),
    until: impl Future<Output = ()>,
    progress: impl FnMut(&str, u64),
) -> Result<Vec<CopiedTable>, CopyError> {
    // checked before either database is touched
    let is_same_file = match (pool::file_of(from), pool::file_of(to)) {
        (Some(from), Some(to)) => {
            sqlite_files::is_of(&from, &to) || sqlite_files::is_of(&to, &from)
        }
        _ => false,
    };
    if from == to || is_same_file {
        return Err(CopyError::Same);
    }
    if let Some(file) = pool::file_of(to)
        && (sqlite_files::is_reserved(&file) || is_beside(own, &file))
    {
        return Err(CopyError::Reserved { file });
    }
    let source = Pool::open_existing(&settings(from)).await;
    let source = source.map_err(|error| CopyError::From(error.into()))?;
    let copied = copy_from(&source, to, until, progress).await;
    source.close_connections().await;
    copied
}

/// Whether the file is a side file of the database of the settings. The database itself is a valid
/// target if it is empty, as when a new installation moves.
fn is_beside(own: &str, file: &Path) -> bool {
    pool::file_of(own)
        .is_some_and(|own| sqlite_files::is_of(&own, file) && !sqlite_files::is_same(&own, file))
}

async fn copy_from(
    source: &Pool,
    to: &str,
    until: impl Future<Output = ()>,
    progress: impl FnMut(&str, u64),
) -> Result<Vec<CopiedTable>, CopyError> {
    expect_known(source).await.map_err(CopyError::From)?;
    let target = Pool::open_or_create(&settings(to)).await;
    let target = target.map_err(|error| CopyError::To(error.into()))?;
    let is_committing = AtomicBool::new(false);
    // once the commit is sent, its outcome counts
    let interrupted = async {
        until.await;
        if is_committing.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let copied = tokio::select! {
        biased;
        copied = copy_between(source, &target, &is_committing, progress) => copied,
        () = interrupted => Err(CopyError::Interrupted),
    };
    target.close_connections().await;
    copied
}

async fn copy_between(
    source: &Pool,
    target: &Pool,
    is_committing: &AtomicBool,
    mut progress: impl FnMut(&str, u64),
) -> Result<Vec<CopiedTable>, CopyError> {
    target
        .on_dedicated_connection(async |writing| expect_empty(writing, target.engine()).await)
        .await?;
    migrate::run(target).await.map_err(|error| CopyError::To(error.into()))?;
    expect_known(target).await.map_err(CopyError::To)?;
    source
        .on_dedicated_connection(async |reading| {
            target
                .on_dedicated_connection(async |writing| {
                    let reading = (reading, source.engine());
                    let writing = (writing, target.engine());
                    copy_rows(reading, writing, is_committing, &mut progress).await
                })
                .await
        })
        .await
}

async fn copy_rows(
    (reading, from): (&mut AnyConnection, &Engine),
    (writing, to): (&mut AnyConnection, &Engine),
    is_committing: &AtomicBool,
    progress: &mut impl FnMut(&str, u64),
) -> Result<Vec<CopiedTable>, CopyError> {
    let mut reading = reading.begin_with(snapshot(from)).await.map_err(StoreError::from)?;
    let mut writing = writing.begin_with(alone(to)).await.map_err(StoreError::from)?;
    let tables = catalog::all(&mut writing, to).await?;
    if !are_alike(&tables, &catalog::all(&mut reading, from).await?) {
        return Err(CopyError::OtherTables);
    }
    if *to == Engine::Postgres {
        let list: Vec<String> = tables.iter().map(|table| format!(r#""{}""#, table.name)).collect();
        let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", list.join(", "));
        writing.execute(AssertSqlSafe(lock)).await.map_err(StoreError::from)?;
    }
    expect_empty(&mut writing, to).await?;

    let mut copied = Vec::new();
    for table in tables.iter().filter(|table| !catalog::is_filled_by_migrations(&table.name)) {
        let sent = send(table, &mut reading, &mut writing, progress).await?;
        if sum(table, &mut writing).await? != sent {
            return Err(CopyError::Differs { table: table.name.clone() });
        }
        progress(&table.name, sent.rows);
        copied.push(CopiedTable { name: table.name.clone(), rows: sent.rows });
    }
    is_committing.store(true, Ordering::Relaxed);
    writing.commit().await.map_err(StoreError::from)?;
    Ok(copied)
}

fn settings(url: &str) -> Figment {
    Figment::from(Serialized::default("url", url))
        .join(Serialized::default("max_connections", 1))
        .join(Serialized::default("connect_timeout", 5))
}

/// Statement that begins a transaction on one snapshot, independent of later writes.
fn snapshot(engine: &Engine) -> &'static str {
    match engine {
        Engine::Sqlite { .. } => "BEGIN",
        Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
}

fn alone(engine: &Engine) -> &'static str {
    match engine {
        Engine::Sqlite { .. } => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN",
    }
}

async fn expect_known(pool: &Pool) -> Result<(), OpenError> {
    match migrate::inspect(pool).await? {
        Schema::Known => Ok(()),
        Schema::Older => Err(OpenError::OlderSchema),
        Schema::Newer | Schema::Other => Err(OpenError::OtherSchema),
    }
}

async fn expect_empty(connection: &mut AnyConnection, engine: &Engine) -> Result<(), CopyError> {
    for table in catalog::names(connection, engine).await? {
        if !catalog::is_filled_by_migrations(&table)
            && catalog::count(connection, &table).await? > 0
        {
            return Err(CopyError::NotEmpty { table });
        }
    }
    Ok(())
}

fn are_alike(some: &[Table], others: &[Table]) -> bool {
    let shape = |tables: &[Table]| -> Vec<_> {
        tables.iter().map(|table| (table.name.clone(), table.select())).collect()
    };
    shape(some) == shape(others)
}

/// Number of rows and the sum of their digests, which does not depend on the order.
#[derive(Default, PartialEq, Eq, Debug)]
struct Sum {
    rows: u64,
    digests: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut bytes = Vec::new();
        row.iter().for_each(|value| value.write_to(&mut bytes));
        let digest = Digest::of(&bytes);
        let (words, _) = digest.as_bytes().as_chunks::<8>();
        for (sum, word) in self.digests.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*word));
        }
        self.rows += 1;
    }
}

async fn send(
    table: &Table,
    reading: &mut AnyConnection,
    writing: &mut AnyConnection,
    progress: &mut impl FnMut(&str, u64),
) -> Result<Sum, StoreError> {
    let mut sum = Sum::default();
    let mut batch = Vec::with_capacity(BATCH);
    let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(reading);
    while let Some(row) = rows.try_next().await? {
        let row = table.read(&row)?;
        sum.add(&row);
        batch.push(row);
        if batch.len() == BATCH {
            write(table, &mut batch, writing).await?;
            if sum.rows.is_multiple_of(10_000) {
                progress(&table.name, sum.rows);
            }
        }
    }
    write(table, &mut batch, writing).await?;
    Ok(sum)
}

async fn write(
    table: &Table,
    batch: &mut Vec<Vec<Value>>,
    writing: &mut AnyConnection,
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut insert = sqlx::query(AssertSqlSafe(table.insert(batch.len())));
    for value in batch.drain(..).flatten() {
        insert = value.bind(insert);
    }
    insert.execute(writing).await?;
    Ok(())
}

async fn sum(table: &Table, connection: &mut AnyConnection) -> Result<Sum, StoreError> {
    let mut sum = Sum::default();
    let mut rows = sqlx::query(AssertSqlSafe(table.select())).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        sum.add(&table.read(&row)?);
    }
    Ok(sum)
}
