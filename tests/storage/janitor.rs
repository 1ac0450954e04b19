//! Tests of the janitor, which purges rows that have ended: table by table, and no row before its
//! time.

use std::time::Duration;

use vestibule::clock::{Clock, Timestamp};
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{
    AccountLinkPurpose, Actor, EmailChangeId, EventId, EventKind, LinkState, PageSessionId,
    SignUpId,
};
use vestibule::storage::{
    Janitor, NewAccountLink, NewEmailChange, NewEvent, NewPageSession, StoreError,
};

use crate::database::{NOW, TestDatabase, after, digest, email, new_id};

on_both_engines! {
    each_table_is_purged_at_its_own_age,
    one_round_purges_more_rows_than_one_batch,
    s15_start_purges_closed_accounts_and_no_expired_rows,
    expired_sign_up_is_purged_with_its_events,
}

const DAY: u64 = 24 * 3_600;
const EVENTS_KEPT: Duration = Duration::from_secs(90 * DAY);

/// Rows in every table that end at [`NOW`] or an hour later.
async fn fill_all_tables(db: &TestDatabase) {
    let account = db.account("ada@example.org").await;
    db.session(account).await; // idles until 1000 s from now
    db.sign_up("bob@example.org").await; // waits as long
    let (change, new) = (EmailChangeId::new(new_id()), email("new@example.org"));
    let written = db.store.write(async |tx| {
        let page_session = NewPageSession {
            id: PageSessionId::new(new_id()),
            digest: digest("cookie"),
            account,
            epoch: 0,
            user_agent: None,
            now: NOW,
            idle_expires_at: after(1_000),
            expires_at: after(5_000),
        };
        tx.insert_page_session(&page_session).await?;
        let row = NewEmailChange { id: change, account, email: &new, user_agent: None, now: NOW };
        tx.insert_email_change(&row).await?;
        let link = NewAccountLink {
            digest: &digest("reset"),
            purpose: AccountLinkPurpose::PasswordReset,
            account,
            email_change: None,
            now: NOW,
            expires_at: after(1_000),
        };
        tx.insert_account_link(&link).await?;
        let sign_up = SignUpId::new(new_id());
        tx.insert_activation_link(&digest("link"), sign_up, NOW, after(1_000)).await?;
        let event = NewEvent {
            id: EventId::new(Entropy.uuid_v7(NOW)),
            kind: EventKind::SignIn,
            actor: Actor::Owner,
            at: NOW,
            account: Some(account),
            email: None,
            sign_up: None,
            session: None,
            client_id: None,
            address: None,
            user_agent: None,
            request_id: None,
        };
        tx.insert_event(&event).await
    });
    written.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
    db.letter("ada@example.org", NOW).await;
    let letter = db.claim(NOW, 1).await.remove(0);
    assert!(db.store.write(async |tx| tx.mark_sent(&letter, NOW).await).await.unwrap());
    db.letter("ada@example.org", NOW).await; // waits for ever
}

async fn purge_at(db: &TestDatabase, now: Timestamp) -> u64 {
    let (clock, _) = Clock::stepped(now);
    Janitor::new(db.store.clone(), clock, EVENTS_KEPT).purge().await.unwrap()
}

async fn each_table_is_purged_at_its_own_age(db: TestDatabase) {
    fill_all_tables(&db).await;
    for (last_seen, gone) in [
        (999, &["sessions", "sign_ups", "page_sessions"][..]),
        (7 * DAY - 1, &["outbox"]),
        (30 * DAY + 999, &["links", "account_links"]),
        (60 * DAY - 1, &["email_changes"]),
        (90 * DAY - 1, &["events"]),
    ] {
        assert_eq!(purge_at(&db, after(last_seen)).await, 0, "{gone:?} were purged too early");
        let counted = async || {
            let mut rows = Vec::new();
            for table in gone {
                rows.push(db.count(table).await);
            }
            rows
        };
        let before = counted().await;
        let purged = purge_at(&db, after(last_seen + 1)).await;
        assert_eq!(purged, u64::try_from(gone.len()).unwrap(), "{gone:?}");
        let expected: Vec<i64> = before.iter().map(|rows| rows - 1).collect();
        assert_eq!(counted().await, expected, "{gone:?}");
    }
    // an account and an unsent letter never end
    assert_eq!(purge_at(&db, after(10_000 * DAY)).await, 0);
    assert_eq!((db.count("accounts").await, db.count("outbox").await), (1, 1));
}

/// A start purges deleted accounts only: the clock may be far ahead, and would then end live rows.
async fn s15_start_purges_closed_accounts_and_no_expired_rows(db: TestDatabase) {
    fill_all_tables(&db).await;
    let closed = db.account("closed@example.org").await;
    let close = db.store.write(async |tx| tx.close_account(closed, None, NOW).await);
    assert!(close.await.unwrap_or_else(|error: StoreError| panic!("{error}")));
    let (clock, _) = Clock::stepped(after(10_000 * DAY));
    let janitor = Janitor::new(db.store.clone(), clock, EVENTS_KEPT);
    assert_eq!(janitor.begin().await.unwrap(), 1);
    assert_eq!(db.count("accounts").await, 1);
    assert!(janitor.purge().await.unwrap() > 5, "a later round purges expired rows");
}

async fn one_round_purges_more_rows_than_one_batch(db: TestDatabase) {
    let written = db.store.write(async |tx| {
        for index in 0..450_u64 {
            let event = NewEvent {
                id: EventId::new(Entropy.uuid_v7(NOW)),
                kind: EventKind::SignInFailed,
                actor: Actor::Stranger,
                at: after(index),
                account: None,
                email: None,
                sign_up: None,
                session: None,
                client_id: None,
                address: None,
                user_agent: None,
                request_id: None,
            };
            tx.insert_event(&event).await?;
        }
        Ok::<_, StoreError>(())
    });
    written.await.unwrap();
    assert_eq!(purge_at(&db, after(90 * DAY + 429)).await, 430);
    assert_eq!(db.count("events").await, 20);
}

async fn expired_sign_up_is_purged_with_its_events(db: TestDatabase) {
    let over = db.sign_up("ada@example.org").await; // waits until 1000 s from now
    let confirmed = db.sign_up("bob@example.org").await;
    let account = db.account("bob@example.org").await;
    let event = |sign_up, account| NewEvent {
        id: EventId::new(Entropy.uuid_v7(NOW)),
        kind: EventKind::SignUp,
        actor: Actor::Stranger,
        at: NOW,
        account,
        email: None,
        sign_up: Some(sign_up),
        session: None,
        client_id: None,
        address: Some("192.0.2.0".to_owned()),
        user_agent: None,
        request_id: None,
    };
    let written = db.store.write(async |tx| {
        tx.insert_event(&event(over, None)).await?;
        tx.insert_event(&event(confirmed, None)).await?;
        tx.attach_events(confirmed, account).await?;
        tx.consume_sign_up(confirmed, true).await?;
        tx.insert_activation_link(&digest("link"), over, NOW, after(900)).await
    });
    written.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
    assert_eq!(purge_at(&db, after(999)).await, 0);
    assert_eq!(db.count("events").await, 2);
    assert_eq!(purge_at(&db, after(1_000)).await, 2, "the sign-up, and its event");
    assert_eq!((db.count("sign_ups").await, db.count("events").await), (0, 1));
    // the link names no person, and its page can still show that it has expired
    let found =
        db.store.read(async |tx| tx.find_activation_link(&digest("link"), after(1_000)).await);
    assert!(matches!(found.await.unwrap().unwrap().state, LinkState::Expired { .. }));
}
