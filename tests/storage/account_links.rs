//! Tests of the links in letters to the owners of accounts: each has one purpose and is used once.

use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, AccountLinkPurpose, AccountLinkState};
use vestibule::storage::NewAccountLink;

use crate::database::{NOW, TestDatabase, after, at_once, digest};

on_both_engines! {
    r44_one_of_eight_concurrent_uses_of_a_link_succeeds,
    r44_account_link_works_for_its_purpose_only,
    r44_used_voided_or_expired_link_is_refused,
    r44_a_new_password_or_address_voids_the_links_of_one_account,
    r28_used_account_link_stays_used_when_the_clock_steps_back,
    r44_concurrent_use_and_voiding_end_a_link_in_one_way,
    second_account_link_with_one_digest_is_a_conflict,
    account_link_for_a_missing_account_is_a_conflict,
    deletion_of_an_account_deletes_its_account_links,
    export_lists_account_links_of_one_account,
    ended_account_links_are_purged_in_batches,
}

const PURPOSES: [AccountLinkPurpose; 4] = [
    AccountLinkPurpose::PasswordReset,
    AccountLinkPurpose::Invitation,
    AccountLinkPurpose::EmailChange,
    AccountLinkPurpose::EmailChangeStop,
];
const RESET: AccountLinkPurpose = AccountLinkPurpose::PasswordReset;

/// Mints the link `name`; it lives for 100 seconds.
async fn mint(db: &TestDatabase, name: &str, account: AccountId, purpose: AccountLinkPurpose) {
    let digest = digest(name);
    let new = NewAccountLink {
        digest: &digest,
        purpose,
        account,
        email_change: None,
        now: NOW,
        expires_at: after(100),
    };
    db.store.write(async |tx| tx.insert_account_link(&new).await).await.unwrap();
}

async fn consume(
    db: &TestDatabase,
    name: &str,
    purpose: AccountLinkPurpose,
    now: Timestamp,
) -> bool {
    let digest = digest(name);
    let consumed = db.store.write(async |tx| tx.consume_account_link(&digest, purpose, now).await);
    consumed.await.unwrap()
}

/// `None` if there is no such link of this purpose.
async fn state(
    db: &TestDatabase,
    name: &str,
    purpose: AccountLinkPurpose,
    now: Timestamp,
) -> Option<AccountLinkState> {
    let digest = digest(name);
    let found = db.store.read(async |tx| tx.find_account_link(&digest, purpose, now).await);
    found.await.unwrap().map(|link| link.state)
}

async fn void(db: &TestDatabase, account: AccountId, now: Timestamp) {
    db.store.write(async |tx| tx.void_account_links(account, now).await).await.unwrap();
}

async fn r44_one_of_eight_concurrent_uses_of_a_link_succeeds(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let nodes = [db.store.clone(), db.another_store().await];
    for round in 0..20 {
        let name = format!("link{round}");
        mint(&db, &name, account, RESET).await;
        let answers = at_once(8, |index| {
            let (store, digest) = (nodes[index % 2].clone(), digest(&name));
            async move {
                let consumed =
                    store.write(async |tx| tx.consume_account_link(&digest, RESET, NOW).await);
                consumed.await.unwrap()
            }
        });
        assert_eq!(answers.await.into_iter().filter(|won| *won).count(), 1);
        assert_eq!(state(&db, &name, RESET, NOW).await, Some(AccountLinkState::Used));
    }
}

async fn r44_account_link_works_for_its_purpose_only(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for purpose in PURPOSES {
        let name = purpose.as_str();
        mint(&db, name, account, purpose).await;
        for other in PURPOSES.into_iter().filter(|other| *other != purpose) {
            assert_eq!(state(&db, name, other, NOW).await, None);
            assert!(!consume(&db, name, other, NOW).await);
        }
        // the link does not activate a sign-up either
        let digest = digest(name);
        let found = db.store.read(async |tx| tx.find_activation_link(&digest, NOW).await).await;
        assert!(found.unwrap().is_none());
        assert_eq!(state(&db, name, purpose, NOW).await, Some(AccountLinkState::Live));
        assert!(consume(&db, name, purpose, NOW).await);
    }
    assert!(!consume(&db, "another", RESET, NOW).await);
    assert_eq!(state(&db, "another", RESET, NOW).await, None);
    assert_eq!(db.integer("SELECT MIN(length(digest)) FROM account_links").await, Some(32));
}

async fn r44_used_voided_or_expired_link_is_refused(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    mint(&db, "used", account, RESET).await;
    assert!(consume(&db, "used", RESET, after(99)).await);
    assert!(!consume(&db, "used", RESET, after(99)).await);
    mint(&db, "voided", account, RESET).await;
    void(&db, account, after(10)).await;
    assert!(!consume(&db, "voided", RESET, after(11)).await);
    mint(&db, "expired", account, RESET).await;
    assert!(!consume(&db, "expired", RESET, after(100)).await);
    for (name, expected) in [
        ("used", AccountLinkState::Used),
        ("voided", AccountLinkState::Voided),
        ("expired", AccountLinkState::Expired),
    ] {
        assert_eq!(state(&db, name, RESET, after(100)).await, Some(expected), "{name}");
    }
}

async fn r44_a_new_password_or_address_voids_the_links_of_one_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    for purpose in PURPOSES {
        mint(&db, &format!("ada {}", purpose.as_str()), ada, purpose).await;
    }
    mint(&db, "used", ada, RESET).await;
    assert!(consume(&db, "used", RESET, NOW).await);
    mint(&db, "bob", bob, RESET).await;
    void(&db, ada, after(5)).await;
    for purpose in PURPOSES {
        let name = format!("ada {}", purpose.as_str());
        assert_eq!(state(&db, &name, purpose, after(6)).await, Some(AccountLinkState::Voided));
    }
    assert_eq!(state(&db, "used", RESET, after(6)).await, Some(AccountLinkState::Used));
    assert_eq!(state(&db, "bob", RESET, after(6)).await, Some(AccountLinkState::Live));
    // a link that is minted later works
    mint(&db, "later", ada, RESET).await;
    assert!(consume(&db, "later", RESET, after(6)).await);
}

async fn r28_used_account_link_stays_used_when_the_clock_steps_back(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    mint(&db, "link", account, RESET).await;
    assert!(consume(&db, "link", RESET, after(50)).await);
    assert_eq!(state(&db, "link", RESET, NOW).await, Some(AccountLinkState::Used));
    assert!(!consume(&db, "link", RESET, NOW).await);
}

async fn r44_concurrent_use_and_voiding_end_a_link_in_one_way(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for round in 0..20 {
        let name = format!("link{round}");
        mint(&db, &name, account, RESET).await;
        let answers = at_once(2, |index| {
            let (store, digest) = (db.store.clone(), digest(&name));
            async move {
                let done = store.write(async |tx| match index {
                    0 => tx.consume_account_link(&digest, RESET, NOW).await,
                    _ => tx.void_account_links(account, NOW).await.map(|()| false),
                });
                done.await.unwrap()
            }
        });
        let expected = match answers.await[0] {
            true => AccountLinkState::Used,
            false => AccountLinkState::Voided,
        };
        assert_eq!(state(&db, &name, RESET, NOW).await, Some(expected));
    }
    let both = "SELECT COUNT(*) FROM account_links
                WHERE used_at IS NOT NULL AND voided_at IS NOT NULL";
    assert_eq!(db.integer(both).await, Some(0));
}

async fn second_account_link_with_one_digest_is_a_conflict(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    mint(&db, "link", account, RESET).await;
    let digest = digest("link");
    let again = NewAccountLink {
        digest: &digest,
        purpose: AccountLinkPurpose::EmailChange,
        account,
        email_change: None,
        now: NOW,
        expires_at: after(900),
    };
    let written = db.store.write(async |tx| tx.insert_account_link(&again).await).await;
    assert!(written.unwrap_err().is_conflict());
    assert_eq!(state(&db, "link", RESET, after(99)).await, Some(AccountLinkState::Live));
}

async fn account_link_for_a_missing_account_is_a_conflict(db: TestDatabase) {
    let digest = digest("link");
    let new = NewAccountLink {
        digest: &digest,
        purpose: RESET,
        account: AccountId::new(crate::database::new_id()),
        email_change: None,
        now: NOW,
        expires_at: after(100),
    };
    let written = db.store.write(async |tx| tx.insert_account_link(&new).await).await;
    assert!(written.unwrap_err().is_conflict());
}

async fn deletion_of_an_account_deletes_its_account_links(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    mint(&db, "ada", ada, RESET).await;
    mint(&db, "bob", bob, RESET).await;
    assert!(db.store.write(async |tx| tx.delete_account(ada).await).await.unwrap());
    assert_eq!(state(&db, "ada", RESET, NOW).await, None);
    assert!(!consume(&db, "ada", RESET, NOW).await);
    assert!(consume(&db, "bob", RESET, NOW).await);
}

async fn export_lists_account_links_of_one_account(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let other = db.account("bob@example.org").await;
    mint(&db, "used", account, RESET).await;
    mint(&db, "bob", other, RESET).await;
    assert!(consume(&db, "used", RESET, after(5)).await);
    let links = db.store.read(async |tx| tx.find_account_links_of(account, None, 100).await);
    let links = links.await.unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].purpose, "password-reset");
    assert_eq!((links[0].minted_at, links[0].expires_at), (NOW, after(100)));
    assert_eq!((links[0].used_at, links[0].voided_at), (Some(after(5)), None));
}

async fn ended_account_links_are_purged_in_batches(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for index in 0..5 {
        mint(&db, &format!("old{index}"), account, RESET).await;
    }
    mint(&db, "young", account, RESET).await;
    assert!(consume(&db, "young", RESET, NOW).await);
    let later = after(200).unix_millis();
    db.execute(&format!("UPDATE account_links SET expires_at = {later} WHERE used_at > 0")).await;
    let purge = async |before| {
        db.store.write(async |tx| tx.purge_account_links(before, 2).await).await.unwrap()
    };
    assert_eq!(purge(after(99)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(150)).await, batch);
    }
    assert_eq!(state(&db, "young", RESET, after(150)).await, Some(AccountLinkState::Used));
}
