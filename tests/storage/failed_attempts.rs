//! Tests of failed attempts, and of known locations (R20).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::model::AttemptKey;
use vestibule::storage::{FailedAttempts, StoreError};
use vestibule::testing::BEGINNING;

use crate::database::TestDatabase;

on_both_engines! {
    r20_failures_are_counted_per_name_and_per_name_and_network,
    r20_concurrent_failures_are_all_counted,
    r20_spent_network_budget_adds_up_unless_it_lies_too_far_ahead,
    r20_known_locations_are_limited_and_deleted_with_the_account,
    r20_known_location_is_purged_after_its_failures,
}

const SECOND: Duration = Duration::from_secs(1);

fn attempt_key(name: &str, last: u8) -> AttemptKey {
    AttemptKey::of(name, Some(IpAddr::from([192, 0, 2, last])))
}

async fn found(db: &TestDatabase, attempt_key: &AttemptKey) -> FailedAttempts {
    db.store.read(async |db| db.find_failed_attempts(attempt_key).await).await.unwrap()
}

async fn fail(db: &TestDatabase, digest: &vestibule::model::Digest, now: Timestamp) {
    let written = db.store.write(async |tx| tx.insert_failure(digest, now).await);
    written.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
}

async fn keep(
    db: &TestDatabase,
    attempt_key: &AttemptKey,
    account: vestibule::model::AccountId,
    now: Timestamp,
) {
    let kept = db
        .store
        .write(async |tx| tx.remember_location(&attempt_key.name_and_network, account, now).await);
    kept.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"));
}

async fn r20_failures_are_counted_per_name_and_per_name_and_network(db: TestDatabase) {
    let (ada, bob) = (attempt_key("ada", 1), attempt_key("bob", 1));
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

async fn r20_concurrent_failures_are_all_counted(db: TestDatabase) {
    let db = Arc::new(db);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { fail(&db, &attempt_key("ada", 1).name, BEGINNING).await })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(found(&db, &attempt_key("ada", 1)).await.name.count, 20);
}

async fn r20_spent_network_budget_adds_up_unless_it_lies_too_far_ahead(db: TestDatabase) {
    let ada = attempt_key("ada", 1);
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

async fn r20_known_locations_are_limited_and_deleted_with_the_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    keep(&db, &attempt_key("bob", 1), bob, BEGINNING).await;
    for number in 0..25 {
        fail(&db, &attempt_key("ada", number).name_and_network, BEGINNING).await;
        keep(&db, &attempt_key("ada", number), ada, BEGINNING + u32::from(number) * SECOND).await;
    }
    for number in 0..25 {
        let of_ada = found(&db, &attempt_key("ada", number)).await;
        assert_eq!(of_ada.location_used_at.is_some(), number >= 5, "{number}");
        assert_eq!(of_ada.name_and_network.count, i64::from(number >= 5), "{number}");
    }
    // a location that is used again counts as recent
    keep(&db, &attempt_key("ada", 5), ada, BEGINNING + 30 * SECOND).await;
    keep(&db, &attempt_key("ada", 30), ada, BEGINNING + 31 * SECOND).await;
    assert!(found(&db, &attempt_key("ada", 5)).await.location_used_at.is_some());
    assert!(found(&db, &attempt_key("ada", 6)).await.location_used_at.is_none());

    let deleted = db.store.write(async |tx| tx.delete_account(ada).await);
    assert!(deleted.await.unwrap_or_else(|error: StoreError| panic!("{error:?}")));
    assert!(found(&db, &attempt_key("ada", 30)).await.location_used_at.is_none());
    assert!(found(&db, &attempt_key("bob", 1)).await.location_used_at.is_some());
    // no location is kept for a deleted account
    keep(&db, &attempt_key("ada", 30), ada, BEGINNING).await;
    assert!(found(&db, &attempt_key("ada", 30)).await.location_used_at.is_none());
}

async fn r20_known_location_is_purged_after_its_failures(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let location = attempt_key("ada", 1);
    keep(&db, &location, ada, BEGINNING).await;
    fail(&db, &location.name_and_network, BEGINNING + 10 * SECOND).await;
    fail(&db, &location.name, BEGINNING).await;
    let purge = async |before: Timestamp| {
        let purged = db.store.write(async |tx| tx.purge_failed_attempts(before, before, 10).await);
        purged.await.unwrap_or_else(|error: StoreError| panic!("{error:?}"))
    };
    assert_eq!(purge(BEGINNING - SECOND).await, 0);
    assert_eq!(purge(BEGINNING + 5 * SECOND).await, 1, "the failures of the name");
    assert!(
        found(&db, &location).await.location_used_at.is_some(),
        "the location's failures have not expired"
    );
    assert_eq!(
        purge(BEGINNING + 10 * SECOND).await,
        2,
        "the location's failures, and the location"
    );
    assert_eq!(purge(BEGINNING + 10 * SECOND).await, 0);
}
