//! Tests of sign-ups: one row for each address, used once.

use vestibule::crypto::entropy::Entropy;
use vestibule::model::{Locale, Name, SignUpId};
use vestibule::storage::{LetterId, NewLetter, NewSignUp, SignUpRecord, StoreError};

use crate::database::{NOW, TestDatabase, WaitingSignUp, after, at_once, email, hash};

on_both_engines! {
    r35_one_of_fifty_concurrent_sign_ups_for_an_address_is_inserted,
    a_sign_up_for_another_address_waits_beside_it,
    a_sign_up_is_consumed_once,
    a_consumed_address_can_sign_up_again,
    r35_contested_sign_up_is_consumed_only_on_explicit_request,
    r35_concurrent_contest_and_use_do_not_both_succeed,
    repeated_sign_up_updates_name_and_language_and_keeps_its_end,
    r35_contested_sign_up_has_no_name,
    r35_second_contest_keeps_the_time_of_the_first,
    s2_waiting_password_reset_request_contests_the_sign_up,
    s2_concurrent_password_reset_request_and_use_do_not_both_succeed,
    s2_sign_up_stays_contested_after_any_removal_of_the_waiting_request,
    s18_sign_up_is_replaced_only_near_its_end,
    consumed_sign_up_can_be_neither_repeated_nor_contested,
    expired_sign_ups_are_purged_in_batches,
    concurrent_purges_count_each_row_once,
    waiting_sign_ups_are_listed_by_a_part_of_their_address,
}

async fn found(db: &TestDatabase, id: SignUpId) -> Option<SignUpRecord> {
    db.store.read(async |tx| tx.find_sign_up(id).await).await.unwrap()
}

async fn consume(db: &TestDatabase, id: SignUpId, also_contested: bool) -> bool {
    db.store.write(async |tx| tx.consume_sign_up(id, also_contested).await).await.unwrap()
}

async fn contest(db: &TestDatabase, id: SignUpId, now: vestibule::clock::Timestamp) -> bool {
    db.store.write(async |tx| tx.contest_sign_up(id, now).await).await.unwrap()
}

async fn repeat(db: &TestDatabase, id: SignUpId, name: Option<&str>, locale: Option<&str>) -> bool {
    let name = name.and_then(|name| Name::parse(name).unwrap());
    let locale = locale.map(|locale| Locale::parse(locale).unwrap());
    db.store
        .write(async |tx| tx.repeat_sign_up(id, name.as_ref(), locale.as_ref()).await)
        .await
        .unwrap()
}

fn name_of(record: &SignUpRecord) -> Option<&str> {
    record.sign_up.name.as_ref().map(Name::as_str)
}

async fn r35_one_of_fifty_concurrent_sign_ups_for_an_address_is_inserted(db: TestDatabase) {
    let answers = at_once(50, |_| {
        let store = db.store.clone();
        async move {
            let new = WaitingSignUp::of("ada@example.org");
            let written = store.write(async |tx| tx.insert_sign_up(&new.row()).await).await;
            written.unwrap().then_some(new.id)
        }
    });
    let waiting: Vec<SignUpId> = answers.await.into_iter().flatten().collect();
    assert_eq!(waiting.len(), 1);
    let address = email("ada@example.org");
    let found = db.store.read(async |tx| tx.find_sign_up_by_email(&address).await).await.unwrap();
    assert_eq!(found.unwrap().sign_up.id, waiting[0]);
    assert_eq!(db.count("sign_ups").await, 1);
}

async fn a_sign_up_for_another_address_waits_beside_it(db: TestDatabase) {
    let ada = db.sign_up("ada@example.org").await;
    let bob = db.sign_up("bob@example.org").await;
    assert_eq!(found(&db, ada).await.unwrap().sign_up.email.as_str(), "ada@example.org");
    assert_eq!(found(&db, bob).await.unwrap().sign_up.email.as_str(), "bob@example.org");
    let carol = email("carol@example.org");
    let missing = db.store.read(async |tx| tx.find_sign_up_by_email(&carol).await).await.unwrap();
    assert!(missing.is_none());
}

async fn a_sign_up_is_consumed_once(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    let bystander = db.sign_up("bob@example.org").await;
    let answers = at_once(16, |index| {
        let store = db.store.clone();
        async move {
            store.write(async |tx| tx.consume_sign_up(id, index % 2 == 0).await).await.unwrap()
        }
    });
    assert_eq!(answers.await.into_iter().filter(|consumed| *consumed).count(), 1);
    assert!(found(&db, id).await.is_none());
    assert!(found(&db, bystander).await.is_some());
}

async fn a_consumed_address_can_sign_up_again(db: TestDatabase) {
    let first = db.sign_up("ada@example.org").await;
    assert!(consume(&db, first, false).await);
    let second = db.sign_up("ada@example.org").await;
    assert!(!consume(&db, first, true).await);
    assert!(found(&db, second).await.is_some());
}

async fn r35_contested_sign_up_is_consumed_only_on_explicit_request(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(contest(&db, id, after(5)).await);
    assert!(!consume(&db, id, false).await);
    assert!(found(&db, id).await.is_some());
    assert!(consume(&db, id, true).await);
    assert!(found(&db, id).await.is_none());
}

async fn r35_concurrent_contest_and_use_do_not_both_succeed(db: TestDatabase) {
    for round in 0..25 {
        let id = db.sign_up(&format!("ada{round}@example.org")).await;
        let answers = at_once(2, |index| {
            let store = db.store.clone();
            async move {
                let written = store.write(async |tx| match index {
                    0 => tx.contest_sign_up(id, NOW).await,
                    _ => tx.consume_sign_up(id, false).await,
                });
                written.await.unwrap()
            }
        });
        let answers = answers.await;
        assert!(answers[0] != answers[1], "round {round}: {answers:?}");
        assert_eq!(found(&db, id).await.is_some(), answers[0]);
    }
}

async fn repeated_sign_up_updates_name_and_language_and_keeps_its_end(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(repeat(&db, id, Some("Ada"), Some("en")).await);
    assert!(repeat(&db, id, Some("Countess"), None).await);
    let record = found(&db, id).await.unwrap();
    assert_eq!(name_of(&record), Some("Countess"));
    assert_eq!(record.sign_up.locale.as_ref().map(Locale::as_str), Some("en"));
    assert_eq!(record.sign_up.created_at, NOW);
    assert_eq!(record.sign_up.contested_at, None);

    // the second sign-up names no language, so the first one's stays
    assert!(repeat(&db, id, None, Some("de")).await);
    let record = found(&db, id).await.unwrap();
    assert_eq!(name_of(&record), Some("Countess"));
    assert_eq!(record.sign_up.locale.as_ref().map(Locale::as_str), Some("de"));

    let purge = async |now| db.store.write(async |tx| tx.purge_sign_ups(now, 10).await).await;
    assert_eq!(purge(after(999)).await.unwrap(), 0);
    assert_eq!(purge(after(1_000)).await.unwrap(), 1);
}

async fn r35_contested_sign_up_has_no_name(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(repeat(&db, id, Some("Ada"), None).await);
    assert!(contest(&db, id, after(5)).await);
    let record = found(&db, id).await.unwrap();
    assert_eq!(name_of(&record), None);
    assert_eq!(record.sign_up.contested_at, Some(after(5)));
    assert!(repeat(&db, id, Some("Mallory"), Some("de")).await);
    assert_eq!(name_of(&found(&db, id).await.unwrap()), None);
}

async fn r35_second_contest_keeps_the_time_of_the_first(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(contest(&db, id, after(5)).await);
    assert!(contest(&db, id, after(9)).await);
    assert_eq!(found(&db, id).await.unwrap().sign_up.contested_at, Some(after(5)));
    assert!(repeat(&db, id, None, None).await);
    assert_eq!(found(&db, id).await.unwrap().sign_up.contested_at, Some(after(5)));
}

/// Posts the letter that a request for a new password posts for every address.
async fn request_new_password(db: &TestDatabase, address: &str) -> LetterId {
    let id = LetterId::new(Entropy.uuid_v7(after(3)));
    let new = NewLetter {
        id,
        kind: "password-reset",
        email: &email(address),
        locale: None,
        account: None,
        facts: "{}".to_owned(),
        now: after(3),
    };
    db.store.write(async |tx| tx.insert_letter_once(&new).await).await.unwrap();
    id
}

/// The request does the same for every address, and the courier marks the row later. Until then no
/// link activates the account with the first password.
async fn s2_waiting_password_reset_request_contests_the_sign_up(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    let bystander = db.sign_up("bob@example.org").await;
    assert!(repeat(&db, id, Some("Mallory"), Some("de")).await);
    db.letter("ada@example.org", NOW).await;
    request_new_password(&db, "carol@example.org").await;
    assert_eq!(found(&db, id).await.unwrap().sign_up.contested_at, None);
    let letter = request_new_password(&db, "ada@example.org").await;
    let record = found(&db, id).await.unwrap();
    assert_eq!(record.sign_up.contested_at, Some(after(3)));
    assert!(name_of(&record).is_none() && record.sign_up.locale.is_none());
    assert!(!consume(&db, id, false).await);
    // the letter has left, and its effect stays
    let (now, address) = (after(9), email("ada@example.org"));
    db.store.write(async |tx| tx.contest_sign_up_of(&address, now).await).await.unwrap();
    let claimed = db.claim(now, 10).await;
    let claimed = claimed.iter().find(|claimed| claimed.id == letter).unwrap();
    assert!(db.store.write(async |tx| tx.mark_sent(claimed, now).await).await.unwrap());
    let record = found(&db, id).await.unwrap();
    assert_eq!(record.sign_up.contested_at, Some(after(9)));
    assert!(name_of(&record).is_none() && record.sign_up.locale.is_none());
    assert!(!consume(&db, id, false).await);
    assert!(consume(&db, id, true).await);
    assert!(consume(&db, bystander, false).await);
}

async fn s2_concurrent_password_reset_request_and_use_do_not_both_succeed(db: TestDatabase) {
    for round in 0..25 {
        let address = format!("ada{round}@example.org");
        let id = db.sign_up(&address).await;
        let answers = at_once(2, |index| {
            let (store, address) = (db.store.clone(), email(&address));
            async move {
                match index {
                    0 => store
                        .write(async |tx| {
                            tx.contest_sign_up_of(&address, NOW).await?;
                            Ok::<_, StoreError>(tx.find_sign_up(id).await?.is_some())
                        })
                        .await
                        .unwrap(),
                    _ => store.write(async |tx| tx.consume_sign_up(id, false).await).await.unwrap(),
                }
            }
        });
        let answers = answers.await;
        assert!(answers[0] != answers[1], "round {round}: {answers:?}");
    }
}

/// The statements that remove letters, by file, and why each is safe where the letter is a waiting
/// request. A new statement fails the test below until this list has it.
const REMOVALS: [(&str, usize, &str); 4] = [
    (
        "deletions.rs",
        2,
        "excess letters of an address, never requests; and the letters of an account",
    ),
    ("deliveries.rs", 1, "a courier drops a letter after it has contested the sign-up"),
    ("letters.rs", 1, "the operator drops a letter: `OutboxAdmin::drop` contests"),
    (
        "posting.rs",
        5,
        "an earlier notice; letters to an address that changes or is deleted, which contest; and \
         old letters: a dead letter is kept as long as a sign-up waits",
    ),
];

#[test]
fn s2_statements_that_remove_letters_are_listed() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage")];
    let mut found: Vec<(String, usize)> = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_dir() {
                folders.push(file.path());
                continue;
            }
            let text = std::fs::read_to_string(file.path()).unwrap();
            let count = text.matches("DELETE FROM outbox").count();
            if count > 0 {
                found.push((file.file_name().to_string_lossy().into_owned(), count));
            }
        }
    }
    found.sort();
    assert_eq!(found, REMOVALS.map(|(file, count, _)| (file.to_owned(), count)));
}

async fn s2_sign_up_stays_contested_after_any_removal_of_the_waiting_request(db: TestDatabase) {
    for (verb, address) in ["a@example.org", "b@example.org", "c@example.org"].iter().enumerate() {
        let (to, now) = (email(address), after(60));
        let id = db.sign_up(address).await;
        assert!(repeat(&db, id, Some("Mallory"), Some("de")).await);
        let account = db.account(&format!("former{address}")).await;
        if verb == 0 {
            // more letters than one transaction removes, each older than the request
            for _ in 0..1_100 {
                db.letter(address, NOW).await;
            }
        }
        request_new_password(&db, address).await;
        match verb {
            0 => db.store.purge_excess_of(&to).await.unwrap(),
            1 => {
                let left = db.store.write(async |tx| tx.detach_letters(&to, account, now).await);
                left.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
            }
            _ => {
                let gone = db.store.write(async |tx| tx.delete_letters_to(&to, now).await);
                gone.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
            }
        }
        let record = found(&db, id).await.unwrap();
        assert!(record.sign_up.contested_at.is_some(), "{address}");
        assert_eq!(name_of(&record), None, "{address}");
        assert!(!consume(&db, id, false).await, "{address}");
    }
}

async fn s18_sign_up_is_replaced_only_near_its_end(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(repeat(&db, id, Some("Mallory"), Some("de")).await);
    let mut new = WaitingSignUp::of("ada@example.org");
    (new.id, new.password_hash) = (id, hash("second"));
    let row = NewSignUp { now: after(900), expires_at: after(5_000), ..new.row() };
    let replace = async |before| {
        db.store.write(async |tx| tx.replace_sign_up(&row, before).await).await.unwrap()
    };
    assert!(!replace(after(1_000)).await, "its end is not before the limit");
    assert!(replace(after(1_001)).await);
    assert!(!replace(after(1_001)).await, "its end was moved");
    let record = found(&db, id).await.unwrap();
    assert_eq!(record.password_hash.as_str(), hash("second").as_str());
    assert_eq!((record.sign_up.created_at, record.expires_at), (after(900), after(5_000)));
    assert_eq!(record.sign_up.contested_at, Some(after(900)));
    assert!(name_of(&record).is_none() && record.sign_up.locale.is_none());
    assert!(!consume(&db, id, false).await);
}

async fn consumed_sign_up_can_be_neither_repeated_nor_contested(db: TestDatabase) {
    let id = db.sign_up("ada@example.org").await;
    assert!(consume(&db, id, false).await);
    assert!(!repeat(&db, id, Some("Ada"), None).await);
    assert!(!contest(&db, id, NOW).await);
    assert_eq!(db.count("sign_ups").await, 0);
}

async fn expired_sign_ups_are_purged_in_batches(db: TestDatabase) {
    for index in 0..5 {
        db.sign_up(&format!("ada{index}@example.org")).await;
    }
    let patient = WaitingSignUp::of("bob@example.org");
    let row = NewSignUp { expires_at: after(2_000), ..patient.row() };
    assert!(db.store.write(async |tx| tx.insert_sign_up(&row).await).await.unwrap());

    let purge =
        async |now| db.store.write(async |tx| tx.purge_sign_ups(now, 2).await).await.unwrap();
    assert_eq!(purge(after(999)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(1_000)).await, batch);
    }
    assert!(found(&db, patient.id).await.is_some());
}

async fn concurrent_purges_count_each_row_once(db: TestDatabase) {
    for index in 0..40 {
        db.sign_up(&format!("ada{index}@example.org")).await;
    }
    let answers = at_once(4, |_| {
        let store = db.store.clone();
        async move {
            let mut purged = 0;
            for _ in 0..20 {
                purged +=
                    store.write(async |tx| tx.purge_sign_ups(after(1_000), 5).await).await.unwrap();
            }
            purged
        }
    });
    assert_eq!(answers.await.into_iter().sum::<u64>(), 40);
    assert_eq!(db.count("sign_ups").await, 0);
}

async fn waiting_sign_ups_are_listed_by_a_part_of_their_address(db: TestDatabase) {
    let mut ids = Vec::new();
    for address in ["a%b@example.org", "a_b@example.org", "a!b@example.org", "axb@example.org"] {
        ids.push(db.sign_up(address).await);
    }
    ids.sort_unstable();
    let listed = async |after, part: &str, limit| {
        let found = db.store.read(async |tx| tx.find_sign_ups(after, part, limit).await).await;
        found.unwrap().into_iter().map(|record| record.sign_up.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, "", 10).await, ids);
    assert_eq!(listed(Some(ids[1]), "", 1).await, ids[2..3]);
    assert!(listed(Some(ids[3]), "", 10).await.is_empty());
    for part in ["a%b", "a_b", "a!b", "%", "_", "!", "AXB@"] {
        assert_eq!(listed(None, part, 10).await.len(), 1, "{part}");
    }
    assert!(listed(None, "axb_example", 10).await.is_empty());
}
