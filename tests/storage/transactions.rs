//! Tests of `read` and `write`: all or nothing, for every way in which a write ends.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Barrier, Notify};
use vestibule::storage::{Connection, Engine, NewLetter, StoreError, StoreErrorKind};

use crate::database::{NOW, TestDatabase, WaitingSignUp, at_once, email, new_id, poll_at_most};

on_both_engines! {
    committed_write_is_visible_to_every_node,
    a_write_that_fails_leaves_no_trace,
    a_write_refused_by_the_domain_leaves_no_trace,
    pending_write_leaves_no_trace_when_dropped,
    write_dropped_at_any_point_is_atomic,
    dropped_writes_lose_no_acknowledged_write,
    reader_does_not_wait_for_a_writer_and_sees_committed_rows_only,
    write_best_effort_gives_up_on_a_locked_row,
    r28_committed_rows_survive_a_restart,
    r52_write_rolled_back_by_a_deadlock_is_retried_and_counts_once,
}

/// A sign-up and its letter: two rows that belong together.
pub async fn sign_up_with_letter(
    tx: &mut Connection,
    new: &WaitingSignUp,
) -> Result<(), StoreError> {
    tx.insert_sign_up(&new.row()).await?;
    tx.insert_letter(&NewLetter {
        id: vestibule::storage::LetterId::new(new_id()),
        kind: "sign-up",
        email: &new.email,
        locale: None,
        account: None,
        facts: "{}".to_owned(),
        now: NOW,
    })
    .await
}

async fn assert_empty(db: &TestDatabase) {
    assert_eq!(db.count("sign_ups").await, 0);
    assert_eq!(db.count("outbox").await, 0);
}

/// Checks the store's connections: one after another, each can write and read.
async fn assert_usable(db: &TestDatabase, address: &str) {
    let id = db.sign_up(address).await;
    let found = db.store.read(async |tx| tx.find_sign_up(id).await).await.unwrap();
    assert!(found.is_some());
    assert!(db.store.write(async |tx| tx.consume_sign_up(id, true).await).await.unwrap());
}

async fn committed_write_is_visible_to_every_node(db: TestDatabase) {
    let other = db.another_store().await;
    let new = WaitingSignUp::of("ada@example.org");
    db.store.write(async |tx| sign_up_with_letter(tx, &new).await).await.unwrap();
    let found = other.read(async |tx| tx.find_sign_up_by_email(&new.email).await).await.unwrap();
    assert_eq!(found.unwrap().sign_up.id, new.id);
}

async fn a_write_that_fails_leaves_no_trace(db: TestDatabase) {
    let new = WaitingSignUp::of("ada@example.org");
    let twin =
        WaitingSignUp { email: email("bob@example.org"), ..WaitingSignUp::of("a@b.example") };
    let twin = WaitingSignUp { id: new.id, ..twin };
    let written = db.store.write(async |tx| {
        sign_up_with_letter(tx, &new).await?;
        tx.insert_sign_up(&twin.row()).await
    });
    assert!(written.await.unwrap_err().is_conflict());
    assert_empty(&db).await;
    assert_usable(&db, "ada@example.org").await;
}

async fn a_write_refused_by_the_domain_leaves_no_trace(db: TestDatabase) {
    #[derive(Debug, thiserror::Error)]
    enum Refusal {
        #[error("not today")]
        NotToday,
        #[error("the store")]
        Store,
    }
    impl From<StoreError> for Refusal {
        fn from(_: StoreError) -> Self {
            Self::Store
        }
    }

    let new = WaitingSignUp::of("ada@example.org");
    let written: Result<(), Refusal> = db
        .store
        .write(async |tx| {
            sign_up_with_letter(tx, &new).await?;
            Err(Refusal::NotToday)
        })
        .await;
    assert!(matches!(written, Err(Refusal::NotToday)), "{written:?}");
    assert_empty(&db).await;
    assert_usable(&db, "ada@example.org").await;
}

async fn pending_write_leaves_no_trace_when_dropped(db: TestDatabase) {
    let new = WaitingSignUp::of("ada@example.org");
    {
        let written = Notify::new();
        let hanging = db.store.write(async |tx| {
            sign_up_with_letter(tx, &new).await?;
            written.notify_one();
            pending::<Result<(), StoreError>>().await
        });
        tokio::select! {
            biased;
            _ = hanging => panic!("the write never ends"),
            () = written.notified() => {}
        }
    }
    assert_usable(&db, "ada@example.org").await;
    assert_empty(&db).await;
}

async fn write_dropped_at_any_point_is_atomic(db: TestDatabase) {
    // the threads decide where a poll ends, so each point is tried several times
    for pass in 0..5 {
        for polls in 0.. {
            let new = WaitingSignUp::of(&format!("ada{pass}-{polls}@example.org"));
            let write = db.store.write(async |tx| sign_up_with_letter(tx, &new).await);
            let outcome = poll_at_most(polls, write).await;
            // the next writer comes before any cleanup
            assert_usable(&db, "bob@example.org").await;
            let (sign_ups, letters) = (db.count("sign_ups").await, db.count("outbox").await);
            assert_eq!(sign_ups, letters, "dropped at its poll {polls}");
            if let Some(outcome) = outcome {
                outcome.unwrap();
                assert!(sign_ups > pass, "an acknowledged write is committed");
                break;
            }
        }
    }
}

async fn dropped_writes_lose_no_acknowledged_write(db: TestDatabase) {
    let answers = at_once(120, |index| {
        let store = db.store.clone();
        async move {
            let new = WaitingSignUp::of(&format!("ada{index}@example.org"));
            let write = store.write(async |tx| sign_up_with_letter(tx, &new).await);
            // every third write runs to its end
            let polls = if index % 3 == 0 { usize::MAX } else { index / 12 };
            (new.email.clone(), poll_at_most(polls, write).await)
        }
    });
    for (email, outcome) in answers.await {
        if let Some(outcome) = outcome {
            outcome.unwrap();
            let found = db.store.read(async |tx| tx.find_sign_up_by_email(&email).await).await;
            assert!(found.unwrap().is_some(), "{email} was acknowledged");
        }
    }
    assert_usable(&db, "bob@example.org").await;
    let orphans = "SELECT COUNT(*) FROM outbox WHERE email NOT IN (SELECT email FROM sign_ups)";
    assert_eq!(db.integer(orphans).await, Some(0));
    assert_eq!(db.count("sign_ups").await, db.count("outbox").await);
}

async fn reader_does_not_wait_for_a_writer_and_sees_committed_rows_only(db: TestDatabase) {
    let new = WaitingSignUp::of("ada@example.org");
    let seen_meanwhile = db.store.write(async |tx| {
        sign_up_with_letter(tx, &new).await?;
        assert!(tx.find_sign_up(new.id).await?.is_some(), "a writer sees its own rows");
        db.store.read(async |reader| reader.find_sign_up(new.id).await).await
    });
    assert!(seen_meanwhile.await.unwrap().is_none());
    let seen = db.store.read(async |reader| reader.find_sign_up(new.id).await).await.unwrap();
    assert!(seen.is_some());
}

async fn write_best_effort_gives_up_on_a_locked_row(db: TestDatabase) {
    let id = db.account("ada@example.org").await;
    let behind = async || db.store.write_best_effort(async |tx| tx.raise_epoch(id).await).await;
    assert!(behind().await.unwrap());
    // on SQLite writers take turns, whether or not they touch the same rows
    if *db.store.engine() == Engine::Postgres {
        let tried = db.store.write(async |tx| {
            assert!(tx.lock_account(id).await?);
            Ok::<_, StoreError>(behind().await)
        });
        let error = tried.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    }
    assert!(behind().await.unwrap());
}

async fn r28_committed_rows_survive_a_restart(db: TestDatabase) {
    let spent = db.sign_up("ada@example.org").await;
    let waiting = db.sign_up("bob@example.org").await;
    db.store.write(async |tx| tx.consume_sign_up(spent, false).await).await.unwrap();
    let TestDatabase { store, url, folder } = db;
    drop(store);
    let store = crate::database::open(&url).await.unwrap();
    let found = store
        .read(async |db| Ok((db.find_sign_up(spent).await?, db.find_sign_up(waiting).await?)))
        .await
        .unwrap();
    assert!(matches!(found, (None, Some(_))), "{found:?}");
    drop(folder);
}

/// Two writes take the same rows in opposite order: PostgreSQL rolls one of them back. On SQLite
/// they take turns.
async fn r52_write_rolled_back_by_a_deadlock_is_retried_and_counts_once(db: TestDatabase) {
    let [first, second] =
        [db.account("ada@example.org").await, db.account("bob@example.org").await];
    let tries = AtomicUsize::new(0);
    let both = Barrier::new(2);
    let raise = async |one, other| {
        let first_try = AtomicBool::new(true);
        let write = db.store.write(async |tx| {
            tries.fetch_add(1, Ordering::SeqCst);
            tx.raise_epoch(one).await?;
            if first_try.swap(false, Ordering::SeqCst) && *db.store.engine() == Engine::Postgres {
                both.wait().await;
            }
            tx.raise_epoch(other).await?;
            Ok::<_, StoreError>(())
        });
        write.await
    };
    let (one, other) = tokio::join!(raise(first, second), raise(second, first));
    one.unwrap();
    other.unwrap();
    let expected = if *db.store.engine() == Engine::Postgres { 3 } else { 2 };
    assert_eq!(tries.load(Ordering::SeqCst), expected);
    assert_eq!(db.integer("SELECT COUNT(*) FROM accounts WHERE epoch = 2").await, Some(2));
}
