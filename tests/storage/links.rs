//! Tests of the links in letters: their states, and when they are purged.

use vestibule::clock::Timestamp;
use vestibule::model::{LinkState, SignUpId};
use vestibule::storage::LinkRecord;

use crate::database::{NOW, TestDatabase, after, digest};

on_both_engines! {
    r43_link_stays_live_until_its_expiry_when_it_is_read_repeatedly,
    r44_a_link_is_found_by_its_digest_alone,
    r44_a_link_is_for_one_purpose,
    second_link_with_one_digest_is_a_conflict,
    r43_use_of_one_link_marks_all_links_of_the_sign_up_used,
    r43_used_link_keeps_its_first_use,
    disavowed_link_stays_disavowed,
    r28_used_link_stays_used_when_the_clock_steps_back,
    links_outlive_their_sign_up,
    deletion_of_an_account_deletes_its_links,
    ended_links_are_purged_in_batches,
}

async fn mint(db: &TestDatabase, name: &str, sign_up: SignUpId, expires_at: Timestamp) {
    let digest = digest(name);
    db.store
        .write(async |tx| tx.insert_activation_link(&digest, sign_up, NOW, expires_at).await)
        .await
        .unwrap();
}

async fn found(db: &TestDatabase, name: &str, now: Timestamp) -> Option<LinkRecord> {
    let digest = digest(name);
    db.store.read(async |tx| tx.find_activation_link(&digest, now).await).await.unwrap()
}

async fn state(db: &TestDatabase, name: &str, now: Timestamp) -> LinkState {
    found(db, name, now).await.unwrap().state
}

async fn disavow(db: &TestDatabase, sign_up: SignUpId, now: Timestamp) {
    db.store.write(async |tx| tx.disavow_links(sign_up, now).await).await.unwrap();
}

async fn r43_link_stays_live_until_its_expiry_when_it_is_read_repeatedly(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    for _ in 0..20 {
        let record = found(&db, "link", after(99)).await.unwrap();
        assert_eq!(record.sign_up, sign_up);
        assert_eq!(record.account, None);
        assert_eq!(record.state, LinkState::Live { until: after(100) });
    }
    assert_eq!(state(&db, "link", after(100)).await, LinkState::Expired { at: after(100) });
}

async fn r44_a_link_is_found_by_its_digest_alone(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    assert!(found(&db, "another", NOW).await.is_none());
    assert_eq!(db.integer("SELECT length(digest) FROM links").await, Some(32));
}

async fn r44_a_link_is_for_one_purpose(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    db.execute("UPDATE links SET purpose = 'password-reset'").await;
    assert!(found(&db, "link", NOW).await.is_none());
}

async fn second_link_with_one_digest_is_a_conflict(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    let digest = digest("link");
    let again = db
        .store
        .write(async |tx| tx.insert_activation_link(&digest, sign_up, NOW, after(900)).await)
        .await;
    assert!(again.unwrap_err().is_conflict());
    assert_eq!(state(&db, "link", NOW).await, LinkState::Live { until: after(100) });
}

async fn r43_use_of_one_link_marks_all_links_of_the_sign_up_used(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    let other = db.sign_up("bob@example.org").await;
    mint(&db, "expired", sign_up, after(10)).await;
    mint(&db, "live", sign_up, after(100)).await;
    mint(&db, "other", other, after(100)).await;
    let account = db.account("ada@example.org").await;
    db.store.write(async |tx| tx.consume_links(sign_up, account, after(50)).await).await.unwrap();
    for name in ["expired", "live"] {
        let record = found(&db, name, after(200)).await.unwrap();
        assert_eq!(record.state, LinkState::Used { at: after(50) }, "{name}");
        assert_eq!(record.account, Some(account), "{name}");
    }
    assert_eq!(state(&db, "other", after(50)).await, LinkState::Live { until: after(100) });
}

async fn r43_used_link_keeps_its_first_use(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    let first = db.account("ada@example.org").await;
    let second = db.account("bob@example.org").await;
    for (account, now) in [(first, after(50)), (second, after(60))] {
        db.store.write(async |tx| tx.consume_links(sign_up, account, now).await).await.unwrap();
    }
    disavow(&db, sign_up, after(70)).await;
    let record = found(&db, "link", after(80)).await.unwrap();
    assert_eq!(record.state, LinkState::Used { at: after(50) });
    assert_eq!(record.account, Some(first));
}

async fn disavowed_link_stays_disavowed(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    mint(&db, "other", sign_up, after(100)).await;
    disavow(&db, sign_up, after(50)).await;
    disavow(&db, sign_up, after(60)).await;
    let account = db.account("ada@example.org").await;
    db.store.write(async |tx| tx.consume_links(sign_up, account, after(70)).await).await.unwrap();
    for name in ["link", "other"] {
        let record = found(&db, name, after(200)).await.unwrap();
        assert_eq!(record.state, LinkState::Disavowed { at: after(50) }, "{name}");
        assert_eq!(record.account, None);
    }
}

async fn r28_used_link_stays_used_when_the_clock_steps_back(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    let account = db.account("ada@example.org").await;
    db.store.write(async |tx| tx.consume_links(sign_up, account, after(50)).await).await.unwrap();
    assert_eq!(state(&db, "link", NOW).await, LinkState::Used { at: after(50) });
}

async fn links_outlive_their_sign_up(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    mint(&db, "link", sign_up, after(100)).await;
    db.store.write(async |tx| tx.consume_sign_up(sign_up, false).await).await.unwrap();
    assert_eq!(found(&db, "link", NOW).await.unwrap().sign_up, sign_up);
}

async fn deletion_of_an_account_deletes_its_links(db: TestDatabase) {
    let ada = db.sign_up("ada@example.org").await;
    let bob = db.sign_up("bob@example.org").await;
    for (name, sign_up) in [("one", ada), ("two", ada), ("other", bob)] {
        mint(&db, name, sign_up, after(100)).await;
    }
    let accounts = [db.account("ada@example.org").await, db.account("bob@example.org").await];
    for (sign_up, account) in [ada, bob].into_iter().zip(accounts) {
        db.store.write(async |tx| tx.consume_links(sign_up, account, NOW).await).await.unwrap();
    }
    db.execute(&format!("DELETE FROM accounts WHERE id = '{}'", accounts[0])).await;
    assert!(found(&db, "one", NOW).await.is_none());
    assert!(found(&db, "two", NOW).await.is_none());
    assert_eq!(found(&db, "other", NOW).await.unwrap().account, Some(accounts[1]));
}

async fn ended_links_are_purged_in_batches(db: TestDatabase) {
    let sign_up = db.sign_up("ada@example.org").await;
    for index in 0..5 {
        mint(&db, &format!("old{index}"), sign_up, after(100)).await;
    }
    mint(&db, "young", sign_up, after(200)).await;
    let purge =
        async |before| db.store.write(async |tx| tx.purge_links(before, 2).await).await.unwrap();
    assert_eq!(purge(after(99)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(150)).await, batch);
    }
    assert_eq!(state(&db, "young", after(150)).await, LinkState::Live { until: after(200) });
}
