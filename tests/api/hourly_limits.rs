//! Tests of the hourly limits on sign-ups, letters and unknown links (R20).

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use rocket::http::{ContentType, Status};
use rocket::tokio::sync::Notify;
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, form, from, hold_the_writer};
use crate::support_accounts::token_in;
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
    // one more request from elsewhere reaches the node's own limit
    assert_eq!(post("/v1/password-resets", HOME, "ada").await.status, Status::Accepted);
    let refused = post("/v1/password-resets", "198.51.100.1", "ada").await;
    assert_eq!(refused.problem(429, "rate-limited").header("retry-after"), "1200");
    app.advance(Duration::from_secs(1_800));
    assert_eq!(post("/v1/password-resets", STRANGER, "ada").await.status, Status::Accepted);
}

/// The counted requests by network: a letter, a sign-up, a wrong password, an unknown link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Request,
    SignUp,
    Failure,
    UnknownLink,
}

/// Whether one more request of this kind is let through from this address, for a new name.
async fn is_admitted(app: &TestApp, kind: Kind, address: &str, number: &mut usize) -> bool {
    *number += 1;
    let name = format!("{number}@example.org");
    let (path, body) = match kind {
        Kind::Request => ("/v1/password-resets", json!({ "email": name })),
        Kind::SignUp => ("/v1/accounts", json!({ "email": name, "password": PASSWORD })),
        Kind::UnknownLink => ("/v1/activations", json!({ "token": "unknown" })),
        Kind::Failure => ("/oauth/token", json!(null)),
    };
    let request = match kind {
        Kind::Failure => {
            let fields = [
                ("grant_type", "password"),
                ("client_id", "web"),
                ("username", &name),
                ("password", PASSWORD),
            ];
            app.client.post(path).header(ContentType::Form).body(form(&fields))
        }
        _ => app.client.post(path).header(ContentType::JSON).body(body.to_string()),
    };
    match from(request, address).dispatch().await.status().code {
        202 | 400 | 404 => true,
        429 => false,
        other => unreachable!("{other}"),
    }
}

/// The number of requests in turn from these addresses that are let through.
async fn count_admitted(
    app: &TestApp,
    kind: Kind,
    addresses: impl Iterator<Item = String>,
) -> usize {
    let (mut number, mut count) = (0, 0);
    for address in addresses {
        count += usize::from(is_admitted(app, kind, &address, &mut number).await);
    }
    count
}

/// Four an hour for an address or a /64, and 40 in all.
const NETWORK_LIMITS: &str = "[default.vestibule.limits]\n\
    requests_per_address = 4\nrequests_in_all = 40\n\
    sign_ups_per_address = 4\nsign_ups_in_all = 40\n\
    failures_per_address = 4\nfailures_in_all = 40\n\
    unknown_links_per_address = 4";

#[rocket::async_test]
async fn s9_larger_networks_have_their_own_limits() {
    for kind in [Kind::Request, Kind::SignUp, Kind::Failure, Kind::UnknownLink] {
        for (network, expected, addresses) in [
            ("one /64", 4, (0..8).map(|n| format!("2001:db8::{n:x}")).collect::<Vec<_>>()),
            // 48 /64s of one /58
            ("a /58", 8, (0..48).map(|n| format!("2001:db8:0:{n:x}::1")).collect()),
            ("a /48", 16, (0..48).map(|n| format!("2001:db8:0:{:x}::1", n << 8)).collect()),
            ("one address", 4, vec!["192.0.2.1".to_owned(); 8]),
            ("a /24", 16, (0..48).map(|n| format!("192.0.2.{n}")).collect()),
            ("a mapped /24", 16, (0..48).map(|n| format!("::ffff:192.0.2.{n}")).collect()),
        ] {
            let app = support::configured(NETWORK_LIMITS).await;
            assert_eq!(
                count_admitted(&app, kind, addresses.into_iter()).await,
                expected,
                "{kind:?} {network}"
            );
            // other networks are not affected
            let others = ["2001:db8:1::1", "192.0.3.1"].map(str::to_owned);
            assert_eq!(
                count_admitted(&app, kind, others.into_iter()).await,
                2,
                "{kind:?} beside {network}"
            );
        }
    }
}

/// S9: a party with many networks fills the shared limit. A caller without a request in this hour
/// still gets through, and the party does not.
#[rocket::async_test]
async fn s9_exhausted_shared_limit_keeps_a_reserve_for_newcomers() {
    for kind in [Kind::Request, Kind::SignUp, Kind::Failure] {
        let app = support::configured(NETWORK_LIMITS).await;
        app.account(ADA).await;
        // the limit lets through sixteen from one /48, and fourteen from the other
        let party = |times: usize| {
            let networks = (0..2).flat_map(|site| (0..48).map(move |n| (site, n << 8)));
            networks.map(|(site, n)| format!("2001:db8:{site:x}:{n:x}::1")).take(times)
        };
        let before = usize::from(kind == Kind::SignUp);
        assert_eq!(count_admitted(&app, kind, party(96)).await, 30 - before, "{kind:?}");
        assert_eq!(count_admitted(&app, kind, party(96)).await, 0, "{kind:?}");
        let newcomers = (0..3).map(|n| format!("198.51.{n}.1"));
        assert_eq!(count_admitted(&app, kind, newcomers).await, 3, "{kind:?}");
        // a newcomer can mistype a password
        assert_eq!(
            count_admitted(&app, kind, (0..5).map(|_| "203.0.113.9".to_owned())).await,
            3,
            "{kind:?}"
        );
        // after an hour the party gets through again
        app.advance(Duration::from_secs(3_600));
        assert_eq!(count_admitted(&app, kind, party(1)).await, 1, "{kind:?}");
    }
}

#[rocket::async_test]
async fn s9_correct_passwords_do_not_count_against_any_network() {
    let app = support::configured(NETWORK_LIMITS).await;
    app.account(ADA).await;
    for number in 0..60 {
        let fields = support::sign_in_fields();
        let request = app.client.post("/oauth/token").header(ContentType::Form);
        let address = format!("2001:db8:0:{number:x}::1");
        let answer = from(request, &address).body(form(&fields)).dispatch().await;
        assert_eq!(answer.status(), Status::Ok, "{number}");
    }
    assert_eq!(
        count_admitted(&app, Kind::Failure, (0..9).map(|n| format!("2001:db8:0:{n:x}::9"))).await,
        8
    );
}

/// Callers without a known address share the limits of one address, as behind a proxy that is not
/// trusted.
#[rocket::async_test]
async fn s9_callers_without_a_known_address_share_one_limit() {
    let app = support::configured(NETWORK_LIMITS).await;
    for number in 0..5 {
        let body = json!({ "email": format!("{number}@example.org") });
        let answer = app.post_json("/v1/password-resets", &body).await;
        assert_eq!(answer.status().code, if number < 4 { 202 } else { 429 });
    }
    let mut number = 10;
    assert!(is_admitted(&app, Kind::Request, "192.0.2.1", &mut number).await);
}

/// A network has one running sign-up at an address, and a hundred more wait. Further sign-ups are
/// refused.
const SIGN_UPS_AT_ONE_ADDRESS: usize = 101;

#[rocket::async_test]
async fn s5_postponed_sign_ups_are_not_counted_and_do_not_block_other_networks() {
    let toml = "[default.vestibule.limits]\nsign_ups_per_address = 106\n\
                [default.databases.vestibule]\nmax_connections = 1";
    let app = support::configured(toml).await;
    let post_from = |address: &str, name: &str| {
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let request = app.client.post("/v1/accounts").header(ContentType::JSON);
        Box::pin(from(request, address).body(body.to_string()).dispatch())
    };
    let post = |name: &str| post_from(STRANGER, name);
    let (held, let_go) = (Notify::new(), Notify::new());
    let crowd = async {
        held.notified().await;
        let mut waiting = vec![];
        for _ in 0..SIGN_UPS_AT_ONE_ADDRESS {
            let mut request = post("ada");
            assert!(request.as_mut().now_or_never().is_none());
            waiting.push(request);
        }
        for _ in 0..50 {
            let put_off = post("ada").await;
            assert_eq!(put_off.status(), Status::ServiceUnavailable);
        }
        let mut other = post_from(HOME, "ada");
        assert!(
            other.as_mut().now_or_never().is_none(),
            "the other network's sign-up was answered at once"
        );
        let_go.notify_one();
        (waiting, other)
    };
    // the writer is held, so the first sign-up keeps its turn
    let ((), (waiting, other)) = join(hold_the_writer(&app, &held, &let_go), crowd).await;
    // all at once: a request that is not polled could keep its place in the pool's queue
    let (other, waiting) = join(other, join_all(waiting)).await;
    assert_eq!(other.status(), Status::Accepted);
    let mut accepted = 0;
    for answer in waiting {
        match answer.status() {
            Status::Accepted => accepted += 1,
            // a busy machine takes longer than the last ones wait
            status => assert_eq!(status, Status::ServiceUnavailable),
        }
    }
    assert!(accepted > 0);
    for number in accepted..106 {
        assert_eq!(post(&format!("n{number}")).await.status(), Status::Accepted, "{number}");
    }
    assert_eq!(post("last").await.status(), Status::TooManyRequests);
}

#[rocket::async_test]
async fn s8_unknown_links_are_limited_by_address_and_sent_links_still_work() {
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
        // a link that was sent does not count as unknown
        assert_eq!(open(STRANGER, &live).await.status, Status::Ok);
        assert_eq!(open(STRANGER, &format!("{path}?token=unknown")).await.status, Status::NotFound);
    }
    for path in ["/v1/activations", "/v1/activations/disavowals"] {
        press(STRANGER, path, "unknown").await.problem(404, "link-unknown");
        press(STRANGER, "/v1/password-resets/confirmations", "unknown").await;
    }
    let reset = json!({ "token": "unknown", "password": OTHER }).to_string();
    for path in ["/activate", "/reset-password", "/confirm-email", "/confirm-email/stop"] {
        let unknown = open(STRANGER, &format!("{path}?token=unknown")).await;
        assert_eq!(unknown.page(429, "Too many requests").header("retry-after"), "450", "{path}");
    }
    for path in ["/v1/activations", "/v1/activations/disavowals"] {
        let refused = press(STRANGER, path, "unknown").await.problem(429, "rate-limited");
        assert_eq!(refused.header("retry-after"), "450", "{path}");
    }
    let request = app.client.post("/v1/password-resets/confirmations").header(ContentType::JSON);
    let refused = Answer::of(from(request.body(reset), STRANGER).dispatch().await).await;
    refused.problem(429, "rate-limited");
    // links that were sent still work from the same address, each on its page and by its button
    assert_eq!(open(STRANGER, &live).await.status, Status::Ok);
    assert_eq!(press(STRANGER, "/v1/activations", &link).await.status, Status::Ok);
    let asked = json!({ "email": ADA });
    assert_eq!(app.post_json("/v1/password-resets", &asked).await.status(), Status::Accepted);
    let link = token_in(&app, "password-reset", ADA).await;
    let page = open(STRANGER, &format!("/reset-password?token={link}")).await;
    assert_eq!(page.status, Status::Ok);
    let chosen = json!({ "token": link, "password": "what the owner has chosen" }).to_string();
    let request = app.client.post("/v1/password-resets/confirmations").header(ContentType::JSON);
    let done = Answer::of(from(request.body(chosen), STRANGER).dispatch().await).await;
    assert_eq!(done.status, Status::NoContent);
    // a used link says that it was used
    let page = open(STRANGER, &format!("/reset-password?token={link}")).await;
    assert_eq!(page.status, Status::Gone);
    app.advance(Duration::from_secs(450));
    assert_eq!(open(STRANGER, "/activate?token=unknown").await.status, Status::NotFound);
}
