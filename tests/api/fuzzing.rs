//! Fuzz tests: the endpoints that are open to strangers give a documented answer to any input (R10,
//! R54).
//!
//! `TEST_CASES=20 cargo test --test api fuzzing` sends ten thousand bodies and headers.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rocket::http::{ContentType, Header, Status};

use crate::fuzz_inputs::{BASIC, BEARER, FORMS, TOKENS, bytes_like, cases, text_like};
use crate::support::{self, ADA, error_of, problem_of, sign_in, tokens};

const INPUTS: u32 = 250;
const ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

/// An endpoint, a body, and perhaps an `Authorization` header.
fn requests() -> impl Strategy<Value = (usize, Vec<u8>, Option<String>)> {
    let authorization = prop_oneof![
        2 => Just(None),
        2 => text_like(BASIC).prop_map(Some),
        1 => text_like(BEARER).prop_map(Some),
    ];
    (0..ENDPOINTS.len(), bytes_like(FORMS), authorization)
}

/// Two runners: the first has the same cases in each run, the second has random ones.
fn runners() -> [TestRunner; 2] {
    let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config::default();
    [TestRunner::new_with_rng(config.clone(), same), TestRunner::new(config)]
}

#[rocket::async_test]
async fn r54_no_form_and_no_header_makes_an_oauth_endpoint_fail() {
    let app = support::app().await;
    app.account(ADA).await;
    let (mut accepted, mut refused) = (0, 0);
    for mut runner in runners() {
        for _ in 0..cases(INPUTS) {
            let (endpoint, body, authorization) =
                requests().new_tree(&mut runner).unwrap().current();
            let described =
                format!("{endpoint} {authorization:?} {:?}", String::from_utf8_lossy(&body));
            let mut request = app.client.post(ENDPOINTS[endpoint]).header(ContentType::Form);
            if let Some(authorization) = authorization {
                request = request.header(Header::new("Authorization", authorization));
            }
            let answer = request.body(body).dispatch().await;
            match answer.status() {
                Status::Ok if endpoint == 0 => {
                    tokens(answer).await;
                    accepted += 1;
                }
                Status::Ok => accepted += 1,
                status => {
                    assert!([400, 401].contains(&status.code), "{status}: {described}");
                    error_of(answer).await;
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 0 && refused > 0, "{accepted} were accepted and {refused} refused");
    sign_in(&app).await;
}

#[rocket::async_test]
async fn r54_no_header_makes_a_protected_resource_fail() {
    let app = support::app().await;
    app.account(ADA).await;
    for mut runner in runners() {
        let headers = prop_oneof![
            text_like(BEARER),
            text_like(TOKENS).prop_map(|token| format!("Bearer {token}")),
        ];
        for _ in 0..cases(INPUTS) {
            let header = headers.new_tree(&mut runner).unwrap().current();
            let authorization = Header::new("Authorization", header.clone());
            let answer = app.client.get("/v1/me").header(authorization).dispatch().await;
            let status = answer.status();
            assert!([400, 401].contains(&status.code), "{status}: {header:?}");
            assert!(answer.headers().get_one("WWW-Authenticate").is_some(), "{header:?}");
            problem_of(answer).await;
        }
    }
}
