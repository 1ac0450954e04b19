//! Test support: the whole service in one process, with a stepped clock.
//!
//! A [`TestApp`] is a separate service with its own database, behind Rocket's local client. Nothing
//! runs in the background: letters leave in [`TestApp::deliver`], and time passes in
//! [`TestApp::advance`]. So tests run in parallel and never sleep.
//!
//! An application that mounts Vestibule tests its own routes with it:
//!
//! ```
//! # use rocket::{get, routes};
//! # use rocket::http::Status;
//! # use vestibule::testing::TestApp;
//! # use vestibule::web::Bearer;
//! #[get("/notes")]
//! fn notes(bearer: Bearer) -> String {
//!     format!("the notes of {}", bearer.account())
//! }
//!
//! # rocket::tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let application = rocket::build().attach(vestibule::stage()).mount("/", routes![notes]);
//! let app = TestApp::around(application).await;
//! assert_eq!(app.client.get("/notes").dispatch().await.status(), Status::Unauthorized);
//!
//! let ada = app.signed_in("ada@example.org").await;
//! assert_eq!(ada.get("/notes").dispatch().await.status(), Status::Ok);
//! # });
//! ```

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use rocket::http::{ContentType, Header, Status};
use rocket::local::asynchronous::{Client, LocalRequest, LocalResponse};
use rocket::{Build, Rocket, figment};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accounts::Accounts;
use crate::assembly::Background;
use crate::clock::{Clock, Stepper, Timestamp};
use crate::config::{self, Settings};
use crate::crypto::hasher::FullShare;
use crate::mail::{Courier, Mailbox, SentLetter};
use crate::model::{AccountId, Network};
use crate::oauth::OAuth;
use crate::storage::{Janitor, Store};
use crate::web::metrics::MetricsCollector;

/// The password of test accounts, unless a test chooses another.
pub const PASSWORD: &str = "correct horse battery staple";

/// The start time of the stepped clock: 2026-01-01T00:00:00Z.
pub const BEGINNING: Timestamp = Timestamp::from_unix_millis(1_767_225_600_000);

/// The settings of tests: cheap hashing, letters in memory, and three clients.
///
/// | Client | Kind |
/// |---|---|
/// | `web` | public |
/// | `shop` | confidential, with the secret `shop secret` |
/// | `kiosk` | public, without the refresh grant |
const SETTINGS: &str = r#"
[default.vestibule]
public_url = "https://accounts.example.org"
mail.transport = "memory"
hashing = { memory_kib = 64, iterations = 1, parallelism = 1, max_wait = "60s" }

[default.vestibule.clients.web]
public = true
grants = ["password", "refresh_token"]
scopes = ["account.read", "account.write"]

[default.vestibule.clients.shop]
secret_sha256 = "335c3bbcf32031bcdb9e2f7aabeff5c9b34009746f7aa45e08816271c9a766e5"
grants = ["password", "refresh_token"]
scopes = ["account.read", "orders.read"]

[default.vestibule.clients.kiosk]
public = true
grants = ["password"]
scopes = ["account.read"]
"#;

/// A service under test.
pub struct TestApp {
    /// The HTTP client, for requests of any kind.
    pub client: Client,
    stepper: Stepper,
    _directory: Option<TempDir>,
}

impl std::fmt::Debug for TestApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestApp").finish_non_exhaustive()
    }
}

impl TestApp {
    /// Starts the service as an application of its own, on SQLite.
    pub async fn start() -> Self {
        Self::configured("").await
    }

    /// Starts the service on SQLite with additional settings, written as in `Rocket.toml`:
    /// `[default.vestibule.tokens]` and so on.
    pub async fn configured(toml: &str) -> Self {
        Self::build(crate::app::build(Figment::new()), toml, None).await
    }

    /// Starts the service on another database, such as `postgres://…`, which should be empty.
    pub async fn on_database(url: &str, toml: &str) -> Self {
        Self::build(crate::app::build(Figment::new()), toml, Some(url)).await
    }

    /// Starts an application that mounts the service.
    pub async fn around(application: Rocket<Build>) -> Self {
        let own = application.figment().clone();
        Self::build_on(own, application, "", None).await
    }

    async fn build(rocket: Rocket<Build>, toml: &str, url: Option<&str>) -> Self {
        Self::build_on(Figment::from(rocket::Config::debug_default()), rocket, toml, url).await
    }

    /// Starts `rocket`. The settings of tests override the application's settings in `figment`.
    async fn build_on(
        figment: Figment,
        rocket: Rocket<Build>,
        toml: &str,
        url: Option<&str>,
    ) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let file = format!("sqlite://{}/vestibule.db", directory.path().display());
        let figment = figment
            .merge(Serialized::default("log_level", "off"))
            .merge(Serialized::default("databases.vestibule.url", url.unwrap_or(&file)))
            .merge(Toml::string(SETTINGS).nested())
            .merge(Toml::string(toml).nested())
            .select("debug");
        let figment = config::defaults(figment);
        let settings = Settings::read(&figment).unwrap_or_else(|error| panic!("{error}"));
        let (clock, stepper) = Clock::stepped(BEGINNING);
        let rocket =
            rocket.configure(figment).manage(settings).manage(clock).manage(Background::Off);
        let client = Client::untracked(rocket).await;
        let client = client.unwrap_or_else(|error| panic!("the service did not start: {error}"));
        Self { client, stepper, _directory: Some(directory) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.stepper.advance(by);
    }

    /// Moves the clock back.
    pub fn step_back(&self, by: Duration) {
        self.stepper.step_back(by);
    }

    /// The pauses that requests asked for since the last call. No pause takes any time.
    pub fn pauses(&self) -> Vec<Duration> {
        self.stepper.pauses()
    }

    /// Holds pauses until this is called again with `false`.
    pub fn hold_pauses(&self, held: bool) {
        self.stepper.hold_pauses(held);
    }

    /// Fills every slot of the hasher and the queue share of the network of `address`, until the
    /// answer is dropped. An empty `address` stands for the network of all clients without an
    /// address.
    pub fn fill_hash_queue(&self, address: &str) -> FullShare {
        self.state::<Accounts>().hasher.fill_share(Network::of(address.parse().ok()))
    }

    /// The number of passwords that wait for a slot.
    pub fn queued_hashes(&self) -> usize {
        self.state::<Accounts>().hasher.load().queued
    }

    fn state<T: Send + Sync + 'static>(&self) -> &T {
        self.client.rocket().state().expect("the service manages it")
    }

    /// The database, for state that requests cannot observe.
    pub fn store(&self) -> &Store {
        self.state()
    }

    /// The OAuth use cases.
    pub fn oauth(&self) -> &OAuth {
        self.state()
    }

    /// Lets the courier deliver all due letters.
    pub async fn deliver(&self) {
        let courier: &Arc<Courier> = self.state();
        while courier.deliver_due().await.expect("the outbox can be read") != Default::default() {}
    }

    /// The metrics text. It needs an address in `[default.vestibule.metrics]`.
    pub fn metrics(&self) -> String {
        self.state::<Arc<MetricsCollector>>().render().expect("metrics can be written")
    }

    /// Counts the database metrics, as the background task does.
    pub async fn count(&self) {
        let collector = self.state::<Arc<MetricsCollector>>();
        collector.count_waiting().await.expect("letters can be counted");
        collector.count_all().await.expect("sessions can be counted");
    }

    /// Starts the courier, as the service does at its start.
    pub async fn courier_begins(&self) {
        let courier: &Arc<Courier> = self.state();
        courier.remember_refusals().await.expect("the outbox can be read");
    }

    /// Writes the recorded use of sessions to the database.
    pub async fn settle(&self) {
        self.oauth().flush_activity().await.expect("the use of sessions can be noted");
    }

    /// Lets the janitor remove expired rows. Returns the number of rows.
    pub async fn purge(&self) -> u64 {
        self.state::<Janitor>().purge().await.expect("the database can be written")
    }

    /// The letters to `email`, oldest first. Delivers due letters first.
    pub async fn letters_to(&self, email: &str) -> Vec<SentLetter> {
        self.deliver().await;
        let letters = self.state::<Mailbox>().letters();
        letters.into_iter().filter(|letter| letter.to == email).collect()
    }

    /// The last letter to `email`.
    pub async fn last_letter_to(&self, email: &str) -> SentLetter {
        let last = self.letters_to(email).await.pop();
        last.unwrap_or_else(|| panic!("no letter to {email}"))
    }

    /// The token in the link of the last letter to `email`.
    pub async fn link_token(&self, email: &str) -> String {
        let link = self.last_letter_to(email).await.link.expect("a letter with a link");
        link.split_once("token=").expect("a link with a token").1.to_owned()
    }

    /// Posts a JSON object.
    pub async fn post_json(&self, path: &str, body: &Value) -> LocalResponse<'_> {
        let path = path.to_owned();
        let request = self.client.post(path).header(ContentType::JSON).body(body.to_string());
        request.dispatch().await
    }

    /// Posts a form, as OAuth clients and pages do.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> LocalResponse<'_> {
        let path = path.to_owned();
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.client.post(path).header(ContentType::Form).body(body).dispatch().await
    }

    /// Sends a request to the token endpoint.
    pub async fn token(&self, fields: &[(&str, &str)]) -> LocalResponse<'_> {
        self.post_form("/oauth/token", fields).await
    }

    /// Signs up without using the link.
    pub async fn sign_up(&self, email: &str, password: &str) -> Status {
        let body = json!({ "email": email, "password": password });
        self.post_json("/v1/accounts", &body).await.status()
    }

    /// Uses the link in the last letter to `email`.
    pub async fn activate(&self, email: &str) -> Status {
        let token = self.link_token(email).await;
        self.post_json("/v1/activations", &json!({ "token": token })).await.status()
    }

    /// Makes an account with [`PASSWORD`]: signs up and uses the link.
    pub async fn account(&self, email: &str) {
        assert_eq!(self.sign_up(email, PASSWORD).await, Status::Accepted);
        assert_eq!(self.activate(email).await, Status::Ok);
    }

    /// Signs in with [`PASSWORD`] through the client `web`, with its whole scope.
    pub async fn sign_in(&self, email: &str) -> Signed<'_> {
        self.sign_in_to("web", email).await
    }

    /// Signs in with [`PASSWORD`] through a public client, with its whole scope.
    pub async fn sign_in_to(&self, client_id: &str, email: &str) -> Signed<'_> {
        let response = self
            .token(&[
                ("grant_type", "password"),
                ("client_id", client_id),
                ("username", email),
                ("password", PASSWORD),
            ])
            .await;
        assert_eq!(response.status(), Status::Ok, "{email} cannot sign in");
        let pair: Value = response.into_json().await.expect("JSON");
        // a client without the refresh grant gets no refresh token
        let text = |member: &str| pair[member].as_str().unwrap_or_default().to_owned();
        Signed {
            app: self,
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
        }
    }

    /// Makes an account and signs in.
    pub async fn signed_in(&self, email: &str) -> Signed<'_> {
        self.signed_in_to("web", email).await
    }

    /// Makes an account and signs in through a public client.
    pub async fn signed_in_to(&self, client_id: &str, email: &str) -> Signed<'_> {
        self.account(email).await;
        self.sign_in_to(client_id, email).await
    }
}

/// A signed-in user with tokens.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    app: &'a TestApp,
    /// The access token.
    pub access_token: String,
    /// The refresh token; empty if the client lacks the refresh grant.
    pub refresh_token: String,
}

impl<'a> Signed<'a> {
    /// `Authorization: Bearer …`
    pub fn header(&self) -> Header<'static> {
        Header::new("Authorization", format!("Bearer {}", self.access_token))
    }

    /// A `GET` request with the access token.
    pub fn get(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.get(path.to_owned()).header(self.header())
    }

    /// A `POST` request with the access token.
    pub fn post(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.post(path.to_owned()).header(self.header())
    }

    /// A `DELETE` request with the access token.
    pub fn delete(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.delete(path.to_owned()).header(self.header())
    }

    /// A `PATCH` request with the access token and a JSON body.
    pub fn patch(&self, path: &str, body: &Value) -> LocalRequest<'a> {
        let request = self.app.client.patch(path.to_owned()).header(self.header());
        request.header(ContentType::JSON).body(body.to_string())
    }

    /// The account's id, read from `/v1/me`.
    pub async fn account_id(&self) -> AccountId {
        let me: Value = self.get("/v1/me").dispatch().await.into_json().await.expect("JSON");
        me["id"].as_str().expect("an id").parse().expect("an id")
    }
}
