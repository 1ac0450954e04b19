//! Many refreshes of one session at once, as clients see it (R24). The ten thousand rounds are those of
//! `tests/storage/lineage.rs`, which is below HTTP.
//!
//! `TEST_ROUNDS=10 cargo test --test api concurrency` runs ten times as many rounds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rocket::http::Status;
use rocket::tokio;
use vestibule::testing::TestApp;

use crate::support;
use crate::support::{
    ADA, error_of, invalid, opens, refresh, refreshed, sign_in, tokens, warnings,
};

const CLIENTS: usize = 8;
const ROUNDS: usize = 100;

/// So many rounds, times `TEST_ROUNDS`.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn rounds() -> usize {
    let times = std::env::var("TEST_ROUNDS").ok();
    ROUNDS * times.map_or(1, |times| times.parse().unwrap())
}

/// A round ends when all have answered: all get one and the same pair.
#[rocket::async_test]
async fn r24_eight_clients_in_rounds_are_one_lineage() {
    let app = Arc::new(support::app().await);
    app.account(ADA).await;
    let mut token = sign_in(&app).await.refresh;
    for round in 0..rounds() {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (app, token) = (Arc::clone(&app), token.clone());
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
            assert!(opens(&app, &pairs[0].access).await);
        }
    }
    still_one_session(&app, &token).await;
}

/// Nobody waits for anybody: whoever is late may be refused, but a token has one successor.
#[rocket::async_test]
async fn r24_eight_clients_at_random_are_one_lineage() {
    let app = Arc::new(support::app().await);
    app.account(ADA).await;
    let first = sign_in(&app).await.refresh;
    let latest = Arc::new(Mutex::new(first.clone()));
    let successors = Arc::new(Mutex::new(HashMap::<String, String>::new()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (app, latest) = (Arc::clone(&app), Arc::clone(&latest));
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
    assert_eq!(length, successors.len(), "all of them are one line");
    still_one_session(&app, last).await;
}

async fn still_one_session(app: &TestApp, token: &str) {
    let pair = refreshed(app, token).await;
    let request = app.client.get("/v1/me/sessions").header(crate::support::bearer(&pair.access));
    let listed: serde_json::Value = request.dispatch().await.into_json().await.unwrap();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(warnings(app).await, 0);
}
