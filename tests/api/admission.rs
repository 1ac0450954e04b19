//! Tests of admission: which requests are let in when the queues are full, and how refusals are
//! answered.

#![expect(clippy::panic, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::asynchronous::{LocalRequest, LocalResponse};
use rocket::tokio::{task::yield_now, time::timeout};
use serde_json::{Value, json};
use vestibule::accounts::AccountToCreate;
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, form, from, header, sign_in_fields};
use crate::support_accounts::{Browser, accounts, token_in};
use crate::support_pages::{OTHER, get, submit};

/// The address of a network whose requests fill its share of the hash queue.
const FLOOD: &str = "192.0.2.1";
/// An address in another network.
const HONEST: &str = "198.51.100.7";

/// A time-out that tells a request that waits for ever from a refused one.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An operation that hashes a password.
#[derive(Clone, Copy, Debug)]
struct Operation {
    /// The operation id in the OpenAPI document.
    id: &'static str,
    case: &'static str,
    /// The status of a successful answer.
    success: u16,
}

const fn operation(id: &'static str, case: &'static str, success: u16) -> Operation {
    Operation { id, case, success }
}

/// Every operation that hashes a password: each operation of the OpenAPI document that takes one,
/// with the kinds of links and of accounts that take different paths.
const OPERATIONS: [Operation; 17] = [
    operation("token", "of an account", 200),
    operation("token", "of no account", 400),
    operation("pressSignIn", "", 303),
    operation("signUp", "new", 202),
    operation("signUp", "waiting", 202),
    operation("pressSignUp", "", 202),
    operation("activate", "contested", 200),
    operation("pressActivate", "contested", 200),
    operation("resetPassword", "forgotten", 204),
    operation("resetPassword", "invited", 204),
    operation("pressResetPassword", "", 200),
    operation("changePassword", "", 204),
    operation("pressPassword", "", 303),
    operation("changeEmail", "", 202),
    operation("pressEmail", "", 303),
    operation("deleteAccount", "", 204),
    operation("pressDeletion", "", 200),
];

/// A request that can be sent several times.
struct RequestTemplate {
    method: Method,
    path: &'static str,
    kind: ContentType,
    body: String,
    header: Option<Header<'static>>,
}

impl RequestTemplate {
    fn json(path: &'static str, body: &Value) -> Self {
        let (method, kind) = (Method::Post, ContentType::JSON);
        Self { method, path, kind, body: body.to_string(), header: None }
    }

    fn form(path: &'static str, fields: &[(&str, &str)]) -> Self {
        let (method, kind) = (Method::Post, ContentType::Form);
        Self { method, path, kind, body: form(fields), header: None }
    }

    fn with(self, header: Header<'static>) -> Self {
        Self { header: Some(header), ..self }
    }

    /// Builds the request; an empty `address` sends none.
    fn build<'a>(&self, app: &'a TestApp, address: &str) -> LocalRequest<'a> {
        let mut request = app.client.req(self.method, self.path).header(self.kind.clone());
        if let Some(header) = &self.header {
            request.add_header(header.clone());
        }
        let request = request.body(&self.body);
        if address.is_empty() { request } else { from(request, address) }
    }
}

/// A form of the account page, sent by a browser that is signed in.
async fn page_request(
    app: &TestApp,
    email: &str,
    path: &'static str,
    fields: &[(&str, &str)],
) -> RequestTemplate {
    let browser = Browser::signed_in(app, email, PASSWORD).await;
    let token = browser.form_token().await;
    let fields = [&[("form_token", token.as_str())], fields].concat();
    let cookie = browser.cookie_header().expect("a cookie");
    RequestTemplate::form(path, &fields).with(cookie)
}

/// Makes a contested sign-up at `email` and returns the token of its link.
async fn contested_token(app: &TestApp, email: &str) -> String {
    for password in [OTHER, PASSWORD] {
        assert_eq!(app.sign_up(email, password).await, Status::Accepted);
    }
    app.link_token(email).await
}

async fn reset_link(app: &TestApp, email: &str) -> String {
    let asked = app.post_json("/v1/password-resets", &json!({ "email": email })).await;
    assert_eq!(asked.status(), Status::Accepted);
    token_in(app, "password-reset", email).await
}

/// A request of the operation that will succeed, with an account or a sign-up of its own.
async fn request(app: &TestApp, operation: Operation, email: &str) -> RequestTemplate {
    let token = async || app.sign_in(email).await.header();
    let needs_account = [
        "token",
        "pressSignIn",
        "pressPassword",
        "changePassword",
        "changeEmail",
        "pressEmail",
        "deleteAccount",
        "pressDeletion",
        "pressResetPassword",
    ];
    if needs_account.contains(&operation.id) && operation.case != "of no account"
        || operation.case == "forgotten"
    {
        app.account(email).await;
    }
    let sign_in = [("email", email), ("password", PASSWORD)];
    let current = ("current_password", PASSWORD);
    let new = "a new and long passphrase";
    match (operation.id, operation.case) {
        ("token", _) => {
            let mut fields = sign_in_fields();
            fields.retain(|(name, _)| *name != "username");
            RequestTemplate::form("/oauth/token", &[&fields[..], &[("username", email)]].concat())
        }
        ("pressSignIn", _) => RequestTemplate::form("/account/sign-in", &sign_in),
        ("signUp", case) => {
            if case == "waiting" {
                assert_eq!(app.sign_up(email, PASSWORD).await, Status::Accepted);
            }
            let body = json!({ "email": email, "password": PASSWORD });
            RequestTemplate::json("/v1/accounts", &body)
        }
        ("pressSignUp", _) => RequestTemplate::form("/account/sign-up", &sign_in),
        ("activate", _) => {
            let body = json!({ "token": contested_token(app, email).await, "password": new });
            RequestTemplate::json("/v1/activations", &body)
        }
        ("pressActivate", _) => {
            let token = contested_token(app, email).await;
            RequestTemplate::form("/activate", &[("token", &token), ("password", new)])
        }
        ("resetPassword", case) => {
            let token = if case == "invited" {
                let email = EmailAddress::parse(email).unwrap();
                let wanted = AccountToCreate { email, name: None, locale: None, password: None };
                accounts(app).create(&wanted).await.unwrap();
                token_in(app, "invitation", wanted.email.as_str()).await
            } else {
                reset_link(app, email).await
            };
            let body = json!({ "token": token, "password": new });
            RequestTemplate::json("/v1/password-resets/confirmations", &body)
        }
        ("pressResetPassword", _) => {
            let token = reset_link(app, email).await;
            RequestTemplate::form("/reset-password", &[("token", &token), ("password", new)])
        }
        ("changePassword", _) => {
            let body = json!({ "current_password": PASSWORD, "new_password": new });
            let sent = RequestTemplate::json("/v1/me/password", &body).with(token().await);
            RequestTemplate { method: Method::Put, ..sent }
        }
        ("pressPassword", _) => {
            page_request(app, email, "/account/password", &[current, ("new_password", new)]).await
        }
        ("changeEmail", _) => {
            let body = json!({ "email": format!("new-{email}"), "password": PASSWORD });
            RequestTemplate::json("/v1/me/email", &body).with(token().await)
        }
        ("pressEmail", _) => {
            let moved = format!("new-{email}");
            page_request(app, email, "/account/email", &[current, ("email", &moved)]).await
        }
        ("deleteAccount", _) => {
            let body = json!({ "password": PASSWORD });
            RequestTemplate::json("/v1/me/deletion", &body).with(token().await)
        }
        ("pressDeletion", _) => page_request(app, email, "/account/deletion", &[current]).await,
        other => panic!("{other:?}"),
    }
}

/// Sends a request while every hash slot is taken, frees one, and returns the answer.
async fn answer_when_served<'a>(
    app: &'a TestApp,
    full: vestibule::crypto::hasher::FullShare,
    request: LocalRequest<'a>,
) -> LocalResponse<'a> {
    let queued = app.queued_hashes();
    let mut answer = Box::pin(request.dispatch());
    while app.queued_hashes() == queued {
        if let Some(answer) = answer.as_mut().now_or_never() {
            return answer;
        }
        yield_now().await;
    }
    drop(full);
    answer.await
}

#[rocket::async_test]
async fn s5_each_hashing_operation_queues_in_the_share_of_its_network() {
    let app = support::app().await;
    for (n, operation) in OPERATIONS.into_iter().enumerate() {
        let request = request(&app, operation, &format!("person{n}@example.org")).await;
        let full = app.fill_hash_queue(FLOOD);
        let refused = timeout(TIMEOUT, request.build(&app, FLOOD).dispatch()).await;
        let refused =
            refused.unwrap_or_else(|_| panic!("{operation:?} waits instead of being refused"));
        assert_eq!(refused.status(), Status::ServiceUnavailable, "{operation:?}");
        assert!(header(&refused, "Retry-After").is_some(), "{operation:?}");
        drop(refused);
        let answer =
            timeout(TIMEOUT, answer_when_served(&app, full, request.build(&app, HONEST))).await;
        let answer = answer.unwrap_or_else(|_| panic!("{operation:?} is not served"));
        assert_eq!(answer.status().code, operation.success, "{operation:?}");
    }
}

/// Whether a schema has a password field; follows references.
fn takes_password(document: &Value, schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| {
            let referenced = (name == "$ref")
                .then(|| document.pointer(value.as_str().unwrap().strip_prefix('#').unwrap()));
            let has_field = name == "properties"
                && value.as_object().unwrap().keys().any(|field| field.contains("password"));
            has_field
                || referenced.flatten().is_some_and(|schema| takes_password(document, schema))
                || takes_password(document, value)
        }),
        Value::Array(values) => values.iter().any(|value| takes_password(document, value)),
        _ => false,
    }
}

#[rocket::async_test]
async fn s5_operations_under_test_are_all_operations_with_a_password() {
    let app = support::app().await;
    let document = get(&app, "/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|item| item.as_object().unwrap().values());
    let taking: BTreeSet<&str> = operations
        .filter(|operation| takes_password(&document, &operation["requestBody"]))
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let tested: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(taking, tested);
}

#[rocket::async_test]
async fn s5_addresses_of_one_network_share_the_queue_and_other_networks_are_served() {
    let app = support::app().await;
    app.account(ADA).await;
    let sign_in = RequestTemplate::form("/oauth/token", &sign_in_fields());
    for (flood, same, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:2::1"),
        (FLOOD, "::ffff:192.0.2.1", HONEST),
    ] {
        let full = app.fill_hash_queue(flood);
        let refused =
            timeout(TIMEOUT, sign_in.build(&app, same).dispatch()).await.expect("a refusal");
        assert_eq!(refused.status(), Status::ServiceUnavailable, "{same}");
        drop(refused);
        let answer = answer_when_served(&app, full, sign_in.build(&app, other)).await;
        assert_eq!(answer.status(), Status::Ok, "{other}");
        drop(answer);
        assert_eq!(sign_in.build(&app, flood).dispatch().await.status(), Status::Ok);
    }
    // all requests without a known address count as one network
    let full = app.fill_hash_queue("");
    let refused = timeout(TIMEOUT, sign_in.build(&app, "").dispatch()).await.expect("a refusal");
    assert_eq!(refused.status(), Status::ServiceUnavailable);
    drop((refused, full));
    while app.queued_hashes() > 0 {
        yield_now().await;
    }
    assert_eq!(sign_in.build(&app, "").dispatch().await.status(), Status::Ok);
}

/// S5: a stranger's sign-up queues behind sign-ins. A password set by a link from an email does
/// not.
#[rocket::async_test]
async fn s5_passwords_set_by_link_queue_with_sign_ins() {
    let app = support::configured(METRICS).await;
    let admitted = |purpose| {
        let series = format!("vestibule_hashes_admitted_total{{purpose=\"{purpose}\"}} ");
        let text = app.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0.0, |count| count.parse::<f64>().unwrap())
    };
    let by_link = ["activate", "pressActivate", "resetPassword", "pressResetPassword"];
    let operations = OPERATIONS.into_iter().filter(|operation| by_link.contains(&operation.id));
    for (n, operation) in operations.enumerate() {
        let request = request(&app, operation, &format!("person{n}@example.org")).await;
        let (sign_ins, sign_ups) = (admitted("sign-in"), admitted("sign-up"));
        let answer = request.build(&app, HONEST).dispatch().await;
        assert_eq!(answer.status().code, operation.success, "{operation:?}");
        assert_eq!(admitted("sign-in"), sign_ins + 1.0, "{operation:?}");
        assert_eq!(admitted("sign-up"), sign_ups, "{operation:?}");
    }
}

const METRICS: &str = "[default.vestibule.metrics]\naddress = \"127.0.0.1:0\"\n";

/// One unknown link per address and hour.
const FEW_LINKS: &str = "[default.vestibule.limits]\nunknown_links_per_address = 1\n";

fn unknown_link(app: &TestApp) -> LocalRequest<'_> {
    RequestTemplate::json("/v1/activations", &json!({ "token": "unknown" })).build(app, "")
}

/// Causes so many refusals at once that the next refusals are delayed.
async fn refuse_many(app: &TestApp) {
    for _ in 0..60 {
        unknown_link(app).dispatch().await;
    }
    app.pauses();
}

fn count(app: &TestApp, series: &str) -> f64 {
    let text = app.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.expect(series).parse().unwrap()
}

#[rocket::async_test]
async fn s20_frequent_refusals_are_delayed_and_a_single_one_is_not() {
    let app = support::configured(&format!("{METRICS}{FEW_LINKS}requests_per_address = 1\n")).await;
    app.account(ADA).await;
    let reset = RequestTemplate::json("/v1/password-resets", &json!({ "email": ADA }));
    reset.build(&app, "").dispatch().await;
    unknown_link(&app).dispatch().await;
    app.advance(Duration::from_secs(60));
    assert_eq!(unknown_link(&app).dispatch().await.status(), Status::TooManyRequests);
    assert!(app.pauses().is_empty(), "a single refusal is not delayed");
    refuse_many(&app).await;
    let page = || get(&app, "/activate?token=unknown");
    // rate limits: JSON, page; a full hash queue: OAuth, JSON, page
    assert_eq!(reset.build(&app, "").dispatch().await.status(), Status::TooManyRequests);
    assert_eq!(page().await.status, Status::TooManyRequests);
    let full = app.fill_hash_queue("");
    assert_eq!(app.token(&sign_in_fields()).await.status(), Status::ServiceUnavailable);
    assert_eq!(app.sign_up("bob@example.org", PASSWORD).await, Status::ServiceUnavailable);
    let sign_in = [("email", ADA), ("password", PASSWORD)];
    assert_eq!(submit(&app, "/account/sign-in", &sign_in).await.status.code, 503);
    drop(full);
    let pauses = app.pauses();
    assert_eq!(pauses.len(), 5, "{pauses:?}");
    let bounds = Duration::from_millis(1)..=Duration::from_millis(90);
    assert!(pauses.iter().all(|pause| bounds.contains(pause)), "{pauses:?}");
    assert!(count(&app, "vestibule_refusals_delayed_total") >= 5.0);
    assert_eq!(count(&app, "vestibule_refusals_closed_total"), 0.0);
    app.advance(Duration::from_secs(60));
    assert_eq!(page().await.status, Status::TooManyRequests);
    assert!(app.pauses().is_empty());
}

#[rocket::async_test]
async fn s20_bearer_requests_refreshes_and_errors_of_clients_are_never_delayed() {
    let app = support::configured(FEW_LINKS).await;
    let ada = app.signed_in(ADA).await;
    let operations = ["changePassword", "changeEmail", "deleteAccount"];
    let mut requests = Vec::new();
    for (n, id) in operations.into_iter().enumerate() {
        let email = format!("person{n}@example.org");
        requests.push(request(&app, operation(id, "", 503), &email).await);
    }
    refuse_many(&app).await;
    assert_eq!(ada.get("/v1/me").dispatch().await.status(), Status::Ok);
    assert_eq!(app.client.get("/v1/me").dispatch().await.status(), Status::Unauthorized);
    let refresh =
        |token| [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)];
    assert_eq!(app.token(&refresh(&ada.refresh_token)).await.status(), Status::Ok);
    assert_eq!(app.token(&refresh("vrt_nonsense")).await.status(), Status::BadRequest);
    assert_eq!(app.token(&[("grant_type", "password")]).await.status(), Status::BadRequest);
    assert_eq!(get(&app, "/nowhere").await.status, Status::NotFound);
    // requests with a bearer token that hash a password; the full queue refuses them
    let full = app.fill_hash_queue("");
    for (request, id) in requests.iter().zip(operations) {
        let refused = request.build(&app, "").dispatch().await;
        assert_eq!(refused.status(), Status::ServiceUnavailable, "{id}");
    }
    drop(full);
    assert!(app.pauses().is_empty());
}

#[rocket::async_test]
async fn s20_delayed_refusal_frees_its_admission_slot() {
    let one = "[default.vestibule.admission]\nin_flight = 1\n";
    let app = support::configured(&format!("{METRICS}{one}{FEW_LINKS}")).await;
    refuse_many(&app).await;
    app.hold_pauses(true);
    let mut delayed = Box::pin(unknown_link(&app).dispatch());
    while app.pauses().is_empty() {
        assert!(delayed.as_mut().now_or_never().is_none());
        yield_now().await;
    }
    // the one slot is free again
    assert_eq!(app.client.get("/v1/me").dispatch().await.status(), Status::Unauthorized);
    // as many refusals are delayed as may be in flight: the service answers the next one at once
    // and closes its connection
    let refused = timeout(TIMEOUT, unknown_link(&app).dispatch()).await.expect("an answer at once");
    assert_eq!(refused.status(), Status::TooManyRequests);
    assert_eq!(header(&refused, "Connection"), Some("close"));
    assert!(header(&refused, "Retry-After").is_some());
    drop(refused);
    assert_eq!(count(&app, "vestibule_refusals_closed_total"), 1.0);
    app.hold_pauses(false);
    let answer = timeout(TIMEOUT, delayed).await.expect("an answer");
    assert_eq!(answer.status(), Status::TooManyRequests);
    assert_eq!(header(&answer, "Connection"), None);
}
