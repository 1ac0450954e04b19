//! Benchmarks of the pieces of a request: `cargo bench --bench pieces`.
//!
//! Each piece is measured by itself, in this process and without a network, with the settings of
//! production. So a slower piece shows here before it shows in the ratios of benches/ratios, and
//! the ratios can be explained by their pieces.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run says so")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use figment::Figment;
use rocket::http::Status;
use tokio::runtime::Runtime;
use uuid::Uuid;
use vestibule::clock::Clock;
use vestibule::config::{self, Settings};
use vestibule::crypto::entropy::Entropy;
use vestibule::crypto::hasher::{Hasher, HashingParameters, Purpose, Verification};
use vestibule::mail::{Envelope, Letter, Renderer};
use vestibule::messages::Messages;
use vestibule::model::{
    AccessToken, Digest, EmailAddress, Locale, Network, PasswordPolicy, PersonalData, Scope,
};
use vestibule::storage::LetterId;
use vestibule::templates::Templates;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};
use vestibule::web::views::View;
use vestibule::web::views::links::Activate;
use vestibule::web::{Pages, parses_as_token_form};

const EMAIL: &str = "ada.lovelace@example.org";
/// Lifetime of a cached token while no check for external writes runs.
const VERIFIED: Duration = Duration::from_secs(1);
/// Largest form that is read, in bytes.
const LARGEST_FORM: usize = 32 * 1_024;

criterion_main!(pieces);
criterion_group!(pieces, bearer, form, password, hashing, rendering);

/// The default settings.
fn settings() -> Settings {
    let figment = Figment::from(rocket::Config::debug_default()).select("debug");
    Settings::read(&config::defaults(figment)).unwrap()
}

/// Check of an access token. Every request to a protected resource needs it, so it is the most
/// frequent work of the service.
fn bearer(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    // the clock advances by a second with each look-up
    let lives_long = "[default.vestibule.tokens]\naccess_ttl = \"10d\"";
    let app = runtime.block_on(TestApp::configured(lives_long));
    let ada = runtime.block_on(app.signed_in(EMAIL));
    let oauth = app.oauth();
    let token: &str = &ada.access_token;
    let needed = "account.read".parse::<Scope>().unwrap();
    let parsed = AccessToken::parse(token).unwrap();
    let stored = parsed.secret.digest();

    let mut group = criterion.benchmark_group("bearer");
    // Form and checksum: a text that is no token costs no look-up.
    group.bench_function("parse", |b| b.iter(|| AccessToken::parse(black_box(token))));
    // SHA-256 of the secret, and the comparison with the stored digest, in constant time.
    group.bench_function("compare", |b| b.iter(|| black_box(&parsed).secret.digest() == stored));
    // With the token in the token cache, the usual case.
    group.bench_function("remembered", |b| {
        b.to_async(&runtime).iter(async || {
            oauth.protect(black_box(token), &needed).await.unwrap();
        });
    });
    // With a read of the database, and a check for external writes beside it.
    group.bench_function("looked up", |b| {
        b.to_async(&runtime).iter(async || {
            app.advance(VERIFIED);
            oauth.protect(black_box(token), &needed).await.unwrap();
        });
    });
    // A whole request without the network. A goal per request has to be met with this.
    group.bench_function("GET v1 me", |b| {
        b.to_async(&runtime).iter(async || {
            assert_eq!(ada.get("/v1/me").dispatch().await.status(), Status::Ok);
        });
    });
}

/// The form of the token endpoint, parsed strictly (docs/decisions/0015). Parsing comes before the
/// sender is known, and therefore before any limit.
fn form(criterion: &mut Criterion) {
    let ordinary = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "password")
        .append_pair("client_id", "web")
        .append_pair("username", EMAIL)
        .append_pair("password", PASSWORD)
        .append_pair("scope", "account.read account.write")
        .finish();
    let largest = "x=%41&".repeat(LARGEST_FORM / 6);

    let mut group = criterion.benchmark_group("form");
    // The form of a sign-in.
    group.bench_function("password grant", |b| {
        b.iter(|| assert!(parses_as_token_form(black_box(ordinary.as_bytes()))));
    });
    // The largest form that a stranger can have parsed, in unknown fields.
    group.bench_function("32 KiB", |b| {
        b.iter(|| assert!(parses_as_token_form(black_box(largest.as_bytes()))));
    });
}

/// Check of a new password against the compiled-in blocklist and the owner's data. The check needs
/// no account, so any sign-up can cause it.
fn password(criterion: &mut Criterion) {
    let settings = settings();
    let policy = PasswordPolicy::new(settings.password.min_length, &settings.name);
    let email = EmailAddress::parse(EMAIL).unwrap();
    let owner = PersonalData { email: Some(&email), name: None };
    let longest: String = (0..8).map(|part| hex::encode(Digest::of(&[part]).as_bytes())).collect();

    let mut group = criterion.benchmark_group("password");
    for (name, typed, is_good) in [
        ("good", PASSWORD, true),
        // An entry of the list twice, found behind its substitutions.
        ("listed", "P4$$w0rdP4$$w0rd", false),
        // The longest password that is checked.
        ("512 characters", &longest, true),
    ] {
        assert_eq!(policy.judge(typed, owner).is_ok(), is_good, "{name}");
        group.bench_function(name, |b| b.iter(|| policy.judge(black_box(typed), owner)));
    }
}

/// Argon2id, which bounds sign-ins and sign-ups on purpose. Includes the way to a slot's thread and
/// back.
fn hashing(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let costs = settings().hashing;
    let parameters = HashingParameters {
        memory_kib: costs.memory_kib,
        iterations: costs.iterations,
        parallelism: costs.parallelism,
        slots: 1,
        max_wait: costs.max_wait.duration(),
    };
    let hasher = Hasher::start(parameters, Clock::system(), Entropy).unwrap();
    let password = PASSWORD.as_bytes();
    let network = Network::of(None);
    let stored = runtime.block_on(hasher.hash(password, Purpose::SignUp, network)).unwrap();

    let mut group = criterion.benchmark_group("hashing");
    group.sample_size(20);
    // Setting a password.
    group.bench_function("hash", |b| {
        b.to_async(&runtime)
            .iter(async || hasher.hash(password, Purpose::SignUp, network).await.unwrap());
    });
    // Signing in.
    group.bench_function("verify", |b| {
        b.to_async(&runtime).iter(async || {
            let verdict = hasher.verify(password, &stored, Purpose::SignIn, network).await.unwrap();
            assert_eq!(verdict, Verification::Right { outdated: false });
        });
    });
}

/// Templates with their messages: a page and a letter. A flood of sign-ups renders many letters.
fn rendering(criterion: &mut Criterion) {
    let settings = settings();
    let messages = Messages::load(None, "en").unwrap();
    let templates = Templates::load(None, &messages).unwrap();
    let pages = Pages::new(templates.clone(), &settings).unwrap();
    let sender = &settings.mail.from;
    let renderer = Renderer::new(templates, &settings.name, &settings.public_url, sender).unwrap();
    let to = EmailAddress::parse(EMAIL).unwrap();
    let page = &Activate::samples()[0];
    let letter = &Letter::samples()[0];

    let mut group = criterion.benchmark_group("rendering");
    for tag in ["en", "de"] {
        let locale = Locale::parse(tag).unwrap();
        let language = messages.best(&locale).unwrap();
        // The page behind the link of a sign-up.
        group.bench_function(format!("page, {tag}"), |b| {
            b.iter(|| pages.html(language, Activate::NAME, black_box(page)).unwrap());
        });
        let id = LetterId::new(Uuid::nil());
        let envelope = Envelope { id, to: &to, locale: Some(&locale), now: BEGINNING };
        // The letter with that link: subject, text and HTML, put together as a message.
        group.bench_function(format!("letter, {tag}"), |b| {
            b.iter(|| renderer.render(black_box(letter), envelope).unwrap());
        });
    }
}
