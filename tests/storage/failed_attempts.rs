//! Tests of failed attempts, and of the places that people have signed in from (R20).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::model::AttemptKey;
use vestibule::storage::{FailedAttempts, StoreError};
use vestibule::testing::BEGINNING;

use crate::database::TestDatabase;

on_both_engines! {
    r20_failures_are_counted_for_each_name_and_place,
    r20_failures_at_once_are_all_counted,
    r20_what_a_network_has_spent_adds_up_unless_it_was_written_by_another_clock,
    r20_places_are_remembered_up_to_a_number_and_go_with_the_account,
    r20_what_is_forgotten_leaves_no_failures_of_a_place_behind,
}

const SECOND: Duration = Duration::from_secs(1);

fn tried(name: &str, last: u8) -> AttemptKey {
    AttemptKey::of(name, Some(IpAddr::from([192, 0, 2, last])))
}

async fn found(db: &TestDatabase, tried: &AttemptKey) -> FailedAttempts {
    db.store.read(async |db| db.find_failed_attempts(tried).await).await.unwrap()
}

async fn fail(db: &TestDatabase, digest: &vestibule::model::Digest, now: Timestamp) {
    let written = db.store.write(async |tx| tx.insert_failure(digest, now).await);
    written.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
}

async fn keep(
    db: &TestDatabase,
    tried: &AttemptKey,
    account: vestibule::model::AccountId,
    now: Timestamp,
) {
    let kept = db
        .store
        .write(async |tx| tx.remember_location(&tried.name_and_network, account, now).await);
    kept.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
}

async fn r20_failures_are_counted_for_each_name_and_place(db: TestDatabase) {
    let (ada, bob) = (tried("ada", 1), tried("bob", 1));
    for number in 0..3 {
        fail(&db, &ada.name, BEGINNING + number * SECOND).await;
    }
    fail(&db, &ada.name_and_network, BEGINNING).await;
    let of_ada = found(&db, &ada).await;
    assert_eq!((of_ada.name.count, of_ada.name.last_at), (3, Some(BEGINNING + 2 * SECOND)));
    assert_eq!(
        (of_ada.name_and_network.count, of_ada.name_and_network.last_at),
        (1, Some(BEGINNING))
    );
    assert_eq!((of_ada.location_used_at, of_ada.network_spent_until), (None, None));
    let of_bob = found(&db, &bob).await;
    assert_eq!((of_bob.name.count, of_bob.name_and_network.count), (0, 0));

    let forgotten = db.store.write(async |tx| tx.delete_failures(&ada.name).await);
    forgotten.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
    let of_ada = found(&db, &ada).await;
    assert_eq!((of_ada.name.count, of_ada.name_and_network.count), (0, 1));
}

async fn r20_failures_at_once_are_all_counted(db: TestDatabase) {
    let db = Arc::new(db);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { fail(&db, &tried("ada", 1).name, BEGINNING).await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(found(&db, &tried("ada", 1)).await.name.count, 20);
}

async fn r20_what_a_network_has_spent_adds_up_unless_it_was_written_by_another_clock(
    db: TestDatabase,
) {
    let ada = tried("ada", 1);
    let spend = async |millis: i64, now: Timestamp| {
        let doubtful = now + 100 * SECOND;
        let spent = db
            .store
            .write(async |tx| tx.spend_network_budget(&ada.network, millis, now, doubtful).await);
        spent.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
        found(&db, &ada).await.network_spent_until.unwrap()
    };
    assert_eq!(spend(5_000, BEGINNING).await, BEGINNING + 5 * SECOND);
    assert_eq!(spend(5_000, BEGINNING + SECOND).await, BEGINNING + 10 * SECOND);
    assert_eq!(spend(0, BEGINNING + SECOND).await, BEGINNING + 10 * SECOND);
    // a budget that was spent in the past adds nothing
    let later = BEGINNING + 60 * SECOND;
    assert_eq!(spend(5_000, later).await, later + 5 * SECOND);
    // a budget that is spent too far ahead adds nothing either
    let before = BEGINNING - 60 * SECOND;
    assert_eq!(spend(5_000, before).await, before + 5 * SECOND);
}

async fn r20_places_are_remembered_up_to_a_number_and_go_with_the_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    keep(&db, &tried("bob", 1), bob, BEGINNING).await;
    for number in 0..25 {
        fail(&db, &tried("ada", number).name_and_network, BEGINNING).await;
        keep(&db, &tried("ada", number), ada, BEGINNING + u32::from(number) * SECOND).await;
    }
    for number in 0..25 {
        let of_ada = found(&db, &tried("ada", number)).await;
        assert_eq!(of_ada.location_used_at.is_some(), number >= 5, "{number}");
        assert_eq!(of_ada.name_and_network.count, i64::from(number >= 5), "{number}");
    }
    // a place that is used again is one of the latest
    keep(&db, &tried("ada", 5), ada, BEGINNING + 30 * SECOND).await;
    keep(&db, &tried("ada", 30), ada, BEGINNING + 31 * SECOND).await;
    assert!(found(&db, &tried("ada", 5)).await.location_used_at.is_some());
    assert!(found(&db, &tried("ada", 6)).await.location_used_at.is_none());

    let deleted = db.store.write(async |tx| tx.delete_account(ada).await);
    assert!(deleted.await.unwrap_or_else(|error: StoreError| panic!("{error:?}")));
    assert!(found(&db, &tried("ada", 30)).await.location_used_at.is_none());
    assert!(found(&db, &tried("bob", 1)).await.location_used_at.is_some());
    // no place is kept for a deleted account
    keep(&db, &tried("ada", 30), ada, BEGINNING).await;
    assert!(found(&db, &tried("ada", 30)).await.location_used_at.is_none());
}

async fn r20_what_is_forgotten_leaves_no_failures_of_a_place_behind(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let place = tried("ada", 1);
    keep(&db, &place, ada, BEGINNING).await;
    fail(&db, &place.name_and_network, BEGINNING + 10 * SECOND).await;
    fail(&db, &place.name, BEGINNING).await;
    let purge = async |before: Timestamp| {
        let purged = db.store.write(async |tx| tx.purge_failed_attempts(before, before, 10).await);
        purged.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"))
    };
    assert_eq!(purge(BEGINNING - SECOND).await, 0);
    assert_eq!(purge(BEGINNING + 5 * SECOND).await, 1, "the name's");
    assert!(found(&db, &place).await.location_used_at.is_some(), "its failures are not over");
    assert_eq!(purge(BEGINNING + 10 * SECOND).await, 2, "those, and the place behind them");
    assert_eq!(purge(BEGINNING + 10 * SECOND).await, 0);
}
