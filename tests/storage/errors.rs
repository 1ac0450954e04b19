//! Tests of storage errors: each has a kind, and none prints stored data.

use std::error::Error;

use vestibule::storage::{NewAccount, StoreError, StoreErrorKind, chain};

use crate::database::{NOW, TestDatabase, WaitingSignUp, email, hash, new_id};

on_both_engines! {
    a_unique_violation_is_a_conflict,
    a_foreign_key_violation_is_a_conflict,
    a_missing_table_is_internal,
    r55_error_of_a_write_prints_no_value_to_be_stored,
    r55_error_of_decoding_prints_no_stored_value,
}

/// Everything that a log could print of an error.
fn printed(error: &StoreError) -> String {
    let source = error.source().map(ToString::to_string);
    format!("{error} {error:?} {error:#?} {} {source:?}", chain(error))
}

async fn violate_uniqueness(db: &TestDatabase) -> (WaitingSignUp, StoreError) {
    let new = WaitingSignUp::of("ada@example.org");
    db.store.write(async |tx| tx.insert_sign_up(&new.row()).await).await.unwrap();
    let twin = WaitingSignUp { id: new.id, ..WaitingSignUp::of("bob@example.org") };
    let written = db.store.write(async |tx| tx.insert_sign_up(&twin.row()).await).await;
    (twin, written.unwrap_err())
}

async fn a_unique_violation_is_a_conflict(db: TestDatabase) {
    let (_, error) = violate_uniqueness(&db).await;
    assert!(error.is_conflict(), "{error:?}");
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
}

async fn a_foreign_key_violation_is_a_conflict(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    let digest = crate::database::digest("link");
    let missing = vestibule::model::AccountId::new(new_id());
    let written: Result<(), StoreError> = db
        .store
        .write(async |tx| {
            tx.insert_activation_link(&digest, sign_up, NOW, NOW).await?;
            tx.consume_links(sign_up, missing, NOW).await
        })
        .await;
    let error = written.unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    assert!(!printed(&error).contains(&missing.to_string()), "{}", printed(&error));
    assert_eq!(db.count("links").await, 0);
}

async fn a_missing_table_is_internal(db: TestDatabase) {
    db.execute("DROP TABLE outbox").await;
    let error = db.store.read(async |tx| tx.has_due_letters(NOW).await).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Internal);
    assert!(!error.is_conflict());
}

async fn r55_error_of_a_write_prints_no_value_to_be_stored(db: TestDatabase) {
    let (twin, error) = violate_uniqueness(&db).await;
    for value in [twin.id.to_string(), twin.email.to_string()] {
        assert!(!printed(&error).contains(&value), "{}", printed(&error));
    }

    // PostgreSQL's own error would print the whole row that failed a check
    let email = email("ada@example.org");
    let password_hash = hash("a-hash");
    let new = NewAccount {
        id: vestibule::model::AccountId::new(new_id()),
        email: &email,
        password_hash: &password_hash,
        name: None,
        locale: None,
        now: NOW,
    };
    for table in [
        "sessions",
        "links",
        "account_links",
        "email_changes",
        "page_sessions",
        "places",
        "events",
        "outbox",
        "accounts",
    ] {
        db.execute(&format!("DROP TABLE {table}")).await;
    }
    db.execute(
        "CREATE TABLE accounts (id TEXT, email TEXT UNIQUE, password_hash TEXT,
             name TEXT NOT NULL, locale TEXT, epoch BIGINT, created_at BIGINT)",
    )
    .await;
    let written = db.store.write(async |tx| tx.insert_account(&new).await).await;
    let error = written.unwrap_err();
    for value in [new.id.to_string(), email.to_string(), "a-hash".to_owned()] {
        assert!(!printed(&error).contains(&value), "{}", printed(&error));
    }
}

async fn r55_error_of_decoding_prints_no_stored_value(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let session = db.session(id).await;
    for (table, column, restored) in [
        ("accounts", "email", "'ada@example.org'"),
        ("accounts", "locale", "NULL"),
        ("sessions", "client_id", "'web'"),
        ("sessions", "scope", "'read'"),
        ("sessions", "previous_access_scope", "NULL"),
    ] {
        db.execute(&format!("UPDATE {table} SET {column} = 'spoilt \"value\" \u{7}'")).await;
        let read = db.store.read(async |tx| tx.find_session(session).await).await;
        let error = read.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Internal, "{column}");
        assert!(chain(&error).contains(column), "{}", printed(&error));
        assert!(!printed(&error).contains("spoilt"), "{}", printed(&error));
        db.execute(&format!("UPDATE {table} SET {column} = {restored}")).await;
    }

    db.execute("UPDATE sessions SET salt = substr(salt, 1, 31)").await;
    let error = db.store.read(async |tx| tx.find_session(session).await).await.unwrap_err();
    assert!(chain(&error).contains("salt"), "{}", printed(&error));
}
