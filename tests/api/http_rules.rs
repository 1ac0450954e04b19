//! Tests of the rules for HTTP: methods, sizes, request ids, health (Common rules and Operations of
//! the contract).

use std::collections::{BTreeMap, BTreeSet};

use rocket::http::{Accept, ContentType, Header, MediaType, Method, Status};
use rocket::local::asynchronous::LocalRequest;
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};
use vestibule::web::Readiness;

use crate::support;
use crate::support_pages::{Answer, get, submit};

const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
];

/// All paths of the service's routes, with their methods.
fn paths(app: &TestApp) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut paths: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    // preflight routes exist for every path that scripts may call; they are no method of the path
    let routes = app.client.rocket().routes();
    for route in routes.filter(|route| route.method != Method::Options) {
        let path: Vec<&str> = route
            .uri
            .path()
            .split('/')
            .map(|part| if part.starts_with('<') { "x" } else { part })
            .collect();
        let methods = paths.entry(path.join("/")).or_default();
        methods.insert(route.method.as_str());
        if route.method == Method::Get {
            methods.insert("HEAD");
        }
    }
    paths
}

#[rocket::async_test]
async fn every_path_answers_a_wrong_method_with_405_and_allow() {
    let app = support::app().await;
    let paths = paths(&app);
    for known in ["/v1/accounts", "/v1/me", "/activate", "/oauth/token", "/health/ready"] {
        assert!(paths.contains_key(known), "{known}");
    }
    for (path, methods) in &paths {
        for method in METHODS.into_iter().filter(|method| !methods.contains(method.as_str())) {
            let request = app.client.req(method, path.clone());
            let answer = Answer::of(request.dispatch().await).await;
            assert_eq!(answer.status, Status::MethodNotAllowed, "{method} {path}: {answer:?}");
            let allow: BTreeSet<&str> = answer.header("allow").split(", ").collect();
            assert_eq!(&allow, methods, "{method} {path}");
            if method == Method::Head {
                assert_eq!(answer.body, "", "{path}");
            } else if path.starts_with("/oauth") {
                assert_eq!(answer.json()["error"], "invalid_request", "{path}");
                assert_eq!(answer.header("cache-control"), "no-store");
            } else if ["/v1", "/health", "/schemas", "/.well-known", "/openapi.json"]
                .iter()
                .any(|mount| path.starts_with(mount))
                || path == "/"
            {
                answer.problem(405, "method-not-allowed");
            } else {
                answer.page(405, "Method not allowed");
            }
        }
    }
}

#[rocket::async_test]
async fn unknown_path_is_404_in_the_accepted_format() {
    let app = support::app().await;
    for path in ["/nowhere", "/v1", "/v1/nowhere", "/v1/me/nowhere", "/health", "/v1/me/x/y"] {
        get(&app, path).await.problem(404, "not-found");
    }
    for path in ["/nowhere", "/v2/accounts"] {
        for accept in [Accept::HTML, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap()] {
            let request = app.client.get(path).header(accept);
            Answer::of(request.dispatch().await).await.page(404, "Not found");
        }
        for accept in [Accept::JSON, Accept::Any, Accept::new([MediaType::Plain.into()])] {
            let request = app.client.get(path).header(accept);
            Answer::of(request.dispatch().await).await.problem(404, "not-found");
        }
    }
    let request = app.client.get("/v1/nowhere").header(Accept::HTML);
    Answer::of(request.dispatch().await).await.problem(404, "not-found");
    for path in [
        "/activate/x",
        "/reset-password/x",
        "/confirm-email/x",
        "/account/x",
        "/problems",
        "/dev/x",
    ] {
        get(&app, path).await.page(404, "Not found");
    }
}

/// Requests to every path that takes a body, each with its content type.
fn requests_with_bodies(app: &TestApp) -> Vec<LocalRequest<'_>> {
    let json = ["/v1/accounts", "/v1/activation-mails", "/v1/activations"].into_iter();
    let json = json.chain(["/v1/activations/disavowals"]);
    let form = ["/activate", "/activate/disavowal", "/activate/new-link"].into_iter();
    let form = form.chain(["/oauth/token", "/oauth/revoke"]);
    json.map(|path| app.client.post(path).header(ContentType::JSON))
        .chain(form.map(|path| app.client.post(path).header(ContentType::Form)))
        .collect()
}

fn assert_too_large(answer: &Answer) {
    assert_eq!(answer.status, Status::PayloadTooLarge, "{answer:?}");
    match answer.header("content-type") {
        "application/problem+json" => {
            assert_eq!(answer.json()["type"], "/problems/content-too-large");
        }
        "application/json" => assert_eq!(answer.json()["error"], "invalid_request"),
        _ => assert!(answer.body.contains("<h1>Content too large</h1>"), "{answer:?}"),
    }
}

#[rocket::async_test]
async fn r9_oversized_body_is_413_with_and_without_content_length() {
    let app = support::app().await;
    for request in requests_with_bodies(&app) {
        assert_too_large(&Answer::of(request.body("x".repeat(33 * 1_024)).dispatch().await).await);
    }
    for request in requests_with_bodies(&app) {
        // refused unread: the test sends no body
        let request = request.header(Header::new("Content-Length", "1073741824"));
        assert_too_large(&Answer::of(request.dispatch().await).await);
    }
    // the largest permitted body
    let fill = 32 * 1_024 - "token=".len();
    let page = submit(&app, "/activate", &[("token", &"x".repeat(fill))]).await;
    assert_eq!(page.status, Status::NotFound);
    let page = submit(&app, "/activate", &[("token", &"x".repeat(fill + 1))]).await;
    assert_eq!(page.status, Status::PayloadTooLarge);
}

#[rocket::async_test]
async fn every_answer_has_a_request_id_and_a_well_formed_one_is_kept() {
    let app = support::app().await;
    let longest = "x".repeat(128);
    for path in ["/health/live", "/v1/me", "/nowhere", "/activate?token=x", "/oauth/token"] {
        for id in ["abc", "0af7651916cd43dd8448eb211c80319c", "a-b_c.1", &longest] {
            let request = app.client.get(path).header(Header::new("X-Request-Id", id.to_owned()));
            assert_eq!(Answer::of(request.dispatch().await).await.header("x-request-id"), id);
        }
        let mut made = BTreeSet::new();
        for id in ["", "a b", "<b>", "é", "a\"b", &"x".repeat(129)] {
            let request = app.client.get(path).header(Header::new("X-Request-Id", id.to_owned()));
            let answer = Answer::of(request.dispatch().await).await;
            let given = answer.header("x-request-id").to_owned();
            assert!(given.len() == 32 && given.bytes().all(|b| b.is_ascii_hexdigit()), "{given}");
            assert!(made.insert(given), "a generated id came twice");
        }
        made.insert(get(&app, path).await.header("x-request-id").to_owned());
        assert_eq!(made.len(), 7);
    }
}

#[rocket::async_test]
async fn health_endpoints_report_liveness_and_readiness() {
    let app = support::app().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(get(&app, path).await.status, Status::Ok);
        assert_eq!(app.client.head(path).dispatch().await.status(), Status::Ok);
    }
    assert_eq!(get(&app, "/health/ready").await.json(), json!({ "status": "ready" }));
    app.client.rocket().state::<Readiness>().unwrap().begin_shutdown();
    let answer = get(&app, "/health/ready").await.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.json()["detail"], "The service is shutting down.");
    assert_eq!(get(&app, "/health/live").await.status, Status::Ok);
    assert_eq!(app.sign_up("ada@example.org", PASSWORD).await, Status::Accepted);
}

#[rocket::async_test]
async fn r2_a_form_field_never_changes_the_method_of_a_page() {
    let app = support::app().await;
    for method in ["PUT", "DELETE", "PATCH", "GET", "HEAD", "OPTIONS", "put", "nonsense"] {
        app.sign_up("ada@example.org", PASSWORD).await;
        let token = app.link_token("ada@example.org").await;
        let fields = [("_method", method), ("token", token.as_str())];
        let page = submit(&app, "/activate/disavowal", &fields).await;
        page.page(200, "The sign-up is dropped");
        app.advance(std::time::Duration::from_secs(3_600));
    }
    let answer = app.client.post("/v1/me").header(ContentType::Form).body("_method=PATCH&a=b");
    let answer = Answer::of(answer.dispatch().await).await;
    assert_eq!(answer.status, Status::MethodNotAllowed, "{answer:?}");
}

#[rocket::async_test]
async fn times_in_json_are_rfc_3339_in_utc() {
    let app = support::app().await;
    let ada = app.signed_in("ada@example.org").await;
    let me = Answer::of(ada.get("/v1/me").dispatch().await).await;
    assert_eq!(me.header("cache-control"), "no-store");
    let at = me.json()["created_at"].as_str().unwrap().to_owned();
    assert!(at.starts_with("2026-01-01T00:00:00") && at.ends_with('Z'), "{at}");
}
