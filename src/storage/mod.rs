//! Storage: every SQL statement of the service, and the only code that talks to the database.
//!
//! This module owns the schema, the statements, the connections and the transactions. It must not
//! know the rules of accounts, OAuth or mail; the callers decide and then name a statement.
//!
//! Callers enter through [`Store::read`] and [`Store::write`]. Both lend a [`Connection`], whose
//! methods are the statements, in one file for each table in `tables`. `write` wraps its
//! statements in one transaction and answers only once the commit is durable. A single statement
//! that many requests run is a method of [`Store`] itself, and a transaction by itself. Each
//! statement is one text for both engines; only `engine` and `admin` know which one is in use.
//!
//! Lock order: the row of a sign-up first, then the row of an account, then the rows that belong to
//! the account. Without one order, two requests on PostgreSQL can wait for each other until one of
//! them fails. A foreign key locks the row that it points to, so an `INSERT` may take that lock too
//! late; [`Connection::lock_account`] comes first. Work on rows of many accounts cannot keep to an
//! order and goes through [`Store::write_best_effort`].
//!
//! Single use is a conditional `UPDATE` or `DELETE` and the number of rows that it touched, never a
//! read followed by a write. No statement uses `RETURNING`: outside a transaction the caller can
//! see the returned row although the commit behind it failed.

mod admin;
mod cleanup;
mod engine;
mod tables;

use rocket::fairing::{AdHoc, Fairing};
use rocket::{Build, Rocket};
use rocket_db_pools::Database;

pub use admin::{BackupError, CopiedTable, CopyError, IntegrityReport, copy};
pub use cleanup::Janitor;
pub use engine::{
    Connection, DataVersion, Db, Engine, MigrationError, OpenError, Pool, PoolError, Revision,
    Revisions, Store, StoreError, StoreErrorKind, chain,
};
pub use tables::outbox::{
    Backlog, ClaimLimit, ClaimedLetter, DomainTurn, LetterId, LetterRecord, LetterState,
    LetterSummary, MAX_DOMAINS, NewLetter, RefusedLetter,
};
pub use tables::{
    AccessSlot, AccountLinkRecord, AccountLinkSummary, AccountRecord, ClientRecord,
    CredentialOwner, ExcessPageSession, ExcessSession, FAILED_ATTEMPTS_MAX_AGE,
    FAILURE_DECAY_INTERVAL, FailedAttempts, Failures, LinkKey, LinkRecord, NewAccount,
    NewAccountLink, NewEmailChange, NewEvent, NewPageSession, NewSession, NewSignUp,
    PageSessionSummary, PasswordCredentials, Renewal, Rotation, SessionRecord, SignUpRecord,
};

/// Fairing that connects to the database at launch, so that a wrong setting stops the start and not
/// the first request.
pub fn connect() -> impl Fairing {
    Db::init()
}

/// Fairing that brings the schema up to date and manages a [`Store`]. A start on a wrong schema
/// fails here.
pub fn migrate() -> impl Fairing {
    AdHoc::try_on_ignite("migrations", open)
}

async fn open(rocket: Rocket<Build>) -> Result<Rocket<Build>, Rocket<Build>> {
    let Some(db) = Db::fetch(&rocket) else { return Err(rocket) };
    if let Err(error) = engine::migrate::run(&db.0).await {
        tracing::error!(error = %chain(&error), "the database could not be brought up to date");
        db.0.close_connections().await;
        return Err(rocket);
    }
    let store = Store::over(db.0.clone());
    if let Ok(letters @ 1..) = store.read(async |db| db.count_held_letters().await).await {
        tracing::warn!(
            letters,
            "letters are held back since a backup was restored: `vestibule mail list --held` shows \
             them, and `vestibule mail retry --all-held` sends them"
        );
    }
    Ok(rocket.manage(store))
}
