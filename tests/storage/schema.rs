//! Tests of the migrations, and of a start on a database whose schema is not the program's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rocket::figment::Figment;
use vestibule::storage::{OpenError, Store, StoreErrorKind};

use crate::database::{TestDatabase, at_once, open, sqlite_url};

on_both_engines! {
    the_first_start_creates_the_schema,
    a_second_start_changes_nothing,
    check_reports_a_missing_migration,
    r56_node_runs_and_restarts_on_a_newer_compatible_schema,
    r56_schema_that_dropped_needed_columns_stops_the_start,
    edited_migration_stops_the_start,
    command_opens_only_a_known_schema_and_migrates_nothing,
}

async fn the_first_start_creates_the_schema(db: TestDatabase) {
    db.store.check().await.unwrap();
    for table in [
        "accounts",
        "sign_ups",
        "links",
        "outbox",
        "sessions",
        "email_changes",
        "account_links",
        "page_sessions",
        "events",
    ] {
        assert_eq!(db.count(table).await, 0, "{table}");
    }
}

async fn a_second_start_changes_nothing(db: TestDatabase) {
    db.sign_up("ada@example.org").await;
    let migrations = db.count("_sqlx_migrations").await;
    let second = db.another_store().await;
    second.check().await.unwrap();
    assert_eq!(second.engine(), db.store.engine());
    assert_eq!(db.count("_sqlx_migrations").await, migrations);
    assert_eq!(db.count("sign_ups").await, 1);
}

async fn check_reports_a_missing_migration(db: TestDatabase) {
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let error = db.store.check().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Internal);
    db.execute("DROP TABLE _sqlx_migrations").await;
    assert!(db.store.check().await.is_err());
}

/// Leaves the schema as the next version of the program would.
async fn add_migration(db: &TestDatabase, version: i64, description: &str) {
    db.execute(&format!(
        "INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         SELECT {version}, '{description}', installed_on, success, checksum, execution_time
         FROM _sqlx_migrations WHERE version = 1",
    ))
    .await;
}

async fn last_migration(db: &TestDatabase) -> i64 {
    db.integer("SELECT MAX(version) FROM _sqlx_migrations").await.unwrap()
}

/// A rolling upgrade: the first node of the next version has migrated the schema.
async fn r56_node_runs_and_restarts_on_a_newer_compatible_schema(db: TestDatabase) {
    let last = last_migration(&db).await;
    add_migration(&db, last + 1, "something more").await;
    add_migration(&db, last + 2, &format!("something less needs {last:04}")).await;
    db.execute("ALTER TABLE accounts ADD COLUMN shoe_size BIGINT").await;

    db.store.check().await.unwrap();
    let again = open(&db.url).await.unwrap();
    again.check().await.unwrap();
    let id = db.account("ada@example.org").await;
    assert!(again.read(async |db| db.find_account(id).await).await.unwrap().is_some());
    let figment = Figment::new().merge(("databases.vestibule.url", &db.url));
    Store::open_without_migrating(&figment).await.unwrap().close().await;
    assert_eq!(last_migration(&db).await, last + 2);
}

async fn r56_schema_that_dropped_needed_columns_stops_the_start(db: TestDatabase) {
    let last = last_migration(&db).await;
    add_migration(&db, last + 1, "something more").await;
    add_migration(&db, last + 2, &format!("something less needs {:04}", last + 1)).await;
    assert!(db.store.check().await.is_err());
    assert!(open(&db.url).await.is_err());
    let figment = Figment::new().merge(("databases.vestibule.url", &db.url));
    let error = Store::open_without_migrating(&figment).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherSchema), "{error}");
}

async fn edited_migration_stops_the_start(db: TestDatabase) {
    db.execute(
        "UPDATE _sqlx_migrations
         SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2)
         WHERE version = 1",
    )
    .await;
    assert!(open(&db.url).await.is_err());
}

async fn command_opens_only_a_known_schema_and_migrates_nothing(db: TestDatabase) {
    let figment = Figment::new().merge(("databases.vestibule.url", &db.url));
    let beside = Store::open_without_migrating(&figment).await.unwrap();
    let id = db.sign_up("ada@example.org").await;
    assert!(beside.read(async |db| db.find_sign_up(id).await).await.unwrap().is_some());
    beside.close().await;

    db.execute("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 2").await;
    let error = Store::open_without_migrating(&figment).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherSchema), "{error}");
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    let before = db.count("_sqlx_migrations").await;
    let error = Store::open_without_migrating(&figment).await.unwrap_err();
    assert!(matches!(error, OpenError::OlderSchema), "{error}");
    assert_eq!(db.count("_sqlx_migrations").await, before);
    db.execute("DROP TABLE _sqlx_migrations").await;
    let error = Store::open_without_migrating(&figment).await.unwrap_err();
    assert!(matches!(error, OpenError::OlderSchema), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_starts_on_a_new_sqlite_file_take_turns() {
    for _ in 0..8 {
        let (_folder, url) = sqlite_url();
        start_concurrently(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_starts_on_an_empty_postgres_database_take_turns() {
    if let Some(cluster) = crate::postgres::cluster() {
        start_concurrently(&cluster.new_database()).await;
    }
}

async fn start_concurrently(url: &str) {
    let stores = at_once(4, |_| {
        let url = url.to_owned();
        async move { open(&url).await }
    });
    for store in stores.await {
        store.unwrap().check().await.unwrap();
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let sqlite = migrations("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, migrations("postgres"));
}

/// The migrations by file name, without blanks, and with one word for both engines' type of bytes.
fn migrations(engine: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap().replace("BYTEA", "BLOB");
            let words: Vec<&str> = text.split_whitespace().collect();
            (entry.file_name().into_string().unwrap(), words.join(" "))
        })
        .collect()
}
