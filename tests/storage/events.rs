//! Tests of events: recorded for the account or sign-up, read page by page, and purged in time.

use vestibule::accounts::EventDraft;
use vestibule::clock::Timestamp;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{
    AccountId, Actor, ClientInfo, EmailAddress, Event, EventId, EventKind, SessionId, SignUpId,
    UserAgent,
};
use vestibule::storage::{Engine, NewEvent};
use vestibule::testing::TestApp;

use crate::database::{NOW, TestDatabase, after, at_once, client, email, new_id};

on_both_engines! {
    event_is_read_back_as_recorded,
    r47_event_about_an_address_belongs_to_its_account_if_one_exists,
    r18_event_without_an_account_references_the_dummy_row,
    event_about_a_deleted_account_is_not_recorded,
    events_of_a_sign_up_are_attached_to_its_account_once,
    paging_returns_each_event_once_while_events_are_recorded,
    deletion_of_an_account_deletes_its_events,
    old_events_are_purged_in_batches,
    trimming_keeps_the_latest_hundred_events_by_strangers_of_a_kind,
    endless_events_by_strangers_are_trimmed_at_random,
    s3_each_kind_of_events_by_the_owner_is_bounded_separately,
    s3_endless_events_by_the_owner_are_trimmed_at_random,
    s4_events_of_each_waiting_sign_up_are_trimmed_separately,
}

pub fn failed_at(at: Timestamp) -> NewEvent<'static> {
    NewEvent {
        id: EventId::new(Entropy.uuid_v7(at)),
        kind: EventKind::SignInFailed,
        actor: Actor::Stranger,
        at,
        account: None,
        email: None,
        sign_up: None,
        session: None,
        client_id: None,
        address: None,
        user_agent: None,
        request_id: None,
    }
}

async fn record(db: &TestDatabase, new: &NewEvent<'_>) {
    db.store.write(async |tx| tx.insert_event(new).await).await.unwrap();
}

async fn of(db: &TestDatabase, account: AccountId) -> Vec<Event> {
    db.store.read(async |tx| tx.find_events_of(account, None, 1_000).await).await.unwrap()
}

async fn event_is_read_back_as_recorded(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let (client, session) = (client("web"), SessionId::new(new_id()));
    let user_agent = UserAgent::parse("Firefox on Linux").unwrap();
    let sign_up = SignUpId::new(new_id());
    for kind in EventKind::ALL {
        for actor in Actor::ALL {
            let new = NewEvent {
                kind: *kind,
                actor: *actor,
                account: Some(account),
                sign_up: Some(sign_up),
                session: Some(session),
                client_id: Some(&client),
                address: Some("192.0.2.0".to_owned()),
                user_agent: Some(&user_agent),
                request_id: Some("a-request"),
                ..failed_at(NOW)
            };
            record(&db, &new).await;
            let found = of(&db, account).await;
            let event = found.iter().find(|event| event.id == new.id).unwrap();
            assert_eq!((event.kind, event.actor, event.at), (*kind, *actor, NOW));
            assert_eq!((event.account, event.sign_up), (Some(account), Some(sign_up)));
            assert_eq!(
                (event.session_id, &event.client_id),
                (Some(session), &Some(client.clone()))
            );
            assert_eq!(event.address.as_deref(), Some("192.0.2.0"));
            assert_eq!(event.user_agent.as_ref(), Some(&user_agent));
            assert_eq!(event.request_id.as_deref(), Some("a-request"));
        }
    }
}

async fn r47_event_about_an_address_belongs_to_its_account_if_one_exists(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let to = async |address: &EmailAddress| {
        record(&db, &NewEvent { email: Some(address), ..failed_at(NOW) }).await;
    };
    to(&email("ada@example.org")).await;
    to(&email("nobody@example.org")).await;
    assert_eq!(of(&db, account).await.len(), 1);
    // the address itself is not stored
    assert_eq!(db.count("events").await, 2);
    let of_nobody = "SELECT COUNT(*) FROM events WHERE account_id IS NULL AND sign_up_id IS NULL";
    assert_eq!(db.integer(of_nobody).await, Some(1));
}

/// The foreign-key check looks up and locks the row that an event refers to, and its time could be
/// measured. So an event without an account refers to a row as well.
async fn r18_event_without_an_account_references_the_dummy_row(db: TestDatabase) {
    let of_whom = async || {
        let (accounts, nobody) = (
            "SELECT COUNT(*) FROM events WHERE account_id IS NOT NULL AND nobody_id IS NULL",
            "SELECT COUNT(*) FROM events WHERE account_id IS NULL AND nobody_id IS NOT NULL",
        );
        (db.integer(accounts).await, db.integer(nobody).await)
    };
    let account = db.account("ada@example.org").await;
    let (ada, bob) = (email("ada@example.org"), email("bob@example.org"));
    let sign_up = SignUpId::new(new_id());
    record(&db, &NewEvent { account: Some(account), ..failed_at(NOW) }).await;
    record(&db, &NewEvent { email: Some(&ada), ..failed_at(NOW) }).await;
    assert_eq!(of_whom().await, (Some(2), Some(0)));
    record(&db, &failed_at(NOW)).await;
    record(&db, &NewEvent { email: Some(&bob), ..failed_at(NOW) }).await;
    record(&db, &NewEvent { sign_up: Some(sign_up), ..failed_at(NOW) }).await;
    assert_eq!(of_whom().await, (Some(2), Some(3)));

    let attached = db.store.write(async |tx| tx.attach_events(sign_up, account).await);
    attached.await.unwrap();
    assert_eq!(of_whom().await, (Some(3), Some(2)));
    let elsewhere = "UPDATE events SET nobody_id = 'elsewhere'";
    sqlx::query(elsewhere).execute(&mut db.raw().await).await.unwrap_err();
    if *db.store.engine() == Engine::Postgres {
        for table in ["accounts", "nobody"] {
            let locks = format!("SELECT COUNT(*) FROM {table} WHERE CAST(xmax AS TEXT) <> '0'");
            assert_eq!(db.integer(&locks).await, Some(1), "{table}");
        }
    }
}

async fn event_about_a_deleted_account_is_not_recorded(db: TestDatabase) {
    let missing = AccountId::new(new_id());
    record(&db, &NewEvent { account: Some(missing), ..failed_at(NOW) }).await;
    assert_eq!(db.count("events").await, 0);
}

async fn events_of_a_sign_up_are_attached_to_its_account_once(db: TestDatabase) {
    let ada = SignUpId::new(new_id());
    let bob = SignUpId::new(new_id());
    for sign_up in [ada, ada, bob] {
        record(&db, &NewEvent { sign_up: Some(sign_up), ..failed_at(NOW) }).await;
    }
    let account = db.account("ada@example.org").await;
    let other = db.account("bob@example.org").await;
    let attach = async |account| {
        db.store.write(async |tx| tx.attach_events(ada, account).await).await.unwrap();
    };
    attach(account).await;
    assert_eq!(of(&db, account).await.len(), 2);
    // a second attachment changes nothing
    attach(other).await;
    assert_eq!(of(&db, account).await.len(), 2);
    assert!(of(&db, other).await.is_empty());

    let dropped = db.store.write(async |tx| {
        tx.delete_events_of_sign_up(ada).await?;
        tx.delete_events_of_sign_up(bob).await
    });
    dropped.await.unwrap();
    assert_eq!(of(&db, account).await.len(), 2, "attached events stay with the account");
    assert_eq!(db.count("events").await, 2);
}

async fn paging_returns_each_event_once_while_events_are_recorded(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let other = db.account("bob@example.org").await;
    // several events in the same millisecond, recorded in no order
    let instants = [3, 0, 2, 0, 0, 1, 2, 2, 3, 0, 1, 3, 3, 2, 1, 0, 0, 0, 2];
    let mut recorded = Vec::new();
    for at in instants {
        let new = NewEvent { account: Some(account), ..failed_at(after(at)) };
        record(&db, &new).await;
        recorded.push(new.id);
        record(&db, &NewEvent { account: Some(other), ..failed_at(after(at)) }).await;
    }
    recorded.sort_unstable_by(|one, another| another.cmp(one));
    for size in [1, 4, 7, 100] {
        let mut read: Vec<EventId> = Vec::new();
        loop {
            let before = read.last().copied();
            let page = db.store.read(async |tx| tx.find_events_of(account, before, size).await);
            let page = page.await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= usize::try_from(size).unwrap());
            read.extend(page.iter().map(|event| event.id));
            // events that happen meanwhile are on no later page
            record(&db, &NewEvent { account: Some(account), ..failed_at(after(99)) }).await;
        }
        assert_eq!(read, recorded, "pages of {size}");
        db.execute(&format!("DELETE FROM events WHERE at = {}", after(99).unix_millis())).await;
    }
}

async fn deletion_of_an_account_deletes_its_events(db: TestDatabase) {
    for round in 0..10 {
        let account = db.account("ada@example.org").await;
        let bystander = db.account(&format!("bob{round}@example.org")).await;
        record(&db, &NewEvent { account: Some(bystander), ..failed_at(NOW) }).await;
        let answers = at_once(9, |index| {
            let store = db.store.clone();
            async move {
                let new = NewEvent { account: Some(account), ..failed_at(NOW) };
                store
                    .write(async |tx| match index {
                        4 => tx.delete_account(account).await.map(drop),
                        _ => tx.insert_event(&new).await,
                    })
                    .await
            }
        });
        // PostgreSQL notices by the foreign key that the account is deleted while the event is
        // inserted
        for answer in answers.await {
            assert!(answer.is_ok() || answer.unwrap_err().is_conflict());
        }
        assert_eq!(db.count("events").await, round + 1);
    }
}

async fn old_events_are_purged_in_batches(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for at in [10, 10, 10, 10, 10, 20] {
        record(&db, &NewEvent { account: Some(account), ..failed_at(after(at)) }).await;
    }
    let purge =
        async |before| db.store.write(async |tx| tx.purge_events(before, 2).await).await.unwrap();
    assert_eq!(purge(after(9)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(10)).await, batch);
    }
    assert_eq!(db.count("events").await, 1);
}

async fn trimming_keeps_the_latest_hundred_events_by_strangers_of_a_kind(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let owners = NewEvent {
        account: Some(ada),
        kind: EventKind::SignIn,
        actor: Actor::Owner,
        ..failed_at(NOW)
    };
    record(&db, &owners).await;
    db.store
        .write(async |tx| {
            for second in 0..120 {
                for account in [Some(ada), None] {
                    let new = NewEvent { account, ..failed_at(after(second)) };
                    tx.insert_event(&new).await?;
                    tx.trim_events(new.id, new.kind).await?;
                }
            }
            Ok::<_, vestibule::storage::StoreError>(())
        })
        .await
        .unwrap();
    let kept = of(&db, ada).await;
    assert_eq!(kept.len(), 101, "a hundred failures, and the event by the owner");
    assert_eq!(kept[0].at, after(119), "the latest");
    assert_eq!(kept[99].at, after(20));
    assert_eq!(db.count("events").await, 201, "and a hundred events without an account");
}

/// Trimming happens by chance. A thousand misses in a row happen once in 10¹³ runs.
async fn endless_events_by_strangers_are_trimmed_at_random(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    let draft = EventDraft::new(EventKind::SignInFailed, Actor::Stranger);
    let log = &app.oauth().accounts.events;
    let recorded = db.store.write(async |tx| {
        for _ in 0..1_500 {
            log.record(tx, draft, &ClientInfo::default()).await?;
        }
        Ok::<_, vestibule::storage::StoreError>(())
    });
    recorded.await.unwrap();
    let kept = db.count("events").await;
    assert!((100..1_100).contains(&kept), "{kept}");
}

/// Inserts `count` events, and trims after each.
async fn record_and_trim(db: &TestDatabase, count: u64, new: NewEvent<'_>) {
    let recorded = db.store.write(async |tx| {
        for second in 0..count {
            let at = after(second);
            let address = new.address.clone();
            let new = NewEvent { id: EventId::new(Entropy.uuid_v7(at)), at, address, ..new };
            tx.insert_event(&new).await?;
            tx.trim_events(new.id, new.kind).await?;
        }
        Ok::<_, vestibule::storage::StoreError>(())
    });
    recorded.await.unwrap();
}

async fn s3_each_kind_of_events_by_the_owner_is_bounded_separately(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let own = |account, kind| NewEvent {
        account: Some(account),
        kind,
        actor: Actor::Owner,
        ..failed_at(NOW)
    };
    record_and_trim(&db, 3, own(ada, EventKind::PasswordChanged)).await;
    record_and_trim(&db, 120, own(bob, EventKind::ProfileChanged)).await;
    record_and_trim(&db, 150, own(ada, EventKind::ProfileChanged)).await;
    record_and_trim(&db, 1_020, own(ada, EventKind::SignIn)).await;
    let kept = async |account: AccountId, kind: EventKind| {
        let sql = format!(
            "SELECT COUNT(*) FROM events WHERE account_id = '{account}' AND kind = '{kind}'"
        );
        db.integer(&sql).await.unwrap()
    };
    assert_eq!(kept(ada, EventKind::ProfileChanged).await, 100);
    assert_eq!(
        kept(ada, EventKind::PasswordChanged).await,
        3,
        "many events of one kind displace no other kind"
    );
    assert_eq!(kept(ada, EventKind::SignIn).await, 1_000);
    assert_eq!(kept(bob, EventKind::ProfileChanged).await, 100);
    // the latest ones stay
    let latest = of(&db, ada).await;
    let mut profile = latest.iter().filter(|event| event.kind == EventKind::ProfileChanged);
    assert!(profile.all(|event| event.at >= after(50)));

    // the next trimming removes the rest of more rows than one trimming takes
    let many = format!(
        "INSERT INTO events (id, kind, actor, at, account_id)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         SELECT '00000000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + i AS TEXT), 2),
                'profile-changed', 'owner', 0, '{bob}' FROM n"
    );
    db.execute(&many).await;
    record_and_trim(&db, 3, own(bob, EventKind::ProfileChanged)).await;
    assert_eq!(kept(bob, EventKind::ProfileChanged).await, 100);
}

async fn s3_endless_events_by_the_owner_are_trimmed_at_random(db: TestDatabase) {
    let app = TestApp::on_database(&db.url, "").await;
    let ada = db.account("ada@example.org").await;
    let draft = EventDraft::new(EventKind::DataExported, Actor::Owner).to_account(ada);
    let log = &app.oauth().accounts.events;
    let recorded = db.store.write(async |tx| {
        for _ in 0..1_500 {
            log.record(tx, draft, &ClientInfo::default()).await?;
        }
        Ok::<_, vestibule::storage::StoreError>(())
    });
    recorded.await.unwrap();
    let kept = db.count("events").await;
    assert!((100..1_100).contains(&kept), "{kept}");
}

async fn s4_events_of_each_waiting_sign_up_are_trimmed_separately(db: TestDatabase) {
    let (one, other) = (SignUpId::new(new_id()), SignUpId::new(new_id()));
    let refused = |sign_up| NewEvent { sign_up: Some(sign_up), ..failed_at(NOW) };
    record_and_trim(&db, 120, refused(one)).await;
    record_and_trim(&db, 40, refused(other)).await;
    let kept = async |sign_up: SignUpId| {
        let sql = format!("SELECT COUNT(*) FROM events WHERE sign_up_id = '{sign_up}'");
        db.integer(&sql).await.unwrap()
    };
    assert_eq!((kept(one).await, kept(other).await), (100, 40));
    // events that were attached to an account are trimmed as the account's
    let account = db.account("ada@example.org").await;
    db.store.write(async |tx| tx.attach_events(one, account).await).await.unwrap();
    record_and_trim(&db, 1, refused(one)).await;
    assert_eq!(kept(one).await, 101);
}
