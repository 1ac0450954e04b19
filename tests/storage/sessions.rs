//! Tests of sessions: compare-and-swap of tokens, and every operation that ends a session.

use std::time::Duration;

use vestibule::clock::Timestamp;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{AccountId, SessionId, UserAgent};
use vestibule::storage::{Engine, NewSession, SessionRecord, Store, StoreError};

use crate::database::{
    NOW, StartingSession, TestDatabase, access_only, after, at_once, client, digest, new_id,
    rotating, scope,
};

on_both_engines! {
    session_is_read_back_as_started,
    r26_session_ends_at_the_earlier_of_its_two_limits,
    r27_sign_in_to_a_deleted_disabled_or_later_account_is_refused,
    r27_a_sign_in_that_races_a_raised_epoch_leaves_no_live_session,
    r27_a_sign_in_that_races_a_deletion_leaves_no_session,
    second_session_with_one_id_is_a_conflict,
    rotation_replaces_the_pair_and_keeps_its_predecessor,
    fresh_access_token_leaves_the_refresh_token_unchanged,
    a_narrowed_access_token_keeps_its_own_scope,
    r24_renewal_of_a_stale_read_is_refused,
    r24_one_of_eight_concurrent_renewals_succeeds,
    r24_a_lineage_of_a_thousand_refreshes_stays_one_row,
    s11_concurrent_sign_ins_keep_to_the_session_limit,
    s11_ended_sessions_are_removed_before_live_ones,
    r27_renewal_after_a_raised_epoch_or_disabling_is_refused,
    r27_a_renewal_that_races_a_raised_epoch_leaves_no_live_session,
    r26_renewal_after_idle_or_absolute_expiry_is_refused,
    r28_revoked_session_is_not_renewed,
    r31_revoking_an_access_token_ends_that_token_alone,
    r31_revoked_access_token_is_not_kept_as_predecessor,
    r31_concurrent_revocations_and_renewals_leave_no_revoked_token,
    r31_an_unknown_access_token_revokes_nothing,
    r31_concurrent_revocations_of_a_session_succeed_once,
    r31_session_of_another_account_is_not_revoked,
    first_use_of_the_live_pair_is_recorded,
    use_of_an_older_access_token_is_not_recorded_for_the_live_pair,
    use_recorded_late_does_not_lower_last_used_at,
    live_sessions_of_an_account_are_listed_latest_first,
    ended_sessions_are_purged_in_batches,
}

async fn revoke_access(db: &TestDatabase, id: SessionId, name: &str) {
    let digest = digest(name);
    db.store.write(async |tx| tx.revoke_access(id, &digest).await).await.unwrap();
}

async fn record_use(db: &TestDatabase, id: SessionId, serial: i64, now: Timestamp) {
    db.store.write(async |tx| tx.record_session_use(id, serial, now).await).await.unwrap();
}

/// A session of a new account, as stored.
async fn started(db: &TestDatabase) -> (AccountId, SessionRecord) {
    let account = db.account("ada@example.org").await;
    let id = db.session(account).await;
    (account, db.find_session(id).await.unwrap())
}

async fn session_is_read_back_as_started(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let new = StartingSession::of(account);
    let user_agent = UserAgent::parse("Firefox on Linux").unwrap();
    let row = NewSession { user_agent: Some(&user_agent), ..new.row() };
    assert!(db.store.write(async |tx| tx.insert_session(&row).await).await.unwrap());

    let session = db.find_session(new.id).await.unwrap();
    assert_eq!((session.id, session.account), (new.id, account));
    assert_eq!(session.email.as_str(), "ada@example.org");
    assert_eq!((session.client_id, session.scope), (client("web"), scope("read write")));
    assert_eq!(session.user_agent, Some(user_agent));
    assert_eq!((session.last_used_at, session.rotated_at), (NOW, NOW));
    assert_eq!((session.idle_expires_at, session.expires_at), (after(1_000), after(5_000)));
    assert_eq!((session.tag_digest, session.salt), (digest("tag"), [0; 32]));
    assert_eq!(session.refresh_digest, digest("r0"));
    assert_eq!((session.previous_refresh_digest, session.first_used_at), (None, None));
    assert_eq!((session.access.serial, session.rotation_serial), (0, 0));
    assert_eq!(session.access.digest, Some(digest("a0")));
    assert_eq!(session.access.scope, scope("read write"));
    assert_eq!(session.access.expires_at, after(600));
    assert!(session.previous_access.is_none() && session.account_stands);
    assert!(db.find_session(SessionId::new(new_id())).await.is_none());
}

async fn r26_session_ends_at_the_earlier_of_its_two_limits(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for (idle, absolute, end) in [(100, 500, 100), (500, 100, 100)] {
        let new = StartingSession {
            idle_expires_at: after(idle),
            expires_at: after(absolute),
            ..StartingSession::of(account)
        };
        assert!(db.start(&new).await);
        let session = db.find_session(new.id).await.unwrap();
        assert!(session.is_live(after(end - 1)));
        assert!(!session.is_live(after(end)));
    }
}

async fn r27_sign_in_to_a_deleted_disabled_or_later_account_is_refused(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let gone = AccountId::new(new_id());
    assert!(!db.start(&StartingSession::of(gone)).await);

    db.store.write(async |tx| tx.raise_epoch(account).await).await.unwrap();
    assert!(!db.start(&StartingSession::of(account)).await);
    assert!(db.start(&StartingSession { epoch: 1, ..StartingSession::of(account) }).await);

    db.store.write(async |tx| tx.disable_account(account, NOW).await).await.unwrap();
    for epoch in [1, 2] {
        assert!(!db.start(&StartingSession { epoch, ..StartingSession::of(account) }).await);
    }
    assert_eq!(db.count("sessions").await, 1);
}

/// Starts a session while `ending` is done to its account and not yet committed; returns its id.
async fn sign_in_during(db: &TestDatabase, account: AccountId, ending: Ending) -> SessionId {
    let new = StartingSession::of(account);
    let id = new.id;
    let store = db.store.clone();
    let sign_in = async move || store.write(async |tx| tx.insert_session(&new.row()).await).await;
    match (db.store.engine(), ending) {
        // the sign-in does not wait for the other transaction: it commits in the middle of it
        (Engine::Postgres, Ending::RaisedEpoch) => {
            let ended = db.store.write(async |tx| {
                tx.raise_epoch(account).await?;
                sign_in().await
            });
            assert!(ended.await.unwrap());
        }
        (_, Ending::RaisedEpoch) => {
            let ended = db.store.write(async |tx| {
                let sign_in = sign_in.clone();
                let sign_in = tokio::spawn(async move { sign_in().await });
                tx.raise_epoch(account).await.map(|_| sign_in)
            });
            assert!(!ended.await.unwrap().await.unwrap().unwrap());
        }
        (_, Ending::Deletion) => {
            let deletion = db.execute("DELETE FROM accounts");
            let (_, signed_in) =
                tokio::join!(deletion, tokio::spawn(async move { sign_in().await }));
            if let Err(error) = signed_in.unwrap() {
                assert!(error.is_conflict(), "{error:?}");
            }
        }
    }
    id
}

#[derive(Clone, Copy)]
enum Ending {
    RaisedEpoch,
    Deletion,
}

async fn r27_a_sign_in_that_races_a_raised_epoch_leaves_no_live_session(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let id = sign_in_during(&db, account, Ending::RaisedEpoch).await;
    assert!(!db.find_session(id).await.is_some_and(|session| session.is_live(NOW)));
    let listed = db
        .store
        .read(async |tx| tx.find_sessions_of(account, None, 1_000, NOW).await)
        .await
        .unwrap();
    assert!(listed.is_empty());
}

async fn r27_a_sign_in_that_races_a_deletion_leaves_no_session(db: TestDatabase) {
    for _ in 0..10 {
        let account = db.account("ada@example.org").await;
        let id = sign_in_during(&db, account, Ending::Deletion).await;
        assert!(db.find_session(id).await.is_none());
        assert_eq!(db.count("sessions").await, 0);
    }
}

async fn second_session_with_one_id_is_a_conflict(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let new = StartingSession::of(account);
    assert!(db.start(&new).await);
    let again = db.store.write(async |tx| tx.insert_session(&new.row()).await).await;
    assert!(again.unwrap_err().is_conflict());
}

async fn rotation_replaces_the_pair_and_keeps_its_predecessor(db: TestDatabase) {
    let (_, first) = started(&db).await;
    record_use(&db, first.id, 0, after(10)).await;
    assert!(db.renew(&first, &rotating(1, &first.scope, after(50))).await);

    let second = db.find_session(first.id).await.unwrap();
    assert_eq!(second.refresh_digest, digest("r1"));
    assert_eq!(second.previous_refresh_digest, Some(digest("r0")));
    assert_eq!((second.salt, second.tag_digest), ([1; 32], digest("tag")));
    assert_eq!((second.rotated_at, second.last_used_at), (after(50), after(50)));
    assert_eq!(second.first_used_at, None, "the new pair has not been used");
    assert_eq!((second.idle_expires_at, second.expires_at), (after(1_050), after(5_000)));
    assert_eq!((second.access.serial, second.rotation_serial), (1, 1));
    assert_eq!(second.access.digest, Some(digest("a1")));
    assert_eq!(second.access.expires_at, after(650));
    let preceding = second.previous_access.as_ref().unwrap();
    assert_eq!((preceding.serial, preceding.digest), (0, Some(digest("a0"))));
    assert_eq!((&preceding.scope, preceding.expires_at), (&first.scope, after(600)));
    for (name, serial) in [("a0", Some(0)), ("a1", Some(1)), ("a2", None)] {
        assert_eq!(second.access_with(&digest(name)).map(|slot| slot.serial), serial);
    }

    assert!(db.renew(&second, &rotating(2, &first.scope, after(60))).await);
    let third = db.find_session(first.id).await.unwrap();
    assert_eq!(third.previous_refresh_digest, Some(digest("r1")));
    assert!(third.access_with(&digest("a0")).is_none());
    assert!(third.access_with(&digest("a1")).is_some());
}

async fn fresh_access_token_leaves_the_refresh_token_unchanged(db: TestDatabase) {
    let (_, first) = started(&db).await;
    assert!(db.renew(&first, &rotating(1, &first.scope, after(50))).await);
    record_use(&db, first.id, 1, after(60)).await;
    let second = db.find_session(first.id).await.unwrap();
    assert!(db.renew(&second, &access_only(2, &first.scope, after(70))).await);

    let third = db.find_session(first.id).await.unwrap();
    assert_eq!((third.refresh_digest, third.salt), (digest("r1"), [1; 32]));
    assert_eq!(third.previous_refresh_digest, Some(digest("r0")));
    assert_eq!(third.rotated_at, after(50));
    assert_eq!(third.first_used_at, Some(after(60)));
    assert_eq!(third.idle_expires_at, second.idle_expires_at);
    assert_eq!(third.last_used_at, after(70));
    assert_eq!((third.access.serial, third.rotation_serial), (2, 1));
    assert!(third.access_with(&digest("a1")).is_some());
    assert!(third.access_with(&digest("a2")).is_some());
}

async fn a_narrowed_access_token_keeps_its_own_scope(db: TestDatabase) {
    let (_, first) = started(&db).await;
    assert!(db.renew(&first, &rotating(1, &scope("read"), NOW)).await);
    let second = db.find_session(first.id).await.unwrap();
    assert_eq!((second.access.scope.clone(), second.scope.clone()), (scope("read"), first.scope));
    assert!(db.renew(&second, &access_only(2, &scope(""), NOW)).await);
    let third = db.find_session(first.id).await.unwrap();
    assert!(third.access.scope.is_empty());
    assert_eq!(third.access_with(&digest("a1")).unwrap().scope, scope("read"));
}

async fn r24_renewal_of_a_stale_read_is_refused(db: TestDatabase) {
    let (_, first) = started(&db).await;
    assert!(db.renew(&first, &rotating(1, &first.scope, NOW)).await);
    assert!(!db.renew(&first, &rotating(2, &first.scope, NOW)).await);
    assert!(!db.renew(&first, &access_only(2, &first.scope, NOW)).await);

    let second = db.find_session(first.id).await.unwrap();
    assert_eq!(second.refresh_digest, digest("r1"));
    assert!(db.renew(&second, &access_only(3, &first.scope, NOW)).await);
    assert!(!db.renew(&second, &access_only(4, &first.scope, NOW)).await);
    assert!(!db.renew(&second, &rotating(4, &first.scope, NOW)).await);
    let third = db.find_session(first.id).await.unwrap();
    assert_eq!((third.access.digest, third.refresh_digest), (Some(digest("a3")), digest("r1")));
}

async fn r24_one_of_eight_concurrent_renewals_succeeds(db: TestDatabase) {
    let (_, mut read) = started(&db).await;
    for round in 0..300 {
        let answers = at_once(8, |index| {
            let (store, read) = (db.store.clone(), read.clone());
            async move {
                let number = round * 8 + index + 1;
                // every other renewal leaves the refresh token, as a refresh with the predecessor
                // would
                let renewal = match (round + index) % 2 {
                    0 => rotating(number, &read.scope, NOW),
                    _ => access_only(number, &read.scope, NOW),
                };
                let renewed = store.renew_session(&read, &renewal).await.unwrap();
                renewed.then_some(number)
            }
        });
        let winners: Vec<usize> = answers.await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let found = db.find_session(read.id).await.unwrap();
        assert_eq!(found.access.digest, Some(digest(&format!("a{}", winners[0]))));
        assert_eq!(found.access.serial, read.access.serial + 1);
        assert_eq!(found.previous_access.as_ref().unwrap().digest, read.access.digest);
        read = found;
    }
}

async fn r24_a_lineage_of_a_thousand_refreshes_stays_one_row(db: TestDatabase) {
    let (_, first) = started(&db).await;
    let mut last = first.clone();
    for number in 1..=1_000 {
        assert!(db.renew(&last, &rotating(number, &first.scope, NOW)).await);
        last = db.find_session(first.id).await.unwrap();
    }
    assert_eq!((last.access.serial, last.refresh_digest), (1_000, digest("r1000")));
    assert_eq!(db.count("sessions").await, 1);
}

async fn r27_renewal_after_a_raised_epoch_or_disabling_is_refused(db: TestDatabase) {
    let (account, read) = started(&db).await;
    db.store.write(async |tx| tx.raise_epoch(account).await).await.unwrap();
    assert!(!db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    assert!(!db.renew(&read, &access_only(1, &read.scope, NOW)).await);

    let new = StartingSession { epoch: 1, ..StartingSession::of(account) };
    assert!(db.start(&new).await);
    let read = db.find_session(new.id).await.unwrap();
    db.store.write(async |tx| tx.disable_account(account, NOW).await).await.unwrap();
    assert!(!db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    // the epoch alone is enough, and so is the instant alone
    db.execute("UPDATE accounts SET epoch = 1").await;
    assert!(!db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    assert!(!db.renew(&read, &access_only(1, &read.scope, NOW)).await);
    assert_eq!(db.find_session(new.id).await.unwrap().refresh_digest, digest("r0"));
}

async fn r27_a_renewal_that_races_a_raised_epoch_leaves_no_live_session(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for epoch in 0..25 {
        let new = StartingSession { epoch, ..StartingSession::of(account) };
        assert!(db.start(&new).await);
        let read = db.find_session(new.id).await.unwrap();
        at_once(4, |index| {
            let (store, read) = (db.store.clone(), read.clone());
            async move {
                let renewal = rotating(index, &read.scope, NOW);
                let written = match index {
                    0 => store.write(async |tx| tx.raise_epoch(account).await).await,
                    _ => store.renew_session(&read, &renewal).await,
                };
                written.unwrap()
            }
        })
        .await;
        assert!(!db.find_session(new.id).await.unwrap().is_live(NOW), "epoch {epoch}");
    }
}

async fn r26_renewal_after_idle_or_absolute_expiry_is_refused(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for (idle, absolute) in [(100, 500), (500, 100)] {
        let new = StartingSession {
            idle_expires_at: after(idle),
            expires_at: after(absolute),
            ..StartingSession::of(account)
        };
        assert!(db.start(&new).await);
        let read = db.find_session(new.id).await.unwrap();
        for now in [after(100), after(101)] {
            assert!(!db.renew(&read, &rotating(1, &read.scope, now)).await);
            assert!(!db.renew(&read, &access_only(1, &read.scope, now)).await);
        }
        assert!(db.renew(&read, &rotating(1, &read.scope, after(99))).await);
    }
}

async fn r28_revoked_session_is_not_renewed(db: TestDatabase) {
    let (_, read) = started(&db).await;
    assert!(db.store.write(async |tx| tx.revoke_session(read.id).await).await.unwrap());
    assert!(!db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    assert!(!db.renew(&read, &access_only(1, &read.scope, NOW)).await);
    record_use(&db, read.id, 0, NOW).await;
    revoke_access(&db, read.id, "a0").await;
    assert_eq!(db.count("sessions").await, 0);
}

async fn r31_revoking_an_access_token_ends_that_token_alone(db: TestDatabase) {
    for (revoked, kept) in [("a0", "a1"), ("a1", "a0")] {
        let account = db.account(&format!("{revoked}@example.org")).await;
        let id = db.session(account).await;
        let bystander = db.session(account).await;
        let read = db.find_session(id).await.unwrap();
        assert!(db.renew(&read, &rotating(1, &read.scope, NOW)).await);

        revoke_access(&db, id, revoked).await;
        let session = db.find_session(id).await.unwrap();
        assert!(session.access_with(&digest(revoked)).is_none());
        assert!(session.access_with(&digest(kept)).is_some());
        assert!(session.is_live(NOW));
        assert_eq!(session.refresh_digest, digest("r1"));
        assert!(db.find_session(bystander).await.unwrap().access_with(&digest("a0")).is_some());
        // and the session can be refreshed
        assert!(db.renew(&session, &rotating(2, &read.scope, NOW)).await);
    }
}

async fn r31_revoked_access_token_is_not_kept_as_predecessor(db: TestDatabase) {
    let (_, read) = started(&db).await;
    revoke_access(&db, read.id, "a0").await;
    assert!(db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    let session = db.find_session(read.id).await.unwrap();
    assert!(session.access_with(&digest("a0")).is_none());
    let preceding = session.previous_access.as_ref().unwrap();
    assert_eq!((preceding.serial, preceding.digest), (0, None));

    revoke_access(&db, read.id, "a1").await;
    assert!(db.renew(&session, &access_only(2, &read.scope, NOW)).await);
    let session = db.find_session(read.id).await.unwrap();
    assert!(session.access_with(&digest("a1")).is_none());
    assert!(session.access_with(&digest("a2")).is_some());
}

async fn r31_concurrent_revocations_and_renewals_leave_no_revoked_token(db: TestDatabase) {
    let (_, mut read) = started(&db).await;
    for round in 0..50 {
        let revoked = format!("a{round}");
        let answers = at_once(2, |index| {
            let (store, read, revoked) = (db.store.clone(), read.clone(), digest(&revoked));
            async move {
                let renewal = rotating(round + 1, &read.scope, NOW);
                let revoked = store.write(async |tx| tx.revoke_access(read.id, &revoked).await);
                match index {
                    0 => revoked.await.unwrap(),
                    _ => store.renew_session(&read, &renewal).await.unwrap(),
                }
            }
        });
        assert_eq!(answers.await, [true, true]);
        read = db.find_session(read.id).await.unwrap();
        assert!(read.access_with(&digest(&revoked)).is_none(), "round {round}");
        assert_eq!(read.access.digest, Some(digest(&format!("a{}", round + 1))));
    }
}

async fn r31_an_unknown_access_token_revokes_nothing(db: TestDatabase) {
    let (account, read) = started(&db).await;
    let other = db.session(account).await;
    assert!(db.renew(&read, &rotating(1, &read.scope, NOW)).await);
    revoke_access(&db, read.id, "a7").await;
    revoke_access(&db, read.id, "r1").await;
    // a token is revoked in its own session only, not in another with the same digest
    revoke_access(&db, other, "a1").await;
    let session = db.find_session(read.id).await.unwrap();
    assert!(session.access_with(&digest("a0")).is_some());
    assert!(session.access_with(&digest("a1")).is_some());
}

async fn r31_concurrent_revocations_of_a_session_succeed_once(db: TestDatabase) {
    let (account, read) = started(&db).await;
    let bystander = db.session(account).await;
    let answers = at_once(8, |_| {
        let (store, id) = (db.store.clone(), read.id);
        async move { store.write(async |tx| tx.revoke_session(id).await).await.unwrap() }
    });
    assert_eq!(answers.await.into_iter().filter(|revoked| *revoked).count(), 1);
    assert!(db.find_session(read.id).await.is_none());
    assert!(db.find_session(bystander).await.is_some());
}

async fn r31_session_of_another_account_is_not_revoked(db: TestDatabase) {
    let (ada, read) = started(&db).await;
    let bob = db.account("bob@example.org").await;
    let revoke = async |account| {
        let revoked = db.store.write(async |tx| tx.revoke_session_of(account, read.id).await);
        revoked.await.unwrap()
    };
    assert!(!revoke(bob).await);
    assert!(db.find_session(read.id).await.is_some());
    assert!(revoke(ada).await);
    assert!(!revoke(ada).await);
    assert!(db.find_session(read.id).await.is_none());
}

async fn first_use_of_the_live_pair_is_recorded(db: TestDatabase) {
    let (_, read) = started(&db).await;
    record_use(&db, read.id, 0, after(10)).await;
    record_use(&db, read.id, 0, after(20)).await;
    let session = db.find_session(read.id).await.unwrap();
    assert_eq!((session.first_used_at, session.last_used_at), (Some(after(10)), after(20)));

    // a second access token of the live pair counts as a use like the first
    assert!(db.renew(&session, &rotating(1, &read.scope, after(30))).await);
    let session = db.find_session(read.id).await.unwrap();
    assert!(db.renew(&session, &access_only(2, &read.scope, after(40))).await);
    record_use(&db, read.id, 2, after(50)).await;
    assert_eq!(db.find_session(read.id).await.unwrap().first_used_at, Some(after(50)));
}

async fn use_of_an_older_access_token_is_not_recorded_for_the_live_pair(db: TestDatabase) {
    let (_, read) = started(&db).await;
    assert!(db.renew(&read, &rotating(1, &read.scope, after(30))).await);
    record_use(&db, read.id, 0, after(40)).await;
    let session = db.find_session(read.id).await.unwrap();
    assert_eq!((session.first_used_at, session.last_used_at), (None, after(40)));
    record_use(&db, read.id, 1, after(50)).await;
    assert_eq!(db.find_session(read.id).await.unwrap().first_used_at, Some(after(50)));
}

async fn use_recorded_late_does_not_lower_last_used_at(db: TestDatabase) {
    let (_, read) = started(&db).await;
    assert!(db.renew(&read, &rotating(1, &read.scope, after(30))).await);
    // a use before the renewal, recorded after it
    record_use(&db, read.id, 0, after(29)).await;
    assert_eq!(db.find_session(read.id).await.unwrap().last_used_at, after(30));
}

async fn live_sessions_of_an_account_are_listed_latest_first(db: TestDatabase) {
    let ada = db.account("ada@example.org").await;
    let bob = db.account("bob@example.org").await;
    let start = async |account, now: u64, idle: u64, absolute: u64| {
        let new = StartingSession {
            // an id tells when it was made, and the list is in the order of ids
            id: SessionId::new(Entropy.uuid_v7(after(now))),
            now: after(now),
            idle_expires_at: after(idle),
            expires_at: after(absolute),
            ..StartingSession::of(account)
        };
        assert!(db.start(&new).await);
        new.id
    };
    let early = start(ada, 1, 900, 5_000).await;
    let late = start(ada, 3, 5_000, 800).await;
    let middle = start(ada, 2, 900, 5_000).await;
    start(ada, 4, 100, 5_000).await;
    start(ada, 5, 5_000, 100).await;
    start(bob, 6, 900, 5_000).await;
    record_use(&db, early, 0, after(50)).await;

    let listed =
        db.store.read(async |tx| tx.find_sessions_of(ada, None, 1_000, after(100)).await).await;
    let listed = listed.unwrap();
    let ids: Vec<SessionId> = listed.iter().map(|session| session.id).collect();
    assert_eq!(ids, [late, middle, early]);
    let ends: Vec<Timestamp> = listed.iter().map(|session| session.expires_at).collect();
    assert_eq!(ends, [after(800), after(900), after(900)]);
    assert_eq!((listed[2].created_at, listed[2].last_used_at), (after(1), after(50)));
    assert_eq!((&listed[0].client_id, &listed[0].scope), (&client("web"), &scope("read write")));
    let missing = AccountId::new(new_id());
    let listed = db
        .store
        .read(async |tx| tx.find_sessions_of(missing, None, 1_000, NOW).await)
        .await
        .unwrap();
    assert!(listed.is_empty());
}

async fn ended_sessions_are_purged_in_batches(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for (idle, absolute) in [(100, 500), (500, 100), (100, 100), (90, 500), (500, 90)] {
        let new = StartingSession {
            idle_expires_at: after(idle),
            expires_at: after(absolute),
            ..StartingSession::of(account)
        };
        assert!(db.start(&new).await);
    }
    let live = db.session(account).await;
    let purge =
        async |now| db.store.write(async |tx| tx.purge_sessions(now, 2).await).await.unwrap();
    assert_eq!(purge(after(89)).await, 0);
    for batch in [2, 2, 1, 0] {
        assert_eq!(purge(after(100)).await, batch);
    }
    assert!(db.find_session(live).await.is_some());
}

/// Signs in as the use case does, with at most 20 sessions per account.
async fn sign_in_limited(store: &Store, account: AccountId) {
    let new = StartingSession::of(account);
    let signed_in = store.write(async |tx| {
        assert!(tx.lock_account(account).await? && tx.insert_session(&new.row()).await?);
        let established = Duration::from_secs(3_600);
        let excess = tx.find_excess_sessions(account, new.id, 20, established, NOW).await?;
        for session in excess {
            assert_ne!(session.id, new.id);
            assert!(tx.revoke_session(session.id).await?);
        }
        Ok::<_, StoreError>(())
    });
    signed_in.await.unwrap();
}

async fn s11_concurrent_sign_ins_keep_to_the_session_limit(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    let nodes = [db.store.clone(), db.another_store().await];
    let answers = at_once(8, |index| {
        let store = nodes[index % 2].clone();
        async move {
            for _ in 0..10 {
                sign_in_limited(&store, account).await;
            }
        }
    });
    answers.await;
    assert_eq!(db.count("sessions").await, 20);
    let counted = db.store.read(async |tx| tx.count_live_sessions_of(account, NOW).await).await;
    assert_eq!(counted.unwrap(), 20);
}

async fn s11_ended_sessions_are_removed_before_live_ones(db: TestDatabase) {
    let account = db.account("ada@example.org").await;
    for _ in 0..20 {
        sign_in_limited(&db.store, account).await;
    }
    let latest = db.store.read(async |tx| tx.find_sessions_of(account, None, 1, NOW).await).await;
    let latest = latest.unwrap()[0].id;
    // the session that was used last has expired
    db.execute(&format!(
        "UPDATE sessions SET idle_expires_at = 1, last_used_at = last_used_at + 9 WHERE id = '{latest}'"
    ))
    .await;
    sign_in_limited(&db.store, account).await;
    assert!(db.find_session(latest).await.is_none());
    assert_eq!(db.count("sessions").await, 20);
}
