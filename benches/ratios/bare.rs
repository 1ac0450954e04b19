//! Bare limits, measured in the same run, with which the service is compared.

use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::runtime::{Builder, Runtime};

use crate::PASSWORD;

/// Argon2id at the service's parameters, with reused memory.
pub fn argon2() -> impl FnMut() -> bool {
    let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    move || {
        let mut tag = [0; 32];
        let salt = [7; 16];
        argon2
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut tag, &mut memory)
            .is_ok()
    }
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS one (id BIGINT PRIMARY KEY, n BIGINT)";
const ROW: &str = "INSERT INTO one VALUES (1, 0) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE one SET n = n + 1 WHERE id = 1";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Commits of one row with a write-ahead log and `synchronous=FULL`, on the service's disk.
pub fn sqlite_commits(directory: &Path) -> impl FnMut() -> bool {
    let runtime = runtime();
    let url = format!("sqlite://{}/bare.db?mode=rwc", directory.display());
    let mut connection = runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for sql in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE, ROW] {
            connection.execute(sql).await.unwrap();
        }
        connection
    });
    move || runtime.block_on(sqlx::query(UPDATE).execute(&mut connection)).is_ok()
}

/// Commits of one row on the service's database server, in the database at `url`.
pub fn postgres_commits(url: &str) -> impl FnMut() -> bool + use<> {
    let runtime = runtime();
    let mut connection = runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for sql in [TABLE, ROW] {
            connection.execute(sql).await.unwrap();
        }
        connection
    });
    move || runtime.block_on(sqlx::query(UPDATE).execute(&mut connection)).is_ok()
}
