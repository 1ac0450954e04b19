//! Tests of the metrics, and of the number of requests that are admitted at once.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::tokio::sync::Notify;
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::{ADA, error_of, header, hold_the_writer, problem_of};

const METRICS: &str = "[default.vestibule.metrics]\naddress = \"127.0.0.1:0\"\n";

/// The value of a series as the service writes it.
fn value(app: &TestApp, series: &str) -> f64 {
    let text = app.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.expect(series).parse().unwrap()
}

#[rocket::async_test]
async fn requests_events_letters_and_hashes_are_counted() {
    let app = support::configured(METRICS).await;
    let ada = app.signed_in(ADA).await;
    let mut fields = [("grant_type", "password"), ("client_id", "web"), ("username", ADA)].to_vec();
    fields.push(("password", "another long password"));
    assert_eq!(app.token(&fields).await.status(), Status::BadRequest);
    let refresh = [("grant_type", "refresh_token"), ("client_id", "web")];
    for (token, status) in [(ada.refresh_token.as_str(), 200), ("vrt_nonsense", 400)] {
        let fields = [&refresh[..], &[("refresh_token", token)]].concat();
        assert_eq!(app.token(&fields).await.status().code, status);
    }
    for (series, expected) in [
        (r#"vestibule_requests_total{method="POST",route="/v1/accounts",status="202"}"#, 1.0),
        (r#"vestibule_requests_total{method="POST",route="/oauth/token",status="200"}"#, 2.0),
        (r#"vestibule_requests_total{method="POST",route="/oauth/token",status="400"}"#, 2.0),
        (r#"vestibule_request_seconds_count{route="/oauth/token"}"#, 4.0),
        (r#"vestibule_sign_ins_total{outcome="success"}"#, 1.0),
        (r#"vestibule_sign_ins_total{outcome="refused"}"#, 1.0),
        (r#"vestibule_refreshes_total{outcome="success"}"#, 1.0),
        (r#"vestibule_refreshes_total{outcome="refused"}"#, 1.0),
        (r#"vestibule_events_total{kind="sign-up"}"#, 1.0),
        (r#"vestibule_events_total{kind="activation"}"#, 1.0),
        (r#"vestibule_events_total{kind="sign-in-failed"}"#, 1.0),
        (r#"vestibule_letters_total{outcome="sent"}"#, 1.0),
        (r#"vestibule_hashes_admitted_total{purpose="sign-in"}"#, 2.0),
        (r#"vestibule_hash_wait_seconds_count{purpose="sign-up"}"#, 1.0),
        ("vestibule_hash_queue_length", 0.0),
        ("vestibule_mail_breaker_open", 0.0),
    ] {
        assert_eq!(value(&app, series), expected, "{series}");
    }
    assert!(value(&app, "process_resident_memory_bytes") > 1e6);
}

#[rocket::async_test]
async fn refusals_are_counted_by_limit() {
    let settings = format!(
        "{METRICS}[default.vestibule.limits]\nfree_failures = 1\nfailures_in_a_row = 2\n\
         failures_per_address = 4\nfailures_in_all = 8\nsign_ups_per_address = 1\n\
         requests_per_address = 1\nunknown_links_per_address = 1\n"
    );
    let app = support::configured(&settings).await;
    let guess = async |name: &str, address: &str, status: u16| {
        let fields = [("grant_type", "password"), ("client_id", "web"), ("username", name)];
        let fields = [&fields[..], &[("password", "another long password")]].concat();
        let request = app.client.post("/oauth/token").header(ContentType::Form);
        let address = SocketAddr::new(address.parse().unwrap(), 4711);
        let answer = request.remote(address).body(support::form(&fields)).dispatch().await;
        assert_eq!(answer.status().code, status, "{name} from {address}");
    };
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    guess("ada", here, 400).await;
    guess("ada", here, 429).await;
    app.advance(Duration::from_secs(1));
    guess("ada", here, 400).await;
    guess("ada", here, 429).await;
    guess("bob", here, 400).await;
    guess("cyd", here, 400).await;
    guess("dan", here, 429).await;
    guess("eve", there, 400).await;
    guess("fay", there, 400).await;
    guess("gus", there, 429).await;
    for (path, body) in [
        ("/v1/accounts", json!({ "email": ADA, "password": PASSWORD })),
        ("/v1/password-resets", json!({ "email": ADA })),
        ("/v1/activations", json!({ "token": "unknown" })),
    ] {
        app.post_json(path, &body).await;
        assert_eq!(app.post_json(path, &body).await.status(), Status::TooManyRequests, "{path}");
    }
    for limit in [
        "free_failures",
        "failures_in_a_row",
        "failures_per_address",
        "failures_in_all",
        "sign_ups_per_address",
        "requests_per_address",
        "unknown_links_per_address",
    ] {
        let series = format!("vestibule_limited_total{{limit=\"{limit}\"}}");
        assert_eq!(value(&app, &series), 1.0, "{limit}");
    }
}

#[rocket::async_test]
async fn f2_unread_forwarded_addresses_are_counted_by_kind() {
    let toml = format!("{METRICS}[default.vestibule]\ntrusted_proxies = [\"10.0.0.1\"]\n");
    let app = support::configured(&toml).await;
    let ask = async |peer: &str, headers: &[(&'static str, &'static str)]| {
        let request = app.client.post("/v1/password-resets").header(ContentType::JSON);
        let mut request = request.body(json!({ "email": ADA }).to_string());
        for (name, value) in headers {
            request.add_header(Header::new(*name, *value));
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        assert_eq!(request.remote(peer).dispatch().await.status(), Status::Accepted);
    };
    const LIST: &str = "X-Forwarded-For";
    ask("10.0.0.1", &[(LIST, "203.0.113.9:1111")]).await;
    ask("192.0.2.1", &[(LIST, "nonsense")]).await;
    ask("192.0.2.1", &[]).await;
    assert!(!app.metrics().contains("vestibule_forwarded_faults_total{"));
    ask("10.0.0.1", &[(LIST, "203.0.113.9"), (LIST, "unknown")]).await;
    ask("10.0.0.1", &[(LIST, "203.0.113.9, _hidden")]).await;
    ask("10.0.0.1", &[(LIST, "nonsense")]).await;
    ask("10.0.0.1", &[(LIST, "")]).await;
    ask("10.0.0.1", &[("Forwarded", "for=203.0.113.9")]).await;
    ask("10.0.0.1", &[("X-Real-IP", "203.0.113.9")]).await;
    ask("10.0.0.1", &[]).await;
    for (kind, count) in [
        ("unknown", 1.0),
        ("obfuscated", 1.0),
        ("malformed", 2.0),
        ("other-header", 2.0),
        ("missing", 1.0),
    ] {
        let series = format!("vestibule_forwarded_faults_total{{kind=\"{kind}\"}}");
        assert_eq!(value(&app, &series), count, "{kind}");
    }
}

#[rocket::async_test]
async fn database_gauges_are_read_from_time_to_time() {
    let app = support::configured(METRICS).await;
    app.signed_in(ADA).await;
    app.sign_up("bob@example.org", PASSWORD).await;
    app.advance(Duration::from_secs(90));
    app.count().await;
    assert_eq!(value(&app, r#"vestibule_outbox_letters{state="waiting"}"#), 1.0);
    assert_eq!(value(&app, r#"vestibule_outbox_letters{state="dead"}"#), 0.0);
    assert_eq!(value(&app, "vestibule_outbox_oldest_seconds"), 90.0);
    assert_eq!(value(&app, "vestibule_sessions"), 1.0);
}

#[rocket::async_test]
async fn r55_labels_are_bounded_and_take_no_value_from_a_request() {
    let app = support::configured(METRICS).await;
    let lines = |app: &TestApp| app.metrics().lines().count();
    app.client.get("/marked/one").dispatch().await;
    app.client.get("/v1/me/sessions/marked").dispatch().await;
    let before = lines(&app);
    for n in 0..50 {
        let marked = Header::new("User-Agent", format!("marked-{n}"));
        app.client.get(format!("/marked/{n}?marked={n}")).header(marked).dispatch().await;
        app.client.get(format!("/v1/me/sessions/marked{n}")).dispatch().await;
    }
    assert_eq!(lines(&app), before);
    for kept in ["marked", ADA] {
        assert!(!app.metrics().contains(kept));
    }
    assert!(app.metrics().contains(r#"route="-""#), "unknown paths share one label");
}

/// One request at a time, and one connection to the database.
const ONE_AT_A_TIME: &str = "[default.vestibule.admission]
in_flight = 1
[default.databases.vestibule]
max_connections = 1
";

#[rocket::async_test]
async fn r51_requests_beyond_admission_are_refused_in_the_format_of_their_mount() {
    let app = support::configured(&format!("{METRICS}{ONE_AT_A_TIME}")).await;
    let body = json!({ "email": ADA, "password": PASSWORD });
    let mut first = Box::pin(app.post_json("/v1/accounts", &body));
    let (held, let_go) = (Notify::new(), Notify::new());
    let fills_the_slot = async {
        held.notified().await;
        assert!(first.as_mut().now_or_never().is_none());
        let_go.notify_one();
    };
    // the held writer keeps this request in flight
    join(hold_the_writer(&app, &held, &let_go), fills_the_slot).await;

    let refused = app.token(&[("grant_type", "password")]).await;
    assert_eq!(header(&refused, "Retry-After"), Some("1"));
    let busy = (Status::ServiceUnavailable, "temporarily_unavailable".to_owned());
    assert_eq!(error_of(refused).await, busy);
    for method in [Method::Get, Method::Patch] {
        let refused = app.client.req(method, "/v1/me").dispatch().await;
        assert_eq!(header(&refused, "Retry-After"), Some("1"));
        assert_eq!(problem_of(refused).await.0, Status::ServiceUnavailable);
    }
    let page = app.client.get("/account").dispatch().await;
    assert_eq!(page.status(), Status::ServiceUnavailable);
    assert_eq!(header(&page, "Content-Type"), Some("text/html; charset=utf-8"));
    drop(page);
    // the health check is answered while the service is full
    let (first, ready) = join(first, app.client.get("/health/ready").dispatch()).await;
    assert_eq!((first.status(), ready.status()), (Status::Accepted, Status::Ok));
    drop((first, ready));
    assert_eq!(app.client.get("/v1/me").dispatch().await.status(), Status::Unauthorized);
    assert_eq!(value(&app, "vestibule_requests_crowded_out_total"), 4.0);
    let series = r#"vestibule_requests_total{method="PATCH",route="-",status="503"}"#;
    assert_eq!(value(&app, series), 1.0, "the label has the request's own method");
}

#[rocket::async_test]
async fn r51_cancelled_request_frees_its_admission_slot() {
    let app = support::configured(ONE_AT_A_TIME).await;
    let body = json!({ "email": ADA, "password": PASSWORD });
    let mut gone = Box::pin(app.post_json("/v1/accounts", &body));
    let (held, let_go) = (Notify::new(), Notify::new());
    let cancels = async {
        held.notified().await;
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let_go.notify_one();
    };
    join(hold_the_writer(&app, &held, &let_go), cancels).await;
    assert_eq!(app.client.get("/v1/me").dispatch().await.status(), Status::Unauthorized);
}

/// Every series that an alert rule or a dashboard panel asks for exists.
#[rocket::async_test]
async fn alert_rules_and_dashboard_use_existing_series() {
    let app = support::configured(METRICS).await;
    let known = vestibule::metrics::names();
    let shown = app.metrics();
    let shown = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in shown {
        assert!(known.iter().any(|known| known == name), "{name}");
    }
    for file in ["deploy/prometheus/vestibule.rules.yaml", "deploy/grafana/vestibule.json"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let asked = std::fs::read_to_string(path).unwrap();
        let words = asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let asked: std::collections::BTreeSet<&str> =
            words.filter(|word| word.starts_with("vestibule_")).collect();
        assert!(asked.len() >= 8, "{file} asks for {}", asked.len());
        for name in asked {
            let family = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            let is_known = known.iter().any(|known| [family, name].contains(&known.as_str()));
            assert!(is_known, "{file}: {name}");
        }
    }
}
