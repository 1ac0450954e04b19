//! Tests of changes of the address: one waits for each account, and each ends in one way.

use vestibule::model::{AccountId, EmailChangeId, EmailChangeState, UserAgent};
use vestibule::storage::{NewEmailChange, StoreError};

use crate::database::{NOW, TestDatabase, after, at_once, email, new_id};

on_both_engines! {
    change_of_address_is_read_back_as_requested,
    new_change_of_address_voids_the_pending_one,
    one_of_eight_concurrent_changes_of_address_stays_pending,
    r44_concurrent_ends_of_a_change_of_address_leave_one_outcome,
    r44_ended_change_of_address_keeps_its_state,
    move_to_a_taken_address_is_a_conflict,
    one_of_two_concurrent_moves_to_an_address_succeeds,
    deleted_or_disabled_account_does_not_move_to_a_new_address,
    deletion_of_an_account_deletes_its_changes_of_address,
    old_changes_of_address_are_purged_in_batches,
}

/// Asks for a change of the account's address; an earlier waiting change is voided.
async fn request(db: &TestDatabase, account: AccountId, address: &str) -> EmailChangeId {
    let (id, email) = (EmailChangeId::new(new_id()), email(address));
    let new = NewEmailChange { id, account, email: &email, user_agent: None, now: NOW };
    let written = db.store.write(async |tx| {
        tx.void_email_changes(account, after(1)).await?;
        tx.insert_email_change(&new).await
    });
    written.await.unwrap();
    id
}

async fn state(db: &TestDatabase, id: EmailChangeId) -> EmailChangeState {
    let found = db.store.read(async |tx| tx.find_email_change(id).await).await.unwrap();
    found.unwrap().state
}

async fn change_of_address_is_read_back_as_requested(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let (id, new) = (EmailChangeId::new(new_id()), email("new@example.org"));
    let user_agent = UserAgent::parse("Firefox on Linux").unwrap();
    let row =
        NewEmailChange { id, account, email: &new, user_agent: Some(&user_agent), now: after(3) };
    db.store.write(async |tx| tx.insert_email_change(&row).await).await.unwrap();
    let found = db.store.read(async |tx| tx.find_email_change(id).await).await.unwrap().unwrap();
    assert_eq!((found.id, found.account, found.email), (id, account, new));
    assert_eq!((found.user_agent, found.requested_at), (Some(user_agent), after(3)));
    assert_eq!(found.state, EmailChangeState::Pending);
    let missing = EmailChangeId::new(new_id());
    assert!(db.store.read(async |tx| tx.find_email_change(missing).await).await.unwrap().is_none());
}

async fn new_change_of_address_voids_the_pending_one(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let first = request(&db, ada, "one@example.org").await;
    let of_bob = request(&db, bob, "one@example.org").await;
    let second = request(&db, ada, "two@example.org").await;
    assert_eq!(state(&db, first).await, EmailChangeState::Voided { at: after(1) });
    assert_eq!(state(&db, second).await, EmailChangeState::Pending);
    assert_eq!(state(&db, of_bob).await, EmailChangeState::Pending);

    // without voiding the waiting change, the insertion is a conflict
    let third = email("three@example.org");
    let new = NewEmailChange {
        id: EmailChangeId::new(new_id()),
        account: ada,
        email: &third,
        user_agent: None,
        now: NOW,
    };
    let written = db.store.write(async |tx| tx.insert_email_change(&new).await).await;
    assert!(written.unwrap_err().is_conflict());
    let of_ada = db.store.read(async |tx| tx.find_email_changes_of(ada, None, 100).await).await;
    let of_ada = of_ada.unwrap();
    let mut expected = [first, second];
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let ids: Vec<EmailChangeId> = of_ada.iter().map(|change| change.id).collect();
    assert_eq!(ids, expected);
}

async fn one_of_eight_concurrent_changes_of_address_stays_pending(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let nodes = [db.store.clone(), db.another_store().await];
    let answers = at_once(8, |index| {
        let store = nodes[index % 2].clone();
        async move {
            let new = email(&format!("new{index}@example.org"));
            let row = NewEmailChange {
                id: EmailChangeId::new(new_id()),
                account,
                email: &new,
                user_agent: None,
                now: NOW,
            };
            let written = store.write(async |tx| {
                assert!(tx.lock_account_in_epoch(account, 0).await?);
                tx.void_email_changes(account, NOW).await?;
                tx.insert_email_change(&row).await
            });
            written.await.unwrap();
        }
    });
    assert_eq!(answers.await.len(), 8);
    assert_eq!(db.count("email_changes").await, 8);
    let waiting = "SELECT COUNT(*) FROM email_changes WHERE voided_at IS NULL";
    assert_eq!(db.integer(waiting).await, Some(1));
}

async fn r44_concurrent_ends_of_a_change_of_address_leave_one_outcome(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let nodes = [db.store.clone(), db.another_store().await];
    for _ in 0..20 {
        let id = request(&db, account, "new@example.org").await;
        let answers = at_once(9, |index| {
            let store = nodes[index % 2].clone();
            async move {
                let done = store.write(async |tx| match index % 3 {
                    0 => tx.confirm_email_change(id, after(10)).await,
                    1 => tx.stop_email_change(id, after(20)).await,
                    _ => tx.void_email_changes(account, after(30)).await.map(|()| false),
                });
                done.await.unwrap()
            }
        });
        let answers = answers.await;
        let won: Vec<usize> =
            (0..answers.len()).filter(|index| answers[*index]).map(|index| index % 3).collect();
        let expected = match won.as_slice() {
            [0] => EmailChangeState::Confirmed { at: after(10) },
            [1] => EmailChangeState::Stopped { at: after(20) },
            [] => EmailChangeState::Voided { at: after(30) },
            more => panic!("{more:?}"),
        };
        assert_eq!(state(&db, id).await, expected);
    }
}

async fn r44_ended_change_of_address_keeps_its_state(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let id = request(&db, account, "new@example.org").await;
    assert!(db.store.write(async |tx| tx.stop_email_change(id, after(5)).await).await.unwrap());
    for now in [NOW, after(9)] {
        let tried = db.store.write(async |tx| {
            let stopped = tx.stop_email_change(id, now).await?;
            tx.void_email_changes(account, now).await?;
            Ok::<_, StoreError>(stopped || tx.confirm_email_change(id, now).await?)
        });
        assert!(!tried.await.unwrap());
    }
    assert_eq!(state(&db, id).await, EmailChangeState::Stopped { at: after(5) });
}

async fn move_to(db: &TestDatabase, account: AccountId, address: &str) -> Result<bool, StoreError> {
    let email = email(address);
    db.store.write(async |tx| tx.change_email(account, &email).await).await
}

async fn move_to_a_taken_address_is_a_conflict(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    db.account("bob@example.org").await;
    assert!(move_to(&db, ada, "bob@example.org").await.unwrap_err().is_conflict());
    assert!(move_to(&db, ada, "new@example.org").await.unwrap());
    // the old address is free for any account
    db.account("ada@example.org").await;
    assert!(move_to(&db, ada, "ada@example.org").await.unwrap_err().is_conflict());
    let found = db.store.read(async |tx| tx.find_account(ada).await).await.unwrap().unwrap();
    assert_eq!(found.account.email, email("new@example.org"));
}

async fn one_of_two_concurrent_moves_to_an_address_succeeds(db: TestDatabase) {
    for round in 0..10 {
        let accounts = [
            db.account(&format!("ada{round}@example.org")).await,
            db.account(&format!("bob{round}@example.org")).await,
        ];
        let answers = at_once(2, |index| {
            let (store, account) = (db.store.clone(), accounts[index]);
            let email = email(&format!("new{round}@example.org"));
            async move { store.write(async |tx| tx.change_email(account, &email).await).await }
        });
        let mut moved = 0;
        for answer in answers.await {
            match answer {
                Ok(done) => moved += usize::from(done),
                Err(error) => assert!(error.is_conflict(), "{error:?}"),
            }
        }
        assert_eq!(moved, 1);
    }
}

async fn deleted_or_disabled_account_does_not_move_to_a_new_address(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    db.store.write(async |tx| tx.disable_account(account, NOW).await).await.unwrap();
    assert!(!move_to(&db, account, "new@example.org").await.unwrap());
    assert!(!move_to(&db, AccountId::new(new_id()), "new@example.org").await.unwrap());
}

async fn deletion_of_an_account_deletes_its_changes_of_address(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let gone = request(&db, ada, "one@example.org").await;
    let kept = request(&db, bob, "two@example.org").await;
    assert!(db.store.write(async |tx| tx.delete_account(ada).await).await.unwrap());
    assert!(!db.store.write(async |tx| tx.confirm_email_change(gone, NOW).await).await.unwrap());
    assert_eq!(state(&db, kept).await, EmailChangeState::Pending);
    assert_eq!(db.count("email_changes").await, 1);
}

async fn old_changes_of_address_are_purged_in_batches(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for _ in 0..5 {
        request(&db, account, "new@example.org").await;
    }
    let purge = async |before| {
        db.store.write(async |tx| tx.purge_email_changes(before, 2).await).await.unwrap()
    };
    assert_eq!(purge(NOW - std::time::Duration::from_millis(1)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(NOW).await, batch);
    }
}
