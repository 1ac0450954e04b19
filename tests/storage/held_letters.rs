//! Tests of letters that wait when a backup is taken or restored, and of rows that wait for an
//! instant from before the clock was set back.

use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::model::{AccountLinkPurpose, AccountLinkState, EmailChangeId, LinkState};
use vestibule::storage::{LetterState, NewAccountLink, NewEmailChange, StoreError};

use crate::database::{NOW, TestDatabase, after, digest, email, new_id, open, sqlite_url};

on_both_engines! {
    f22_held_letter_is_sent_only_after_its_release,
    f22_letter_that_died_since_the_last_delivery_is_held,
    f22_held_password_reset_request_contests_the_sign_up,
    f22_links_from_before_a_restore_are_ended,
    s15_letters_due_before_the_clock_was_set_back_become_due,
}

const ALL: [LetterState; 5] = [
    LetterState::Waiting,
    LetterState::OnItsWay,
    LetterState::Dead,
    LetterState::Held,
    LetterState::Sent,
];

async fn in_state(db: &TestDatabase, state: LetterState) -> usize {
    let found = db.store.read(async |db| db.find_letters(&[state], None, "", 10, NOW).await).await;
    found.unwrap().len()
}

async fn states(db: &TestDatabase) -> Vec<usize> {
    let mut counts = Vec::new();
    for state in ALL {
        counts.push(in_state(db, state).await);
    }
    counts
}

async fn f22_held_letter_is_sent_only_after_its_release(db: TestDatabase) {
    let waiting = db.letter("ada@example.org", NOW).await;
    db.letter("bob@example.org", after(3_600)).await;
    let dead = db.letter("carl@example.org", NOW).await;
    db.execute(&format!("UPDATE outbox SET dead_at = 1, last_error = 'no' WHERE id = '{dead}'"))
        .await;
    let sent = db.letter("eve@example.org", NOW).await;
    db.execute(&format!("UPDATE outbox SET sent_at = 2 WHERE id = '{sent}'")).await;
    let on_its_way = db.letter("dora@example.org", NOW).await;
    db.execute(&format!(
        "UPDATE outbox SET lease = 'x', leased_until = {} WHERE id = '{on_its_way}'",
        after(60).unix_millis()
    ))
    .await;
    assert_eq!(states(&db).await, [2, 1, 1, 0, 1]);
    let held = db.store.write(async |tx| tx.hold_letters(NOW).await).await;
    assert_eq!(held.map_err(|error: StoreError| error.kind()), Ok(3));
    assert_eq!(states(&db).await, [0, 0, 1, 3, 1]);
    assert!(db.claim(after(7_200), 10).await.is_empty());

    // a recovered mail server does not release held letters
    let refused = db.store.read(async |db| db.find_refused_letters().await).await.unwrap();
    assert!(refused.is_empty());
    // a courier that read the letter earlier does not release it either
    let revived: Result<(), StoreError> =
        db.store.write(async |tx| tx.revive_letters(&[waiting], NOW).await).await;
    revived.unwrap();
    assert_eq!(states(&db).await, [0, 0, 1, 3, 1]);

    // letters that were given up are not held ones
    let retried: Result<u64, StoreError> =
        db.store.write(async |tx| tx.retry_dead_letters(NOW).await).await;
    assert_eq!(retried.unwrap(), 1);
    assert_eq!(states(&db).await, [1, 0, 0, 3, 1]);
    // one letter, and then the rest
    let released: Result<bool, StoreError> =
        db.store.write(async |tx| tx.retry_letter(waiting, NOW).await).await;
    assert!(released.unwrap());
    assert_eq!(states(&db).await, [2, 0, 0, 2, 1]);
    let shown = db.store.read(async |db| db.find_letter(waiting, NOW).await).await.unwrap();
    assert_eq!(shown.and_then(|letter| letter.last_error), None);
    let held = db.store.read(async |db| db.count_held_letters().await).await;
    assert_eq!(held.unwrap(), 2);
    let released: Result<u64, StoreError> =
        db.store.write(async |tx| tx.release_held_letters(NOW).await).await;
    assert_eq!(released.unwrap(), 2);
    assert_eq!(states(&db).await, [4, 0, 0, 0, 1]);
    assert_eq!(db.claim(NOW, 10).await.len(), 4);
}

async fn f22_letter_that_died_since_the_last_delivery_is_held(db: TestDatabase) {
    let sent = db.letter("eve@example.org", NOW).await;
    db.execute(&format!("UPDATE outbox SET sent_at = 2 WHERE id = '{sent}'")).await;
    for (address, dead_at) in [("ada@example.org", 1), ("bob@example.org", 3)] {
        let dead = db.letter(address, NOW).await;
        db.execute(&format!(
            "UPDATE outbox SET dead_at = {dead_at}, last_error = '554 quota' WHERE id = '{dead}'"
        ))
        .await;
    }
    for expected in [1, 0] {
        let held: Result<u64, StoreError> =
            db.store.write(async |tx| tx.hold_letters(NOW).await).await;
        assert_eq!(held.unwrap(), expected, "once");
    }
    assert_eq!(states(&db).await, [0, 0, 1, 1, 1]);
}

async fn f22_held_password_reset_request_contests_the_sign_up(db: TestDatabase) {
    db.sign_up("ada@example.org").await;
    db.sign_up("bob@example.org").await;
    let letter = db.letter("ada@example.org", NOW).await;
    db.letter("bob@example.org", NOW).await;
    db.execute(&format!("UPDATE outbox SET kind = 'password-reset' WHERE id = '{letter}'")).await;
    let held: Result<u64, StoreError> = db.store.write(async |tx| tx.hold_letters(NOW).await).await;
    assert_eq!(held.unwrap(), 2);
    let contested = "SELECT email FROM sign_ups WHERE contested_at IS NOT NULL";
    assert_eq!(db.text(contested).await.as_deref(), Some("ada@example.org"));
}

/// Links of every kind, a change of address and a sign-up, all of them live.
async fn links(db: &TestDatabase) -> [AccountLinkPurpose; 3] {
    let account = db.account("ada@example.org").await;
    let sign_up = db.sign_up("bob@example.org").await;
    let (change, new) = (EmailChangeId::new(new_id()), email("new@example.org"));
    let purposes = [
        AccountLinkPurpose::PasswordReset,
        AccountLinkPurpose::EmailChange,
        AccountLinkPurpose::EmailChangeStop,
    ];
    let written = db.store.write(async |tx| {
        let row = NewEmailChange { id: change, account, email: &new, user_agent: None, now: NOW };
        tx.insert_email_change(&row).await?;
        for purpose in purposes {
            let link = NewAccountLink {
                digest: &digest(purpose.as_str()),
                purpose,
                account,
                email_change: (purpose != AccountLinkPurpose::PasswordReset).then_some(change),
                now: NOW,
                expires_at: after(1_000),
            };
            tx.insert_account_link(&link).await?;
        }
        tx.insert_activation_link(&digest("activation"), sign_up, NOW, after(1_000)).await
    });
    written.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
    purposes
}

/// How many of the account's links work, whether the sign-up's does, and how many changes of
/// address wait.
async fn live(db: &TestDatabase, purposes: [AccountLinkPurpose; 3]) -> (usize, bool, i64) {
    let mut live = 0;
    for purpose in purposes {
        let digest = digest(purpose.as_str());
        let find = db.store.read(async |tx| tx.find_account_link(&digest, purpose, after(9)).await);
        live += usize::from(find.await.unwrap().unwrap().state == AccountLinkState::Live);
    }
    let digest = digest("activation");
    let find = db.store.read(async |tx| tx.find_activation_link(&digest, after(9)).await);
    let activates = matches!(find.await.unwrap().unwrap().state, LinkState::Live { .. });
    (live, activates, db.count("email_changes WHERE voided_at IS NULL").await)
}

async fn f22_links_from_before_a_restore_are_ended(db: TestDatabase) {
    let purposes = links(&db).await;
    assert_eq!(live(&db, purposes).await, (3, true, 1));
    let held: Result<u64, StoreError> =
        db.store.write(async |tx| tx.hold_letters(after(5)).await).await;
    assert_eq!(held.unwrap(), 0);
    assert_eq!(live(&db, purposes).await, (0, false, 0));
    // the sign-up and the account stay: their owners can ask for another link
    assert_eq!((db.count("sign_ups").await, db.count("accounts").await), (1, 1));
}

/// The test opens the backup file alone.
#[tokio::test]
async fn f22_links_in_a_backup_are_ended() {
    let db = TestDatabase::sqlite().await;
    let purposes = links(&db).await;
    let (folder, url) = sqlite_url();
    db.store.back_up(&folder.path().join("test.db"), false, after(5)).await.unwrap();
    let restored = TestDatabase { store: open(&url).await.unwrap(), url, folder: Some(folder) };
    assert_eq!(live(&restored, purposes).await, (0, false, 0));
    assert_eq!(live(&db, purposes).await, (3, true, 1), "the live database is as it was");
}

/// The test opens the backup file alone.
#[tokio::test]
async fn f22_letters_that_wait_at_a_backup_are_held_in_it() {
    let db = TestDatabase::sqlite().await;
    db.letter("ada@example.org", NOW).await;
    let (folder, url) = sqlite_url();
    let file = folder.path().join("test.db");
    db.store.back_up(&file, false, NOW).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let restored = TestDatabase { store: open(&url).await.unwrap(), url, folder: Some(folder) };
    assert_eq!(states(&restored).await, [0, 0, 0, 1, 0]);
    assert!(restored.claim(after(3_600), 10).await.is_empty());
    // a letter of an old backup is kept as long as a letter that is given up now
    let later = after(400 * 24 * 3_600);
    let month = Duration::from_secs(30 * 24 * 3_600);
    let purge = async |now: Timestamp| {
        let before = Timestamp::from_unix_millis(
            now.unix_millis() - i64::try_from(month.as_millis()).unwrap(),
        );
        let purged: Result<u64, StoreError> =
            restored.store.write(async |tx| tx.purge_letters(before, before, 10).await).await;
        purged.unwrap()
    };
    assert_eq!(purge(later).await, 0);
    let begun: Result<u64, StoreError> =
        restored.store.write(async |tx| tx.date_held_letters(later).await).await;
    assert_eq!(begun.unwrap(), 1);
    assert_eq!(purge(later).await, 0);
    assert_eq!(purge(later + month).await, 1);
    // the original database still sends it
    assert_eq!(db.claim(NOW, 10).await.len(), 1);
}

async fn s15_letters_due_before_the_clock_was_set_back_become_due(db: TestDatabase) {
    let year = Duration::from_secs(365 * 24 * 3_600);
    let mend = async || -> u64 {
        let mended: Result<u64, StoreError> =
            db.store.write(async |tx| tx.repair_after_set_back(NOW).await).await;
        mended.unwrap()
    };
    // postponed as letters are, and counted by a node whose clock is a little ahead
    let soon = db.letter("ada@example.org", after(15 * 3_600)).await;
    let to = email("ada@example.org");
    let count = async |at: Timestamp| {
        let counted: Result<(), StoreError> =
            db.store.write(async |tx| tx.count_letter(&to, None, at).await).await;
        counted.unwrap();
    };
    count(after(59)).await;
    assert_eq!(mend().await, 0);
    count(NOW + year).await;
    assert_eq!(mend().await, 1);
    assert_eq!(db.count("letters_sent").await, 1);
    let late = db.letter("bob@example.org", NOW + year).await;
    let taken = db.letter("carl@example.org", NOW).await;
    db.execute(&format!(
        "UPDATE outbox SET lease = 'x', leased_until = {} WHERE id = '{taken}'",
        (NOW + year).unix_millis()
    ))
    .await;
    assert!(db.claim(NOW, 10).await.is_empty());
    assert_eq!(mend().await, 2);
    let mut claimed: Vec<_> = db.claim(NOW, 10).await.into_iter().map(|letter| letter.id).collect();
    claimed.sort();
    let mut expected = vec![late, taken];
    expected.sort();
    assert_eq!(claimed, expected);
    assert_eq!(mend().await, 0, "{soon} is due as before");
}
