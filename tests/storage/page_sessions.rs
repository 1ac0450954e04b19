//! Tests of sign-ins at the account page, which end as sessions do.

use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, PageSession, PageSessionId, UserAgent};
use vestibule::storage::NewPageSession;

use crate::database::{NOW, TestDatabase, after, at_once, digest, new_id};

on_both_engines! {
    page_session_is_found_only_by_the_digest_of_its_cookie,
    r26_page_session_ends_at_the_earlier_of_its_two_limits,
    r27_page_sign_in_to_a_deleted_disabled_or_later_account_is_refused,
    r27_a_raised_epoch_or_disabling_ends_page_sessions,
    r27_one_page_session_is_carried_into_the_next_epoch,
    use_of_a_page_session_extends_idle_time_and_not_its_end,
    a_page_session_is_ended_once,
    page_session_is_ended_by_its_id_for_its_owner_only,
    an_account_sees_its_live_page_sessions,
    ended_page_sessions_are_purged_in_batches,
}

/// Signs in at [`NOW`] with the cookie `name`.
async fn start(
    db: &TestDatabase,
    name: &str,
    account: AccountId,
    epoch: i64,
    (idle, absolute): (u64, u64),
) -> bool {
    let user_agent = UserAgent::parse("Firefox on Linux").unwrap();
    let new = NewPageSession {
        id: PageSessionId::new(new_id()),
        digest: digest(name),
        account,
        epoch,
        user_agent: Some(&user_agent),
        now: NOW,
        idle_expires_at: after(idle),
        expires_at: after(absolute),
    };
    db.store.write(async |tx| tx.insert_page_session(&new).await).await.unwrap()
}

async fn found(db: &TestDatabase, name: &str, now: Timestamp) -> Option<PageSession> {
    let digest = digest(name);
    db.store.read(async |tx| tx.find_page_session(&digest, now).await).await.unwrap()
}

async fn page_session_is_found_only_by_the_digest_of_its_cookie(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    assert!(start(&db, "cookie", account, 0, (100, 500)).await);
    let session = found(&db, "cookie", NOW).await.unwrap();
    assert_eq!((session.digest, session.account), (digest("cookie"), account));
    assert_eq!((session.email.as_str(), session.epoch), ("ada@example.org", 0));
    assert_eq!((session.idle_expires_at, session.expires_at), (after(100), after(500)));
    assert!(found(&db, "another", NOW).await.is_none());
    assert_eq!(db.integer("SELECT length(digest) FROM page_sessions").await, Some(32));
}

async fn r26_page_session_ends_at_the_earlier_of_its_two_limits(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for (name, ends) in [("idle", (100, 500)), ("absolute", (500, 100))] {
        assert!(start(&db, name, account, 0, ends).await);
        assert!(found(&db, name, after(99)).await.is_some());
        assert!(found(&db, name, after(100)).await.is_none());
    }
}

async fn r27_page_sign_in_to_a_deleted_disabled_or_later_account_is_refused(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    assert!(!start(&db, "gone", AccountId::new(new_id()), 0, (100, 100)).await);
    db.store.write(async |tx| tx.raise_epoch(account).await).await.unwrap();
    assert!(!start(&db, "late", account, 0, (100, 100)).await);
    assert!(start(&db, "present", account, 1, (100, 100)).await);
    db.store.write(async |tx| tx.disable_account(account, NOW).await).await.unwrap();
    for epoch in [1, 2] {
        assert!(!start(&db, "disabled", account, epoch, (100, 100)).await);
    }
    assert_eq!(db.count("page_sessions").await, 1);
}

async fn r27_a_raised_epoch_or_disabling_ends_page_sessions(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    for (name, account) in [("ada", ada), ("bob", bob)] {
        assert!(start(&db, name, account, 0, (100, 100)).await);
    }
    db.store.write(async |tx| tx.raise_epoch(ada).await).await.unwrap();
    assert!(found(&db, "ada", NOW).await.is_none());
    assert!(found(&db, "bob", NOW).await.is_some());
    db.store.write(async |tx| tx.purge_ended_sessions_of(ada, 100).await).await.unwrap();
    assert_eq!(db.count("page_sessions").await, 1);

    db.store.write(async |tx| tx.disable_account(bob, NOW).await).await.unwrap();
    assert!(found(&db, "bob", NOW).await.is_none());
    // to enable the account revives no sign-in
    assert!(db.store.write(async |tx| tx.enable_account(bob).await).await.unwrap());
    assert!(found(&db, "bob", NOW).await.is_none());
    // an account that is disabled by hand in the database ends the sign-in as well
    db.execute("UPDATE accounts SET disabled_at = 1, epoch = 0").await;
    assert!(found(&db, "bob", NOW).await.is_none());
}

async fn r27_one_page_session_is_carried_into_the_next_epoch(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let other = db.account("bob@example.org").await;
    for name in ["own", "other"] {
        assert!(start(&db, name, account, 0, (100, 100)).await);
    }
    let carry = async |name: &str, account, epoch| {
        let digest = digest(name);
        let carried = db
            .store
            .write(async |tx| tx.move_page_session_to_next_epoch(&digest, account, epoch).await);
        carried.await.unwrap()
    };
    assert!(!carry("own", other, 0).await);
    assert!(!carry("own", account, 1).await);
    assert!(!carry("gone", account, 0).await);
    db.store.write(async |tx| tx.raise_epoch(account).await).await.unwrap();
    assert!(carry("own", account, 0).await);
    db.store.write(async |tx| tx.purge_ended_sessions_of(account, 100).await).await.unwrap();
    assert_eq!(found(&db, "own", NOW).await.unwrap().epoch, 1);
    assert!(found(&db, "other", NOW).await.is_none());
    assert_eq!(db.count("page_sessions").await, 1);
}

async fn use_of_a_page_session_extends_idle_time_and_not_its_end(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    assert!(start(&db, "cookie", account, 0, (100, 150)).await);
    let digest = digest("cookie");
    let prolonged =
        db.store.write(async |tx| tx.extend_page_session(&digest, after(190)).await).await;
    prolonged.unwrap();
    assert!(found(&db, "cookie", after(149)).await.is_some());
    assert!(found(&db, "cookie", after(150)).await.is_none());
}

async fn a_page_session_is_ended_once(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for name in ["own", "other"] {
        assert!(start(&db, name, account, 0, (100, 100)).await);
    }
    let id = found(&db, "own", NOW).await.unwrap().id;
    let answers = at_once(8, |_| {
        let store = db.store.clone();
        async move { store.write(async |tx| tx.revoke_page_session(account, id).await).await.unwrap() }
    });
    assert_eq!(answers.await.into_iter().filter(|ended| *ended).count(), 1);
    assert!(found(&db, "own", NOW).await.is_none());
    assert!(found(&db, "other", NOW).await.is_some());
}

async fn page_session_is_ended_by_its_id_for_its_owner_only(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    for (name, account) in [("one", ada), ("two", ada), ("bob", bob)] {
        assert!(start(&db, name, account, 0, (100, 100)).await);
    }
    let id = found(&db, "one", NOW).await.unwrap().id;
    let end = async |account, id| {
        let ended = db.store.write(async |tx| tx.revoke_page_session(account, id).await);
        ended.await.unwrap()
    };
    assert!(!end(bob, id).await && !end(ada, PageSessionId::new(new_id())).await);
    assert!(found(&db, "one", NOW).await.is_some());
    assert!(end(ada, id).await && !end(ada, id).await);
    assert!(found(&db, "one", NOW).await.is_none());
    for other in ["two", "bob"] {
        assert!(found(&db, other, NOW).await.is_some());
    }
}

async fn an_account_sees_its_live_page_sessions(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let other = db.account("bob@example.org").await;
    assert!(start(&db, "idle", account, 0, (100, 500)).await);
    assert!(start(&db, "over", account, 0, (50, 500)).await);
    assert!(start(&db, "bob", other, 0, (100, 500)).await);
    let listed = async |account| {
        let listed =
            db.store.read(async |tx| tx.find_page_sessions_of(account, None, 100, after(50)).await);
        listed.await.unwrap()
    };
    let of_ada = listed(account).await;
    assert_eq!(of_ada.len(), 1);
    assert_eq!(of_ada[0].id, found(&db, "idle", NOW).await.unwrap().id);
    assert_eq!((of_ada[0].created_at, of_ada[0].expires_at), (NOW, after(100)));
    assert_eq!(of_ada[0].user_agent, UserAgent::parse("Firefox on Linux"));
    db.store.write(async |tx| tx.raise_epoch(account).await).await.unwrap();
    assert!(listed(account).await.is_empty());
    assert_eq!(listed(other).await.len(), 1);
}

async fn ended_page_sessions_are_purged_in_batches(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for (index, ends) in
        [(100, 500), (500, 100), (100, 100), (90, 500), (500, 90)].into_iter().enumerate()
    {
        assert!(start(&db, &format!("cookie{index}"), account, 0, ends).await);
    }
    assert!(start(&db, "live", account, 0, (500, 500)).await);
    let purge =
        async |now| db.store.write(async |tx| tx.purge_page_sessions(now, 2).await).await.unwrap();
    assert_eq!(purge(after(89)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(100)).await, batch);
    }
    assert!(found(&db, "live", after(100)).await.is_some());
}
