//! Tests of copies of a database: into another database of either engine, and into a backup file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{AssertSqlSafe, Row};
use vestibule::storage::{BackupError, CopyError, Store, StoreError, copy};

use crate::columns::{columns, rows};
use crate::database::{NOW, TestDatabase, WaitingSignUp, open, sqlite_url};
use crate::postgres::cluster;
use crate::transactions;

/// Rows in each table: more than one statement copies.
const ROWS: i64 = 250;

async fn at(url: String) -> TestDatabase {
    TestDatabase { store: open(&url).await.unwrap(), url, folder: None }
}

async fn copied(from: &str, to: &str) -> Result<i64, CopyError> {
    let tables = copy((from, to, from), std::future::pending(), |_, _| {}).await?;
    Ok(tables.iter().map(|table| table.rows.cast_signed()).sum())
}

/// Fills each column of each table with values of its type. In every second row the nullable
/// columns are empty.
async fn fill(db: &TestDatabase) {
    let mut connection = db.raw().await;
    let mut tables: Vec<String> = columns(db).await.into_iter().map(|(table, _)| table).collect();
    tables.dedup();
    tables.retain(|table| !["_sqlx_migrations", "nobody"].contains(&table.as_str()));
    // referenced tables come first
    tables.sort_by_key(|table| (table != "accounts", table != "email_changes"));
    for table in tables {
        let sql = format!(
            r#"SELECT name, LOWER(type), "notnull" FROM pragma_table_info('{table}') ORDER BY cid"#
        );
        let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        for row in 1..=ROWS {
            let values = found.iter().map(|column| {
                let (name, kind): (String, String) = (column.get(0), column.get(1));
                if row % 2 == 0 && column.get::<i64, _>(2) == 0 {
                    return "NULL".to_owned();
                }
                match (name.as_str(), kind.as_str()) {
                    ("account_id", _) => format!("'accounts.id {row} ü🦀 ''\"'"),
                    ("nobody_id", _) => "(SELECT id FROM nobody)".to_owned(),
                    ("email_change_id", _) => format!("'email_changes.id {row} ü🦀 ''\"'"),
                    (_, "text") => format!("'{table}.{name} {row} ü🦀 ''\"'"),
                    // the ends of the range, and integers that a float cannot hold
                    (_, "bigint") if row == 1 => i64::MAX.to_string(),
                    (_, "bigint") => (i64::MIN / row + 1).to_string(),
                    (_, "blob") => format!("X'00ff{row:08x}00'"),
                    other => panic!("{other:?}"),
                }
            });
            let values: Vec<String> = values.collect();
            let insert = format!("INSERT INTO {table} VALUES ({})", values.join(", "));
            sqlx::query(AssertSqlSafe(insert)).execute(&mut connection).await.unwrap();
        }
    }
    // the copy has the same number of identical rows
    db.execute("INSERT INTO letters_sent SELECT * FROM letters_sent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_rows_survive_a_copy_from_sqlite_to_postgres_and_back() {
    let Some(cluster) = cluster() else { return };
    let original = TestDatabase::sqlite().await;
    fill(&original).await;
    let expected = rows(&original).await;

    let (first, second) = (cluster.new_database(), cluster.new_database());
    let ((_one, third), (_other, fourth)) = (sqlite_url(), sqlite_url());
    let count = copied(&original.url, &first).await.unwrap();
    assert!(count > ROWS * 9, "{count}");
    assert_eq!(copied(&first, &second).await.unwrap(), count);
    assert_eq!(copied(&second, &third).await.unwrap(), count);
    assert_eq!(copied(&third, &fourth).await.unwrap(), count);
    let data = |rows: BTreeSet<String>| -> Vec<String> {
        rows.into_iter().filter(|row| !row.starts_with("_sqlx_migrations")).collect()
    };
    let (first, second) = (at(first).await, at(second).await);
    assert_eq!(data(rows(&first).await), data(rows(&second).await));
    for copy in [at(third).await, at(fourth).await] {
        assert_eq!(data(rows(&copy).await), data(expected.clone()));
        assert_eq!(copy.count("letters_sent").await, 2 * ROWS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copy_during_writes_contains_whole_transactions_only() {
    let Some(cluster) = cluster() else { return };
    let original = TestDatabase::sqlite().await;
    let there = at(cluster.new_database()).await;
    // copies to a second database and from there to a third, while the source is written to
    let (_folder, back) = sqlite_url();
    for (from, to) in [(&original, cluster.new_database()), (&there, back)] {
        let writer = Writer::on(from.store.clone());
        writer.has_written(20).await;
        copied(&from.url, &to).await.unwrap();
        writer.stop().await;
        let to = at(to).await;
        let (sign_ups, letters) = (to.count("sign_ups").await, to.count("outbox").await);
        assert!(sign_ups >= 20);
        assert_eq!(sign_ups, letters);
    }
}

/// Writes pairs of rows that belong together, until it is stopped.
struct Writer {
    is_over: Arc<AtomicBool>,
    store: Store,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn on(store: Store) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let (store, is_over) = (store.clone(), Arc::clone(&is_over));
            async move {
                for number in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let new = WaitingSignUp::of(&format!("ada{number}@example.org"));
                    let pair =
                        store.write(async |tx| transactions::sign_up_with_letter(tx, &new).await);
                    pair.await.unwrap();
                }
            }
        });
        Self { is_over, store, task }
    }

    async fn has_written(&self, pairs: usize) {
        let count = async |tx: &mut vestibule::storage::Connection| {
            tx.find_sign_ups(None, "", 1_000).await.map(|found| found.len())
        };
        while self.store.read(count).await.unwrap() < pairs {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

async fn is_empty(db: &TestDatabase) -> bool {
    rows(db)
        .await
        .iter()
        .all(|row| row.starts_with("_sqlx_migrations") || row.starts_with("nobody:"))
}

#[tokio::test]
async fn copy_that_fails_halfway_leaves_the_target_empty() {
    let Some(cluster) = cluster() else { return };
    let original = TestDatabase::sqlite().await;
    fill(&original).await;
    // the NUL is in the last table; PostgreSQL takes no such text
    original.execute("UPDATE sign_ups SET user_agent = 'a' || char(0) || 'b'").await;
    let there = at(cluster.new_database()).await;
    let error = copied(&original.url, &there.url).await.unwrap_err();
    assert!(matches!(error, CopyError::Store(_)), "{error:?}");
    assert!(is_empty(&there).await);
}

#[tokio::test]
async fn copy_that_differs_from_its_source_is_rolled_back() {
    let original = TestDatabase::sqlite().await;
    fill(&original).await;
    let there = TestDatabase::sqlite().await;
    there
        .execute(
            "CREATE TRIGGER meddle AFTER INSERT ON clients
             BEGIN UPDATE clients SET grants = '' WHERE id = NEW.id; END",
        )
        .await;
    let error = copied(&original.url, &there.url).await.unwrap_err();
    assert!(matches!(&error, CopyError::Differs { table } if table == "clients"), "{error:?}");
    assert!(is_empty(&there).await);
}

#[tokio::test]
async fn copy_with_unsuitable_source_or_target_writes_nothing() {
    let original = TestDatabase::sqlite().await;
    original.account("ada@example.org").await;
    let there = TestDatabase::sqlite().await;

    let other_name = original.url.replace("/test.db", "/./test.db");
    for to in [&original.url, &other_name] {
        let error = copied(&original.url, to).await.unwrap_err();
        assert!(matches!(error, CopyError::Same), "{error:?}");
    }
    there.sign_up("bob@example.org").await;
    let error = copied(&original.url, &there.url).await.unwrap_err();
    assert!(matches!(&error, CopyError::NotEmpty { table } if table == "sign_ups"), "{error:?}");
    assert_eq!(there.count("accounts").await, 0);

    let (folder, nowhere) = sqlite_url();
    for change in [
        "DELETE FROM _sqlx_migrations WHERE version = 1",
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 2",
    ] {
        original.execute(change).await;
        let error = copied(&original.url, &nowhere).await.unwrap_err();
        assert!(matches!(error, CopyError::From(_)), "{error:?}");
        assert!(!folder.path().join("test.db").exists());
    }
    let error = copied(&nowhere, &there.url).await.unwrap_err();
    assert!(matches!(error, CopyError::From(_)), "{error:?}");
}

#[tokio::test]
async fn copy_between_tables_with_different_columns_is_refused() {
    let (original, there) = (TestDatabase::sqlite().await, TestDatabase::sqlite().await);
    original.execute("ALTER TABLE accounts ADD COLUMN shoe_size BIGINT").await;
    original.account("ada@example.org").await;
    let error = copied(&original.url, &there.url).await.unwrap_err();
    assert!(matches!(error, CopyError::OtherTables), "{error:?}");
}

#[tokio::test]
async fn copy_errors_contain_no_password_of_a_url() {
    let original = TestDatabase::sqlite().await;
    let secret = "postgres://ada:correct-horse@127.0.0.1:1/vestibule";
    for (from, to) in [(original.url.as_str(), secret), (secret, original.url.as_str())] {
        let error = copied(from, to).await.unwrap_err();
        let text = format!("{error:?} {}", vestibule::storage::chain(&error));
        assert!(!text.contains("correct-horse"), "{text}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r56_backup_during_writes_is_consistent_and_can_be_started_from() {
    use std::os::unix::fs::PermissionsExt as _;

    let db = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let url = format!("sqlite://{}", file.display());

    let writer = Writer::on(db.store.clone());
    writer.has_written(20).await;
    db.store.back_up(&file, false, NOW).await.unwrap();
    writer.stop().await;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let restored = at(url.clone()).await;
    let (sign_ups, letters) = (restored.count("sign_ups").await, restored.count("outbox").await);
    assert!(sign_ups >= 20);
    assert_eq!(sign_ups, letters);
    restored.store.close().await;

    let error = db.store.back_up(&file, false, NOW).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");
    // letters that wait are held back in the copy
    let held: Result<u64, StoreError> = db.store.write(async |tx| tx.hold_letters(NOW).await).await;
    assert!(held.unwrap() > 0);
    db.store.back_up(&file, true, NOW).await.unwrap();
    let restored = at(url).await;
    assert_eq!(rows(&restored).await, rows(&db).await);
    restored.sign_up("bob@example.org").await;
    restored.store.close().await;
    let left: BTreeSet<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, BTreeSet::from(["backup.db".to_owned(), "backup.db.migrating".to_owned()]));
}

/// All of this runs on the one thread of the test, which a blocking lock would stop for ever.
#[tokio::test]
async fn r56_backup_that_waits_for_another_can_be_cancelled() {
    let db = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let another = std::fs::File::open(folder.path()).unwrap();
    another.lock().unwrap();
    let mut backup = std::pin::pin!(db.store.back_up(&file, false, NOW));
    for _ in 0..3 {
        tokio::select! {
            biased;
            done = &mut backup => panic!("{done:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a cancelled backup leaves no file"
    );
    another.unlock().unwrap();
    backup.await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn backup_onto_the_database_or_into_a_missing_folder_is_refused() {
    let db = TestDatabase::sqlite().await;
    let folder = db.folder.as_ref().unwrap().path().to_owned();
    for own in [folder.join("test.db"), folder.join(".").join("test.db")] {
        for overwrite in [false, true] {
            let error = db.store.back_up(&own, overwrite, NOW).await.unwrap_err();
            assert!(matches!(error, BackupError::Itself { .. }), "{error}");
        }
    }
    let error = db.store.back_up(&folder.join("none/backup.db"), false, NOW).await.unwrap_err();
    assert!(matches!(error, BackupError::File { .. }), "{error}");
    db.sign_up("ada@example.org").await;
}

#[tokio::test]
async fn backup_of_a_postgres_database_names_pg_dump() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let error = db.store.back_up(std::path::Path::new("nothing.db"), false, NOW).await.unwrap_err();
    assert!(error.to_string().contains("pg_dump"), "{error}");
}

on_both_engines! {
    end_all_sessions_keeps_accounts,
    check_reports_unsound_rows_and_missing_migrations,
}

async fn end_all_sessions_keeps_accounts(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let session = db.session(account).await;
    let end = db.store.end_all_sessions().await;
    assert_eq!(end.unwrap_or_else(|error: StoreError| panic!("{error:?}")), 1);
    assert!(db.find_session(session).await.is_none());
    assert_eq!(db.count("accounts").await, 1);
}

async fn check_reports_unsound_rows_and_missing_migrations(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    db.session(account).await;
    db.sign_up("bob@example.org").await;
    let found = db.store.check_integrity().await.unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let count = |name: &str| found.tables.iter().find(|table| table.0 == name).unwrap().1;
    assert_eq!((count("accounts"), count("sessions"), count("events")), (1, 1, 0));
    let with_rows: BTreeSet<String> =
        columns(&db).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(found.tables.len(), with_rows.len() - 1, "all tables but that of the migrations");

    db.execute("UPDATE sessions SET epoch = epoch + 1, expires_at = 0").await;
    let found = db.store.check_integrity().await.unwrap();
    assert_eq!(found.problems.len(), 2, "{found:?}");
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let found = db.store.check_integrity().await.unwrap();
    assert!(found.problems[0].contains("vestibule migrate"), "{found:?}");
}

#[tokio::test]
async fn check_reports_rows_with_dangling_references() {
    let db = TestDatabase::sqlite().await;
    let account = db.account("ada@example.org").await;
    db.session(account).await;
    let mut beside = db.raw().await;
    for sql in ["PRAGMA foreign_keys = OFF", "DELETE FROM accounts"] {
        sqlx::query(sql).execute(&mut beside).await.unwrap();
    }
    let found = db.store.check_integrity().await.unwrap();
    assert_eq!(found.problems, ["rows of sessions whose account_id is not in accounts: 1"]);
}

#[tokio::test]
async fn check_reports_a_damaged_file() {
    use std::io::{Seek as _, SeekFrom, Write as _};

    let db = TestDatabase::sqlite().await;
    fill(&db).await;
    let file = db.folder.as_ref().unwrap().path().join("test.db");
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    db.store.close().await;
    let length = file.metadata().unwrap().len();
    let mut opened = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    opened.seek(SeekFrom::Start(length / 2)).unwrap();
    opened.write_all(&[0x5a; 16_384]).unwrap();
    let figment = rocket::figment::Figment::new().merge(("databases.vestibule.url", &db.url));
    let opened = Store::open_unchecked(&figment).await.unwrap();
    match opened.check_integrity().await {
        Ok(found) => assert_ne!(found.problems, Vec::<String>::new()),
        Err(error) => assert!(vestibule::storage::chain(&error).contains("malformed"), "{error:?}"),
    }
}
