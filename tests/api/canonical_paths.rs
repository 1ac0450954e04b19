//! Tests that each path has one spelling, so that a proxy's limit or rule for a path covers it
//! (S12).

use std::collections::BTreeSet;

use rocket::http::{Accept, ContentType, Header, Method};
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, form};
use crate::support_pages::{Answer, get};

const METRICS: &str = "[default.vestibule.metrics]\naddress = \"127.0.0.1:0\"\n";
const API_MOUNTS: [&str; 3] = ["/oauth", "/v1", "/health"];

/// The number of requests that found a route, with any answer.
fn handled_requests(app: &TestApp) -> u64 {
    let text = app.metrics();
    let requests = text.lines().filter(|line| line.starts_with("vestibule_requests_total{"));
    let handled = requests.filter(|line| !line.contains(r#"route="-""#));
    handled.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

/// Each operation of the OpenAPI document: its method, and its path with `x` for each path
/// parameter.
async fn operations(app: &TestApp) -> Vec<(Method, String, String)> {
    let document = get(app, "/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let segments =
                path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let filled = segments.collect::<Vec<_>>().join("/");
            all.push((method.to_uppercase().parse().unwrap(), path.clone(), filled));
        }
    }
    assert!(all.len() > 40, "{all:?}");
    all
}

fn percent_encoded(byte: u8) -> String {
    format!("%{byte:02x}")
}

/// Other spellings of a path that some program treats as equal to it.
fn misspellings(described: &str, path: &str) -> BTreeSet<String> {
    let mut all: BTreeSet<String> =
        ["//", "/%2f", "/.", "/./", "%2f", "%2F/", "%00", "%20", "%0a", "%3fa=b", "/%2e"]
            .map(|end| format!("{path}{end}"))
            .into();
    all.extend(
        ["/", "/.", "/%2e", "/x/..", "/x/%2e%2e", "%2f", "/;"]
            .map(|start| format!("{start}{path}")),
    );
    for (place, byte) in path.bytes().enumerate() {
        let (before, after) = (&path[..place], &path[place + 1..]);
        match byte {
            b'/' if place > 0 => {
                all.extend(
                    ["//", "/./", "/x/../", "%2f", "/%2f", ";/", "\\"]
                        .map(|slash| format!("{before}{slash}{after}")),
                );
            }
            b'/' => {}
            _ => {
                all.insert(format!("{before}{}{after}", percent_encoded(byte)));
                all.insert(format!("{before}{}{after}", percent_encoded(byte).to_uppercase()));
                all.insert(format!("{before}%25{byte:02x}{after}"));
            }
        }
    }
    // a path parameter has no other spelling: another value names another resource
    if !described.ends_with('}') {
        all.extend([";", ";a=b", ".", "%", ".json"].map(|end| format!("{path}{end}")));
    }
    let fixed = described.split('/').take_while(|part| !part.starts_with('{'));
    let length = fixed.map(|part| part.len() + 1).sum::<usize>() - 1;
    if length > 1 {
        let (fixed, rest) = path.split_at(length.min(path.len()));
        all.insert(format!("{}{rest}", fixed.to_uppercase()));
        let (last, letter) = fixed.char_indices().next_back().unwrap();
        all.insert(format!("{}{}{rest}", &fixed[..last], letter.to_ascii_uppercase()));
    }
    // below this path the handler compares the sent path itself: tests/api/metadata.rs
    let issuers = "/.well-known/oauth-authorization-server/";
    all.retain(|one| !one.starts_with(issuers));
    // a target without a leading `/` is no path: the service refuses it before routing
    all.retain(|one| one.starts_with('/') && one != path && one != "/");
    all
}

#[rocket::async_test]
async fn s12_no_route_answers_another_spelling_of_its_path() {
    let app = support::configured(METRICS).await;
    let mut tried = 0;
    for (method, described, path) in operations(&app).await {
        for other in misspellings(&described, &path) {
            let before = handled_requests(&app);
            // a body that a route would read, and an `Accept` header for the catcher
            let request = app.client.req(method, other.clone()).header(Accept::JSON);
            let request = request.header(ContentType::Form).body("token=x");
            let answer = Answer::of(request.dispatch().await).await;
            assert!([400, 404].contains(&answer.status.code), "{method} {other}: {answer:?}");
            assert_eq!(
                handled_requests(&app),
                before,
                "{method} {other} ran the handler of {path}"
            );
            if other.starts_with("/oauth/") && answer.status.code == 404 {
                assert_eq!(answer.json()["error"], "invalid_request", "{other}");
                assert_eq!(answer.header("cache-control"), "no-store", "{other}");
            }
            tried += 1;
        }
    }
    assert!(tried > 2_000, "{tried}");
}

#[rocket::async_test]
async fn s12_trailing_slash_redirects_pages_and_documents_only() {
    let app = support::configured(METRICS).await;
    let mut moved = BTreeSet::new();
    for (method, _, path) in operations(&app).await {
        if path == "/" {
            continue;
        }
        for method in
            [Some(method), (method == Method::Get).then_some(Method::Head)].into_iter().flatten()
        {
            let before = handled_requests(&app);
            let other = format!("{path}/?token=a%2Fb&next=//evil.example");
            let request = app.client.req(method, other).header(ContentType::Form).body("token=x");
            let answer = Answer::of(request.dispatch().await).await;
            assert_eq!(
                handled_requests(&app),
                before,
                "{method} {path}/ ran the handler of {path}"
            );
            let is_read = matches!(method, Method::Get | Method::Head);
            if is_read && !API_MOUNTS.iter().any(|mount| path.starts_with(mount)) {
                assert_eq!(answer.status.code, 308, "{method} {path}/: {answer:?}");
                let place = format!("{path}?token=a%2Fb&next=//evil.example");
                assert_eq!(answer.header("location"), place);
                assert_eq!(
                    (answer.header("cache-control"), answer.body.as_str()),
                    ("no-store", "")
                );
                assert!(!answer.header("x-request-id").is_empty());
                moved.insert(path.clone());
            } else {
                assert_eq!(answer.status.code, 404, "{method} {path}/: {answer:?}");
                assert!(!answer.has("location"));
            }
        }
    }
    for page in [
        "/account",
        "/activate",
        "/account/sign-in",
        "/docs",
        "/openapi.json",
        "/problems/x",
        "/.well-known/oauth-authorization-server",
        "/.well-known/change-password",
    ] {
        assert!(moved.contains(page), "{page}: {moved:?}");
    }
}

#[rocket::async_test]
async fn s12_redirect_of_a_trailing_slash_stays_below_the_public_path() {
    let app =
        support::configured("[default.vestibule]\npublic_url = \"https://h.example/auth\"").await;
    for (path, place) in [
        ("/activate/?token=x", "/auth/activate?token=x"),
        ("/activate/", "/auth/activate"),
        (
            "/.well-known/oauth-authorization-server/",
            "/auth/.well-known/oauth-authorization-server",
        ),
    ] {
        let answer = get(&app, path).await;
        assert_eq!((answer.status.code, answer.header("location")), (308, place), "{path}");
    }
    // unknown paths, or more than one slash at the end
    for path in [
        "/account/nowhere/",
        "/activate/disavowal/",
        "/activate//",
        "//activate/",
        "//evil.example/",
        "/%61ctivate/",
    ] {
        let answer = get(&app, path).await;
        assert_eq!(answer.status.code, 404, "{path}: {answer:?}");
        assert!(!answer.has("location"), "{path}: {answer:?}");
    }
}

/// A proxy may limit `/oauth/token` alone.
#[rocket::async_test]
async fn s12_sign_in_works_at_one_path_only() {
    let app = support::app().await;
    app.account(ADA).await;
    let fields = form(&[
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", ADA),
        ("password", PASSWORD),
    ]);
    let mut statuses = Vec::new();
    for path in [
        "/oauth/token",
        "/oauth/token/",
        "//oauth/token",
        "/oauth//token",
        "/oauth/%74oken",
        "/%6Fauth/token",
        "/oauth/token;",
    ] {
        let request = app.client.post(path).header(ContentType::Form).body(fields.clone());
        statuses.push(request.dispatch().await.status().code);
    }
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404, 404]);
    let body = json!({ "email": ADA, "password": PASSWORD }).to_string();
    for path in ["/v1/accounts/", "//v1/accounts", "/v1/%61ccounts"] {
        let request = app.client.post(path).header(ContentType::JSON).body(body.clone());
        let origin = Header::new("Origin", "https://app.example.org");
        Answer::of(request.header(origin).dispatch().await).await.problem(404, "not-found");
    }
}
