//! Tests of SQLite's own properties: a file, its modes and its pragmas.

use rocket::figment::Figment;
use rocket_db_pools::Pool as _;
use sqlx::Row;
use vestibule::storage::{Engine, Pool, Store, StoreError};

use crate::database::{TestDatabase, WaitingSignUp, at_once, open};

#[cfg(unix)]
#[tokio::test]
async fn database_file_and_new_folder_are_readable_by_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("var").join("lib");
    let store = open(&format!("sqlite://{}/test.db", folder.display())).await.unwrap();
    let new = WaitingSignUp::of("ada@example.org");
    store.write(async |tx| tx.insert_sign_up(&new.row()).await).await.unwrap();

    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(folder.parent().unwrap()), 0o700);
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(*store.engine(), Engine::Sqlite { file: folder.join("test.db") });
}

#[tokio::test]
async fn pragmas_make_a_write_durable_before_its_answer() {
    let db = TestDatabase::sqlite().await;
    assert_eq!(db.text("PRAGMA journal_mode").await.as_deref(), Some("wal"));
    for (pragma, value) in [("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)] {
        assert_eq!(pragma_of_the_pool(&db, pragma).await, value, "{pragma}");
    }
}

#[tokio::test]
async fn reading_connections_cannot_write() {
    let db = TestDatabase::sqlite().await;
    assert_eq!(pragma_of_the_pool(&db, "query_only").await, 1);
    let new = WaitingSignUp::of("ada@example.org");
    let written = db.store.read(async |reader| reader.insert_sign_up(&new.row()).await).await;
    assert!(written.is_err());
    assert_eq!(db.count("sign_ups").await, 0);
}

/// A pragma of a connection from the store's pool.
async fn pragma_of_the_pool(db: &TestDatabase, pragma: &'static str) -> i64 {
    let figment = Figment::new()
        .merge(("url", &db.url))
        .merge(("max_connections", 1))
        .merge(("connect_timeout", 5));
    let pool = Pool::init(&figment).await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
    sqlx::query(sql).fetch_one(&mut *connection).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_to_one_file_wait_for_each_other() {
    const WRITES: usize = 200;

    let db = TestDatabase::sqlite().await;
    let stores = [db.store.clone(), db.another_store().await];
    let written = at_once(WRITES, |index| {
        let store = stores[index % stores.len()].clone();
        async move {
            let new = WaitingSignUp::of(&format!("ada{index}@example.org"));
            // rows that the transaction has read must not change until it has written
            let write = store.write(async |tx| {
                let found = tx.find_sign_up_by_email(&new.email).await?;
                Ok::<_, StoreError>(found.is_none() && tx.insert_sign_up(&new.row()).await?)
            });
            write.await
        }
    });
    for answer in written.await {
        assert!(answer.unwrap());
    }
    assert_eq!(db.count("sign_ups").await, i64::try_from(WRITES).unwrap());
}

#[tokio::test]
async fn url_without_a_file_is_refused() {
    for url in ["sqlite::memory:", "sqlite://", "sqlite:file.db?mode=memory", "file.db", ""] {
        assert!(open(url).await.is_err(), "{url:?} was opened");
    }
}

#[tokio::test]
async fn error_of_a_refused_url_contains_no_password() {
    let url = "mysql://ada:correct-horse@db.example.org/vestibule";
    let error = Store::open(&Figment::new().merge(("databases.vestibule.url", url))).await;
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("correct-horse"));
}

/// The files of the database that contain these bytes.
fn files_with(db: &TestDatabase, text: &str) -> Vec<String> {
    let folder = std::fs::read_dir(db.folder.as_ref().unwrap().path()).unwrap();
    let files = folder.map(|entry| entry.unwrap());
    let holding = files.filter(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    });
    holding.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn f20_truncated_log_leaves_no_bytes_of_a_deleted_account() {
    const ADDRESS: &str = "marked-7f3a@example.org";
    const NAME: &str = "Marked Person 7f3a";
    let db = TestDatabase::sqlite().await;
    // more accounts, so that rows share pages
    for number in 0..50 {
        db.account(&format!("other{number}@example.org")).await;
        db.sign_up(&format!("waiting{number}@example.org")).await;
    }
    let id = db.account(ADDRESS).await;
    let name = vestibule::model::Name::parse(NAME).unwrap();
    let changed: Result<_, StoreError> =
        db.store.write(async |tx| tx.update_profile(id, Some(name.as_ref()), None).await).await;
    changed.unwrap();
    db.session(id).await;
    db.letter(ADDRESS, crate::database::NOW).await;
    for text in [ADDRESS, NAME] {
        assert_eq!(files_with(&db, text), ["test.db-wal"], "{text}");
    }
    assert!(db.store.truncate_wal().await.unwrap());
    for text in [ADDRESS, NAME] {
        assert_eq!(files_with(&db, text), ["test.db"], "{text}");
    }
    let deleted: Result<bool, StoreError> = db
        .store
        .write(async |tx| {
            tx.delete_letters_to(&crate::database::email(ADDRESS), crate::database::NOW).await?;
            tx.close_account(id, None, crate::database::NOW).await
        })
        .await;
    assert!(deleted.unwrap());
    db.store.finish_deletion(id).await.unwrap();
    assert!(db.store.truncate_wal().await.unwrap());
    for text in [ADDRESS, NAME] {
        assert_eq!(files_with(&db, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(pragma_of_the_pool(&db, "busy_timeout").await, 5_000);
}

#[tokio::test]
async fn f20_log_in_use_is_not_truncated_and_blocks_no_writer() {
    let db = TestDatabase::sqlite().await;
    let mut reader = db.raw().await;
    let mut read = sqlx::Connection::begin(&mut reader).await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM accounts").fetch_one(&mut *read).await.unwrap();
    db.account("ada@example.org").await;
    assert!(!db.store.truncate_wal().await.unwrap(), "a reader uses the log");
    db.account("bob@example.org").await;
    drop(read);
    drop(reader);
    let emptied = async || db.store.truncate_wal().await.unwrap();
    // the connection closes shortly after its owner was dropped
    while !emptied().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(db.count("accounts").await, 2);
}
