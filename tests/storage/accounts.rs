//! Tests of accounts, and of the changes that end all their sessions at once.

use vestibule::model::{AccountId, Locale, Name};
use vestibule::storage::{AccountRecord, NewAccount};

use crate::database::{NOW, StartingSession, TestDatabase, after, at_once, email, hash, new_id};

on_both_engines! {
    an_account_is_found_by_its_id_and_by_its_address,
    r35_second_account_for_an_address_is_not_inserted,
    r35_one_of_fifty_concurrent_accounts_for_an_address_is_inserted,
    profile_change_keeps_fields_without_a_new_value,
    update_of_a_missing_account_changes_nothing,
    hash_upgrade_of_a_changed_password_is_refused,
    one_of_eight_concurrent_hash_upgrades_succeeds,
    r27_raising_the_epoch_ends_every_session_of_the_account,
    r27_disabling_ends_every_session_of_the_account,
    an_account_is_disabled_once,
    concurrent_raises_of_the_epoch_all_count,
    r27_the_deletion_of_an_account_ends_its_sessions,
}

async fn found(db: &TestDatabase, id: AccountId) -> AccountRecord {
    db.store.read(async |tx| tx.find_account(id).await).await.unwrap().unwrap()
}

async fn an_account_is_found_by_its_id_and_by_its_address(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    db.account("bob@example.org").await;
    let record = found(&db, id).await;
    assert_eq!(record.account.email.as_str(), "ada@example.org");
    assert_eq!(record.account.created_at, NOW);
    assert_eq!(record.password_hash.as_str(), hash("first").as_str());
    assert_eq!((record.epoch, record.disabled_at), (0, None));

    let by_email = async |text: &str| {
        let address = email(text);
        db.store.read(async |tx| tx.find_account_by_email(&address).await).await.unwrap()
    };
    assert_eq!(by_email("ada@example.org").await.unwrap().account.id, id);
    assert!(by_email("carol@example.org").await.is_none());
}

async fn r35_second_account_for_an_address_is_not_inserted(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let (address, password_hash) = (email("Ada@Example.org"), hash("second"));
    let new = NewAccount {
        id: AccountId::new(new_id()),
        email: &address,
        password_hash: &password_hash,
        name: None,
        locale: None,
        now: after(5),
    };
    assert!(!db.store.write(async |tx| tx.insert_account(&new).await).await.unwrap());
    assert_eq!(found(&db, id).await.password_hash.as_str(), hash("first").as_str());
    assert_eq!(db.count("accounts").await, 1);
}

async fn r35_one_of_fifty_concurrent_accounts_for_an_address_is_inserted(db: TestDatabase) {
    let answers = at_once(50, |_| {
        let store = db.store.clone();
        async move {
            let (address, password_hash) = (email("ada@example.org"), hash("first"));
            let new = NewAccount {
                id: AccountId::new(new_id()),
                email: &address,
                password_hash: &password_hash,
                name: None,
                locale: None,
                now: NOW,
            };
            store.write(async |tx| tx.insert_account(&new).await).await.unwrap()
        }
    });
    assert_eq!(answers.await.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(db.count("accounts").await, 1);
}

async fn profile_change_keeps_fields_without_a_new_value(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let bystander = db.account("bob@example.org").await;
    let name = Name::parse("Ada").unwrap().unwrap();
    let locale = Locale::parse("en-GB").unwrap();
    // a field without a new value keeps its old one
    for (given, expected) in [
        ((Some(Some(&name)), None), (Some(&name), None)),
        ((None, Some(Some(&locale))), (Some(&name), Some(&locale))),
        ((Some(None), None), (None, Some(&locale))),
        ((None, Some(None)), (None, None)),
    ] {
        let (name, locale) = given;
        let updated = db.store.write(async |tx| tx.update_profile(id, name, locale).await).await;
        assert!(updated.unwrap());
        let account = found(&db, id).await.account;
        assert_eq!((account.name.as_ref(), account.locale.as_ref()), expected);
        assert_eq!(found(&db, bystander).await.account.name, None);
    }
}

async fn update_of_a_missing_account_changes_nothing(db: TestDatabase) {
    let missing = AccountId::new(new_id());
    let answers = db.store.write(async |tx| {
        Ok::<_, vestibule::storage::StoreError>([
            tx.update_profile(missing, None, None).await?,
            tx.upgrade_password_hash(missing, &hash("first"), &hash("second")).await?,
            tx.raise_epoch(missing).await?,
            tx.disable_account(missing, NOW).await?,
        ])
    });
    assert_eq!(answers.await.unwrap(), [false; 4]);
    assert!(db.store.read(async |tx| tx.find_account(missing).await).await.unwrap().is_none());
}

async fn hash_upgrade_of_a_changed_password_is_refused(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let upgrade = async |old: &str, new: &str| {
        let (old, new) = (hash(old), hash(new));
        db.store.write(async |tx| tx.upgrade_password_hash(id, &old, &new).await).await.unwrap()
    };
    assert!(upgrade("first", "dearer").await);
    assert!(!upgrade("first", "dearest").await);
    let record = found(&db, id).await;
    assert_eq!(record.password_hash.as_str(), hash("dearer").as_str());
    assert_eq!(record.epoch, 0, "the password is the same, so sessions stay valid");
}

async fn one_of_eight_concurrent_hash_upgrades_succeeds(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let answers = at_once(8, |index| {
        let store = db.store.clone();
        async move {
            let (old, new) = (hash("first"), hash(&format!("dearer{index}")));
            store.write(async |tx| tx.upgrade_password_hash(id, &old, &new).await).await.unwrap()
        }
    });
    let answers = answers.await;
    let winners: Vec<usize> = (0..8).filter(|index| answers[*index]).collect();
    assert_eq!(winners.len(), 1);
    let expected = hash(&format!("dearer{}", winners[0]));
    assert_eq!(found(&db, id).await.password_hash.as_str(), expected.as_str());
}

async fn r27_raising_the_epoch_ends_every_session_of_the_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let ended = [db.session(ada).await, db.session(ada).await];
    let bystander = db.session(bob).await;
    assert!(db.find_session(ended[0]).await.unwrap().is_live(NOW));

    assert!(db.store.write(async |tx| tx.raise_epoch(ada).await).await.unwrap());
    for id in ended {
        let session = db.find_session(id).await.unwrap();
        assert!(!session.account_stands && !session.is_live(NOW));
    }
    assert!(db.find_session(bystander).await.unwrap().is_live(NOW));
    let listed =
        db.store.read(async |tx| tx.find_sessions_of(ada, None, 1_000, NOW).await).await.unwrap();
    assert!(listed.is_empty());

    // a sign-in in the new epoch works and revives no session
    assert_eq!(found(&db, ada).await.epoch, 1);
    let new = StartingSession { epoch: 1, ..StartingSession::of(ada) };
    assert!(db.start(&new).await);
    assert!(db.find_session(new.id).await.unwrap().is_live(NOW));
    assert!(!db.find_session(ended[0]).await.unwrap().is_live(NOW));

    // ended sessions are purged, and the session of the present epoch stays
    let purged =
        db.store.write(async |tx| tx.purge_ended_sessions_of(ada, 100).await).await.unwrap();
    assert_eq!(purged, 2);
    assert!(db.find_session(new.id).await.unwrap().is_live(NOW));
    assert!(db.find_session(bystander).await.is_some());
}

async fn r27_disabling_ends_every_session_of_the_account(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let session = db.session(id).await;
    assert!(db.store.write(async |tx| tx.disable_account(id, after(5)).await).await.unwrap());
    assert!(!db.find_session(session).await.unwrap().is_live(NOW));
    let record = found(&db, id).await;
    assert_eq!((record.disabled_at, record.epoch), (Some(after(5)), 1));

    // to enable the account revives no session
    db.execute("UPDATE accounts SET disabled_at = NULL").await;
    assert!(!db.find_session(session).await.unwrap().is_live(NOW));

    // an account that was disabled by hand in the database ended its sessions as well
    db.execute("UPDATE accounts SET disabled_at = 1, epoch = 0").await;
    assert!(!db.find_session(session).await.unwrap().is_live(NOW));
    let listed =
        db.store.read(async |tx| tx.find_sessions_of(id, None, 1_000, NOW).await).await.unwrap();
    assert!(listed.is_empty());
}

async fn an_account_is_disabled_once(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let answers = at_once(4, |_| {
        let store = db.store.clone();
        async move { store.write(async |tx| tx.disable_account(id, after(5)).await).await.unwrap() }
    });
    assert_eq!(answers.await.into_iter().filter(|disabled| *disabled).count(), 1);
    assert!(!db.store.write(async |tx| tx.disable_account(id, after(9)).await).await.unwrap());
    assert_eq!(found(&db, id).await.disabled_at, Some(after(5)));
}

async fn concurrent_raises_of_the_epoch_all_count(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let answers = at_once(20, |_| {
        let store = db.store.clone();
        async move { store.write(async |tx| tx.raise_epoch(id).await).await.unwrap() }
    });
    assert!(answers.await.into_iter().all(|raised| raised));
    assert_eq!(found(&db, id).await.epoch, 20);
}

async fn r27_the_deletion_of_an_account_ends_its_sessions(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let session = db.session(id).await;
    let read = db.find_session(session).await.unwrap();
    db.execute("DELETE FROM accounts").await;
    assert!(db.find_session(session).await.is_none());
    assert_eq!(db.count("sessions").await, 0);
    let renewal = crate::database::rotating(1, &read.scope, NOW);
    assert!(!db.renew(&read, &renewal).await);
}
