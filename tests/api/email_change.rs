//! Tests of changes of the address: `POST /v1/me/email`, and the links in both mailboxes (R36, R43,
//! R44).

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::futures::future::join_all;
use rocket::http::{ContentType, Header, Status};
use serde_json::json;
use vestibule::model::{AccountId, ClientInfo, EmailChange};
use vestibule::testing::{PASSWORD, Signed, TestApp};

use crate::support::{self, ADA, opens};
use crate::support_accounts::{
    BOB, FIREFOX, NEW, accounts, get_as, kinds, letters, post_as, token_in,
};
use crate::support_pages::{Answer, OTHER, dump, get, post, rows, signs_in, submit, use_link};

const DAY: Duration = Duration::from_secs(86_400);
const UNKNOWN_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn request_change(ada: &Signed<'_>, email: &str) -> Answer {
    post_as(ada, "/v1/me/email", &json!({ "email": email, "password": PASSWORD })).await
}

/// Asks for a change and returns the tokens that confirm and stop it.
async fn request_change_tokens(
    app: &TestApp,
    ada: &Signed<'_>,
    old: &str,
    new: &str,
) -> (String, String) {
    let answer = request_change(ada, new).await;
    assert_eq!(answer.status, Status::Accepted, "{answer:?}");
    (token_in(app, "email-change", new).await, token_in(app, "email-change-notice", old).await)
}

async fn show(app: &TestApp, token: &str) -> Answer {
    get(app, &format!("/confirm-email?token={token}")).await
}

async fn show_stop(app: &TestApp, token: &str) -> Answer {
    get(app, &format!("/confirm-email/stop?token={token}")).await
}

async fn confirm(app: &TestApp, token: &str) -> Answer {
    submit(app, "/confirm-email", &[("token", token)]).await
}

async fn stop(app: &TestApp, token: &str) -> Answer {
    submit(app, "/confirm-email/stop", &[("token", token)]).await
}

async fn address_of(ada: &Signed<'_>) -> String {
    get_as(ada, "/v1/me").await.json()["email"].as_str().unwrap().to_owned()
}

#[rocket::async_test]
async fn r42_a_change_of_address_needs_the_password_and_the_scope() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for wrong in [OTHER, "", "x"] {
        let body = json!({ "email": NEW, "password": wrong });
        let answer = post_as(&ada, "/v1/me/email", &body).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), ["password: wrong-password"]);
    }
    let reader = app.sign_in_to("kiosk", ADA).await;
    request_change(&reader, NEW).await.problem(403, "insufficient-scope");
    let body = json!({ "email": NEW, "password": PASSWORD });
    post(&app, "/v1/me/email", &body).await.problem(401, "no-token");
    assert_eq!(rows(&app, "email_changes").await, 0);
    assert!(letters(&app, NEW).await.is_empty());
    assert_eq!(letters(&app, ADA).await, ["activation"]);
}

#[rocket::async_test]
async fn r36_invalid_new_address_is_refused() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let long = format!("{}@{}.example", "l".repeat(64), ["d".repeat(60).as_str(); 3].join("."));
    for (email, code) in [
        ("", "malformed"),
        ("ada", "malformed"),
        ("a@b@c.example", "malformed"),
        ("a@example.org,b@example.org", "malformed"),
        (&long, "too-long"),
        ("ada\r\nBcc: eve@example.org", "local-part"),
        ("ada@example.org\r\nBcc: eve", "domain"),
        ("<ada@example.org>", "local-part"),
        ("mi\u{212a}e@example.org", "local-part"),
        ("m\u{131}ke@example.org", "local-part"),
        ("\u{ff4d}ike@example.org", "local-part"),
        ("mike@\u{ff45}xample.org", "domain"),
        ("ada@localhost", "domain"),
        ("ada@[127.0.0.1]", "domain"),
        ("ada\u{0}@example.org", "nul"),
    ] {
        let answer = request_change(&ada, email).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), [format!("email: {code}")], "{email:?}");
    }
    for same in [ADA, " ADA@Example.ORG "] {
        let answer = request_change(&ada, same).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), ["email: unchanged"]);
    }
    let answer = post_as(&ada, "/v1/me/email", &json!({})).await.problem(422, "invalid-fields");
    assert_eq!(answer.errors(), ["email: missing", "password: missing"]);
    assert_eq!(rows(&app, "email_changes").await, 0);
    assert_eq!(letters(&app, ADA).await, ["activation"]);
}

#[rocket::async_test]
async fn r51_unchanged_address_is_refused_before_hashing() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let before = dump(&app).await;
    // the service does not check the password, or it would refuse and record it
    let body = json!({ "email": ADA, "password": OTHER });
    let answer = post_as(&ada, "/v1/me/email", &body).await.problem(422, "invalid-fields");
    assert_eq!(answer.errors(), ["email: unchanged"]);
    assert_eq!(dump(&app).await, before);
}

#[rocket::async_test]
async fn r34_a_free_and_a_taken_address_are_answered_alike() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    app.account(BOB).await;
    let mut answers = vec![];
    for email in [BOB, NEW] {
        let (events, outbox) = (rows(&app, "events").await, rows(&app, "outbox").await);
        let answer = request_change(&ada, email).await.without_id();
        assert_eq!(answer.status, Status::Accepted);
        assert_eq!(answer.json(), json!({ "status": "confirmation_pending" }));
        assert_eq!(rows(&app, "events").await, events + 1);
        assert_eq!(rows(&app, "outbox").await, outbox + 2);
        answers.push((answer.headers, answer.body));
        app.deliver().await;
    }
    assert_eq!(answers[0], answers[1]);
    // the owner of the address is told, and no link that could take the address is sent
    assert_eq!(letters(&app, BOB).await, ["activation", "address-in-use"]);
    let told = app.last_letter_to(BOB).await;
    assert!(told.link.is_none() && !told.text.contains("token="));
    assert!(!told.text.contains(ADA), "the letter does not name the requester");
    assert_eq!(letters(&app, NEW).await, ["email-change"]);
    let notices = ["activation", "email-change-notice", "email-change-notice"];
    assert_eq!(letters(&app, ADA).await, notices);
    let taken = app.letters_to(ADA).await[1].link.clone().unwrap();
    assert!(taken.starts_with("https://accounts.example.org/confirm-email/stop?token="), "{taken}");
}

#[rocket::async_test]
async fn r45_links_of_both_letters_use_the_public_url() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let request = ada.post("/v1/me/email").header(ContentType::JSON);
    let request = request.header(Header::new("Host", "evil.example"));
    let request = request.header(Header::new("User-Agent", FIREFOX));
    let body = json!({ "email": NEW, "password": PASSWORD }).to_string();
    assert_eq!(request.body(body).dispatch().await.status(), Status::Accepted);
    for email in [ADA, NEW] {
        let letter = app.last_letter_to(email).await;
        let link = letter.link.unwrap();
        assert!(link.starts_with("https://accounts.example.org/confirm-email"), "{link}");
        assert!(letter.text.contains(&link) && letter.text.contains("Firefox (Linux)"));
        assert!(!letter.text.contains("evil.example"));
    }
}

#[rocket::async_test]
async fn r43_opening_the_links_repeatedly_changes_nothing() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    let before = dump(&app).await;
    for _ in 0..20 {
        let page = show(&app, &token).await.page(200, "Confirm your new email address");
        assert!(page.body.contains(NEW) && page.body.contains("action=\"/confirm-email\""));
        let page = show_stop(&app, &stopping).await.page(200, "Stop the change");
        assert!(page.body.contains(NEW));
        for path in ["/confirm-email", "/confirm-email/stop"] {
            for token in [&token, &stopping] {
                app.client.head(format!("{path}?token={token}")).dispatch().await;
            }
        }
    }
    assert_eq!(dump(&app).await, before);
    assert_eq!(address_of(&ada).await, ADA);
    assert!(signs_in(&app, ADA, PASSWORD).await && !signs_in(&app, NEW, PASSWORD).await);
}

#[rocket::async_test]
async fn confirmed_new_address_takes_effect() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    let id = ada.account_id().await;
    let page = confirm(&app, &token).await.page(200, "new email address is confirmed");
    assert!(page.body.contains(NEW) && !page.has("set-cookie"));
    assert_eq!(address_of(&ada).await, NEW, "sessions continue");
    assert_eq!(ada.account_id().await, id);
    assert!(signs_in(&app, NEW, PASSWORD).await);
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    let told = app.last_letter_to(ADA).await;
    assert_eq!(told.name, "email-changed");
    assert!(told.link.is_none() && told.text.contains(NEW));

    // a repeated confirmation changes nothing
    let before = dump(&app).await;
    for _ in 0..3 {
        confirm(&app, &token).await.page(200, "already confirmed");
        show(&app, &token).await.page(200, "already confirmed");
    }
    stop(&app, &stopping).await.page(410, "already changed");
    show_stop(&app, &stopping).await.page(410, "already changed");
    assert_eq!(dump(&app).await, before);

    // letters go to the new address from now on
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    post(&app, "/v1/password-resets", &json!({ "email": NEW })).await;
    assert_eq!(letters(&app, NEW).await, ["email-change", "password-reset"]);
    assert_eq!(app.last_letter_to(ADA).await.name, "email-changed");
    // the old address is free
    app.account(ADA).await;
    assert_ne!(app.sign_in(ADA).await.account_id().await, id);
}

#[rocket::async_test]
async fn link_pages_show_time_browser_and_masked_account_of_the_request() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let request = ada.post("/v1/me/email").header(ContentType::JSON);
    let request = request.header(Header::new("User-Agent", FIREFOX));
    let body = json!({ "email": NEW, "password": PASSWORD }).to_string();
    assert_eq!(request.body(body).dispatch().await.status(), Status::Accepted);
    let confirming = show(&app, &token_in(&app, "email-change", NEW).await).await;
    let stopping = show_stop(&app, &token_in(&app, "email-change-notice", ADA).await).await;
    for page in [&confirming, &stopping] {
        assert_eq!(page.status, Status::Ok, "{page:?}");
        assert!(page.body.contains("1 January 2026 at 00:00 UTC"), "{}", page.body);
        assert!(page.body.contains("Firefox (Linux)"), "{}", page.body);
    }
    // the new mailbox may not be the account owner's
    assert!(confirming.body.contains("a…@example.org") && !confirming.body.contains(ADA));
}

#[rocket::async_test]
async fn r36_spellings_of_the_new_address_are_one_address() {
    for (typed, folded) in [
        (" Ada@New.EXAMPLE ", "ada@new.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
    ] {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        assert_eq!(request_change(&ada, typed).await.status, Status::Accepted);
        let token = token_in(&app, "email-change", folded).await;
        confirm(&app, &token).await.page(200, "new email address is confirmed");
        assert!(signs_in(&app, typed, PASSWORD).await && signs_in(&app, folded, PASSWORD).await);
        let answer = request_change(&ada, typed).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), ["email: unchanged"]);
    }
}

#[rocket::async_test]
async fn change_to_an_address_with_an_account_is_refused() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    assert_eq!(app.sign_up(NEW, OTHER).await, Status::Accepted);
    let activation = token_in(&app, "activation", NEW).await;
    assert_eq!(use_link(&app, &activation).await.status, Status::Ok);
    for answer in [show(&app, &token).await, confirm(&app, &token).await] {
        let page = answer.page(409, "Another account has this email address");
        assert!(page.body.contains("Yours keeps the email address"), "{}", page.body);
    }
    assert_eq!(address_of(&ada).await, ADA);
    // the other account may be deleted, so the owner can still stop the change
    show_stop(&app, &stopping).await.page(200, "Stop the change");
    stop(&app, &stopping).await.page(200, "The change is stopped");
    confirm(&app, &token).await.page(410, "already stopped");
    assert!(signs_in(&app, ADA, PASSWORD).await && signs_in(&app, NEW, OTHER).await);
    assert!(!signs_in(&app, NEW, PASSWORD).await);
}

#[rocket::async_test]
async fn concurrent_changes_of_two_accounts_to_one_address_let_one_succeed() {
    let app = support::app().await;
    let (ada, bob) = (app.signed_in(ADA).await, app.signed_in(BOB).await);
    let (first, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
    let (second, _) = request_change_tokens(&app, &bob, BOB, NEW).await;
    let (first, second) = rocket::tokio::join!(confirm(&app, &first), confirm(&app, &second));
    let mut codes = [first.status.code, second.status.code];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409], "{first:?} {second:?}");
    let addresses = [address_of(&ada).await, address_of(&bob).await];
    assert_eq!(addresses.iter().filter(|address| *address == NEW).count(), 1);
}

#[rocket::async_test]
async fn stopped_change_takes_no_effect() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    stop(&app, &stopping).await.page(200, "The change is stopped");
    for _ in 0..2 {
        stop(&app, &stopping).await.page(200, "already stopped");
        show_stop(&app, &stopping).await.page(200, "already stopped");
        confirm(&app, &token).await.page(410, "already stopped");
        show(&app, &token).await.page(410, "already stopped");
    }
    assert_eq!(address_of(&ada).await, ADA);
    assert!(!signs_in(&app, NEW, PASSWORD).await);
    // no new link is sent
    submit(&app, "/confirm-email/new-link", &[("token", &token)]).await.page(202, "mailbox");
    assert_eq!(letters(&app, NEW).await, ["email-change"]);
}

#[rocket::async_test]
async fn concurrent_confirmation_and_stop_let_one_succeed() {
    for _ in 0..4 {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
        let (confirmed, stopped) =
            rocket::tokio::join!(confirm(&app, &token), stop(&app, &stopping));
        let codes = (confirmed.status.code, stopped.status.code);
        let address = address_of(&ada).await;
        match codes {
            (200, 410) => assert_eq!(address, NEW),
            (410, 200) => assert_eq!(address, ADA),
            _ => assert_eq!(codes, (200, 410), "{confirmed:?} {stopped:?}"),
        }
    }
}

#[rocket::async_test]
async fn eight_concurrent_confirmations_make_one_change() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
    for answer in join_all((0..8).map(|_| confirm(&app, &token))).await {
        answer.page(200, "confirmed");
    }
    assert_eq!(address_of(&ada).await, NEW);
    let told = letters(&app, ADA).await;
    assert_eq!(told.iter().filter(|name| **name == "email-changed").count(), 1);
}

#[rocket::async_test]
async fn r44_a_second_change_voids_the_links_of_the_first() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (first, first_stop) = request_change_tokens(&app, &ada, ADA, NEW).await;
    let (second, second_stop) = request_change_tokens(&app, &ada, ADA, "ada@third.example").await;
    for answer in [show(&app, &first).await, confirm(&app, &first).await] {
        answer.page(404, "does not work");
    }
    for answer in [show_stop(&app, &first_stop).await, stop(&app, &first_stop).await] {
        answer.page(404, "does not work");
    }
    show_stop(&app, &second_stop).await.page(200, "Stop the change");
    confirm(&app, &second).await.page(200, "confirmed");
    assert_eq!(address_of(&ada).await, "ada@third.example");
}

#[rocket::async_test]
async fn r43_expired_confirmation_link_can_be_renewed() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    app.advance(DAY);
    for answer in [show(&app, &token).await, confirm(&app, &token).await] {
        answer.page(410, "has expired");
    }
    let (sent, told) = (letters(&app, NEW).await.len(), letters(&app, ADA).await.len());
    let mut answers = vec![];
    for token in [token.as_str(), &token, &stopping, UNKNOWN_TOKEN, "x", ""] {
        let answer = submit(&app, "/confirm-email/new-link", &[("token", token)]).await;
        let page = answer.page(202, "mailbox").body;
        // the button that sends the link again carries the link's own token
        answers.push(page.replace(&format!("value=\"{token}\""), "value=\"…\""));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert!(answers[0].contains("a fresh email is on its way") && !answers[0].contains("sign up"));
    assert!(!answers[0].contains("sign-up"), "{}", answers[0]);
    assert_eq!(letters(&app, NEW).await.len(), sent + 1, "one letter for each link");
    assert_eq!(letters(&app, ADA).await.len(), told + 1, "the old mailbox gets a notice");
    assert_eq!(app.last_letter_to(ADA).await.name, "email-change-notice");
    show(&app, &token).await.page(410, "has expired");
    let fresh = token_in(&app, "email-change", NEW).await;
    assert_ne!(fresh, token);
    // a link that works is not renewed
    submit(&app, "/confirm-email/new-link", &[("token", &fresh)]).await.page(202, "mailbox");
    assert_eq!(letters(&app, NEW).await.len(), sent + 1);
    confirm(&app, &fresh).await.page(200, "confirmed");
    assert!(signs_in(&app, NEW, PASSWORD).await);
}

#[rocket::async_test]
async fn r44_confirmable_change_can_be_stopped_by_every_notice() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let step = DAY / 4;
    assert_eq!(request_change(&ada, NEW).await.status, Status::Accepted);
    // the mail server was away for six hours
    app.advance(step);
    let mut token = token_in(&app, "email-change", NEW).await;
    let mut confirmable = vec![];
    for hour in (6..24 * 12).step_by(6) {
        let answer = show(&app, &token).await;
        let can_be_confirmed = answer.status == Status::Ok;
        if can_be_confirmed {
            confirmable.push(hour); // hours since the request
        } else {
            answer.page(410, "has expired");
            submit(&app, "/confirm-email/new-link", &[("token", &token)]).await;
            token = token_in(&app, "email-change", NEW).await;
        }
        let can_be_confirmed = show(&app, &token).await.status == Status::Ok;
        for letter in app.letters_to(ADA).await {
            if letter.name == "email-change-notice" {
                let link = letter.link.unwrap();
                let stopping = show_stop(&app, link.split_once("?token=").unwrap().1).await;
                assert!(stopping.status == Status::Ok || !can_be_confirmed, "hour {hour}");
            }
        }
        app.advance(step);
    }
    assert_eq!(confirmable.last(), Some(&(24 * 8 - 6)), "renewals end with the change");
    assert_eq!(address_of(&app.sign_in(ADA).await).await, ADA);
}

#[rocket::async_test]
async fn r44_unconfirmed_change_expires_after_eight_days() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    // the owner is on holiday, and another person renews the link as late as possible
    app.advance(DAY * 8 - Duration::from_secs(1));
    submit(&app, "/confirm-email/new-link", &[("token", &token)]).await.page(202, "mailbox");
    let last = token_in(&app, "email-change", NEW).await;
    show(&app, &last).await.page(200, "Confirm your new email address");
    show_stop(&app, &stopping).await.page(200, "Stop the change");
    app.advance(Duration::from_secs(1));
    confirm(&app, &last).await.page(410, "has expired");
    // the page tells an owner who wants to stop the change what to do, and offers no letter that
    // would not be sent
    for answer in [show_stop(&app, &stopping).await, stop(&app, &stopping).await] {
        let page = answer.page(410, "has expired");
        assert!(page.body.contains("there is nothing left to stop"), "{}", page.body);
        assert!(page.body.contains("href=\"/account/forgotten-password\""));
        assert!(!page.body.contains("<form") && !page.body.contains("new-link"));
    }
    let sent = letters(&app, NEW).await.len();
    submit(&app, "/confirm-email/new-link", &[("token", &last)]).await.page(202, "mailbox");
    assert_eq!(letters(&app, NEW).await.len(), sent);
    let ada = app.sign_in(ADA).await;
    assert_eq!(address_of(&ada).await, ADA);
    // the account can ask for another change
    let (token, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
    confirm(&app, &token).await.page(200, "confirmed");
}

#[rocket::async_test]
async fn letters_of_an_expired_change_are_not_sent() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    assert_eq!(request_change(&ada, NEW).await.status, Status::Accepted);
    app.advance(DAY * 8);
    assert!(letters(&app, NEW).await.is_empty());
    assert_eq!(letters(&app, ADA).await, ["activation"]);
}

#[rocket::async_test]
async fn r43_unknown_and_damaged_change_links_get_404() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    for damaged in [UNKNOWN_TOKEN, "", "x", &token[1..], "%00", &stopping] {
        show(&app, damaged).await.page(404, "does not work");
        confirm(&app, damaged).await.page(404, "does not work");
    }
    for damaged in [UNKNOWN_TOKEN, "", &stopping[1..], &token] {
        show_stop(&app, damaged).await.page(404, "does not work");
        stop(&app, damaged).await.page(404, "does not work");
    }
    for foreign in [&token, &stopping] {
        use_link(&app, foreign).await.problem(404, "link-unknown");
        let body = json!({ "token": foreign, "password": OTHER });
        let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
        answer.problem(404, "link-unknown");
    }
    confirm(&app, &token).await.page(200, "confirmed");
}

#[rocket::async_test]
async fn r44_pending_password_reset_at_the_old_address_lapses() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let sent = token_in(&app, "password-reset", ADA).await;
    let before = letters(&app, ADA).await.len();
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    confirm(&app, &token).await.page(200, "confirmed");
    // the waiting reset finds no account at that address
    let names = letters(&app, ADA).await;
    assert_eq!(names[before..], ["email-changed"], "{names:?}");
    let body = json!({ "token": sent, "password": OTHER });
    let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
    answer.problem(410, "link-used");
    get(&app, &format!("/reset-password?token={sent}")).await.page(410, "already used");
    assert!(signs_in(&app, NEW, PASSWORD).await);
}

/// The stranger's sign-up waits beside the account, and the owner's request lapses with its letter.
#[rocket::async_test]
async fn r35_s2_sign_up_that_waits_at_the_old_address_stays_contested() {
    for forgotten in [true, false] {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        let (token, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
        let body = json!({ "email": ADA, "password": OTHER, "name": "Mallory", "locale": "de" });
        assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
        if forgotten {
            post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
        }
        confirm(&app, &token).await.page(200, "confirmed");
        // letters of one round leave side by side: the notice of the change is not the last
        app.deliver().await;
        app.advance(DAY / 24);
        post(&app, "/v1/activation-mails", &json!({ "email": ADA })).await;
        let link = app.link_token(ADA).await;
        use_link(&app, &link).await.problem(409, "password-needed");
        assert_eq!(rows(&app, "accounts").await, 1);
        let body = json!({ "token": link, "password": "what the owner has chosen" });
        assert_eq!(post(&app, "/v1/activations", &body).await.status, Status::Ok);
        assert!(!signs_in(&app, ADA, OTHER).await, "the stranger's password is planted");
        assert!(signs_in(&app, NEW, PASSWORD).await);
    }
}

#[rocket::async_test]
async fn r44_unsent_letters_of_a_voided_change_are_not_sent() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    assert_eq!(request_change(&ada, NEW).await.status, Status::Accepted);
    assert_eq!(request_change(&ada, "ada@third.example").await.status, Status::Accepted);
    assert!(letters(&app, NEW).await.is_empty());
    assert_eq!(letters(&app, "ada@third.example").await, ["email-change"]);
    assert_eq!(letters(&app, ADA).await, ["activation", "email-change-notice"]);
}

#[rocket::async_test]
async fn r44_voided_link_cannot_end_a_pending_change() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    let (id, now) = (ada.account_id().await, accounts(&app).clock.now());
    let voided = app.store().write(async |tx| tx.void_account_links(id, now).await).await;
    voided.unwrap_or_else(|error: vestibule::storage::StoreError| panic!("{error:?}"));
    for answer in [confirm(&app, &token).await, stop(&app, &stopping).await] {
        assert!([404, 410].contains(&answer.status.code), "{answer:?}");
    }
    assert_eq!(address_of(&ada).await, ADA);
    let states = changes_of(&app, id).await;
    assert_eq!(states[0].state.as_str(), "pending");
}

/// The stored changes of the account's address.
async fn changes_of(app: &TestApp, id: AccountId) -> Vec<EmailChange> {
    let find = app.store().read(async |db| db.find_email_changes_of(id, None, 100).await);
    find.await.unwrap()
}

#[rocket::async_test]
async fn links_of_a_disabled_account_are_unknown() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    accounts(&app).disable(ada.account_id().await).await.unwrap();
    assert!(!opens(&app, &ada.access_token).await);
    for answer in [show(&app, &token).await, confirm(&app, &token).await] {
        answer.page(404, "does not work");
    }
    for answer in [show_stop(&app, &stopping).await, stop(&app, &stopping).await] {
        answer.page(404, "does not work");
    }
    assert!(!signs_in(&app, NEW, PASSWORD).await);
}

#[rocket::async_test]
async fn r35_letter_limit_of_an_address_outlasts_deleted_requesters() {
    let app = support::configured("[default.vestibule.limits]\nletters_per_hour = 3\n").await;
    for mover in [ADA, NEW, "carol@example.org"] {
        let ada = app.signed_in(mover).await;
        for _ in 0..2 {
            assert_eq!(request_change(&ada, BOB).await.status, Status::Accepted);
            app.deliver().await;
        }
        let gone = post_as(&ada, "/v1/me/deletion", &json!({ "password": PASSWORD })).await;
        assert_eq!(gone.status, Status::NoContent);
    }
    assert_eq!(app.letters_to(BOB).await.len(), 3);
}

#[rocket::async_test]
async fn signed_in_owner_withdraws_a_pending_change() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (id, caller) = (ada.account_id().await, ClientInfo::default());
    let withdraw = async || accounts(&app).withdraw_email_change(id, &caller).await.unwrap();
    let pending = async || accounts(&app).pending_email_change(id).await.unwrap();
    assert!(pending().await.is_none() && !withdraw().await, "no change is pending");

    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    assert_eq!(pending().await.unwrap().email.as_str(), NEW);
    assert!(withdraw().await);
    assert_eq!(kinds(&ada).await.iter().filter(|kind| *kind == "email-change-stopped").count(), 1);
    let before = dump(&app).await;
    assert!(pending().await.is_none() && !withdraw().await, "the change was withdrawn");
    confirm(&app, &token).await.page(410, "already stopped");
    stop(&app, &stopping).await.page(200, "already stopped");
    assert_eq!(dump(&app).await, before);

    // a change is kept exactly as long as a link of it can be renewed
    request_change_tokens(&app, &ada, ADA, NEW).await;
    app.advance(DAY * 8 - Duration::from_secs(1));
    assert!(pending().await.is_some());
    app.advance(Duration::from_secs(1));
    assert!(pending().await.is_none() && !withdraw().await, "the change has expired");
    let ada = app.sign_in(ADA).await;
    let stored = changes_of(&app, id).await;
    assert!(stored.iter().any(|change| change.state.ended_at().is_none()), "the row stays pending");

    let (token, _) = request_change_tokens(&app, &ada, ADA, NEW).await;
    confirm(&app, &token).await.page(200, "confirmed");
    assert!(pending().await.is_none() && !withdraw().await, "the change has taken effect");
}

/// Checks the language of an answer to a button or a link. A live link's answer is in the owner's
/// language. An ended link's answer is in the caller's, so that it tells nothing of the account's
/// present state (S14).
fn assert_language(language: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status.code, status, "{answer:?}");
    assert_eq!(answer.header("content-language"), language, "{answer:?}");
}

fn assert_german(answer: Answer, status: u16) {
    assert_language("de", &answer, status);
}

fn assert_english(answer: Answer, status: u16) {
    assert_language("en", &answer, status);
}

#[rocket::async_test]
async fn s14_only_pages_of_live_change_links_use_the_owners_language() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    assert_eq!(
        ada.patch("/v1/me", &json!({ "locale": "de" })).dispatch().await.status(),
        Status::Ok
    );
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, BOB).await;
    app.account(BOB).await;
    for answer in [show(&app, &token).await, confirm(&app, &token).await] {
        assert_german(answer, 409);
    }
    assert_german(show_stop(&app, &stopping).await, 200);
    assert_german(stop(&app, &stopping).await, 200);
    for answer in [show_stop(&app, &stopping).await, stop(&app, &stopping).await] {
        assert_english(answer, 200);
    }
    for answer in [show(&app, &token).await, confirm(&app, &token).await] {
        assert_english(answer, 410);
    }
    let (token, stopping) = request_change_tokens(&app, &ada, ADA, NEW).await;
    app.advance(DAY * 8);
    for answer in [
        show(&app, &token).await,
        confirm(&app, &token).await,
        show_stop(&app, &stopping).await,
        stop(&app, &stopping).await,
    ] {
        assert_english(answer, 410);
    }
    assert_english(submit(&app, "/confirm-email/new-link", &[("token", &token)]).await, 202);
    let (token, stopping) = request_change_tokens(&app, &app.sign_in(ADA).await, ADA, NEW).await;
    assert_german(confirm(&app, &token).await, 200);
    assert_english(confirm(&app, &token).await, 200);
    assert_english(show(&app, &token).await, 200);
    for answer in [show_stop(&app, &stopping).await, stop(&app, &stopping).await] {
        assert_english(answer, 410);
    }
    let id = app.sign_in(NEW).await.account_id().await;
    accounts(&app).disable(id).await.unwrap();
    assert_english(show(&app, &token).await, 200);
    assert_english(show_stop(&app, &stopping).await, 410);
}
