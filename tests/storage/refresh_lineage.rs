//! Tests of many concurrent refreshes of one session, on two nodes with one database: one lineage
//! (R24), and no token that outlives the session's end (R27).
//!
//! `TEST_ROUNDS=50 cargo test --test storage refresh_lineage` runs fifty times as many rounds: ten
//! thousand of the first test.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use vestibule::accounts::{Failure, OwnSession};
use vestibule::model::{ClientInfo, Password, Scope};
use vestibule::oauth::{OAuth, OAuthError, RefreshGrant, Revocation, TokenPair};
use vestibule::testing::PASSWORD;

use crate::database::{TestDatabase, scope};
use crate::race_nodes::{
    NEW_PASSWORD, Nodes, Person, judged, opens, password_grant, random_delay, rounds, web,
};

on_both_engines! {
    r24_eight_tasks_in_rounds_stay_one_lineage,
    r24_eight_unsynchronized_tasks_stay_one_lineage,
    r24_refreshes_during_the_end_of_a_session_leave_no_live_token,
}

const TASKS: usize = 8;
const ROUNDS: usize = 200;
/// The rounds of a test of ends, each with a person of its own.
const ENDS: usize = 40;

async fn present(
    oauth: &OAuth,
    token: &str,
    scope: Option<Scope>,
) -> Result<TokenPair, OAuthError> {
    let refresh_token = token.to_owned().into();
    let request =
        RefreshGrant { client: web(), refresh_token, scope, caller: ClientInfo::default() };
    oauth.refresh_grant(&request).await
}

/// Access and refresh token, as the client gets them.
fn revealed(pair: &TokenPair) -> (String, String) {
    (pair.access.reveal(), pair.refresh.as_ref().unwrap().reveal())
}

fn node(nodes: &Nodes, task: usize) -> OAuth {
    if task.is_multiple_of(2) { nodes.starting.clone() } else { nodes.ending.clone() }
}

/// Eight tasks present the same token, four on each node. When all have answers, the next round
/// begins.
async fn r24_eight_tasks_in_rounds_stay_one_lineage(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let person = nodes.person("ada@example.org").await;
    let mut token = revealed(&person.own).1;
    for round in 0..rounds(ROUNDS) {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (oauth, token) = (node(&nodes, task), token.clone());
                tokio::spawn(async move { revealed(&present(&oauth, &token, None).await.unwrap()) })
            })
            .collect();
        let mut pairs = BTreeSet::new();
        for task in tasks {
            pairs.insert(task.await.unwrap());
        }
        assert_eq!(pairs.len(), 1, "round {round} has split the session");
        let (access, successor) = pairs.pop_first().unwrap();
        assert_ne!(successor, token);
        token = successor;
        if round % 10 == 0 {
            assert!(opens(&nodes.starting, &access).await && opens(&nodes.ending, &access).await);
        }
    }
    one_session_is_left(&nodes, &person, &token).await;
}

/// The tasks do not wait for each other, and each asks for a scope of its own. A late task may be
/// refused, but no other error occurs, and each token has one successor.
async fn r24_eight_unsynchronized_tasks_stay_one_lineage(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let person = nodes.person("ada@example.org").await;
    let first = revealed(&person.own).1;
    let latest = Arc::new(Mutex::new(first.clone()));
    let successors = Arc::new(Mutex::new(HashMap::<String, String>::new()));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let oauth = node(&nodes, task);
            let (latest, successors) = (Arc::clone(&latest), Arc::clone(&successors));
            tokio::spawn(async move {
                for round in 0..rounds(ROUNDS / 2) {
                    let token = latest.lock().unwrap().clone();
                    let asked = (round % 3 == task % 3).then(|| scope("account.read"));
                    let successor = match present(&oauth, &token, asked).await {
                        Ok(pair) => revealed(&pair).1,
                        Err(OAuthError::RefreshToken) => continue,
                        Err(other) => panic!("{other:?}"),
                    };
                    let mut successors = successors.lock().unwrap();
                    let known = successors.entry(token.clone()).or_insert(successor.clone());
                    assert_eq!(*known, successor, "a second lineage");
                    let mut latest = latest.lock().unwrap();
                    if *latest == token {
                        *latest = successor;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let successors = successors.lock().unwrap().clone();
    let (mut last, mut length) = (&first, 0);
    while let Some(next) = successors.get(last) {
        (last, length) = (next, length + 1);
    }
    assert_eq!(length, successors.len(), "all successors form one lineage");
    println!("{length} rotations by {TASKS} tasks");
    one_session_is_left(&nodes, &person, last).await;
}

/// Checks that the person has two sessions: the other sign-in, and the session whose latest
/// refresh token is `token`.
async fn one_session_is_left(nodes: &Nodes, person: &Person, token: &str) {
    present(&nodes.starting, token, None).await.unwrap();
    assert_eq!(nodes.ending.sessions_of(person.id, None).await.unwrap().sessions.len(), 2);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Deletion,
    /// Revokes the session, by one of its refresh tokens, spent or not.
    Revocation,
    PasswordChange,
    SignOut,
}

/// Eight tasks refresh without a pause, or sign in again where the end may be a sign-in. Meanwhile
/// the session ends. Once the end is acknowledged, no token from before or after it opens anything
/// on that node, and a second later none does on the other.
async fn r24_refreshes_during_the_end_of_a_session_leave_no_live_token(db: TestDatabase) {
    let nodes = Nodes::on(&db).await;
    let ends = [End::Deletion, End::Revocation, End::PasswordChange, End::SignOut];
    let mut answers = 0;
    for round in 0..rounds(ENDS) {
        let end = ends[round % ends.len()];
        let person = Arc::new(nodes.person(&format!("ada{round}@example.org")).await);
        let (handed_out, latest) = (Arc::new(Mutex::new(vec![])), revealed(&person.other).1);
        let latest = Arc::new(Mutex::new(latest));
        let (ended, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<JoinHandle<()>> = (0..TASKS)
            .map(|task| {
                let (oauth, latest) = (node(&nodes, task), Arc::clone(&latest));
                let (handed_out, ended) = (Arc::clone(&handed_out), Arc::clone(&ended));
                let (begun, person) = (Arc::clone(&begun), Arc::clone(&person));
                let signs_in = task >= 6 && matches!(end, End::Deletion | End::PasswordChange);
                tokio::spawn(async move {
                    loop {
                        // one more refresh after the end, which must be refused
                        let is_last = ended.load(Ordering::SeqCst);
                        let token = latest.lock().unwrap().clone();
                        let answer = match signs_in {
                            true => password_grant(&oauth, &person.email, PASSWORD).await,
                            false => present(&oauth, &token, None).await,
                        };
                        match answer {
                            Ok(pair) => {
                                assert!(!is_last, "{end:?}: a refresh after the end succeeds");
                                let pair = revealed(&pair);
                                if !signs_in {
                                    latest.lock().unwrap().clone_from(&pair.1);
                                }
                                handed_out.lock().unwrap().push(pair);
                                begun.fetch_add(1, Ordering::SeqCst);
                            }
                            // the password has changed by now, and the old one reaches the limit of
                            // failures
                            Err(
                                OAuthError::RefreshToken
                                | OAuthError::WrongPassword
                                | OAuthError::Failure(Failure::Limited { .. }),
                            ) => {}
                            Err(other) => panic!("{end:?}: {other:?}"),
                        }
                        if is_last {
                            return;
                        }
                    }
                })
            })
            .collect();
        while begun.load(Ordering::SeqCst) < TASKS {
            tokio::task::yield_now().await;
        }
        random_delay(&nodes.ending.store, 4).await;
        end_session(&nodes.ending, end, &person, &latest).await;
        // the end is acknowledged: from here on no token of the session works
        let by_then = handed_out.lock().unwrap().clone();
        for (access, _) in by_then.iter().rev().take(3) {
            assert!(!opens(&nodes.ending, access).await, "{end:?}: alive after its end");
        }
        nodes.let_a_second_pass();
        for (access, _) in by_then.iter().rev().take(3) {
            assert!(!opens(&nodes.starting, access).await, "{end:?}: alive after its end");
        }
        ended.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        let handed_out = handed_out.lock().unwrap().clone();
        answers += handed_out.len();
        for (access, refresh) in handed_out.iter().rev().take(60) {
            for oauth in [&nodes.starting, &nodes.ending] {
                assert!(!opens(oauth, access).await, "{end:?}: an access token is alive");
                let answer = present(oauth, refresh, None).await;
                assert!(matches!(answer, Err(OAuthError::RefreshToken)), "{end:?}");
            }
        }
        let own = revealed(&person.own).0;
        assert_eq!(opens(&nodes.starting, &own).await, end != End::Deletion, "{end:?}");
    }
    println!("{answers} answers with tokens in {} rounds", rounds(ENDS));
}

async fn end_session(oauth: &OAuth, end: End, person: &Person, latest: &Mutex<String>) {
    let (accounts, caller) = (&oauth.accounts, ClientInfo::default());
    let current = Password::new(PASSWORD);
    match end {
        End::Deletion => accounts.delete(person.id, &current, &caller).await.unwrap(),
        End::Revocation => {
            let token = latest.lock().unwrap().clone().into();
            oauth.revoke(&Revocation { client: web(), token, caller }).await.unwrap();
        }
        End::PasswordChange => {
            let (own, new) = (person.own.access.session, judged(oauth, NEW_PASSWORD));
            let own = OwnSession::Token(own);
            accounts.change_password(person.id, own, &current, &new, &caller).await.unwrap();
        }
        End::SignOut => {
            let session = person.other.access.session;
            assert!(oauth.end_session(person.id, session, &caller).await.unwrap());
        }
    }
}
