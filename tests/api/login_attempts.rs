//! Tests of the limits on guessing passwords (R20, R42).

#![expect(clippy::panic, reason = "this is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
use rocket::http::{ContentType, Header, Status};
use rocket::local::asynchronous::{LocalRequest, LocalResponse};
use rocket::tokio;
use rocket::tokio::sync::Notify;
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, error_of, form, from, header, hold_the_writer};
use crate::support_accounts::{BOB, Browser, NEW, accounts, post_as, put_as};
use crate::support_pages::{Answer, OTHER, dump_of, submit, texts};

const WRONG: &str = "incorrect horse battery staple";
/// Ada's home address, and an address without any sign-in.
const HOME: &str = "192.0.2.10";
const STRANGER: &str = "203.0.113.66";
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
/// How long after the last wrong password one failure of the row is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(90 * 24 * 36);
/// The free attempts without a delay, and the most failures in a row.
const FREE: usize = 10;
const MAX_IN_A_ROW: usize = 100;

fn sign_in_request<'a>(
    app: &'a TestApp,
    address: &str,
    username: &str,
    password: &str,
) -> LocalRequest<'a> {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", username),
        ("password", password),
    ];
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    from(request, address).body(form(&fields))
}

/// The status and `Retry-After` of a sign-in. Checks the form of the answer.
async fn status_and_wait(response: LocalResponse<'_>) -> (u16, Option<u64>) {
    let wait = header(&response, "Retry-After").map(|value| value.parse().expect("whole seconds"));
    let status = response.status();
    if status != Status::Ok {
        let wanted = match status.code {
            400 => "invalid_grant",
            429 => "temporarily_unavailable",
            other => panic!("{other}"),
        };
        assert_eq!(error_of(response).await, (status, wanted.to_owned()));
    }
    assert_eq!(wait.is_some(), status == Status::TooManyRequests);
    assert_ne!(wait, Some(0));
    (status.code, wait)
}

async fn attempt_sign_in(
    app: &TestApp,
    address: &str,
    username: &str,
    password: &str,
) -> (u16, Option<u64>) {
    status_and_wait(sign_in_request(app, address, username, password).dispatch().await).await
}

async fn guess(app: &TestApp, address: &str, username: &str) -> (u16, Option<u64>) {
    attempt_sign_in(app, address, username, WRONG).await
}

async fn is_accepted(app: &TestApp, address: &str, password: &str) -> bool {
    attempt_sign_in(app, address, ADA, password).await.0 == 200
}

/// Guesses until the limit imposes a delay.
async fn exhaust_attempts(app: &TestApp, address: &str, username: &str) {
    for _ in 0..FREE {
        assert_eq!(guess(app, address, username).await.0, 400);
    }
    assert_eq!(guess(app, address, username).await, (429, Some(1)));
}

async fn reset_password(app: &TestApp, new: &str) {
    let asked = app.post_json("/v1/password-resets", &json!({ "email": ADA })).await;
    assert_eq!(asked.status(), Status::Accepted);
    let body = json!({ "token": app.link_token(ADA).await, "password": new });
    let done = app.post_json("/v1/password-resets/confirmations", &body).await;
    assert_eq!(done.status(), Status::NoContent);
}

#[rocket::async_test]
async fn r20_delays_double_and_last_as_long_as_announced() {
    let app = support::app().await;
    app.account(ADA).await;
    exhaust_attempts(&app, STRANGER, ADA).await;
    let mut delay = 1;
    while delay < 900 {
        app.advance(Duration::from_secs(delay) - Duration::from_millis(1));
        assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(1)), "after {delay} s");
        app.advance(Duration::from_millis(1));
        assert_eq!(guess(&app, STRANGER, ADA).await.0, 400, "after {delay} s");
        delay = (2 * delay).min(900);
        assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(delay)));
    }
    // the owner waits as long as a stranger, and then has attempts of their own from there
    app.advance(Duration::from_secs(delay));
    assert!(is_accepted(&app, STRANGER, PASSWORD).await);
    exhaust_attempts(&app, STRANGER, ADA).await;
}

#[rocket::async_test]
async fn r20_unknown_names_are_limited_like_known_ones() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up("waiting@example.org", PASSWORD).await;
    let mut seen = vec![];
    let names = [ADA, "nobody@example.org", "waiting@example.org", "no address"];
    for (number, name) in names.into_iter().enumerate() {
        let address = format!("203.0.113.{number}");
        let mut answers = vec![];
        for attempt in 0..FREE + 4 {
            // the spelling of the name does not matter
            let typed = if attempt % 2 == 0 { name.to_owned() } else { format!(" {name}") };
            answers.push(guess(&app, &address, &typed).await);
            app.advance(SECOND / 2);
        }
        seen.push(answers);
    }
    assert!(seen.iter().all(|answers| *answers == seen[0]), "{seen:?}");
    assert!(seen[0].contains(&(429, Some(1))));
}

#[rocket::async_test]
async fn r20_a_name_takes_at_most_a_hundred_failures_in_a_row() {
    let app = support::app().await;
    app.account(ADA).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    let mut tried = 0;
    for number in 0..MAX_IN_A_ROW + 20 {
        // from any address and with any pause
        let address = format!("203.0.113.{}", number % 200);
        tried += usize::from(guess(&app, &address, ADA).await.0 == 400);
        app.advance(HOUR / 4);
    }
    assert_eq!(tried, MAX_IN_A_ROW);
    let (status, wait) = attempt_sign_in(&app, STRANGER, ADA, PASSWORD).await;
    let wait = wait.unwrap();
    assert!(status == 429 && wait > 10 * 3_600 && wait < 22 * 3_600, "{wait:?}");
    // the owner can sign in at a known location, which changes nothing elsewhere
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    assert_eq!(attempt_sign_in(&app, STRANGER, ADA, PASSWORD).await, (429, Some(wait)));

    // one failure is forgotten after 21.6 h without a new one, which gives one attempt
    app.advance(Duration::from_secs(wait) - Duration::from_millis(1));
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(1)));
    app.advance(Duration::from_millis(1));
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(FORGOTTEN_AFTER.as_secs())));
    // all failures are forgotten after 90 days
    app.advance(FORGOTTEN_AFTER * 100);
    exhaust_attempts(&app, STRANGER, ADA).await;
}

/// A success at a new location resets the failures there and makes the location known. Elsewhere
/// the failures are forgotten one by one.
#[rocket::async_test]
async fn r20_s13_success_at_a_new_location_resets_the_failures_of_that_location_only() {
    let app = support::app().await;
    app.account(ADA).await;
    exhaust_attempts(&app, HOME, ADA).await;
    app.advance(SECOND);
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    for _ in 0..FREE - 1 {
        assert_eq!(guess(&app, HOME, ADA).await.0, 400);
    }
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    exhaust_attempts(&app, HOME, ADA).await;
    // elsewhere each forgotten failure gives one attempt
    app.advance(FORGOTTEN_AFTER);
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(1)));
    app.advance(4 * FORGOTTEN_AFTER + HOUR);
    for _ in 0..4 {
        assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    }
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(1)));
}

#[rocket::async_test]
async fn r20_strangers_do_not_lock_the_owner_out_at_a_known_location() {
    let app = support::app().await;
    app.account(ADA).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    exhaust_attempts(&app, STRANGER, ADA).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    // the owner's success gives strangers no attempt
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(1)));
    // a guesser at the owner's location has no more attempts than elsewhere
    exhaust_attempts(&app, HOME, ADA).await;
    assert_eq!(attempt_sign_in(&app, HOME, ADA, PASSWORD).await, (429, Some(1)));
    app.advance(SECOND);
    assert!(is_accepted(&app, HOME, PASSWORD).await);
}

#[rocket::async_test]
async fn r20_known_location_is_exempt_from_the_limit_of_its_network() {
    let toml = "[default.vestibule.limits]\nfailures_per_address = 12";
    let app = support::configured(toml).await;
    app.account(ADA).await;
    app.account(BOB).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    for number in 0..12 {
        assert_eq!(guess(&app, HOME, &format!("{number}@example.org")).await.0, 400);
    }
    assert_eq!(attempt_sign_in(&app, HOME, BOB, PASSWORD).await, (429, Some(300)));
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    // failures at that location do not count against other locations
    app.advance(Duration::from_secs(300));
    for _ in 0..5 {
        assert_eq!(guess(&app, HOME, ADA).await.0, 400);
    }
    assert_eq!(attempt_sign_in(&app, HOME, BOB, PASSWORD).await.0, 200);
}

#[rocket::async_test]
async fn r20_password_reset_unlocks_the_name_and_forgets_known_locations() {
    let app = support::app().await;
    app.account(ADA).await;
    assert!(is_accepted(&app, STRANGER, PASSWORD).await, "a stranger who knows the password");
    exhaust_attempts(&app, HOME, ADA).await;
    assert_eq!(attempt_sign_in(&app, HOME, ADA, PASSWORD).await.0, 429);
    reset_password(&app, OTHER).await;
    assert!(is_accepted(&app, HOME, OTHER).await);
    // a location that used the old password has no attempts of its own any more
    exhaust_attempts(&app, "203.0.113.67", ADA).await;
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 429);
    assert!(is_accepted(&app, HOME, OTHER).await);
}

/// An admission limit above the number of requests that a test sends at once.
const HIGH_ADMISSION: &str = "[default.vestibule.admission]\nin_flight = 4_000\n";

#[rocket::async_test]
async fn r20_concurrent_guesses_get_no_more_attempts_than_sequential_ones() {
    const AT_ONCE: usize = 200;
    let app = Arc::new(support::configured(HIGH_ADMISSION).await);
    app.account(ADA).await;
    // one name from many addresses, for an account and for an unknown name
    for (name, first) in [(ADA, "203.0.113"), ("nobody@example.org", "198.51.100")] {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let (app, address) = (Arc::clone(&app), format!("{first}.{number}"));
                tokio::spawn(async move { guess(&app, &address, name).await.0 })
            })
            .collect();
        let mut hashed = 0;
        for one in all {
            hashed += usize::from(one.await.unwrap() == 400);
        }
        assert_eq!(hashed, FREE);
    }
    // many names from one address
    let all: Vec<_> = (0..2 * AT_ONCE)
        .map(|number| {
            let (app, name) = (Arc::clone(&app), format!("{number}@example.org"));
            tokio::spawn(async move { guess(&app, STRANGER, &name).await.0 })
        })
        .collect();
    let mut hashed = 0;
    for one in all {
        hashed += usize::from(one.await.unwrap() == 400);
    }
    assert_eq!(hashed, 200);
}

#[rocket::async_test]
async fn r20_concurrent_correct_passwords_are_all_accepted() {
    let app = Arc::new(support::configured(HIGH_ADMISSION).await);
    app.account(ADA).await;
    for _ in 0..3 {
        let all: Vec<_> = (0..100)
            .map(|_| {
                let app = Arc::clone(&app);
                tokio::spawn(async move { is_accepted(&app, HOME, PASSWORD).await })
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap());
        }
    }
}

/// At most half of the requests in flight may wait for attempts, and at most half of those for one
/// name.
#[rocket::async_test]
async fn r51_queued_attempts_leave_admission_slots_for_other_requests() {
    let toml = "[default.vestibule.admission]\nin_flight = 16\n\
                [default.vestibule.limits]\nfree_failures = 1\n\
                [default.databases.vestibule]\nmax_connections = 1";
    let app = support::configured(toml).await;
    let guess_on_the_page = |name: &str| {
        let fields = [("email", name), ("password", WRONG)];
        let request = app.client.post("/account/sign-in").header(ContentType::Form);
        from(request, STRANGER).body(form(&fields))
    };
    let begin = |name: &str| {
        let mut response = Box::pin(guess_on_the_page(name).dispatch());
        match response.as_mut().now_or_never() {
            Some(answer) => {
                Err((answer.status(), header(&answer, "Retry-After").map(str::to_owned)))
            }
            None => Ok(response),
        }
    };
    let put_off = |name: &str| {
        let expected = (Status::ServiceUnavailable, Some("1".to_owned()));
        assert_eq!(begin(name).err(), Some(expected), "{name}");
    };
    let (held, let_go) = (Notify::new(), Notify::new());
    let crowd = async {
        held.notified().await;
        // each name has one attempt at a time, which the first request holds; four wait
        let under_way = |name: &str| (0..5).map(|_| begin(name).unwrap()).collect::<Vec<_>>();
        let ada = under_way("ada@example.org");
        put_off("ada@example.org");
        let bob = under_way("bob@example.org");
        // a request that waits for no other is let in; all others are refused by now
        let cyd = begin("cyd@example.org").unwrap();
        put_off("cyd@example.org");
        drop(ada);
        let waiting = begin("cyd@example.org").unwrap();
        drop((bob, cyd, waiting));
        let_go.notify_one();
    };
    // the writer is held, so no failure can be recorded and no attempt ends
    join(hold_the_writer(&app, &held, &let_go), crowd).await;
    let ada = guess_on_the_page("ada@example.org").dispatch().await;
    assert_eq!(ada.status(), Status::UnprocessableEntity);
}

#[rocket::async_test]
async fn r20_addresses_are_limited_over_all_names() {
    let toml = "[default.vestibule.limits]\nfailures_per_address = 20";
    let app = support::configured(toml).await;
    app.account(ADA).await;
    app.account(BOB).await;
    for number in 0..20 {
        // a guesser's own successes in between do not help
        if number % 5 == 0 {
            assert_eq!(attempt_sign_in(&app, STRANGER, BOB, PASSWORD).await.0, 200);
        }
        assert_eq!(guess(&app, STRANGER, &format!("{number}@example.org")).await.0, 400);
    }
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(180)));
    assert_eq!(guess(&app, STRANGER, "nobody@example.org").await.0, 429);
    assert_eq!(guess(&app, "203.0.113.67", ADA).await.0, 400);
    app.advance(Duration::from_secs(180));
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(180)));
}

#[rocket::async_test]
async fn r20_network_is_limited_as_one_despite_forged_headers() {
    let toml = "[default.vestibule]\ntrusted_proxies = [\"10.0.0.1\"]\n\
                [default.vestibule.limits]\nfailures_per_address = 4";
    let mut number = 0;
    let mut tried = async |app: &TestApp,
                           address: Option<&str>,
                           headers: &[(&'static str, &str)]| {
        number += 1;
        let fields = form(&[
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", &format!("{number}@example.org")),
            ("password", WRONG),
        ]);
        let mut request = app.client.post("/oauth/token").header(ContentType::Form).body(fields);
        if let Some(address) = address {
            request = from(request, address);
        }
        for (name, value) in headers {
            request = request.header(Header::new(*name, (*value).to_owned()));
        }
        status_and_wait(request.dispatch().await).await.0
    };
    let app = support::configured(toml).await;
    for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::2", "2001:db8:1:2::3"]
    {
        assert_eq!(tried(&app, Some(address), &[]).await, 400);
    }
    assert_eq!(tried(&app, Some("2001:db8:1:2:3:4:5:6"), &[]).await, 429);
    assert_eq!(tried(&app, Some("2001:db8:1:3::1"), &[]).await, 400, "another /64");

    // headers that name an address count only from a trusted proxy
    let app = support::configured(toml).await;
    for forged in 1..=4 {
        let other = format!("198.51.100.{forged}");
        let forwarded = format!("for={other}");
        let headers = [
            ("X-Forwarded-For", other.as_str()),
            ("X-Real-IP", other.as_str()),
            ("Forwarded", forwarded.as_str()),
            ("CF-Connecting-IP", other.as_str()),
        ];
        assert_eq!(tried(&app, Some(STRANGER), &headers).await, 400);
    }
    assert_eq!(tried(&app, Some(STRANGER), &[("X-Forwarded-For", "192.0.2.99")]).await, 429);
    assert_eq!(tried(&app, Some(STRANGER), &[]).await, 429);
    assert_eq!(tried(&app, Some("::ffff:203.0.113.66"), &[]).await, 429);
    // entries before the proxy's own do not count
    for forged in 1..=4 {
        let list = format!("198.51.100.{forged}, 192.0.2.200");
        assert_eq!(tried(&app, Some("10.0.0.1"), &[("X-Forwarded-For", &list)]).await, 400);
    }
    let list = [("X-Forwarded-For", "198.51.100.9, 192.0.2.200")];
    assert_eq!(tried(&app, Some("10.0.0.1"), &list).await, 429);
    assert_eq!(tried(&app, Some("10.0.0.1"), &[("X-Forwarded-For", "192.0.2.201")]).await, 400);

    // unreadable and missing addresses count as one address
    let app = support::configured(toml).await;
    for nonsense in ["", "unknown", "192.0.2.1:port", "a, b"] {
        assert_eq!(tried(&app, Some("10.0.0.1"), &[("X-Forwarded-For", nonsense)]).await, 400);
    }
    assert_eq!(tried(&app, Some("10.0.0.1"), &[("X-Forwarded-For", "[::1")]).await, 429);
    assert_eq!(tried(&app, Some("10.0.0.1"), &[]).await, 429);
    for _ in 0..4 {
        assert_eq!(tried(&app, None, &[]).await, 400);
    }
    assert_eq!(tried(&app, None, &[("X-Forwarded-For", "192.0.2.7")]).await, 429);
}

#[rocket::async_test]
async fn r20_f2_limits_count_the_client_in_every_form_of_its_address() {
    let toml = "[default.vestibule]\ntrusted_proxies = [\"10.0.0.1\", \"2001:db8:ff::/48\"]\n\
                [default.vestibule.limits]\nfailures_per_address = 6";
    let app = support::configured(toml).await;
    let mut number = 0;
    let mut tried = async |peer: &str, lines: &[&str]| {
        number += 1;
        let mut request = sign_in_request(&app, peer, &format!("{number}@example.org"), WRONG);
        for line in lines {
            request = request.header(Header::new("X-Forwarded-For", (*line).to_owned()));
        }
        status_and_wait(request.dispatch().await).await.0
    };
    for (used, other) in [
        (
            [
                &["203.0.113.9"][..],
                &["203.0.113.9:1111"],
                &["\"203.0.113.9:2222\""],
                &["[::ffff:203.0.113.9]:3333"],
                &["198.51.100.1, 203.0.113.9:4444,[2001:db8:ff::1]:80"],
                &["198.51.100.1:1", " 203.0.113.9:5555 ", "10.0.0.1:80"],
            ],
            "203.0.113.10:1111",
        ),
        (
            [
                &["2001:db8::9"][..],
                &["[2001:db8::9]"],
                &["[2001:db8::a]:4711"],
                &["\"[2001:db8::9]:4711\""],
                &["\"[2001:DB8:0:0:1::9]:_port\", [2001:db8:ff::1]"],
                &["[2001:db8::9]:1", "\"10.0.0.1:80\""],
            ],
            "[2001:db8:0:1::9]:4711",
        ),
    ] {
        for lines in used {
            assert_eq!(tried("10.0.0.1", lines).await, 400, "{lines:?}");
        }
        for lines in used {
            assert_eq!(tried("10.0.0.1", lines).await, 429, "{lines:?}");
        }
        assert_eq!(tried("10.0.0.1", &[other]).await, 400, "{other}");
    }
}

#[rocket::async_test]
async fn r20_every_spelling_of_the_path_is_limited() {
    let app = support::app().await;
    app.account(ADA).await;
    exhaust_attempts(&app, STRANGER, ADA).await;
    let fields = form(&[
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", ADA),
        ("password", PASSWORD),
    ]);
    let mut reached = 0;
    for path in [
        "/oauth/token",
        "/oauth/token/",
        "//oauth/token",
        "/oauth//token",
        "/oauth/%74oken",
        "/%6fauth/token",
        "/oauth/token?x=1",
        "/OAUTH/token",
        "/oauth/./token",
        "/oauth/token%2f",
    ] {
        let request = app.client.post(path).header(ContentType::Form).body(fields.clone());
        let status = from(request, STRANGER).dispatch().await.status().code;
        assert!(status == 429 || status == 404, "{path}: {status}");
        reached += usize::from(status == 429);
    }
    assert!(reached > 1, "some spellings reach the endpoint");
}

#[rocket::async_test]
async fn r20_limits_outlive_a_restart_and_hold_on_every_node() {
    let database = support::database().await;
    let one = TestApp::on_database(&database.url, "").await;
    let other = TestApp::on_database(&database.url, "").await;
    one.account(ADA).await;
    for _ in 0..FREE / 2 {
        assert_eq!(guess(&one, STRANGER, ADA).await.0, 400);
        assert_eq!(guess(&other, STRANGER, ADA).await.0, 400);
    }
    assert_eq!(guess(&other, STRANGER, ADA).await, (429, Some(1)));
    drop((one, other));
    let again = TestApp::on_database(&database.url, "").await;
    assert_eq!(guess(&again, STRANGER, ADA).await, (429, Some(1)));
}

#[rocket::async_test]
async fn r20_clock_step_back_neither_locks_out_nor_resets_the_limit() {
    let app = support::app().await;
    app.account(ADA).await;
    exhaust_attempts(&app, STRANGER, ADA).await;
    // the clock steps back a little, as between two nodes: the delay grows by that
    app.step_back(30 * SECOND);
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(31)));
    app.advance(31 * SECOND);
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    // the clock steps back far: one attempt is free, and the next waits as usual
    app.step_back(5 * HOUR);
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    assert_eq!(guess(&app, STRANGER, ADA).await, (429, Some(4)));
    app.advance(4 * SECOND);
    assert!(is_accepted(&app, STRANGER, PASSWORD).await);
}

#[rocket::async_test]
async fn r20_every_operation_that_checks_a_password_is_limited() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let token = &ada.access_token;
    let change = json!({ "current_password": WRONG, "new_password": OTHER });
    let email = json!({ "email": NEW, "password": WRONG });
    let deletion = json!({ "password": WRONG });
    let page = [("email", ADA), ("password", WRONG)];
    // five failures at each of the two ways to sign in, and two at each of the five operations
    // for callers who are signed in
    for round in 0..5 {
        if round < 2 {
            assert_eq!(put_as(&app, token, "/v1/me/password", &change).await.status.code, 422);
            assert_eq!(post_as(&ada, "/v1/me/email", &email).await.status.code, 422);
            assert_eq!(post_as(&ada, "/v1/me/deletion", &deletion).await.status.code, 422);
            let form = [("current_password", WRONG), ("new_password", OTHER)];
            assert_eq!(browser.send("/account/password", &form).await.status.code, 422);
            let form = [("current_password", WRONG)];
            assert_eq!(browser.send("/account/deletion", &form).await.status.code, 422);
        }
        assert_eq!(submit(&app, "/account/sign-in", &page).await.status.code, 422);
        assert_eq!(
            support::error_of(
                app.token(&[
                    ("grant_type", "password"),
                    ("client_id", "web"),
                    ("username", ADA),
                    ("password", WRONG),
                ])
                .await
            )
            .await
            .0,
            Status::BadRequest
        );
    }
    let before = dump_of(&app, "accounts").await;
    // now the service refuses even the right password unchecked
    let right = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let refused = put_as(&app, token, "/v1/me/password", &right).await.problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), "1");
    let right = json!({ "email": NEW, "password": PASSWORD });
    post_as(&ada, "/v1/me/email", &right).await.problem(429, "rate-limited");
    let right = json!({ "password": PASSWORD });
    post_as(&ada, "/v1/me/deletion", &right).await.problem(429, "rate-limited");
    let page = [("email", ADA), ("password", PASSWORD)];
    let refused = submit(&app, "/account/sign-in", &page).await.page(429, "Too many");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(dump_of(&app, "accounts").await, before);
    app.advance(SECOND);
    let right = json!({ "current_password": PASSWORD, "new_password": OTHER });
    assert_eq!(put_as(&app, token, "/v1/me/password", &right).await.status.code, 204);
}

#[rocket::async_test]
async fn r20_limited_attempts_write_no_row_and_pages_explain_them_in_both_languages() {
    let app = support::app().await;
    app.account(ADA).await;
    exhaust_attempts(&app, STRANGER, ADA).await;
    let before = (dump_of(&app, "events").await, dump_of(&app, "guesses").await);
    assert_eq!(before.0.iter().filter(|row| row.contains("sign-in-failed")).count(), FREE);
    for _ in 0..20 {
        assert_eq!(guess(&app, STRANGER, ADA).await.0, 429);
    }
    assert_eq!((dump_of(&app, "events").await, dump_of(&app, "guesses").await), before);
    for (language, heading) in [("en", "Too many requests"), ("de", "Zu viele Anfragen")] {
        let request = app.client.post("/account/sign-in").header(ContentType::Form);
        let request = request.header(Header::new("Accept-Language", language));
        let request = from(request, STRANGER).body(form(&[("email", ADA), ("password", WRONG)]));
        let page = Answer::of(request.dispatch().await).await.page(429, heading);
        assert_eq!(page.header("retry-after"), "1");
    }
}

#[rocket::async_test]
async fn r20_failures_are_stored_without_name_and_address() {
    let app = support::app().await;
    app.account(ADA).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    assert_eq!(guess(&app, HOME, ADA).await.0, 400);
    assert_eq!(guess(&app, STRANGER, "nobody@example.org").await.0, 400);
    for table in ["guesses", "networks", "places"] {
        let rows = dump_of(&app, table).await;
        assert!(!rows.is_empty());
        for row in rows {
            for text in ["example", HOME, STRANGER] {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                assert!(!row.contains(text) && !row.to_lowercase().contains(&hex), "{row}");
            }
        }
    }
    // the janitor purges the failures in the end
    app.advance(91 * 24 * HOUR);
    app.purge().await;
    for table in ["guesses", "networks", "places"] {
        assert!(dump_of(&app, table).await.is_empty(), "{table}");
    }
}

#[rocket::async_test]
async fn r20_twenty_known_locations_are_remembered() {
    let app = support::app().await;
    app.account(ADA).await;
    for number in 0..25 {
        assert!(is_accepted(&app, &format!("192.0.2.{number}"), PASSWORD).await);
        app.advance(SECOND);
    }
    assert_eq!(texts(&app, "SELECT account_id FROM places").await.len(), 20);
    exhaust_attempts(&app, STRANGER, ADA).await;
    assert_eq!(guess(&app, "192.0.2.4", ADA).await.0, 429);
    assert_eq!(guess(&app, "192.0.2.5", ADA).await.0, 400);
}

#[rocket::async_test]
async fn r20_failures_of_all_networks_together_are_limited_by_node() {
    let toml = "[default.vestibule.limits]\nfailures_in_all = 20";
    let app = support::configured(toml).await;
    app.account(ADA).await;
    app.account(BOB).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    for number in 0..20 {
        // right passwords use up no attempts
        assert_eq!(
            attempt_sign_in(&app, &format!("198.51.100.{number}"), BOB, PASSWORD).await.0,
            200
        );
        // each guess comes from another network
        let (address, name) = (format!("203.0.{number}.1"), format!("{number}@example.org"));
        assert_eq!(guess(&app, &address, &name).await.0, 400);
    }
    assert_eq!(attempt_sign_in(&app, STRANGER, BOB, PASSWORD).await, (429, Some(180)));
    assert!(is_accepted(&app, HOME, PASSWORD).await, "the known location is exempt");
    app.advance(Duration::from_secs(180));
    assert_eq!(attempt_sign_in(&app, STRANGER, BOB, PASSWORD).await.0, 200);
}

#[rocket::async_test]
async fn r20_disabled_limits_limit_nothing() {
    let app = support::configured("[default.vestibule.limits]\nenabled = false").await;
    app.account(ADA).await;
    for _ in 0..MAX_IN_A_ROW + 20 {
        assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    }
    assert!(is_accepted(&app, STRANGER, PASSWORD).await);
    for table in ["guesses", "networks", "places"] {
        assert!(dump_of(&app, table).await.is_empty(), "{table}");
    }
}

/// A deletion removes the account's own failures. Strangers' failures for the name stay, as for a
/// name without an account: otherwise strangers would see that the account existed.
#[rocket::async_test]
async fn s13_deletion_removes_the_accounts_failures_and_keeps_those_of_strangers() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    assert!(is_accepted(&app, HOME, PASSWORD).await);
    assert_eq!(guess(&app, STRANGER, ADA).await.0, 400);
    let of_strangers = dump_of(&app, "guesses").await;
    assert_eq!(guess(&app, HOME, ADA).await.0, 400);
    let body = json!({ "password": WRONG });
    assert_eq!(post_as(&ada, "/v1/me/deletion", &body).await.status.code, 422);
    assert_eq!(dump_of(&app, "guesses").await.len(), 3);
    let id = ada.account_id().await;
    assert!(accounts(&app).delete_by_operator(id).await.unwrap());
    assert_eq!(dump_of(&app, "guesses").await, of_strangers);
    assert!(dump_of(&app, "places").await.is_empty());
}
