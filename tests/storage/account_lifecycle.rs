//! Tests of accounts under a change of password, a deletion and the operator's commands.

use vestibule::model::AccountId;
use vestibule::storage::{AccountRecord, StoreError};

use crate::database::{NOW, StartingSession, TestDatabase, after, at_once, hash, new_id};

on_both_engines! {
    r42_password_change_with_a_stale_hash_or_epoch_is_refused,
    r42_one_of_eight_concurrent_password_changes_succeeds,
    r47_reset_replaces_any_password_of_an_enabled_account,
    r27_one_session_is_carried_into_the_next_epoch,
    r27_lock_of_an_account_in_another_epoch_fails,
    r27_raise_of_the_epoch_waits_for_the_account_lock,
    r27_deletion_in_a_stale_epoch_is_refused,
    r27_concurrent_deletion_and_sign_out_do_not_both_succeed,
    an_account_is_enabled_once,
    accounts_are_listed_in_order_of_creation,
    search_in_addresses_takes_wildcards_as_text,
}

async fn found(db: &TestDatabase, id: AccountId) -> AccountRecord {
    db.store.read(async |tx| tx.find_account(id).await).await.unwrap().unwrap()
}

async fn change(db: &TestDatabase, read: &AccountRecord, new: &str) -> bool {
    let new = hash(new);
    db.store.write(async |tx| tx.change_password(read, &new).await).await.unwrap()
}

async fn r42_password_change_with_a_stale_hash_or_epoch_is_refused(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let bystander = db.account("bob@example.org").await;
    let read = found(&db, id).await;
    assert!(change(&db, &read, "second").await);
    let changed = found(&db, id).await;
    assert_eq!((changed.password_hash.as_str(), changed.epoch), (hash("second").as_str(), 1));
    assert!(!change(&db, &read, "third").await);

    // the same password in another epoch, another password in the same epoch, and a disabled
    // account
    for spoil in [
        "UPDATE accounts SET epoch = 2",
        "UPDATE accounts SET epoch = 1, password_hash = 'another'",
        "UPDATE accounts SET disabled_at = 1",
    ] {
        db.execute(spoil).await;
        assert!(!change(&db, &changed, "third").await, "{spoil}");
    }
    assert_eq!(found(&db, bystander).await.account.email.as_str(), "bob@example.org");
    db.execute("DELETE FROM accounts").await;
    assert!(!change(&db, &changed, "third").await);
}

async fn r42_one_of_eight_concurrent_password_changes_succeeds(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let nodes = [db.store.clone(), db.another_store().await];
    for round in 0..20 {
        let read = found(&db, id).await;
        let answers = at_once(8, |index| {
            let (store, read) = (nodes[index % 2].clone(), read.clone());
            let new = hash(&format!("{round}.{index}"));
            async move { store.write(async |tx| tx.change_password(&read, &new).await).await.unwrap() }
        });
        let answers = answers.await;
        let won: Vec<usize> = (0..8).filter(|index| answers[*index]).collect();
        assert_eq!(won.len(), 1);
        let present = found(&db, id).await;
        assert_eq!(present.epoch, read.epoch + 1);
        let expected = hash(&format!("{round}.{}", won[0]));
        assert_eq!(present.password_hash.as_str(), expected.as_str());
    }
}

async fn r47_reset_replaces_any_password_of_an_enabled_account(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let bystander = db.account("bob@example.org").await;
    let session = db.session(id).await;
    let reset = async |id| {
        let new = hash("second");
        db.store.write(async |tx| tx.reset_password(id, &new).await).await.unwrap()
    };
    assert!(reset(id).await);
    let record = found(&db, id).await;
    assert_eq!((record.password_hash.as_str(), record.epoch), (hash("second").as_str(), 1));
    assert!(!db.find_session(session).await.unwrap().is_live(NOW));
    assert_eq!(found(&db, bystander).await.epoch, 0);

    db.store.write(async |tx| tx.disable_account(id, NOW).await).await.unwrap();
    assert!(!reset(id).await);
    assert!(!reset(AccountId::new(new_id())).await);
}

async fn r27_one_session_is_carried_into_the_next_epoch(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let (own, other) = (db.session(ada).await, db.session(ada).await);
    let carry = async |account, epoch| {
        db.store
            .write(async |tx| tx.move_session_to_next_epoch(own, account, epoch).await)
            .await
            .unwrap()
    };
    assert!(!carry(bob, 0).await);
    assert!(!carry(ada, 1).await);
    db.store.write(async |tx| tx.raise_epoch(ada).await).await.unwrap();
    assert!(carry(ada, 0).await);
    assert!(!carry(ada, 0).await);
    assert!(db.find_session(own).await.unwrap().is_live(NOW));
    assert!(!db.find_session(other).await.unwrap().is_live(NOW));
    let purged =
        db.store.write(async |tx| tx.purge_ended_sessions_of(ada, 100).await).await.unwrap();
    assert_eq!(purged, 1);
    assert!(db.find_session(own).await.unwrap().is_live(NOW));
}

async fn r27_lock_of_an_account_in_another_epoch_fails(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let hold = async |id, epoch| {
        db.store.write(async |tx| tx.lock_account_in_epoch(id, epoch).await).await.unwrap()
    };
    let lock = async |id| db.store.write(async |tx| tx.lock_account(id).await).await.unwrap();
    assert!(hold(id, 0).await);
    assert!(!hold(id, 1).await);
    assert_eq!(found(&db, id).await.epoch, 0);
    db.store.write(async |tx| tx.disable_account(id, NOW).await).await.unwrap();
    assert!(!hold(id, 1).await);
    // any account can be locked, but a deleted one cannot
    assert!(lock(id).await);
    let gone = AccountId::new(new_id());
    assert!(!hold(gone, 0).await && !lock(gone).await);
}

async fn r27_raise_of_the_epoch_waits_for_the_account_lock(db: TestDatabase) {
    for _ in 0..10 {
        let id = db.account("ada@example.org").await;
        let raised = db.store.write(async |tx| {
            assert!(tx.lock_account_in_epoch(id, 0).await?);
            let store = db.store.clone();
            let raised =
                tokio::spawn(async move { store.write(async |tx| tx.raise_epoch(id).await).await });
            for _ in 0..50 {
                tokio::task::yield_now().await;
                let held = tx.find_account(id).await?.unwrap();
                assert_eq!(held.epoch, 0);
            }
            assert!(!raised.is_finished());
            Ok::<_, StoreError>(raised)
        });
        assert!(raised.await.unwrap().await.unwrap().unwrap());
        assert_eq!(found(&db, id).await.epoch, 1);
        db.execute("DELETE FROM accounts").await;
    }
}

async fn r27_deletion_in_a_stale_epoch_is_refused(db: TestDatabase) {
    let delete = async |id, epoch| {
        db.store.write(async |tx| tx.close_account(id, epoch, NOW).await).await.unwrap()
    };
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    db.store.write(async |tx| tx.raise_epoch(ada).await).await.unwrap();
    assert!(!delete(ada, Some(0)).await);
    assert!(delete(ada, Some(1)).await);
    assert!(!delete(ada, None).await);
    // the operator needs no proof
    assert!(delete(bob, None).await);
    for id in [ada, bob] {
        let found = db.store.read(async |tx| tx.find_account(id).await).await.unwrap();
        assert!(found.is_none());
    }
}

async fn r27_concurrent_deletion_and_sign_out_do_not_both_succeed(db: TestDatabase) {
    let nodes = [db.store.clone(), db.another_store().await];
    for _ in 0..20 {
        let id = db.account("ada@example.org").await;
        assert!(db.start(&StartingSession::of(id)).await);
        let answers = at_once(2, |index| {
            let store = nodes[index].clone();
            async move {
                let done = store.write(async |tx| match index {
                    0 => tx.close_account(id, Some(0), NOW).await,
                    _ => tx.raise_epoch(id).await,
                });
                done.await.unwrap()
            }
        });
        let answers = answers.await;
        assert_ne!(answers[0], answers[1]);
        let open = "SELECT COUNT(*) FROM accounts WHERE deleted_at IS NULL";
        assert_eq!(db.integer(open).await, Some(i64::from(answers[1])));
        db.execute("DELETE FROM accounts").await;
        assert_eq!(db.count("sessions").await, 0);
    }
}

async fn an_account_is_enabled_once(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let enable = async || db.store.write(async |tx| tx.enable_account(id).await).await.unwrap();
    assert!(!enable().await);
    db.store.write(async |tx| tx.disable_account(id, after(5)).await).await.unwrap();
    assert!(enable().await);
    assert!(!enable().await);
    let record = found(&db, id).await;
    assert_eq!((record.disabled_at, record.epoch), (None, 1));
}

async fn listed(
    db: &TestDatabase,
    after: Option<AccountId>,
    part: &str,
    limit: i64,
) -> Vec<String> {
    let found = db.store.read(async |tx| tx.find_accounts(after, part, limit).await).await.unwrap();
    found.into_iter().map(|record| record.account.email.to_string()).collect()
}

async fn accounts_are_listed_in_order_of_creation(db: TestDatabase) {
    let mut ids = Vec::new();
    for index in 0..7 {
        ids.push(db.account(&format!("ada{index}@example.org")).await);
    }
    ids.sort_unstable();
    let (mut read, mut last) = (Vec::new(), None);
    loop {
        let page = db.store.read(async |tx| tx.find_accounts(last, "", 3).await).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.account.id);
        read.extend(page.iter().map(|record| record.account.id));
    }
    assert_eq!(read, ids);
    assert!(listed(&db, None, "", 0).await.is_empty());
}

async fn search_in_addresses_takes_wildcards_as_text(db: TestDatabase) {
    for address in ["a%b@example.org", "a_b@example.org", "a!b@example.org", "axb@example.org"] {
        db.account(address).await;
    }
    for part in ["a%b", "a_b", "a!b", "%", "_", "!"] {
        let found = listed(&db, None, part, 10).await;
        assert_eq!(found.len(), 1, "{part}: {found:?}");
        assert!(found[0].contains(part));
    }
    assert_eq!(listed(&db, None, "EXAMPLE.org", 10).await.len(), 4);
    assert_eq!(listed(&db, None, "AxB@", 10).await, ["axb@example.org"]);
    for part in ["axb_example", "'", "\\", "$1", "!!", "nobody"] {
        assert!(listed(&db, None, part, 10).await.is_empty(), "{part}");
    }
}
