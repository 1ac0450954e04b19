//! Tests of `vestibule migrate`, killed at any moment and run again (R56): no row is lost, and the
//! schema is the same as without the kill.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use crate::columns::{columns, rows};
use crate::database::{TestDatabase, open, sqlite_url};
use crate::postgres::cluster;
use crate::race_nodes::rounds;

/// Kills of a migration from each earlier version, each a little later than the one before.
const KILLS: usize = 8;

/// Rows of a table, by the number of the migration that creates it.
const ROWS: [(i64, &str); 5] = [
    (
        1,
        "accounts SELECT 'account ' || i, 'ada' || i || '@example.org', 'hash', NULL, 'de', i, i, NULL",
    ),
    (1, "links SELECT {digest}, 'activation', 'sign-up ' || i, 'account ' || i, i, i, NULL, i"),
    (
        2,
        "outbox (id, kind, email, facts, created_at, due_at, tries, dead_at, last_error) \
         SELECT 'letter ' || i, 'sign-up', 'ada' || i || '@example.org', '{}', i, i, 0, i, 'ü'",
    ),
    (
        3,
        "sessions (id, account_id, client_id, scope, epoch, created_at, last_used_at, idle_expires_at, \
                   expires_at, tag_digest, salt, refresh_digest, rotated_at, access_serial, \
                   rotation_serial, access_scope, access_expires_at) \
         SELECT 'session ' || i, 'account ' || i, 'web', 'account.read', i, i, i, i, i, \
         {digest}, {digest}, {digest}, i, 1, 1, '', i",
    ),
    (
        4,
        "events (id, kind, actor, at, account_id) \
         SELECT 'event ' || i, 'sign-in-failed', 'stranger', i, NULLIF('account ' || i, 'account 7')",
    ),
];

/// Migrates an empty database to an earlier version, and fills its tables.
async fn fill(url: &str, version: i64) {
    sqlx::any::install_default_drivers();
    let engine = if url.starts_with("sqlite") { "sqlite" } else { "postgres" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let migrator = Migrator::new(folder).await.unwrap();
    migrator.run_to(version, &mut connection).await.unwrap();
    let digest = match engine {
        "sqlite" => "CAST('digest ' || i AS BLOB)",
        _ => "CAST('digest ' || i AS BYTEA)",
    };
    for (since, insert) in ROWS {
        if since <= version {
            let (table, select) = insert.split_once("SELECT").unwrap();
            let select = select.replace("{digest}", digest);
            let sql = format!(
                "INSERT INTO {table} WITH RECURSIVE n (i) AS
                     (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT {select} FROM n"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
    }
    connection.close().await.unwrap();
}

fn migrate(url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg("migrate")
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The number of the last migration that has run.
async fn version(url: &str) -> i64 {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let sql = "SELECT MAX(version) FROM _sqlx_migrations";
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

type Content = (BTreeSet<(String, String)>, Vec<String>);

/// Runs the migrations to their end and returns all columns and all rows, without the times of the
/// migrations.
async fn migrated(url: &str) -> Content {
    assert!(migrate(url).wait().unwrap().success());
    let store = open(url).await.unwrap();
    store.check().await.unwrap();
    let db = TestDatabase { store, url: url.to_owned(), folder: None };
    let is_data = |row: &String| !row.starts_with("_sqlx_migrations");
    let content = (columns(&db).await, rows(&db).await.into_iter().filter(is_data).collect());
    db.store.close().await;
    content
}

/// Kills a migration of each copy, and runs it again.
async fn is_killed_and_run_again(version_before: i64, copy: impl Fn() -> String) {
    let whole = copy();
    #[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
    let start = std::time::Instant::now();
    let expected = migrated(&whole).await;
    let time = start.elapsed();
    assert!(expected.1.len() >= 600, "the tables have rows");

    let kills = rounds(KILLS);
    let mut reached = BTreeSet::new();
    for kill in 0..kills {
        let url = copy();
        let mut process = migrate(&url);
        let share = u32::try_from(kill).unwrap() * time / u32::try_from(kills).unwrap();
        tokio::time::sleep(share).await;
        process.kill().unwrap();
        process.wait().unwrap();
        reached.insert(version(&url).await);
        assert_eq!(migrated(&url).await, expected, "killed after {share:?}");
    }
    assert!(
        reached.contains(&version_before),
        "no kill came before the first migration ended: {reached:?}"
    );
    println!("from {version_before}: {kills} kills in {time:?} reached {reached:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r56_killed_migration_of_sqlite_loses_no_rows() {
    for version in 1..7 {
        let (folder, url) = sqlite_url();
        fill(&format!("{url}?mode=rwc"), version).await;
        let names = std::cell::Cell::new(0);
        let copy = || {
            names.set(names.get() + 1);
            let to = folder.path().join(format!("copy{}.db", names.get()));
            std::fs::copy(folder.path().join("test.db"), &to).unwrap();
            format!("sqlite://{}", to.display())
        };
        is_killed_and_run_again(version, copy).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r56_killed_migration_of_postgres_loses_no_rows() {
    let Some(cluster) = cluster() else { return };
    for version in 1..7 {
        let url = cluster.new_database();
        fill(&url, version).await;
        is_killed_and_run_again(version, || cluster.copy_of(&url)).await;
    }
}

/// The kill comes inside a migration's transaction, while it waits for a table that the test holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r56_postgres_migration_killed_in_its_transaction_is_rolled_back() {
    let Some(cluster) = cluster() else { return };
    let template = cluster.new_database();
    fill(&template, 3).await;
    let expected = migrated(&cluster.copy_of(&template)).await;
    for (table, reached) in [("outbox", 3), ("sessions", 4)] {
        let url = cluster.copy_of(&template);
        let mut holder = AnyConnection::connect(&url).await.unwrap();
        let lock = format!("BEGIN; LOCK TABLE {table} IN ROW EXCLUSIVE MODE");
        holder.execute(AssertSqlSafe(lock)).await.unwrap();
        let mut process = migrate(&url);
        let waits = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut holder).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        holder.execute("COMMIT").await.unwrap();
        holder.close().await.unwrap();
        assert_eq!(version(&url).await, reached);
        assert_eq!(migrated(&url).await, expected);
    }
}
