//! What the pieces cost that every request is made of: `cargo bench --bench pieces`.
//!
//! They are measured by themselves, in this process and without a network, with the settings of
//! production. So a piece that got slower is seen here before it is seen in the ratios of
//! benches/ratios, and the ratios can be taken apart.

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
    AccessToken, Digest, EmailAddress, Locale, Network, PasswordPolicy, PersonalData,
};
use vestibule::oauth::{PresentedToken, ScopeRequirement};
use vestibule::storage::LetterId;
use vestibule::templates::Templates;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};
use vestibule::web::views::View;
use vestibule::web::views::links::Activate;
use vestibule::web::{Form, OAUTH_FIELDS, Pages};

const EMAIL: &str = "ada.lovelace@example.org";
/// A token counts as verified no longer than that while nobody asks about others.
const VERIFIED: Duration = Duration::from_secs(1);
/// As much of a form as is read.
const LARGEST_FORM: usize = 32 * 1_024;

criterion_main!(pieces);
criterion_group!(pieces, bearer, form, password, hashing, rendering);

/// As they are where nobody changes them.
fn settings() -> Settings {
    let figment = Figment::from(rocket::Config::debug_default()).select("debug");
    Settings::read(&config::defaults(figment)).unwrap()
}

/// Whether an access token is live: asked by every request to a protected resource, and so the most
/// frequent thing that the service does.
fn bearer(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    // the clock goes on for a second with each look-up
    let lives_long = "[default.vestibule.tokens]\naccess_ttl = \"10d\"";
    let app = runtime.block_on(TestApp::configured(lives_long));
    let ada = runtime.block_on(app.signed_in(EMAIL));
    let oauth = app.oauth();
    let token: &str = &ada.access_token;
    let needed = ScopeRequirement::of_route("account.read").unwrap();
    let parsed = AccessToken::parse(token).unwrap();
    let stored = parsed.secret.digest();

    let mut group = criterion.benchmark_group("bearer");
    // Spelling and checksum: what is no token costs nobody a look-up.
    group.bench_function("parse", |b| b.iter(|| AccessToken::parse(black_box(token))));
    // SHA-256 of the secret, and the comparison with what is stored, in constant time.
    group.bench_function("compare", |b| b.iter(|| black_box(&parsed).secret.digest() == stored));
    // With the token among those that were verified lately, as it mostly is.
    group.bench_function("remembered", |b| {
        b.to_async(&runtime).iter(async || {
            oauth.protect(PresentedToken::Token(black_box(token)), &needed).await.unwrap();
        });
    });
    // With a read of the database, and a question beside it whether others have written.
    group.bench_function("looked up", |b| {
        b.to_async(&runtime).iter(async || {
            app.advance(VERIFIED);
            oauth.protect(PresentedToken::Token(black_box(token)), &needed).await.unwrap();
        });
    });
    // All that is around it, but for the network: what a goal per request has to be met with.
    group.bench_function("GET v1 me", |b| {
        b.to_async(&runtime).iter(async || {
            assert_eq!(ada.get("/v1/me").dispatch().await.status(), Status::Ok);
        });
    });
}

/// The form of the token endpoint, read strictly (docs/decisions/0015): before anything is known of
/// who sends it, and therefore before any limit.
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
    // What signing in sends.
    group.bench_function("password grant", |b| {
        b.iter(|| Form::parse(black_box(ordinary.as_bytes()), &OAUTH_FIELDS).unwrap());
    });
    // As much as a stranger can have parsed, in fields that nobody knows.
    group.bench_function("32 KiB", |b| {
        b.iter(|| Form::parse(black_box(largest.as_bytes()), &OAUTH_FIELDS).unwrap());
    });
}

/// Whether a new password is one that would be guessed, by the list that is compiled in and by whose
/// it is: without an account, and so within reach of everybody who signs up.
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
        // As much as is judged at all.
        ("512 characters", &longest, true),
    ] {
        assert_eq!(policy.judge(typed, owner).is_ok(), is_good, "{name}");
        group.bench_function(name, |b| b.iter(|| policy.judge(black_box(typed), owner)));
    }
}

/// Argon2id: what bounds sign-ins and sign-ups, by intent. With the way to a slot's thread and back.
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
    // Where a password is set.
    group.bench_function("hash", |b| {
        b.to_async(&runtime)
            .iter(async || hasher.hash(password, Purpose::SignUp, network).await.unwrap());
    });
    // Where somebody signs in.
    group.bench_function("verify", |b| {
        b.to_async(&runtime).iter(async || {
            let verdict = hasher.verify(password, &stored, Purpose::SignIn, network).await.unwrap();
            assert_eq!(verdict, Verification::Right { outdated: false });
        });
    });
}

/// Templates and their words: every page, and every letter, of which a flood of sign-ups makes many.
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
