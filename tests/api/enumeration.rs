//! Timing tests: the time of an answer reveals no account, waiting sign-up or client (R16, R18,
//! R34, R47).
//!
//! Two kinds of requests are sent in pairs, one after the other, in an order that is drawn for each
//! pair. The area under the ROC curve is the probability that a request of the first kind takes
//! longer than a request of the second: 0.5 if the time tells nothing. Hashing costs next to
//! nothing here, so that it hides no difference.
//!
//! - `TEST_PAIRS=10000 cargo test --test api enumeration -- --test-threads=1 --nocapture` checks
//!   the whole goal: within 0.05 of 0.5.
//! - A plain run has few pairs and other tests beside it. It finds a difference of a whole
//!   statement or a whole hash.
//! - `TEST_HASHING=real` hashes as the service does by default.

#![expect(clippy::print_stdout, reason = "the tests print the measured areas")]

use std::time::Duration;

use rocket::http::{ContentType, Status};
use rocket::local::asynchronous::LocalRequest;
use serde_json::json;
use vestibule::accounts::AccountToCreate;
use vestibule::clock::Clock;
use vestibule::crypto::entropy::Entropy;
use vestibule::model::{AccountId, EmailAddress, NewPassword, PersonalData};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, basic, form};
use crate::support_accounts::accounts;
use crate::support_clients::{SECRET, add, id, public, sha256};

const WRONG: &str = "incorrect horse battery staple";
/// The pairs of a plain run, and the smallest number of pairs that the goal is checked with.
const DEFAULT_PAIRS: usize = 150;
const FULL_PAIRS: usize = 10_000;
/// The pairs at the beginning that are not counted, while caches fill and plans are made.
const WARM_UP: usize = 25;
/// The time between two requests, so that no limit is reached.
const PAUSE: Duration = Duration::from_secs(20);
/// The attempts per account: so many wrong passwords are free.
const ATTEMPTS_PER_ACCOUNT: usize = 8;

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn pairs() -> usize {
    std::env::var("TEST_PAIRS").map_or(DEFAULT_PAIRS, |pairs| pairs.parse().unwrap()) + WARM_UP
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
async fn service() -> TestApp {
    match std::env::var("TEST_HASHING").as_deref() {
        Ok("real") => {
            let toml = "[default.vestibule.hashing]\nmemory_kib = 19456\niterations = 2";
            support::configured(toml).await
        }
        _ => support::app().await,
    }
}

fn password() -> NewPassword {
    vestibule::model::PasswordPolicy::new(8, "test")
        .judge(PASSWORD, PersonalData::default())
        .unwrap()
}

fn address(kind: &str, number: usize) -> String {
    // every address has the same length
    format!("{kind}-{number:06}@example.org")
}

/// Makes `count` accounts at `known-…`. A few are enough where each is tried several times.
async fn create_accounts(app: &TestApp, count: usize) -> Vec<AccountId> {
    let mut ids = vec![];
    for number in 0..count {
        let new = AccountToCreate {
            email: EmailAddress::parse(&address("known", number)).unwrap(),
            name: None,
            locale: None,
            password: Some(password()),
        };
        ids.push(accounts(app).create(&new).await.unwrap());
    }
    ids
}

fn token_request<'a>(app: &'a TestApp, username: &str, password: &str) -> LocalRequest<'a> {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", username),
        ("password", password),
    ];
    app.client.post("/oauth/token").header(ContentType::Form).body(form(&fields))
}

fn json_request<'a>(app: &'a TestApp, path: &'static str, email: &str) -> LocalRequest<'a> {
    let body = json!({ "email": email, "password": PASSWORD });
    app.client.post(path).header(ContentType::JSON).body(body.to_string())
}

/// The duration of an answer, which must have this status.
async fn measure(
    app: &TestApp,
    clock: &Clock,
    request: LocalRequest<'_>,
    status: Status,
) -> Duration {
    app.advance(PAUSE);
    let began = clock.instant();
    let response = request.dispatch().await;
    let took = clock.instant() - began;
    assert_eq!(response.status(), status);
    took
}

/// The probability that a request of the first kind takes longer than a request of the second.
fn roc_area(first: &[Duration], second: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = first
        .iter()
        .map(|took| (*took, true))
        .chain(second.iter().map(|took| (*took, false)))
        .collect();
    all.sort_unstable();
    let (mut area, mut below, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let mut ties = (0.0, 0.0);
        let value = all[at].0;
        while at < all.len() && all[at].0 == value {
            if all[at].1 {
                ties.0 += 1.0;
            } else {
                ties.1 += 1.0;
            }
            at += 1;
        }
        area += ties.0 * (below + ties.1 / 2.0);
        below += ties.1;
    }
    area / (first.len() as f64 * second.len() as f64)
}

/// Sends both kinds in pairs and judges how well the time tells them apart. Each kind makes its
/// request from the number of the pair.
async fn compare<'a>(
    app: &'a TestApp,
    comparison: &str,
    status: Status,
    first: impl Fn(usize) -> LocalRequest<'a>,
    second: impl Fn(usize) -> LocalRequest<'a>,
) {
    let (clock, pairs) = (Clock::system(), pairs());
    let (mut of_first, mut of_second) = (vec![], vec![]);
    for number in 0..pairs {
        let [coin] = Entropy.bytes::<1>();
        if coin % 2 == 0 {
            of_first.push(measure(app, &clock, first(number), status).await);
            of_second.push(measure(app, &clock, second(number), status).await);
        } else {
            of_second.push(measure(app, &clock, second(number), status).await);
            of_first.push(measure(app, &clock, first(number), status).await);
        }
    }
    let area = roc_area(&of_first[WARM_UP..], &of_second[WARM_UP..]);
    let counted = (pairs - WARM_UP) as f64;
    // the standard deviation of the Mann-Whitney statistic if both kinds are alike
    let deviation = ((2.0 * counted + 1.0) / (12.0 * counted * counted)).sqrt();
    let engine = if support::ON_POSTGRES { "PostgreSQL" } else { "SQLite" };
    let margin = 1.96 * deviation;
    println!("{comparison}, {engine}, {counted} pairs: ROC area {area:.4} ± {margin:.4}");
    let off = (area - 0.5).abs();
    let allowed = if pairs >= FULL_PAIRS { 0.05 } else { 0.1 + 4.0 * deviation };
    assert!(
        off <= allowed,
        "{comparison}: the response times differ, with a ROC area of {area:.4}"
    );
}

#[test]
fn roc_area_of_known_samples_is_right() {
    let of =
        |numbers: &[u64]| numbers.iter().copied().map(Duration::from_micros).collect::<Vec<_>>();
    assert_eq!(roc_area(&of(&[1, 2, 3]), &of(&[1, 2, 3])), 0.5);
    assert_eq!(roc_area(&of(&[4, 5, 6]), &of(&[1, 2, 3])), 1.0);
    assert_eq!(roc_area(&of(&[1, 2, 3]), &of(&[4, 5, 6])), 0.0);
    assert_eq!(roc_area(&of(&[1, 4]), &of(&[2, 3])), 0.5);
    assert_eq!(roc_area(&of(&[2, 4]), &of(&[1, 3])), 0.75);
}

#[rocket::async_test]
async fn r18_response_time_does_not_reveal_known_addresses() {
    let app = service().await;
    create_accounts(&app, pairs().div_ceil(ATTEMPTS_PER_ACCOUNT)).await;
    let refused = Status::BadRequest;
    compare(
        &app,
        "wrong password, known and unknown address",
        refused,
        |number| token_request(&app, &address("known", number / ATTEMPTS_PER_ACCOUNT), WRONG),
        |number| token_request(&app, &address("other", number / ATTEMPTS_PER_ACCOUNT), WRONG),
    )
    .await;
}

#[rocket::async_test]
async fn r18_response_time_does_not_reveal_a_disabled_account() {
    let app = service().await;
    for account in create_accounts(&app, pairs().div_ceil(ATTEMPTS_PER_ACCOUNT)).await {
        assert!(accounts(&app).disable(account).await.unwrap());
    }
    compare(
        &app,
        "right password of a disabled account, and unknown address",
        Status::BadRequest,
        |number| token_request(&app, &address("known", number / ATTEMPTS_PER_ACCOUNT), PASSWORD),
        |number| token_request(&app, &address("other", number / ATTEMPTS_PER_ACCOUNT), PASSWORD),
    )
    .await;
}

#[rocket::async_test]
async fn r18_response_time_does_not_reveal_a_waiting_sign_up() {
    let app = service().await;
    for number in 0..pairs().div_ceil(ATTEMPTS_PER_ACCOUNT) {
        app.advance(PAUSE);
        let signed_up = app.sign_up(&address("known", number), PASSWORD).await;
        assert_eq!(signed_up, Status::Accepted);
    }
    compare(
        &app,
        "wrong password, waiting sign-up and unknown address",
        Status::BadRequest,
        |number| token_request(&app, &address("known", number / ATTEMPTS_PER_ACCOUNT), WRONG),
        |number| token_request(&app, &address("other", number / ATTEMPTS_PER_ACCOUNT), WRONG),
    )
    .await;
}

/// S1: a stranger knows the password of a sign-up that they made.
#[rocket::async_test]
async fn r18_s1_response_time_does_not_reveal_the_password_of_a_waiting_sign_up() {
    let app = service().await;
    for number in 0..pairs().div_ceil(ATTEMPTS_PER_ACCOUNT) {
        app.advance(PAUSE);
        let signed_up = app.sign_up(&address("known", number), PASSWORD).await;
        assert_eq!(signed_up, Status::Accepted);
    }
    compare(
        &app,
        "right password of a waiting sign-up, and unknown address",
        Status::BadRequest,
        |number| token_request(&app, &address("known", number / ATTEMPTS_PER_ACCOUNT), PASSWORD),
        |number| token_request(&app, &address("other", number / ATTEMPTS_PER_ACCOUNT), PASSWORD),
    )
    .await;
}

#[rocket::async_test]
async fn r16_response_time_does_not_reveal_known_clients() {
    let app = service().await;
    let mut stored = public();
    stored.public = false;
    stored.secret_sha256 = Some(sha256(SECRET));
    add(&app, id("stck").as_str(), &stored).await;
    let fields = form(&[("grant_type", "refresh_token"), ("refresh_token", "vrt_x")]);
    let ask = |client| {
        let request = app.client.post("/oauth/token").header(ContentType::Form);
        request.header(basic(client, "wrong secret")).body(fields.clone())
    };
    for (comparison, client) in [("in the settings", "shop"), ("in the database", "stck")] {
        let comparison = format!("wrong secret of a client {comparison}, and unknown client");
        compare(&app, &comparison, Status::Unauthorized, |_| ask(client), |_| ask("shoq")).await;
    }
}

#[rocket::async_test]
async fn r34_response_time_of_sign_ups_does_not_reveal_known_addresses() {
    let app = service().await;
    create_accounts(&app, pairs()).await;
    compare(
        &app,
        "sign-up, known and unknown address",
        Status::Accepted,
        |number| json_request(&app, "/v1/accounts", &address("known", number)),
        |number| json_request(&app, "/v1/accounts", &address("other", number)),
    )
    .await;
    // the courier sends the letters to addresses with an account, and leaves the rest
    app.deliver().await;
    compare(
        &app,
        "sign-up once more, known and unknown address",
        Status::Accepted,
        |number| json_request(&app, "/v1/accounts", &address("known", number)),
        |number| json_request(&app, "/v1/accounts", &address("other", number)),
    )
    .await;
    compare(
        &app,
        "another letter, waiting sign-up and unknown address",
        Status::Accepted,
        |number| json_request(&app, "/v1/activation-mails", &address("other", number)),
        |number| json_request(&app, "/v1/activation-mails", &address("third", number)),
    )
    .await;
}

#[rocket::async_test]
async fn r47_response_time_of_password_resets_does_not_reveal_known_addresses() {
    let app = service().await;
    create_accounts(&app, pairs().div_ceil(ATTEMPTS_PER_ACCOUNT)).await;
    for number in 0..pairs() {
        app.advance(PAUSE);
        assert_eq!(app.sign_up(&address("third", number), PASSWORD).await, Status::Accepted);
    }
    // each address is asked for once: the request makes the sign-up contested and leaves a letter
    // waiting
    compare(
        &app,
        "forgotten password, waiting sign-up and unknown address",
        Status::Accepted,
        |number| json_request(&app, "/v1/password-resets", &address("third", number)),
        |number| json_request(&app, "/v1/password-resets", &address("fifth", number)),
    )
    .await;
    compare(
        &app,
        "forgotten password, known and unknown address",
        Status::Accepted,
        |number| {
            json_request(
                &app,
                "/v1/password-resets",
                &address("known", number / ATTEMPTS_PER_ACCOUNT),
            )
        },
        |number| {
            json_request(
                &app,
                "/v1/password-resets",
                &address("other", number / ATTEMPTS_PER_ACCOUNT),
            )
        },
    )
    .await;
}
