//! What strangers may cause in an hour: sign-ups, letters, and looking for links (R20).

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
use rocket::http::{ContentType, Status};
use rocket::tokio::sync::Notify;
use serde_json::json;
use vestibule::testing::PASSWORD;

use crate::support::{self, ADA, form, from, hold_the_writer};
use crate::support_pages::{Answer, OTHER};

const HOME: &str = "192.0.2.10";
const STRANGER: &str = "203.0.113.66";

#[rocket::async_test]
async fn sign_ups_and_requests_for_letters_are_limited_by_address() {
    let toml = "[default.vestibule.limits]\nsign_ups_per_address = 3\nrequests_per_address = 2\n\
                requests_in_all = 3";
    let app = support::configured(toml).await;
    let post = async |path: &'static str, address: &str, name: &str| {
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let request = app.client.post(path).header(ContentType::JSON).body(body.to_string());
        Answer::of(from(request, address).dispatch().await).await
    };
    app.account(ADA).await;
    for name in ["ada", "new", "newer"] {
        assert_eq!(post("/v1/accounts", STRANGER, name).await.status, Status::Accepted);
    }
    for name in ["ada", "newest"] {
        let refused = post("/v1/accounts", STRANGER, name).await.problem(429, "rate-limited");
        assert_eq!(refused.header("retry-after"), "1200");
    }
    assert_eq!(post("/v1/accounts", HOME, "newest").await.status, Status::Accepted);

    assert_eq!(post("/v1/password-resets", STRANGER, "ada").await.status, Status::Accepted);
    assert_eq!(post("/v1/activation-mails", STRANGER, "new").await.status, Status::Accepted);
    for name in ["ada", "nobody"] {
        for path in ["/v1/password-resets", "/v1/activation-mails"] {
            let refused = post(path, STRANGER, name).await.problem(429, "rate-limited");
            assert_eq!(refused.header("retry-after"), "1800");
        }
    }
    let fields = [("email", ADA)];
    let request = app.client.post("/account/forgotten-password").header(ContentType::Form);
    let request = from(request, STRANGER).body(form(&fields));
    Answer::of(request.dispatch().await).await.page(429, "Too many");
    // one more elsewhere, and then the node has had enough
    assert_eq!(post("/v1/password-resets", HOME, "ada").await.status, Status::Accepted);
    let refused = post("/v1/password-resets", "198.51.100.1", "ada").await;
    assert_eq!(refused.problem(429, "rate-limited").header("retry-after"), "1200");
    app.advance(Duration::from_secs(1_800));
    assert_eq!(post("/v1/password-resets", STRANGER, "ada").await.status, Status::Accepted);
}

/// So many wait for their turn at one address, and all that are more are put off.
const TURNS: usize = 100;

#[rocket::async_test]
async fn sign_ups_that_are_put_off_are_not_counted() {
    let toml = "[default.vestibule.limits]\nsign_ups_per_address = 105\n\
                [default.databases.vestibule]\nmax_connections = 1";
    let app = support::configured(toml).await;
    let post = |name: &str| {
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let request = app.client.post("/v1/accounts").header(ContentType::JSON);
        Box::pin(from(request, STRANGER).body(body.to_string()).dispatch())
    };
    let (held, let_go) = (Notify::new(), Notify::new());
    let crowd = async {
        held.notified().await;
        let mut waiting = vec![];
        for _ in 0..TURNS {
            let mut request = post("ada");
            assert!(request.as_mut().now_or_never().is_none());
            waiting.push(request);
        }
        for _ in 0..50 {
            let put_off = post("ada").await;
            assert_eq!(put_off.status(), Status::ServiceUnavailable);
        }
        let_go.notify_one();
        waiting
    };
    // nothing can be stored, and so the first keeps its turn
    let ((), waiting) = join(hold_the_writer(&app, &held, &let_go), crowd).await;
    for request in waiting {
        assert_eq!(request.await.status(), Status::Accepted);
    }
    for name in ["one", "two", "three", "four", "five"] {
        assert_eq!(post(name).await.status(), Status::Accepted, "{name}");
    }
    assert_eq!(post("six").await.status(), Status::TooManyRequests);
}

#[rocket::async_test]
async fn links_that_nobody_got_are_limited_by_address() {
    let toml = "[default.vestibule.limits]\nunknown_links_per_address = 8";
    let app = support::configured(toml).await;
    app.sign_up(ADA, PASSWORD).await;
    let link = app.link_token(ADA).await;
    let open = async |address: &str, path: &str| {
        let request = app.client.get(path.to_owned());
        Answer::of(from(request, address).dispatch().await).await
    };
    let press = async |address: &str, path: &'static str, token: &str| {
        let body = json!({ "token": token, "password": OTHER }).to_string();
        let request = app.client.post(path).header(ContentType::JSON).body(body);
        Answer::of(from(request, address).dispatch().await).await
    };
    let live = format!("/activate?token={link}");
    for path in ["/activate", "/reset-password", "/confirm-email", "/confirm-email/stop"] {
        // a link that somebody did get counts for nothing
        assert_eq!(open(STRANGER, &live).await.status, Status::Ok);
        assert_eq!(open(STRANGER, &format!("{path}?token=unknown")).await.status, Status::NotFound);
    }
    for path in ["/v1/activations", "/v1/activations/disavowals"] {
        press(STRANGER, path, "unknown").await.problem(404, "link-unknown");
        press(STRANGER, "/v1/password-resets/confirmations", "unknown").await;
    }
    let refused = open(STRANGER, &live).await.page(429, "Too many requests");
    assert_eq!(refused.header("retry-after"), "450");
    let refused = press(STRANGER, "/v1/activations", &link).await.problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), "450");
    assert_eq!(press(HOME, "/v1/activations", &link).await.status, Status::Ok);
    app.advance(Duration::from_secs(450));
    assert_eq!(open(STRANGER, &live).await.status, Status::Ok);
}
