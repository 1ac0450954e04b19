//! For tests: the whole service in one process, with a clock that is stepped.
//!
//! A [`TestApp`] is a service of its own, with its own database, over Rocket's local client. Nothing
//! happens behind a test's back: letters leave when it says [`TestApp::deliver`], time passes when
//! it says [`TestApp::advance`]. So tests run in parallel and never sleep.
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

/// The password of everybody here who is not given one.
pub const PASSWORD: &str = "correct horse battery staple";

/// When time begins: 2026-01-01T00:00:00Z.
pub const BEGINNING: Timestamp = Timestamp::from_unix_millis(1_767_225_600_000);

/// Hashing that costs next to nothing, letters into memory, and three clients: `web` (public),
/// `shop` (confidential, its secret is `shop secret`), and `kiosk` (public, without refresh).
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
    /// For requests of any kind.
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
    /// The service by itself, on SQLite.
    pub async fn start() -> Self {
        Self::configured("").await
    }

    /// The service by itself, with more settings, as they would stand in `Rocket.toml`:
    /// `[default.vestibule.tokens]` and so on.
    pub async fn configured(toml: &str) -> Self {
        Self::build(crate::app::build(Figment::new()), toml, None).await
    }

    /// The service by itself on another database, such as `postgres://…`, which should be empty.
    pub async fn on_database(url: &str, toml: &str) -> Self {
        Self::build(crate::app::build(Figment::new()), toml, Some(url)).await
    }

    /// An application that mounts the service.
    pub async fn around(application: Rocket<Build>) -> Self {
        let own = application.figment().clone();
        Self::build_on(own, application, "", None).await
    }

    async fn build(rocket: Rocket<Build>, toml: &str, url: Option<&str>) -> Self {
        Self::build_on(Figment::from(rocket::Config::debug_default()), rocket, toml, url).await
    }

    /// The settings of the tests win over those that the application has in `figment`.
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

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.stepper.advance(by);
    }

    /// Sets the clock back.
    pub fn step_back(&self, by: Duration) {
        self.stepper.step_back(by);
    }

    /// Every pause that a request was to make since this was last asked. None is made.
    pub fn pauses(&self) -> Vec<Duration> {
        self.stepper.pauses()
    }

    /// Whether pauses go on until this is called again with `false`.
    pub fn hold_pauses(&self, held: bool) {
        self.stepper.hold_pauses(held);
    }

    /// Gives the network of an address every slot of the hasher and its whole share of the queue,
    /// until the answer is dropped; the network of all without an address if it is empty.
    pub fn fill_hash_queue(&self, address: &str) -> FullShare {
        self.state::<Accounts>().hasher.fill_share(Network::of(address.parse().ok()))
    }

    /// How many passwords wait for a slot.
    pub fn queued_hashes(&self) -> usize {
        self.state::<Accounts>().hasher.load().queued
    }

    fn state<T: Send + Sync + 'static>(&self) -> &T {
        self.client.rocket().state().expect("the service manages it")
    }

    /// The database, for what cannot be seen from outside.
    pub fn store(&self) -> &Store {
        self.state()
    }

    /// The use cases around tokens.
    pub fn oauth(&self) -> &OAuth {
        self.state()
    }

    /// Lets the courier deliver all that is due.
    pub async fn deliver(&self) {
        let courier: &Arc<Courier> = self.state();
        while courier.deliver_due().await.expect("the outbox can be read") != Default::default() {}
    }

    /// What Prometheus would read; with `[default.vestibule.metrics]` and an address set.
    pub fn metrics(&self) -> String {
        self.state::<Arc<MetricsCollector>>().render().expect("metrics can be written")
    }

    /// Lets what metrics tell of the database be counted.
    pub async fn count(&self) {
        let collector = self.state::<Arc<MetricsCollector>>();
        collector.count_waiting().await.expect("letters can be counted");
        collector.count_all().await.expect("sessions can be counted");
    }

    /// Lets the courier begin, as it does when the service starts.
    pub async fn courier_begins(&self) {
        let courier: &Arc<Courier> = self.state();
        courier.remember_refusals().await.expect("the outbox can be read");
    }

    /// Lets what is written behind be written.
    pub async fn settle(&self) {
        self.oauth().flush_activity().await.expect("the use of sessions can be noted");
    }

    /// Lets the janitor remove what is over; answers how many rows that were.
    pub async fn purge(&self) -> u64 {
        self.state::<Janitor>().purge().await.expect("the database can be written")
    }

    /// The letters that `email` has got, oldest first.
    pub async fn letters_to(&self, email: &str) -> Vec<SentLetter> {
        self.deliver().await;
        let letters = self.state::<Mailbox>().letters();
        letters.into_iter().filter(|letter| letter.to == email).collect()
    }

    /// The last letter that `email` has got.
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

    /// Asks the token endpoint.
    pub async fn token(&self, fields: &[(&str, &str)]) -> LocalResponse<'_> {
        self.post_form("/oauth/token", fields).await
    }

    /// Signs up, without opening the link.
    pub async fn sign_up(&self, email: &str, password: &str) -> Status {
        let body = json!({ "email": email, "password": password });
        self.post_json("/v1/accounts", &body).await.status()
    }

    /// Uses the link in the last letter to `email`.
    pub async fn activate(&self, email: &str) -> Status {
        let token = self.link_token(email).await;
        self.post_json("/v1/activations", &json!({ "token": token })).await.status()
    }

    /// Makes an account with [`PASSWORD`], by signing up and opening the link.
    pub async fn account(&self, email: &str) {
        assert_eq!(self.sign_up(email, PASSWORD).await, Status::Accepted);
        assert_eq!(self.activate(email).await, Status::Ok);
    }

    /// Signs in with [`PASSWORD`] through the client `web`, with all of its scope.
    pub async fn sign_in(&self, email: &str) -> Signed<'_> {
        self.sign_in_to("web", email).await
    }

    /// Signs in with [`PASSWORD`] through a public client, with all of its scope.
    pub async fn sign_in_to(&self, client_id: &str, email: &str) -> Signed<'_> {
        let answer = self
            .token(&[
                ("grant_type", "password"),
                ("client_id", client_id),
                ("username", email),
                ("password", PASSWORD),
            ])
            .await;
        assert_eq!(answer.status(), Status::Ok, "{email} cannot sign in");
        let answer: Value = answer.into_json().await.expect("JSON");
        // a client without the refresh grant gets no refresh token
        let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
        Signed {
            app: self,
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
        }
    }

    /// An account of its own, signed in.
    pub async fn signed_in(&self, email: &str) -> Signed<'_> {
        self.signed_in_to("web", email).await
    }

    /// An account of its own, signed in through a public client of the application's.
    pub async fn signed_in_to(&self, client_id: &str, email: &str) -> Signed<'_> {
        self.account(email).await;
        self.sign_in_to(client_id, email).await
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    app: &'a TestApp,
    pub access_token: String,
    pub refresh_token: String,
}

impl<'a> Signed<'a> {
    /// `Authorization: Bearer …`
    pub fn header(&self) -> Header<'static> {
        Header::new("Authorization", format!("Bearer {}", self.access_token))
    }

    pub fn get(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.get(path.to_owned()).header(self.header())
    }

    pub fn post(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.post(path.to_owned()).header(self.header())
    }

    pub fn delete(&self, path: &str) -> LocalRequest<'a> {
        self.app.client.delete(path.to_owned()).header(self.header())
    }

    pub fn patch(&self, path: &str, body: &Value) -> LocalRequest<'a> {
        let request = self.app.client.patch(path.to_owned()).header(self.header());
        request.header(ContentType::JSON).body(body.to_string())
    }

    /// The id of the account, as it says itself.
    pub async fn account_id(&self) -> AccountId {
        let me: Value = self.get("/v1/me").dispatch().await.into_json().await.expect("JSON");
        me["id"].as_str().expect("an id").parse().expect("an id")
    }
}
