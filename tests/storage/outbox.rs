//! Tests of the outbox: only one courier holds a letter at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{AccountId, EmailAddress};
use vestibule::storage::{ClaimLimit, ClaimedLetter, DomainTurn, LetterId, NewLetter};

use crate::database::{NOW, TestDatabase, after, at_once, claim, email, new_id};

on_both_engines! {
    claimed_letter_has_the_fields_of_the_posted_one,
    claims_go_by_the_due_time_and_stay_within_their_limit,
    eight_couriers_claim_each_letter_once,
    letter_posted_repeatedly_is_sent_once_by_eight_couriers,
    expired_lease_passes_to_another_courier,
    a_courier_without_the_lease_changes_nothing,
    expired_lease_without_successor_still_records_delivery,
    postponed_letter_is_not_claimed_before_its_due_time,
    a_postponement_keeps_the_tries_and_the_last_error,
    sent_letter_is_never_claimed_again,
    dead_letter_is_never_claimed_again_and_stays_visible,
    dropped_letter_is_deleted,
    has_due_letters_agrees_with_claims,
    r35_s15_letters_to_an_address_are_counted_after_their_deletion,
    old_dead_letters_are_purged,
    identical_letter_requests_wait_as_one,
    s3_waiting_letter_takes_the_facts_of_the_latest_request,
    s17_repeated_requests_do_not_hasten_a_postponed_letter,
    s10_at_most_20_notices_of_a_kind_wait_and_a_further_one_replaces_the_latest,
    waiting_letters_are_superseded_by_the_last_of_their_kind_and_address,
    sent_letters_are_purged_in_batches,
    deletion_of_an_account_deletes_only_letters_about_the_account,
    deletion_of_an_account_voids_the_lease_of_its_letter,
    concurrent_claims_and_deletions_do_not_deadlock,
    change_of_address_keeps_sent_letters_and_drops_waiting_ones,
    delete_letters_to_an_address_takes_every_state,
    s17_refused_letters_do_not_use_the_claim_limit_of_fresh_ones,
    s17_claims_skip_letters_to_slow_domains_only,
    s4_earliest_letters_beside_slow_domains_are_claimed_first,
    s4_letters_to_many_domains_take_turns_beside_a_slow_one,
    s4_claim_beside_a_slow_domain_finds_the_due_letter_among_many_domains,
    f12_letters_that_died_since_the_last_one_left_are_found_and_revived,
}

fn ids(letters: &[ClaimedLetter]) -> Vec<LetterId> {
    letters.iter().map(|letter| letter.id).collect()
}

async fn claim_one(db: &TestDatabase, now: Timestamp) -> ClaimedLetter {
    let mut letters = db.claim(now, 1).await;
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

async fn mark_sent(db: &TestDatabase, letter: &ClaimedLetter, now: Timestamp) -> bool {
    db.store.write(async |tx| tx.mark_sent(letter, now).await).await.unwrap()
}

async fn postpone(
    db: &TestDatabase,
    letter: &ClaimedLetter,
    due_at: Timestamp,
    tries: u32,
    error: Option<&str>,
) -> bool {
    let written = db.store.write(async |tx| tx.postpone_letter(letter, due_at, tries, error).await);
    written.await.unwrap()
}

async fn mark_dead(db: &TestDatabase, letter: &ClaimedLetter, now: Timestamp) -> bool {
    let written = db.store.write(async |tx| tx.mark_dead(letter, now, "550 no such user").await);
    written.await.unwrap()
}

async fn drop_letter(db: &TestDatabase, letter: &ClaimedLetter) -> bool {
    db.store.write(async |tx| tx.drop_letter(letter).await).await.unwrap()
}

async fn holds_lease(db: &TestDatabase, letter: &ClaimedLetter, now: Timestamp) -> bool {
    db.store.read(async |tx| tx.holds_lease(letter, now).await).await.unwrap()
}

async fn claimed_letter_has_the_fields_of_the_posted_one(db: TestDatabase) {
    let id = db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, after(5)).await;
    assert_eq!((letter.id, letter.kind.as_str()), (id, "sign-up"));
    assert_eq!(letter.email.as_str(), "ada@example.org");
    assert_eq!((letter.facts.as_str(), letter.locale.as_ref()), ("{}", None));
    assert_eq!((letter.created_at, letter.tries), (NOW, 0));
    assert!(holds_lease(&db, &letter, after(64)).await);
    assert!(!holds_lease(&db, &letter, after(65)).await);
    assert!(db.claim(after(64), 10).await.is_empty());
}

async fn claims_go_by_the_due_time_and_stay_within_their_limit(db: TestDatabase) {
    let mut posted = Vec::new();
    for (address, due) in [("c", 3), ("a", 1), ("e", 5), ("b", 2), ("d", 4)] {
        posted.push((due, db.letter(&format!("{address}@example.org"), after(due)).await));
    }
    posted.sort_unstable();
    let posted: Vec<LetterId> = posted.into_iter().map(|(_, id)| id).collect();
    assert!(db.claim(after(9), 0).await.is_empty());
    assert_eq!(ids(&db.claim(after(9), 2).await), posted[..2]);
    assert_eq!(ids(&db.claim(after(4), 10).await), posted[2..4]);
    assert_eq!(ids(&db.claim(after(9), 10).await), posted[4..]);
    assert!(db.claim(after(9), 10).await.is_empty());
}

async fn eight_couriers_claim_each_letter_once(db: TestDatabase) {
    const LETTERS: usize = 150;

    let mut posted = BTreeSet::new();
    for index in 0..LETTERS {
        posted.insert(db.letter(&format!("ada{index}@example.org"), NOW).await);
    }
    let nodes = [db.store.clone(), db.another_store().await];
    let answers = at_once(8, |index| {
        let store = nodes[index % nodes.len()].clone();
        async move {
            let mut claimed = Vec::new();
            while store.read(async |tx| tx.has_due_letters(NOW).await).await.unwrap() {
                let letters = claim(&store, NOW, 7).await;
                assert!(letters.len() <= 7);
                claimed.extend(ids(&letters));
            }
            claimed
        }
    });
    let claimed: Vec<LetterId> = answers.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), LETTERS, "each letter is claimed once");
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), posted);
}

async fn letter_posted_repeatedly_is_sent_once_by_eight_couriers(db: TestDatabase) {
    for round in 0..30 {
        let id = db.letter("ada@example.org", after(round)).await;
        let sent = at_once(8, |_| {
            let store = db.store.clone();
            async move {
                let letters = claim(&store, after(round), 8).await;
                let mut sent = Vec::new();
                for letter in letters {
                    let marked = store.write(async |tx| tx.mark_sent(&letter, after(round)).await);
                    assert!(marked.await.unwrap());
                    sent.push(letter.id);
                }
                sent
            }
        });
        let sent: Vec<LetterId> = sent.await.into_iter().flatten().collect();
        assert_eq!(sent, [id], "round {round}");
    }
}

async fn expired_lease_passes_to_another_courier(db: TestDatabase) {
    let id = db.letter("ada@example.org", NOW).await;
    let first = claim_one(&db, NOW).await;
    assert!(db.claim(after(59), 10).await.is_empty());
    let second = claim_one(&db, after(60)).await;
    assert_eq!((first.id, second.id), (id, id));
    assert!(!holds_lease(&db, &first, after(60)).await);
    assert!(holds_lease(&db, &second, after(60)).await);
}

async fn a_courier_without_the_lease_changes_nothing(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let first = claim_one(&db, NOW).await;
    let second = claim_one(&db, after(60)).await;
    assert!(!mark_sent(&db, &first, after(61)).await);
    assert!(!postpone(&db, &first, after(500), 7, Some("late")).await);
    assert!(!mark_dead(&db, &first, after(61)).await);
    assert!(!drop_letter(&db, &first).await);
    assert!(holds_lease(&db, &second, after(61)).await);
    assert!(mark_sent(&db, &second, after(62)).await);
    // a sent letter has no lease
    assert!(!mark_sent(&db, &second, after(63)).await);
    assert!(!mark_dead(&db, &second, after(63)).await);
    assert!(!drop_letter(&db, &second).await);
    assert_eq!(db.integer("SELECT sent_at FROM outbox").await, Some(after(62).unix_millis()));
    assert_eq!(db.integer("SELECT tries FROM outbox").await, Some(0));
}

async fn expired_lease_without_successor_still_records_delivery(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    // the letter has left: a late record is better than a second letter
    assert!(mark_sent(&db, &letter, after(100)).await);
    assert!(db.claim(after(100), 10).await.is_empty());
}

async fn postponed_letter_is_not_claimed_before_its_due_time(db: TestDatabase) {
    let postponed = db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    let other = db.letter("bob@example.org", after(1)).await;
    assert!(postpone(&db, &letter, after(500), 1, None).await);
    assert!(!holds_lease(&db, &letter, after(1)).await);
    // a postponed letter delays no other
    assert_eq!(ids(&db.claim(after(499), 10).await), [other]);
    assert_eq!(ids(&db.claim(after(500), 10).await), [postponed]);
}

async fn a_postponement_keeps_the_tries_and_the_last_error(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    assert!(postpone(&db, &letter, NOW, 3, Some("450 busy")).await);
    let letter = claim_one(&db, NOW).await;
    assert_eq!(letter.tries, 3);
    assert!(postpone(&db, &letter, NOW, letter.tries, None).await);
    assert_eq!(db.text("SELECT last_error FROM outbox").await.as_deref(), Some("450 busy"));
    let letter = claim_one(&db, NOW).await;
    assert_eq!(letter.tries, 3);
    assert!(mark_sent(&db, &letter, NOW).await);
    assert_eq!(db.text("SELECT last_error FROM outbox").await, None);
}

async fn sent_letter_is_never_claimed_again(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    assert!(mark_sent(&db, &letter, after(1)).await);
    assert!(db.claim(after(1_000_000), 10).await.is_empty());
    assert_eq!(db.count("outbox").await, 1);
}

async fn dead_letter_is_never_claimed_again_and_stays_visible(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    assert!(mark_dead(&db, &letter, after(1)).await);
    assert!(db.claim(after(1_000_000), 10).await.is_empty());
    let purged = db.store.write(async |tx| tx.purge_letters(after(1_000_000), NOW, 10).await).await;
    assert_eq!(purged.unwrap(), 0);
    assert_eq!(db.integer("SELECT dead_at FROM outbox").await, Some(after(1).unix_millis()));
    assert_eq!(db.integer("SELECT tries FROM outbox").await, Some(1));
    let said = db.text("SELECT last_error FROM outbox").await;
    assert_eq!(said.as_deref(), Some("550 no such user"));
}

async fn dropped_letter_is_deleted(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let bystander = db.letter("bob@example.org", after(1)).await;
    let letter = claim_one(&db, NOW).await;
    assert!(drop_letter(&db, &letter).await);
    assert!(!drop_letter(&db, &letter).await);
    assert_eq!(ids(&db.claim(after(1), 10).await), [bystander]);
    assert_eq!(db.count("outbox").await, 1);
}

async fn has_due_letters_agrees_with_claims(db: TestDatabase) {
    let has_due =
        async |now| db.store.read(async |tx| tx.has_due_letters(now).await).await.unwrap();
    assert!(!has_due(NOW).await);
    db.letter("ada@example.org", after(10)).await;
    assert!(!has_due(after(9)).await);
    assert!(has_due(after(10)).await);
    let letter = claim_one(&db, after(10)).await;
    assert!(!has_due(after(69)).await);
    assert!(has_due(after(70)).await);
    assert!(postpone(&db, &letter, after(200), 1, None).await);
    assert!(!has_due(after(199)).await);
    assert!(has_due(after(200)).await);
    let letter = claim_one(&db, after(200)).await;
    assert!(mark_dead(&db, &letter, after(200)).await);
    assert!(!has_due(after(1_000)).await);
}

async fn r35_s15_letters_to_an_address_are_counted_after_their_deletion(db: TestDatabase) {
    let count = async |address: &str, kind: Option<&str>, sent: u64| {
        let to = email(&format!("{address}@example.org"));
        db.store.write(async |tx| tx.count_letter(&to, kind, after(sent)).await).await.unwrap();
    };
    for (address, sent) in [("ada", 30), ("ada", 10), ("bob", 20), ("ada", 20)] {
        count(address, None, sent).await;
    }
    count("ada", Some("password-changed"), 35).await;
    // one letter is in delivery before this one, and one comes after it
    for due in [0, 1, 2] {
        db.letter("ada@example.org", after(due)).await;
    }
    let claimed = db.claim(after(2), 10).await;
    let of_kinds = async |kind: Option<&str>, kinds: &[&str], since| {
        let (letter, counted) = (&claimed[1], (kind, kinds));
        let count = db.store.read(async |tx| tx.letters_counted(letter, counted, since, NOW).await);
        count.await.unwrap()
    };
    let of_kind = async |kind: &str, since| of_kinds(Some(kind), &[kind], since).await;
    let together = [claimed[0].kind.as_str(), "new-link"];
    let counted = async |since| of_kinds(None, &together, since).await;
    assert_eq!(
        of_kinds(None, &["new-link"], after(30)).await,
        (vec![], 0),
        "letters of other kinds do not count"
    );
    // a kind with a count of its own, while a letter of another kind is in delivery
    assert_eq!(of_kind("password-changed", NOW).await, (vec![after(35)], 0));
    assert_eq!(of_kind("email-changed", NOW).await, (vec![], 0));
    assert_eq!(of_kind(&claimed[0].kind, NOW).await, (vec![], 1));
    assert_eq!(counted(NOW).await, (vec![after(10), after(20), after(30)], 1));
    assert_eq!(counted(after(10)).await, (vec![after(20), after(30)], 1));
    // letters that left before the clock was set back
    count("ada", None, 61).await;
    assert_eq!(counted(NOW).await, (vec![after(10), after(20), after(30)], 1));
    // deleted letters still count
    let ada = email("ada@example.org");
    db.store.write(async |tx| tx.delete_letters_to(&ada, NOW).await).await.unwrap();
    assert_eq!(counted(NOW).await, (vec![after(10), after(20), after(30)], 0));

    let purge = async |before, limit| {
        db.store.write(async |tx| tx.purge_letter_counts(before, limit).await).await.unwrap()
    };
    assert_eq!(purge(after(20), 1).await, 1, "the oldest first");
    assert_eq!(purge(after(20), 10).await, 2, "for both addresses");
    assert_eq!(purge(after(20), 10).await, 0);
    assert_eq!(counted(NOW).await, (vec![after(30)], 0));
}

async fn old_dead_letters_are_purged(db: TestDatabase) {
    db.letter("ada@example.org", NOW).await;
    let letter = claim_one(&db, NOW).await;
    assert!(mark_dead(&db, &letter, after(10)).await);
    let purge = async |dead| {
        db.store.write(async |tx| tx.purge_letters(NOW, dead, 10).await).await.unwrap()
    };
    assert_eq!(purge(after(9)).await, 0);
    assert_eq!(purge(after(10)).await, 1);
    assert_eq!(db.count("outbox").await, 0);
}

async fn identical_letter_requests_wait_as_one(db: TestDatabase) {
    let (ada, bob) = (email("ada@example.org"), email("bob@example.org"));
    let post = async |to: &EmailAddress, kind: &'static str| {
        let new = NewLetter {
            id: LetterId::new(new_id()),
            kind,
            email: to,
            locale: None,
            account: None,
            facts: "{}".to_owned(),
            now: NOW,
        };
        db.store.write(async |tx| tx.insert_letter_once(&new).await).await.unwrap();
    };
    for _ in 0..3 {
        post(&ada, "password-reset").await;
    }
    assert_eq!(db.count("outbox").await, 1);
    post(&ada, "new-link").await;
    post(&bob, "password-reset").await;
    assert_eq!(db.count("outbox").await, 3, "another kind and another address");
    // a letter on its way may be out of date, so a new one is posted
    assert_eq!(db.claim(NOW, 10).await.len(), 3);
    post(&ada, "password-reset").await;
    assert_eq!(db.count("outbox").await, 4);
    // a repeated request does not wait for hours with a letter that has not failed
    let letter = claim_one(&db, NOW).await;
    assert!(postpone(&db, &letter, after(36_000), 0, None).await);
    post(&ada, "password-reset").await;
    assert_eq!(db.count("outbox").await, 4);
    assert!(ids(&db.claim(after(61), 10).await).contains(&letter.id));
}

async fn s3_waiting_letter_takes_the_facts_of_the_latest_request(db: TestDatabase) {
    let [ada, one, two] = ["ada@example.org", "one@example.org", "two@example.org"];
    let [one, two] = [db.account(one).await, db.account(two).await];
    let post = async |kind: &'static str, account: Option<AccountId>, facts: &str| {
        let new = NewLetter {
            id: LetterId::new(new_id()),
            kind,
            email: &email(ada),
            locale: None,
            account,
            facts: facts.to_owned(),
            now: NOW,
        };
        db.store.write(async |tx| tx.insert_letter_once(&new).await).await.unwrap();
    };
    for facts in ["{}", "{\"at\":1}", "{\"at\":2}"] {
        post("sign-up", None, facts).await;
        // changes of two accounts to one address are two requests
        post("email-change", Some(one), facts).await;
        post("email-change", Some(two), facts).await;
    }
    let letters = db.claim(NOW, 10).await;
    assert_eq!(letters.len(), 3);
    assert!(letters.iter().all(|letter| letter.facts == "{\"at\":2}"), "{letters:?}");
}

async fn s17_repeated_requests_do_not_hasten_a_postponed_letter(db: TestDatabase) {
    let ada = email("ada@example.org");
    let new = NewLetter {
        id: LetterId::new(new_id()),
        kind: "password-reset",
        email: &ada,
        locale: None,
        account: None,
        facts: "{}".to_owned(),
        now: NOW,
    };
    db.store.write(async |tx| tx.insert_letter_once(&new).await).await.unwrap();
    let letter = claim_one(&db, NOW).await;
    assert!(postpone(&db, &letter, after(36_000), 1, None).await);
    let again = NewLetter { id: LetterId::new(new_id()), now: after(1), ..new };
    db.store.write(async |tx| tx.insert_letter_once(&again).await).await.unwrap();
    assert_eq!(db.count("outbox").await, 1);
    assert_eq!(db.claim(after(35_999), 10).await.len(), 0, "its due time is unchanged");
    assert_eq!(ids(&db.claim(after(36_000), 10).await), [letter.id]);
}

async fn s10_at_most_20_notices_of_a_kind_wait_and_a_further_one_replaces_the_latest(
    db: TestDatabase,
) {
    let [ada, bob] = [email("ada@example.org"), email("bob@example.org")];
    let account = db.account("ada@example.org").await;
    let post = async |to: &EmailAddress, kind: &'static str, account: Option<AccountId>, at| {
        let id = LetterId::new(Entropy.uuid_v7(after(at)));
        let facts = "{}".to_owned();
        let new = NewLetter { id, kind, email: to, locale: None, account, facts, now: after(at) };
        db.store.write(async |tx| tx.insert_notice(&new, 20).await).await.unwrap();
        id
    };
    let claimed = post(&ada, "password-changed", Some(account), 0).await;
    assert_eq!(claim_one(&db, NOW).await.id, claimed, "a claimed letter does not wait");
    let mut expected = Vec::new();
    for at in 1..=20 {
        expected.push(post(&ada, "password-changed", Some(account), at).await);
    }
    assert_eq!(db.count("outbox").await, 21);
    for at in 21..=23 {
        expected.pop();
        expected.push(post(&ada, "password-changed", Some(account), at).await);
        assert_eq!(db.count("outbox").await, 21, "the first 19, the latest, and the claimed one");
    }
    // letters of another kind, without an account, and to another address
    expected.push(post(&ada, "email-changed", Some(account), 24).await);
    expected.push(post(&ada, "password-changed", None, 25).await);
    expected.push(post(&bob, "password-changed", Some(account), 26).await);
    let mut waiting = ids(&db.claim(after(30), 30).await);
    waiting.sort_unstable();
    assert_eq!(waiting, expected);
}

async fn waiting_letters_are_superseded_by_the_last_of_their_kind_and_address(db: TestDatabase) {
    // some of them in the same millisecond
    for due in [0, 0, 0, 1, 2, 2] {
        db.letter("ada@example.org", after(due)).await;
    }
    db.letter("bob@example.org", after(3)).await;
    let letters = db.claim(after(3), 10).await;
    let of_ada: Vec<_> =
        letters.iter().filter(|letter| letter.email.as_str() == "ada@example.org").collect();
    let superseded = async |letter: &ClaimedLetter| {
        db.store.read(async |tx| tx.is_superseded(letter).await).await.unwrap()
    };
    let last = of_ada.iter().map(|letter| letter.id).max().unwrap();
    for letter in &of_ada {
        assert_eq!(superseded(letter).await, letter.id != last);
    }
    // a sent letter, a dead one and one of another kind supersede no letter
    let second_last = of_ada[4];
    assert!(superseded(second_last).await);
    assert!(mark_sent(&db, of_ada[5], after(3)).await);
    assert!(!superseded(second_last).await);
    db.execute("UPDATE outbox SET kind = 'new-link' WHERE sent_at IS NULL").await;
    assert!(!superseded(of_ada[0]).await);
}

async fn sent_letters_are_purged_in_batches(db: TestDatabase) {
    for (index, sent) in [10, 10, 10, 10, 10, 20].into_iter().enumerate() {
        db.letter(&format!("ada{index}@example.org"), NOW).await;
        let letter = claim_one(&db, NOW).await;
        assert!(mark_sent(&db, &letter, after(sent)).await);
    }
    db.letter("bob@example.org", NOW).await;
    let purge = async |before| {
        db.store.write(async |tx| tx.purge_letters(before, NOW, 2).await).await.unwrap()
    };
    assert_eq!(purge(after(9)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(10)).await, batch);
    }
    assert_eq!(db.count("outbox").await, 2);
}

/// Posts a letter about the account.
async fn letter_about(db: &TestDatabase, account: AccountId, address: &str) -> LetterId {
    let (id, email) = (LetterId::new(Entropy.uuid_v7(NOW)), email(address));
    let new = NewLetter {
        id,
        kind: "password-changed",
        email: &email,
        locale: None,
        account: Some(account),
        facts: "{}".to_owned(),
        now: NOW,
    };
    db.store.write(async |tx| tx.insert_letter(&new).await).await.unwrap();
    id
}

async fn delete(db: &TestDatabase, account: AccountId) {
    assert!(db.store.write(async |tx| tx.delete_account(account).await).await.unwrap());
}

async fn deletion_of_an_account_deletes_only_letters_about_the_account(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    letter_about(&db, ada, "ada@example.org").await;
    letter_about(&db, ada, "new@example.org").await;
    let letter = claim_one(&db, NOW).await;
    assert!(mark_sent(&db, &letter, NOW).await);
    let of_bob = letter_about(&db, bob, "bob@example.org").await;
    let of_nobody = db.letter("ada@example.org", NOW).await;
    let about = async |account| {
        let found = db.store.read(async |tx| tx.find_letters_about(account, None, 100).await).await;
        found.unwrap().len()
    };
    assert_eq!((about(ada).await, about(bob).await), (3, 1));
    delete(&db, ada).await;
    let left: BTreeSet<LetterId> = ids(&db.claim(NOW, 10).await).into_iter().collect();
    assert_eq!(left, BTreeSet::from([of_bob, of_nobody]));
    assert_eq!(db.count("outbox").await, 2);
}

async fn deletion_of_an_account_voids_the_lease_of_its_letter(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    letter_about(&db, account, "ada@example.org").await;
    let letter = claim_one(&db, NOW).await;
    assert!(holds_lease(&db, &letter, after(1)).await);
    delete(&db, account).await;
    // the courier checks its lease before it sends, and its later writes have no effect
    assert!(!holds_lease(&db, &letter, after(1)).await);
    assert!(!mark_sent(&db, &letter, after(1)).await);
    assert!(!postpone(&db, &letter, after(9), 1, Some("late")).await);
    assert!(!mark_dead(&db, &letter, after(1)).await);
    assert!(!drop_letter(&db, &letter).await);
    assert_eq!(db.count("outbox").await, 0);
}

async fn concurrent_claims_and_deletions_do_not_deadlock(db: TestDatabase) {
    let nodes = [db.store.clone(), db.another_store().await];
    for round in 0..20 {
        let account = db.account("ada@example.org").await;
        for index in 0..6 {
            letter_about(&db, account, &format!("ada{index}@example.org")).await;
        }
        let answers = at_once(4, |index| {
            let (store, lease) = (nodes[index % 2].clone(), Entropy.uuid_v7(NOW));
            async move {
                if index == 0 {
                    let gone = store.write(async |tx| tx.delete_account(account).await).await;
                    assert!(gone.unwrap());
                    return Vec::new();
                }
                let claimed = store
                    .write_best_effort(async |tx| {
                        tx.claim_letters(lease, NOW, after(60), ClaimLimit::fresh(4)).await
                    })
                    .await;
                claimed.unwrap_or_default()
            }
        });
        let claimed: Vec<LetterId> =
            answers.await.iter().flatten().map(|letter| letter.id).collect();
        let once: BTreeSet<&LetterId> = claimed.iter().collect();
        assert_eq!(once.len(), claimed.len(), "round {round}: a letter was claimed twice");
        assert_eq!(db.count("outbox").await, 0);
    }
}

async fn change_of_address_keeps_sent_letters_and_drops_waiting_ones(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    db.letter("ada@example.org", NOW).await;
    let sent = claim_one(&db, NOW).await;
    assert!(mark_sent(&db, &sent, after(1)).await);
    let waiting = db.letter("ada@example.org", NOW).await;
    let dead = claim_one(&db, NOW).await;
    assert_eq!(dead.id, waiting);
    assert!(mark_dead(&db, &dead, after(1)).await);
    let bystander = db.letter("bob@example.org", NOW).await;

    let former = email("ada@example.org");
    db.store.write(async |tx| tx.detach_letters(&former, ada, NOW).await).await.unwrap();
    assert_eq!(db.count("outbox").await, 2, "the dead letter is deleted");
    db.execute("UPDATE accounts SET email = 'new@example.org'").await;
    let about = db.store.read(async |tx| tx.find_letters_about(ada, None, 100).await).await;
    let about = about.unwrap();
    assert_eq!(about.len(), 1);
    assert_eq!((&about[0].email, about[0].sent_at), (&former, Some(after(1))));
    delete(&db, ada).await;
    assert_eq!(ids(&db.claim(NOW, 10).await), [bystander]);
    assert_eq!(db.count("outbox").await, 1);
}

async fn delete_letters_to_an_address_takes_every_state(db: TestDatabase) {
    for kept in ["sent", "dead", "claimed", "waiting"] {
        db.letter("ada@example.org", NOW).await;
        if kept == "waiting" {
            break;
        }
        let letter = claim_one(&db, NOW).await;
        match kept {
            "sent" => assert!(mark_sent(&db, &letter, NOW).await),
            "dead" => assert!(mark_dead(&db, &letter, NOW).await),
            _ => {}
        }
    }
    let bystander = db.letter("bob@example.org", NOW).await;
    assert_eq!(db.count("outbox").await, 5);
    let ada = email("Ada@Example.org");
    db.store.write(async |tx| tx.delete_letters_to(&ada, NOW).await).await.unwrap();
    assert_eq!(ids(&db.claim(NOW, 10).await), [bystander]);
}

async fn s17_refused_letters_do_not_use_the_claim_limit_of_fresh_ones(db: TestDatabase) {
    for number in 0..5 {
        db.letter(&format!("poison{number}@example.org"), NOW).await;
        let letter = claim_one(&db, NOW).await;
        assert!(postpone(&db, &letter, after(1), 1, Some("421 no")).await);
    }
    let fresh = db.letter("ada@example.org", after(1)).await;
    let take = async |limit: ClaimLimit| {
        let claim = db.store.write(async |tx| {
            tx.claim_letters(Entropy.uuid_v7(NOW), after(2), after(60), limit).await
        });
        claim.await.unwrap()
    };
    assert_eq!(ids(&take(ClaimLimit::fresh(3)).await), [fresh]);
    assert!(take(ClaimLimit::fresh(3)).await.is_empty());
    let refused = take(ClaimLimit { fresh: 3, refused: 2 }).await;
    assert_eq!(refused.iter().map(|letter| letter.tries).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(take(ClaimLimit::refused(9)).await.len(), 3);
}

async fn s17_claims_skip_letters_to_slow_domains_only(db: TestDatabase) {
    for number in 0..3 {
        db.letter(&format!("p{number}@slow.example"), NOW).await;
    }
    let other = db.letter("ada@very.slow.example", NOW).await;
    let last = db.letter("eve@example.org", NOW).await;
    let turn = DomainTurn::default();
    let claim = async |beside: &[&str]| {
        let limit = ClaimLimit::fresh(2);
        let mut claimed = ids(&claim_beside(&db, NOW, limit, (beside, &turn)).await);
        claimed.sort_unstable();
        claimed
    };
    let mut others = [other, last];
    others.sort_unstable();
    let beside = ["slow.example", "b.example", "c.example", "d.example", "example.org"];
    assert_eq!(claim(&beside).await, others, "four slow domains are skipped");
    assert!(claim(&["slow.example"]).await.is_empty());
    assert_eq!(claim(&[]).await.len(), 2);
}

async fn claim_beside(
    db: &TestDatabase,
    now: Timestamp,
    limit: ClaimLimit,
    (beside, turn): (&[&str], &DomainTurn),
) -> Vec<ClaimedLetter> {
    let lease = Entropy.uuid_v7(now);
    let beside: Vec<String> = beside.iter().map(|&domain| domain.to_owned()).collect();
    let until = now + Duration::from_secs(60);
    let claim = db
        .store
        .write(async |tx| tx.claim_letters_beside(lease, now, until, limit, (&beside, turn)).await);
    claim.await.unwrap()
}

async fn s4_earliest_letters_beside_slow_domains_are_claimed_first(db: TestDatabase) {
    db.letter("dan@c.example", NOW).await;
    let refused = claim_one(&db, NOW).await;
    assert!(postpone(&db, &refused, after(1), 1, Some("450 later")).await);
    db.letter("ada@slow.example", NOW).await;
    let mut letters = Vec::new();
    for (at, address) in [
        (3, "eve@b.example"),
        (1, "ada@b.example"),
        (2, "ada@a.example"),
        (5, "ada@c.example"),
        (4, "bob@b.example"),
        (99, "ada@a-later.example"),
    ] {
        letters.push((at, db.letter(address, after(at)).await));
    }
    letters.sort_unstable();
    let expected: Vec<LetterId> = letters.iter().map(|(_, id)| *id).collect();
    let turn = DomainTurn::default();
    let claim =
        async |limit| ids(&claim_beside(&db, after(6), limit, (&["slow.example"], &turn)).await);
    assert_eq!(claim(ClaimLimit::fresh(2)).await, expected[..2]);
    let both = claim(ClaimLimit { fresh: 2, refused: 2 }).await;
    assert_eq!((both[0], &both[1..]), (refused.id, &expected[2..4]));
    assert_eq!(claim(ClaimLimit { fresh: 9, refused: 9 }).await, expected[4..5]);
    assert!(claim(ClaimLimit { fresh: 9, refused: 9 }).await.is_empty());
}

async fn s4_letters_to_many_domains_take_turns_beside_a_slow_one(db: TestDatabase) {
    db.letter("ada@slow.example", NOW).await;
    // more than two turns of 256 domains
    let mut waiting = BTreeSet::new();
    for number in 0..600 {
        waiting.insert(db.letter(&format!("ada@d{number}.example"), NOW).await);
    }
    let turn = DomainTurn::default();
    for claims in 0.. {
        let limit = ClaimLimit::fresh(100);
        for letter in claim_beside(&db, NOW, limit, (&["slow.example"], &turn)).await {
            assert!(waiting.remove(&letter.id), "{} was claimed twice", letter.email);
        }
        if waiting.is_empty() {
            break;
        }
        assert!(claims < 12, "{} letters have no turn", waiting.len());
    }
}

async fn s4_claim_beside_a_slow_domain_finds_the_due_letter_among_many_domains(db: TestDatabase) {
    db.letter("ada@slow.example", NOW).await;
    // two walks of 256 domains without a due letter come before the due one
    for number in 0..600 {
        db.letter(&format!("ada@d{number}.example"), after(60)).await;
    }
    let due = db.letter("ada@late.example", NOW).await;
    let turn = DomainTurn::default();
    let beside = (&["slow.example"][..], &turn);
    assert_eq!(ids(&claim_beside(&db, NOW, ClaimLimit::fresh(1), beside).await), [due]);

    // the next claims begin in the middle, and go on at the first domain after the last one
    for domain in ["b.example", "a.example", "c.example"] {
        let next = db.letter(&format!("ada@{domain}"), NOW).await;
        let claimed = claim_beside(&db, NOW, ClaimLimit::fresh(1), beside).await;
        assert_eq!(ids(&claimed), [next], "{domain}");
    }
}

async fn f12_letters_that_died_since_the_last_one_left_are_found_and_revived(db: TestDatabase) {
    let die = async |address: &str, at: Timestamp| {
        let id = db.letter(address, NOW).await;
        assert!(mark_dead(&db, &claim_one(&db, at).await, at).await);
        id
    };
    let found = async || db.store.read(async |db| db.find_refused_letters().await).await.unwrap();
    let before = die("before@example.org", after(1)).await;
    assert_eq!(found().await.len(), 1, "no letter was sent yet");
    db.letter("ada@example.org", NOW).await;
    assert!(mark_sent(&db, &claim_one(&db, after(2)).await, after(2)).await);
    assert!(found().await.is_empty());
    let after_it = die("after@example.org", after(3)).await;
    db.letter("later@example.org", NOW).await;
    let later = claim_one(&db, after(4)).await;
    assert!(postpone(&db, &later, after(9), 3, Some("450 later")).await);
    let letters = found().await;
    let facts = |id: LetterId| {
        let letter = letters.iter().find(|letter| letter.id == id).unwrap();
        (letter.is_dead, letter.tries, letter.last_error.as_deref())
    };
    assert_eq!(letters.len(), 2);
    assert_eq!(facts(after_it), (true, 1, Some("550 no such user")));
    assert_eq!(facts(later.id), (false, 3, Some("450 later")));
    let revive =
        db.store.write(async |tx| tx.revive_letters(&[after_it, later.id], after(5)).await);
    revive.await.unwrap();
    let claimed = db.claim(after(5), 9).await;
    assert_eq!(ids(&claimed), [after_it], "a waiting letter keeps its due time");
    assert_eq!(claimed[0].tries, 1);
    assert_ne!(before, after_it);
}
