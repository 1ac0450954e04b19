//! Tests of many concurrent refreshes of one session on two nodes, as clients see them (R24), and
//! of sessions that end meanwhile (R27). `tests/storage/refresh_lineage.rs` runs the ten thousand
//! rounds, below HTTP.
//!
//! `TEST_ROUNDS=10 cargo test --test api concurrency` runs ten times as many rounds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocket::http::Status;
use rocket::tokio;
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{
    self, ADA, Database, Tokens, assert_refresh_refused, error_of, invalid, opens, refresh,
    refreshed, sign_in, tokens, warnings,
};
use crate::support_accounts::{change_password, post_as};
use crate::support_pages::OTHER;

const CLIENTS: usize = 8;
const ROUNDS: usize = 100;

/// The number of rounds, times `TEST_ROUNDS`.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn rounds() -> usize {
    let times = std::env::var("TEST_ROUNDS").ok();
    ROUNDS * times.map_or(1, |times| times.parse().unwrap())
}

/// Two nodes on one database.
struct Nodes {
    one: Arc<TestApp>,
    two: Arc<TestApp>,
    _database: Database,
}

impl Nodes {
    async fn start() -> Self {
        let database = support::database().await;
        let one = Arc::new(TestApp::on_database(&database.url, "").await);
        let two = Arc::new(TestApp::on_database(&database.url, "").await);
        Self { one, two, _database: database }
    }

    /// The node of a client: clients alternate between the two nodes.
    fn node_of(&self, client: usize) -> Arc<TestApp> {
        Arc::clone(if client.is_multiple_of(2) { &self.one } else { &self.two })
    }
}

/// In each round every client refreshes the same token, and all get the same pair.
#[rocket::async_test]
async fn r24_eight_clients_in_rounds_are_one_lineage() {
    let nodes = Nodes::start().await;
    nodes.one.account(ADA).await;
    let mut token = sign_in(&nodes.one).await.refresh;
    for round in 0..rounds() {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (app, token) = (nodes.node_of(client), token.clone());
                tokio::spawn(async move { refreshed(&app, &token).await })
            })
            .collect();
        let mut pairs = vec![];
        for client in clients {
            pairs.push(client.await.unwrap());
        }
        pairs.dedup();
        assert_eq!(pairs.len(), 1, "round {round} has split the session");
        assert_ne!(pairs[0].refresh, token);
        token.clone_from(&pairs[0].refresh);
        if round % 50 == 0 {
            assert!(opens(&nodes.one, &pairs[0].access).await);
            assert!(opens(&nodes.two, &pairs[0].access).await);
        }
    }
    assert_one_session(&nodes.two, &token).await;
}

/// The clients do not wait for each other. A late client may be refused, but each token has one
/// successor.
#[rocket::async_test]
async fn r24_eight_clients_at_random_are_one_lineage() {
    let nodes = Nodes::start().await;
    nodes.one.account(ADA).await;
    let first = sign_in(&nodes.two).await.refresh;
    let latest = Arc::new(Mutex::new(first.clone()));
    let successors = Arc::new(Mutex::new(HashMap::<String, String>::new()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (app, latest) = (nodes.node_of(client), Arc::clone(&latest));
            let successors = Arc::clone(&successors);
            tokio::spawn(async move {
                for _ in 0..rounds() / CLIENTS {
                    let token = latest.lock().unwrap().clone();
                    let answer = refresh(&app, &token).await;
                    if answer.status() != Status::Ok {
                        assert_eq!(error_of(answer).await, invalid("invalid_grant"));
                        continue;
                    }
                    let successor = tokens(answer).await.refresh;
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
    for client in clients {
        client.await.unwrap();
    }
    let successors = successors.lock().unwrap().clone();
    let mut last = &first;
    let mut length = 0;
    while let Some(next) = successors.get(last) {
        (last, length) = (next, length + 1);
    }
    assert_eq!(length, successors.len(), "all successors are in one lineage");
    assert_one_session(&nodes.one, last).await;
}

async fn assert_one_session(app: &TestApp, token: &str) {
    let pair = refreshed(app, token).await;
    let request = app.client.get("/v1/me/sessions").header(crate::support::bearer(&pair.access));
    let listed: serde_json::Value = request.dispatch().await.into_json().await.unwrap();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(warnings(app).await, 0);
}

#[derive(Clone, Copy, Debug)]
enum End {
    Revocation,
    NewPassword,
    Deletion,
}

/// A client refreshes on both nodes while its session ends. Once the end is acknowledged, none of
/// the client's tokens works.
#[rocket::async_test]
async fn r27_refresh_on_another_node_does_not_outlive_an_acknowledged_end() {
    let nodes = Nodes::start().await;
    let mut refreshed = 0;
    for round in 0..rounds() / 20 {
        for end in [End::Revocation, End::NewPassword, End::Deletion] {
            let email = format!("person{round}@{end:?}.example").to_lowercase();
            nodes.one.account(&email).await;
            let session = nodes.one.sign_in(&email).await.refresh_token;
            let refreshing = tokio::spawn(refresh_until_refused(
                [nodes.node_of(1), nodes.node_of(0)],
                session.clone(),
            ));
            end_session(&nodes.one, end, &email, &session).await;
            let pairs = refreshing.await.unwrap();
            refreshed += pairs.len();
            for pair in &pairs {
                assert!(!opens(&nodes.one, &pair.access).await, "{end:?}, round {round}");
                assert_refresh_refused(&nodes.one, &pair.refresh).await;
                assert_refresh_refused(&nodes.two, &pair.refresh).await;
            }
            // the other node may trust its cached token for one second
            nodes.one.advance(Duration::from_secs(1));
            nodes.two.advance(Duration::from_secs(1));
            for pair in &pairs {
                assert!(!opens(&nodes.two, &pair.access).await, "{end:?}, round {round}");
            }
        }
    }
    assert!(refreshed > 0, "no refresh was ever in time");
}

/// Refreshes on the nodes in turn until a refusal, and returns all pairs.
async fn refresh_until_refused(nodes: [Arc<TestApp>; 2], first: String) -> Vec<Tokens> {
    let (mut token, mut pairs) = (first, vec![]);
    for app in nodes.iter().cycle() {
        let answer = refresh(app, &token).await;
        if answer.status() != Status::Ok {
            assert_eq!(error_of(answer).await, invalid("invalid_grant"));
            break;
        }
        let pair = tokens(answer).await;
        opens(app, &pair.access).await; // the token may have ended by now
        token.clone_from(&pair.refresh);
        pairs.push(pair);
    }
    pairs
}

async fn end_session(app: &TestApp, end: End, email: &str, session: &str) {
    match end {
        End::Revocation => {
            let fields = [("token", session), ("client_id", "web")];
            assert_eq!(app.post_form("/oauth/revoke", &fields).await.status(), Status::Ok);
        }
        End::NewPassword => {
            let ada = app.sign_in(email).await;
            let answer = change_password(app, &ada.access_token, PASSWORD, OTHER).await;
            assert_eq!(answer.status, Status::NoContent);
        }
        End::Deletion => {
            let ada = app.sign_in(email).await;
            let answer = post_as(&ada, "/v1/me/deletion", &json!({ "password": PASSWORD })).await;
            assert_eq!(answer.status, Status::NoContent);
        }
    }
}
