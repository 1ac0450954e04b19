//! Helpers for tests of several subjects. They check the form of each answer as they read it: every
//! error under `/oauth` goes through [`error_of`], and every problem through [`problem_of`].

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocket::http::{ContentType, Header, Status};
use rocket::local::asynchronous::{LocalRequest, LocalResponse};
use rocket::tokio::sync::{Notify, OnceCell};
use serde_json::Value;
use tempfile::TempDir;
use vestibule::storage::StoreError;
use vestibule::testing::{PASSWORD, TestApp};

#[path = "../support/postgres.rs"]
mod postgres;

pub const ADA: &str = "ada@example.org";

/// Whether this is the suite on PostgreSQL: the same modules make two test binaries.
pub const ON_POSTGRES: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"api_postgres");

/// An empty database of one test.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    _directory: Option<TempDir>,
}

/// A database that outlives the application on it.
pub async fn database() -> Database {
    if ON_POSTGRES {
        return Database { url: on_postgres().await, _directory: None };
    }
    let directory = TempDir::new().expect("a temporary directory");
    let url = format!("sqlite://{}/vestibule.db", directory.path().display());
    Database { url, _directory: Some(directory) }
}

/// The service, on a database of its own.
pub async fn app() -> TestApp {
    configured("").await
}

/// The service with more settings, in the format of `Rocket.toml`.
pub async fn configured(toml: &str) -> TestApp {
    if ON_POSTGRES {
        TestApp::on_database(&on_postgres().await, toml).await
    } else {
        TestApp::configured(toml).await
    }
}

/// A new database with all tables. It is a copy of a template, since copying takes less time than
/// migrating.
///
/// Without a PostgreSQL server this suite cannot run. It then prints that and ends, or fails where
/// `TEST_REQUIRE` says so.
async fn on_postgres() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let Some(cluster) = postgres::cluster() else { std::process::exit(0) };
    let template = TEMPLATE.get_or_init(async || {
        let url = cluster.new_database();
        // PostgreSQL copies a template only while it has no connections
        TestApp::on_database(&url, "").await.store().close().await;
        url
    });
    cluster.copy_of(template.await)
}

/// The header's one value.
pub fn header<'a>(response: &'a LocalResponse<'_>, name: &str) -> Option<&'a str> {
    let values: Vec<&str> = response.headers().get(name).collect();
    assert!(values.len() <= 1, "{name} is there twice: {values:?}");
    values.first().copied()
}

/// Client authentication by HTTP Basic, form-encoded as RFC 6749 §2.3.1 requires.
pub fn basic(id: &str, secret: &str) -> Header<'static> {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(format!("{}:{}", encode(id), encode(secret)))
}

/// An HTTP Basic header with any content.
pub fn raw_basic(pair: impl AsRef<[u8]>) -> Header<'static> {
    Header::new("Authorization", format!("Basic {}", STANDARD.encode(pair)))
}

pub fn bearer(token: &str) -> Header<'static> {
    Header::new("Authorization", format!("Bearer {token}"))
}

pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The same request from this address.
pub fn from<'a>(request: LocalRequest<'a>, address: &str) -> LocalRequest<'a> {
    request.remote(SocketAddr::new(address.parse().unwrap(), 4711))
}

/// Posts a form with one more header.
pub async fn post_form_with<'a>(
    app: &'a TestApp,
    path: &'static str,
    extra: Header<'static>,
    fields: &[(&str, &str)],
) -> LocalResponse<'a> {
    let request = app.client.post(path).header(ContentType::Form).header(extra);
    request.body(form(fields)).dispatch().await
}

/// Posts bytes as a form to the token endpoint.
pub async fn post_raw<'a>(app: &'a TestApp, body: impl AsRef<[u8]>) -> LocalResponse<'a> {
    app.client.post("/oauth/token").header(ContentType::Form).body(body).dispatch().await
}

/// The parameters of a password grant for Ada through the client `web`.
pub fn sign_in_fields() -> Vec<(&'static str, &'static str)> {
    vec![
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", ADA),
        ("password", PASSWORD),
    ]
}

/// The status and `error` of an OAuth error. Checks its form (RFC 6749 §5.2; R10).
pub async fn error_of(response: LocalResponse<'_>) -> (Status, String) {
    let (status, error, _) = described_error_of(response).await;
    (status, error)
}

/// The status, `error` and `error_description` of an OAuth error.
pub async fn described_error_of(response: LocalResponse<'_>) -> (Status, String, String) {
    let status = response.status();
    assert_eq!(response.content_type(), Some(ContentType::JSON), "{status}");
    assert_no_store(&response);
    assert!(header(&response, "X-Request-Id").is_some(), "{status}");
    assert_eq!(
        header(&response, "WWW-Authenticate"),
        (status == Status::Unauthorized).then_some("Basic realm=\"oauth\""),
    );
    let body: Value = response.into_json().await.expect("JSON");
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let (error, description) = (text("error"), text("error_description"));
    let legal = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    assert!(legal(&error) && legal(&description), "{body}");
    assert!(body.get("description").is_none(), "{body}");
    let uri = text("error_uri");
    assert!(uri.starts_with("https://accounts.example.org/problems/"), "{body}");
    (status, error, description)
}

/// Checks that no cache may keep the answer (RFC 6749 §5.1).
pub fn assert_no_store(response: &LocalResponse<'_>) {
    assert_eq!(header(response, "Cache-Control"), Some("no-store"));
    assert_eq!(header(response, "Pragma"), Some("no-cache"));
}

/// The status and the body of a problem. Checks its form (RFC 9457).
pub async fn problem_of(response: LocalResponse<'_>) -> (Status, Value) {
    let status = response.status();
    let wanted = ContentType::new("application", "problem+json");
    assert_eq!(response.content_type(), Some(wanted), "{status}");
    assert!(header(&response, "X-Request-Id").is_some(), "{status}");
    let body: Value = response.into_json().await.expect("JSON");
    assert_eq!(body["status"], status.code, "{body}");
    assert!(body["type"].as_str().is_some_and(|kind| kind.starts_with("/problems/")), "{body}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    (status, body)
}

/// The answer to a token request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tokens {
    pub access: String,
    /// Empty for clients without the refresh grant.
    pub refresh: String,
    pub scope: String,
    /// In seconds.
    pub expires_in: u64,
}

/// Reads a successful answer. Checks its form (RFC 6749 §5.1; R17).
pub async fn tokens(response: LocalResponse<'_>) -> Tokens {
    let status = response.status();
    if status != Status::Ok {
        let body = response.into_string().await;
        assert_eq!(status, Status::Ok, "{body:?}");
        unreachable!();
    }
    assert_eq!(response.content_type(), Some(ContentType::JSON));
    assert_no_store(&response);
    let body: Value = response.into_json().await.expect("JSON");
    assert_eq!(body["token_type"], "Bearer");
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    assert!(access.starts_with("vat_"), "{body}");
    assert!(body.get("refresh_token").is_none() || refresh.starts_with("vrt_"), "{body}");
    assert!(body["scope"].is_string(), "{body}");
    let expires_in = body["expires_in"].as_u64().expect("an integer");
    Tokens { access, refresh, scope: text("scope"), expires_in }
}

/// Ada signs in through `web`.
pub async fn sign_in(app: &TestApp) -> Tokens {
    tokens(app.token(&sign_in_fields()).await).await
}

/// Presents a refresh token as the client `web`.
pub async fn refresh<'a>(app: &'a TestApp, token: &str) -> LocalResponse<'a> {
    let fields = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)];
    app.token(&fields).await
}

/// Presents a refresh token and asks for `scope`.
pub async fn refresh_scope<'a>(app: &'a TestApp, token: &str, scope: &str) -> LocalResponse<'a> {
    app.token(&[
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("refresh_token", token),
        ("scope", scope),
    ])
    .await
}

/// Refreshes and requires success.
pub async fn refreshed(app: &TestApp, token: &str) -> Tokens {
    tokens(refresh(app, token).await).await
}

/// Presents a refresh token and requires a refusal.
pub async fn assert_refresh_refused(app: &TestApp, token: &str) {
    assert_eq!(error_of(refresh(app, token).await).await, invalid("invalid_grant"));
}

/// A 400 with this `error`.
pub fn invalid(error: &str) -> (Status, String) {
    (Status::BadRequest, error.to_owned())
}

/// Whether an access token opens `/v1/me`.
pub async fn opens(app: &TestApp, access_token: &str) -> bool {
    let response = app.client.get("/v1/me").header(bearer(access_token)).dispatch().await;
    match response.status() {
        Status::Ok => true,
        status => {
            assert_eq!(status, Status::Unauthorized);
            let challenge = header(&response, "WWW-Authenticate").expect("a challenge");
            assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
            false
        }
    }
}

/// How many letters told Ada that her session was ended.
pub async fn warnings(app: &TestApp) -> usize {
    let letters = app.letters_to(ADA).await;
    letters.iter().filter(|letter| letter.name == "session-ended").count()
}

/// Holds the writer until `let_go`. Meanwhile writers wait, and so do readers on PostgreSQL with
/// one connection.
pub async fn hold_the_writer(app: &TestApp, held: &Notify, let_go: &Notify) {
    let holding = app.store().write(async |_| {
        held.notify_one();
        let_go.notified().await;
        Ok::<_, StoreError>(())
    });
    holding.await.unwrap();
}
