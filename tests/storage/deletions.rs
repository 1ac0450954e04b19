//! Tests of deletion in batches: of an account, a client and a sign-up with many rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use vestibule::clock::Clock;
use vestibule::model::{AccountId, ClientInfo, Digest, Password, SignUpId};
use vestibule::oauth::{ClientError, OAuth};
use vestibule::storage::{CredentialOwner, Engine, Janitor, NewEvent, StoreError};
use vestibule::testing::{PASSWORD, TestApp};

use crate::database::{NOW, StartingSession, TestDatabase, after, client, email};
use crate::events::failed_at;
use crate::race_nodes::page_sign_in;

on_both_engines! {
    s3_deletion_of_an_account_with_many_rows_leaves_none,
    s3_interrupted_deletion_hides_the_account_and_resumes_later,
    s3_nothing_is_added_to_a_closed_account,
    s3_deletion_and_wrong_password_do_not_deadlock,
    s3_other_accounts_write_during_a_long_deletion,
    s3_deletion_removes_many_letters_links_and_events_of_the_address,
    s3_removal_of_a_client_goes_in_batches_and_can_be_repeated,
    s3_client_added_or_enabled_again_has_no_former_sessions,
    s3_sign_ups_are_purged_after_their_events,
    s3_changes_of_address_are_purged_after_their_links,
    s3_sessions_ended_by_a_raised_epoch_are_purged_in_batches,
}

/// Inserts `count` numbered rows: `columns` of `table` get `values`, in which `{id}` and `{digest}`
/// differ for each row.
async fn plant(db: &TestDatabase, table: &str, columns: &str, values: &str, count: u64) {
    let number = "SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2)";
    let id = format!("'01890000-0000-7000-8000-' || {number}");
    // 32 bytes, the length of a digest
    let digest = match db.store.engine() {
        Engine::Sqlite { .. } => format!("CAST('{table:-<20}' || {number} AS BLOB)"),
        Engine::Postgres => format!("CONVERT_TO('{table:-<20}' || {number}, 'UTF8')"),
    };
    let values = values.replace("{id}", &id).replace("{digest}", &digest);
    let sql = format!(
        "INSERT INTO {table} ({columns})
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         SELECT {values} FROM n"
    );
    assert_eq!(db.execute(&sql).await, count);
}

async fn plant_events(db: &TestDatabase, account: AccountId, count: u64) {
    let values = format!("{{id}}, 'profile-changed', 'owner', 0, '{account}'");
    plant(db, "events", "id, kind, actor, at, account_id", &values, count).await;
}

async fn plant_sessions(db: &TestDatabase, account: AccountId, client: &str, count: u64) {
    let columns = "id, account_id, client_id, scope, epoch, created_at, last_used_at,
                   idle_expires_at, expires_at, tag_digest, salt, refresh_digest, rotated_at,
                   access_serial, rotation_serial, access_scope, access_expires_at";
    let end = after(1_000).unix_millis();
    let values = format!(
        "{{id}}, '{account}', '{client}', '', 0, 0, 0, {end}, {end}, {{digest}}, {{digest}}, {{digest}},
         0, 0, 0, '', 0"
    );
    plant(db, "sessions", columns, &values, count).await;
}

/// Rows in every table that refers to accounts: more than one batch deletes.
async fn plant_rows_in_all_tables(db: &TestDatabase, account: AccountId) {
    plant_events(db, account, 3_000).await;
    plant_sessions(db, account, "web", 700).await;
    let values = format!("{{digest}}, {{id}}, '{account}', 0, 0, 0, 0");
    let columns = "digest, id, account_id, epoch, created_at, idle_expires_at, expires_at";
    plant(db, "page_sessions", columns, &values, 300).await;
    let values = format!("{{digest}}, 'activation', 'a-sign-up', '{account}', 0, 0");
    let columns = "digest, purpose, sign_up_id, account_id, minted_at, expires_at";
    plant(db, "links", columns, &values, 500).await;
    let values = format!("{{id}}, '{account}', 'new@example.org', 0, 0");
    let columns = "id, account_id, email, requested_at, voided_at";
    plant(db, "email_changes", columns, &values, 300).await;
    let values = format!("{{digest}}, 'email-change', '{account}', {{id}}, 0, 0");
    let columns = "digest, purpose, account_id, email_change_id, minted_at, expires_at";
    plant(db, "account_links", columns, &values, 300).await;
    let values =
        format!("{{id}}, 'password-changed', 'ada@example.org', '{{}}', 0, 0, 0, '{account}'");
    let columns = "id, kind, email, facts, created_at, due_at, tries, account_id";
    plant(db, "outbox", columns, &values, 500).await;
    let values = format!("{{digest}}, '{account}', 0");
    plant(db, "places", "digest, account_id, last_used_at", &values, 30).await;
}

async fn add(oauth: &OAuth) -> Result<(), ClientError> {
    let described = json!({
        "public": true, "grants": ["password", "refresh_token"], "scopes": ["account.read"],
    });
    let described = serde_json::from_value(described).unwrap();
    oauth.add_client(&oauth.prepare_client("desk", &described).await?).await
}

const TABLES: [&str; 8] = [
    "events",
    "sessions",
    "page_sessions",
    "links",
    "email_changes",
    "account_links",
    "outbox",
    "places",
];

/// The number of rows in all tables that refer to the account.
async fn rows_of(db: &TestDatabase, account: AccountId) -> i64 {
    let mut rows = 0;
    for table in TABLES {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE account_id = '{account}'");
        rows += db.integer(&sql).await.unwrap();
    }
    rows
}

async fn purge(db: &TestDatabase) {
    let (clock, _) = Clock::stepped(NOW);
    let kept = std::time::Duration::from_secs(1 << 40);
    Janitor::new(db.store.clone(), clock, kept).purge().await.unwrap();
}

async fn account_id(db: &TestDatabase, address: &str) -> AccountId {
    let address = email(address);
    let found = db.store.read(async |db| db.find_account_by_email(&address).await).await.unwrap();
    found.unwrap().account.id
}

async fn s3_deletion_of_an_account_with_many_rows_leaves_none(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    for address in ["ada@example.org", "bob@example.org"] {
        app.account(address).await;
    }
    let (ada, bob) =
        (account_id(&db, "ada@example.org").await, account_id(&db, "bob@example.org").await);
    let of_bob = rows_of(&db, bob).await;
    plant_rows_in_all_tables(&db, ada).await;
    let accounts = &app.oauth().accounts;
    accounts.delete(ada, &Password::new(PASSWORD), &ClientInfo::default()).await.unwrap();
    assert_eq!((rows_of(&db, ada).await, db.count("accounts").await), (0, 1));
    assert_eq!(rows_of(&db, bob).await, of_bob);

    // the operator's deletion works alike
    db.execute("DELETE FROM outbox").await;
    plant_rows_in_all_tables(&db, bob).await;
    assert!(accounts.delete_by_operator(bob).await.unwrap());
    assert!(!accounts.delete_by_operator(bob).await.unwrap());
    assert_eq!((rows_of(&db, bob).await, db.count("accounts").await), (0, 0));
}

async fn s3_interrupted_deletion_hides_the_account_and_resumes_later(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    app.account("ada@example.org").await;
    let ada = account_id(&db, "ada@example.org").await;
    let signed_in = app.sign_in("ada@example.org").await;
    plant_rows_in_all_tables(&db, ada).await;
    let planted = rows_of(&db, ada).await;
    let closed = db.store.write(async |tx| tx.close_account(ada, None, NOW).await).await;
    assert!(closed.unwrap());
    let removed = db.store.write(async |tx| {
        let mut last = String::new();
        tx.delete_part_of_account(ada, &mut last, 70).await
    });
    assert_eq!(removed.await.unwrap(), 70);
    // the process ends here: the account is not found any more
    assert_eq!(rows_of(&db, ada).await, planted - 70);
    let accounts = &app.oauth().accounts;
    page_sign_in(app.oauth(), &email("ada@example.org"), PASSWORD).await.unwrap_err();
    let me = signed_in.get("/v1/me").dispatch().await.status();
    assert_eq!(me, rocket::http::Status::Unauthorized);
    assert!(accounts.list(None, "", 10).await.unwrap().is_empty());
    assert!(!accounts.enable(ada).await.unwrap() && !accounts.disable(ada).await.unwrap());
    assert!(!accounts.delete_by_operator(ada).await.unwrap());
    let text = "SELECT email FROM accounts";
    assert_eq!(db.text(text).await, Some(format!("{ada}@deleted.invalid")));

    // the address is free, and its owner signs up anew
    app.account("ada@example.org").await;
    let again = account_id(&db, "ada@example.org").await;
    app.sign_in("ada@example.org").await;
    let of_again = rows_of(&db, again).await;
    assert!(of_again > 0 && again != ada);

    // a further batch, as another node would do it, and the rest in a later round
    let removed =
        db.store.write(async |tx| tx.delete_part_of_account(ada, &mut String::new(), 50).await);
    assert_eq!(removed.await.unwrap(), 50);
    purge(&db).await;
    assert_eq!((rows_of(&db, ada).await, db.count("accounts").await), (0, 1));
    assert_eq!(rows_of(&db, again).await, of_again);
}

async fn s3_nothing_is_added_to_a_closed_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let session = db.session(ada).await;
    assert!(db.store.write(async |tx| tx.close_account(ada, None, NOW).await).await.unwrap());
    assert!(!db.store.write(async |tx| tx.close_account(ada, None, NOW).await).await.unwrap());
    assert!(!db.start(&StartingSession::of(ada)).await);
    assert!(!db.start(&StartingSession { epoch: 1, ..StartingSession::of(ada) }).await);
    assert!(!db.find_session(session).await.unwrap().is_live(NOW));
    let (name, hash) = (None, crate::database::hash("second"));
    let changed = db.store.write(async |tx| {
        let mut changed = tx.update_profile(ada, Some(name), Some(None)).await?;
        changed |= tx.raise_epoch(ada).await?;
        changed |= tx.reset_password(ada, &hash).await?;
        changed |= tx.change_email(ada, &email("b@example.org")).await?;
        changed |= tx.lock_account(ada).await?;
        changed |= tx.lock_account_in_epoch(ada, 1).await?;
        Ok::<_, StoreError>(changed)
    });
    assert!(!changed.await.unwrap());
    // the address in its row does not find it either
    let invalid = email(&format!("{ada}@deleted.invalid"));
    let decoy = crate::database::hash("decoy");
    let found = db.store.read(async |tx| tx.find_account_by_email(&invalid).await).await;
    assert!(found.unwrap().is_none());
    let found = db.store.read(async |tx| tx.find_credentials(&invalid, &decoy).await).await;
    assert!(matches!(found.unwrap().of, CredentialOwner::NoAccount));
    let failed = NewEvent { email: Some(&invalid), ..failed_at(NOW) };
    db.store.write(async |tx| tx.insert_event(&failed).await).await.unwrap();
    let of_ada = format!("SELECT COUNT(*) FROM events WHERE account_id = '{ada}'");
    assert_eq!(db.integer(&of_ada).await, Some(0));
    // the address is free while the row still exists
    db.account("ada@example.org").await;
    assert_eq!(db.count("accounts").await, 2);
    purge(&db).await;
    assert_eq!((db.count("accounts").await, db.count("sessions").await), (1, 0));
}

/// A wrong password writes its event, which holds the account's key on PostgreSQL, and then its
/// count. A deletion that held the count while it waits for the key would deadlock with it.
async fn s3_deletion_and_wrong_password_do_not_deadlock(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    app.account("ada@example.org").await;
    let ada = account_id(&db, "ada@example.org").await;
    let place = Digest::of(b"place");
    let known = db.store.write(async |tx| {
        tx.remember_location(&place, ada, NOW).await?;
        tx.insert_failure(&place, NOW).await
    });
    known.await.unwrap();
    let failed = NewEvent { account: Some(ada), ..failed_at(NOW) };
    let accounts = &app.oauth().accounts;
    // gives up instead of waiting for the deletion
    let wrong = db.store.write_best_effort(async |tx| {
        tx.insert_event(&failed).await?;
        let accounts = accounts.clone();
        let deletion = tokio::spawn(async move { accounts.delete_by_operator(ada).await });
        if *db.store.engine() == Engine::Postgres {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                           WHERE datname = CURRENT_DATABASE() AND wait_event_type = 'Lock'";
            while db.integer(waiting).await == Some(0) {}
        }
        tx.insert_failure(&place, NOW).await?;
        Ok::<_, StoreError>(deletion)
    });
    let deletion = wrong.await.unwrap();
    assert!(deletion.await.unwrap().unwrap());
}

async fn s3_other_accounts_write_during_a_long_deletion(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    plant_events(&db, ada, 20_000).await;
    assert!(db.store.write(async |tx| tx.close_account(ada, None, NOW).await).await.unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let deletion = {
        let (store, is_over) = (db.store.clone(), is_over.clone());
        tokio::spawn(async move {
            let removed = store.finish_deletion(ada).await;
            is_over.store(true, Ordering::SeqCst);
            removed
        })
    };
    let mut written = 0;
    while !is_over.load(Ordering::SeqCst) {
        assert!(db.store.write(async |tx| tx.raise_epoch(bob).await).await.unwrap());
        written += 1;
    }
    assert_eq!(deletion.await.unwrap().unwrap(), 20_001);
    assert!(written > 5, "only {written} writes during the deletion");
    assert_eq!(db.count("events").await, 0);
}

async fn s3_deletion_removes_many_letters_links_and_events_of_the_address(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    app.account("ada@example.org").await;
    let ada = account_id(&db, "ada@example.org").await;
    app.deliver().await;
    // a sign-up with the address, inserted outside the service
    let waiting = db.sign_up("ada@example.org").await;
    let values = format!("{{digest}}, 'activation', '{waiting}', 0, 0");
    let columns = "digest, purpose, sign_up_id, minted_at, expires_at";
    plant(&db, "links", columns, &values, 1_500).await;
    let values = format!("{{id}}, 'sign-up', 'stranger', 0, '{waiting}'");
    plant(&db, "events", "id, kind, actor, at, sign_up_id", &values, 1_500).await;
    let columns = "id, kind, email, facts, created_at, due_at, tries";
    let values = "{id}, 'sign-up', 'ada@example.org', '{}', 0, 0, 0";
    plant(&db, "outbox", columns, values, 1_500).await;
    let excess = db.store.purge_excess_of(&email("ada@example.org")).await;
    excess.unwrap();
    for (table, of) in [
        ("outbox", "email = 'ada@example.org' AND account_id IS NULL"),
        ("links", &format!("sign_up_id = '{waiting}'")),
        ("events", &format!("sign_up_id = '{waiting}'")),
    ] {
        let left = db.integer(&format!("SELECT COUNT(*) FROM {table} WHERE {of}")).await;
        assert_eq!(left, Some(1_000), "{table}: what one transaction may take remains");
    }
    let accounts = &app.oauth().accounts;
    accounts.delete(ada, &Password::new(PASSWORD), &ClientInfo::default()).await.unwrap();
    for table in ["sign_ups", "links", "accounts"] {
        assert_eq!(db.count(table).await, 0, "{table}");
    }
    let kinds = "SELECT MIN(kind) || ' ' || MAX(kind) FROM";
    for table in ["events", "outbox"] {
        let left = db.text(&format!("{kinds} {table}")).await;
        assert_eq!(left.as_deref(), Some("account-deleted account-deleted"), "{table}");
    }
}

async fn s3_removal_of_a_client_goes_in_batches_and_can_be_repeated(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    let oauth = app.oauth();
    let desk = client("desk");
    let ada = db.account("ada@example.org").await;
    add(oauth).await.unwrap();
    plant_sessions(&db, ada, "desk", 900).await;
    let other = db.session(ada).await;
    // interrupted after the first batch: the client is disabled, and its sessions are invalid
    let disabled = db.store.write(async |tx| tx.disable_client(&desk, NOW).await).await;
    assert!(disabled.unwrap());
    let removed = oauth.remove_client(&desk).await.unwrap();
    assert_eq!(removed.ended, 900);
    assert_eq!((db.count("clients").await, db.count("sessions").await), (0, 1));
    assert!(db.find_session(other).await.is_some());
    oauth.remove_client(&desk).await.unwrap_err();
}

async fn s3_client_added_or_enabled_again_has_no_former_sessions(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    let oauth = app.oauth();
    let desk = client("desk");
    let ada = db.account("ada@example.org").await;
    // sessions of a client that was in the settings once
    plant_sessions(&db, ada, "desk", 500).await;
    add(oauth).await.unwrap();
    assert_eq!(db.count("sessions").await, 0);
    plant_sessions(&db, ada, "desk", 500).await;
    // sessions of a live client stay, even if a caller asks to end them
    add(oauth).await.unwrap_err();
    assert_eq!(db.store.end_sessions_of_client(&desk).await.unwrap(), 0);
    assert_eq!(db.count("sessions").await, 500);
    assert!(oauth.disable_client(&desk).await.unwrap());
    assert_eq!(db.count("sessions").await, 0);
    // rows that an interrupted disabling has left are deleted before the client is enabled
    plant_sessions(&db, ada, "desk", 500).await;
    assert!(oauth.enable_client(&desk).await.unwrap());
    assert_eq!(db.count("sessions").await, 0);
}

async fn s3_sign_ups_are_purged_after_their_events(db: TestDatabase) {
    let waiting: SignUpId = db.sign_up("ada@example.org").await;
    let values = format!("{{id}}, 'sign-up', 'stranger', 0, '{waiting}'");
    plant(&db, "events", "id, kind, actor, at, sign_up_id", &values, 250).await;
    db.sign_up("bob@example.org").await;
    db.execute("UPDATE sign_ups SET expires_at = expires_at + 1 WHERE email LIKE 'bob%'").await;
    for (batch, events, sign_ups) in [(100, 150, 2), (100, 50, 2), (52, 0, 0), (0, 0, 0)] {
        let purged = db.store.write(async |tx| tx.purge_sign_ups(after(1_001), 100).await).await;
        assert_eq!(purged.unwrap(), batch);
        assert_eq!((db.count("events").await, db.count("sign_ups").await), (events, sign_ups));
    }
}

async fn s3_changes_of_address_are_purged_after_their_links(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let values = format!("'one', '{ada}', 'new@example.org', 0, 0");
    let columns = "id, account_id, email, requested_at, voided_at";
    plant(&db, "email_changes", columns, &values, 1).await;
    let values = format!("{{digest}}, 'email-change', '{ada}', 'one', 0, 0");
    let columns = "digest, purpose, account_id, email_change_id, minted_at, expires_at";
    plant(&db, "account_links", columns, &values, 250).await;
    for (batch, links, changes) in [(100, 150, 1), (100, 50, 1), (51, 0, 0), (0, 0, 0)] {
        let purged = db.store.write(async |tx| tx.purge_email_changes(NOW, 100).await).await;
        assert_eq!(purged.unwrap(), batch);
        let left = (db.count("account_links").await, db.count("email_changes").await);
        assert_eq!(left, (links, changes));
    }
}

async fn s3_sessions_ended_by_a_raised_epoch_are_purged_in_batches(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    plant_sessions(&db, ada, "web", 700).await;
    let values = format!("{{digest}}, {{id}}, '{ada}', 0, 0, 0, 0");
    let columns = "digest, id, account_id, epoch, created_at, idle_expires_at, expires_at";
    plant(&db, "page_sessions", columns, &values, 300).await;
    assert_eq!(
        db.store.purge_ended_sessions_of(ada).await.unwrap(),
        0,
        "live sessions are not purged"
    );
    assert!(db.store.write(async |tx| tx.raise_epoch(ada).await).await.unwrap());
    let part = db.store.write(async |tx| tx.purge_ended_sessions_of(ada, 800).await).await;
    assert_eq!(part.unwrap(), 800);
    assert_eq!(db.store.purge_ended_sessions_of(ada).await.unwrap(), 200);
}
