//! What only SQLite has: a file, its modes and its pragmas.

use rocket::figment::Figment;
use rocket_db_pools::Pool as _;
use sqlx::Row;
use vestibule::storage::{Engine, Pool, Store, StoreError};

use crate::database::{TestDatabase, WaitingSignUp, at_once, open};

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_a_folder_made_for_it_are_their_owners_alone() {
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
async fn a_write_is_in_the_log_and_on_the_disk_before_it_is_answered() {
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

/// A pragma of a connection as the store's pool makes them.
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
async fn two_processes_that_write_to_one_file_at_once_wait_for_each_other() {
    const WRITES: usize = 200;

    let db = TestDatabase::sqlite().await;
    let stores = [db.store.clone(), db.another_store().await];
    let written = at_once(WRITES, |index| {
        let store = stores[index % stores.len()].clone();
        async move {
            let new = WaitingSignUp::of(&format!("ada{index}@example.org"));
            // what was read has to hold still while it is written
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
async fn what_is_no_file_is_refused() {
    for url in ["sqlite::memory:", "sqlite://", "sqlite:file.db?mode=memory", "file.db", ""] {
        assert!(open(url).await.is_err(), "{url:?} was opened");
    }
}

#[tokio::test]
async fn a_refused_url_is_not_repeated() {
    let url = "mysql://ada:correct-horse@db.example.org/vestibule";
    let error = Store::open(&Figment::new().merge(("databases.vestibule.url", url))).await;
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("correct-horse"));
}
