//! The limits that the service is compared with, measured in the same run.

use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sqlx::{Connection as _, Executor as _};

use crate::PASSWORD;

/// Argon2id at the service's parameters, its memory used again.
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

/// Commits of one row with a write-ahead log and `synchronous=FULL`, on the disk that the service
/// uses.
pub fn commits(directory: &Path) -> impl FnMut() -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}/bare.db?mode=rwc", directory.display());
    let mut connection = runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"] {
            connection.execute(pragma).await.unwrap();
        }
        let table = "CREATE TABLE IF NOT EXISTS one (id BIGINT PRIMARY KEY, n BIGINT)";
        connection.execute(table).await.unwrap();
        connection.execute("INSERT OR IGNORE INTO one VALUES (1, 0)").await.unwrap();
        connection
    });
    move || {
        let update = "UPDATE one SET n = n + 1 WHERE id = 1";
        runtime.block_on(connection.execute(update)).is_ok()
    }
}
