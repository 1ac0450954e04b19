//! Test suite of storage, run against both engines.
//!
//! Each test is an `async fn` that is given a fresh database; [`on_both_engines`] makes two tests
//! of it. Without a PostgreSQL server its half is skipped with a message.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, reason = "the race tests print how many rounds met")]

/// Makes two tests of each of these functions: one on SQLite, one on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name($crate::database::TestDatabase::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(db) = $crate::database::TestDatabase::postgres().await {
                    super::$name(db).await;
                }
            })+
        }
    };
}

mod account_lifecycle;
mod account_links;
mod accounts;
mod clients;
mod columns;
mod contention;
mod copy_and_backup;
mod database;
mod deletions;
mod email_changes;
mod erasure;
mod errors;
mod events;
mod failed_attempts;
mod held_letters;
mod interrupted_migrations;
mod janitor;
mod links;
mod outbox;
mod page_sessions;
#[path = "../support/postgres.rs"]
mod postgres;
mod race_nodes;
mod races;
mod refresh_lineage;
mod schema;
mod server_requirements;
mod sessions;
mod sign_ups;
mod sqlite;
mod tls;
mod token_cache;
mod transactions;
mod values;
