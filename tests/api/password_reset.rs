//! Tests of password resets (R47), and of their links (R43 to R45).

use std::time::Duration;

use rocket::futures::future::join_all;
use rocket::http::{Header, Status};
use serde_json::json;
use vestibule::model::{EmailAddress, Locale};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, assert_refresh_refused, opens, sign_in};
use crate::support_accounts::{BOB, Browser, accounts, letters, token_in};
use crate::support_pages::{Answer, OTHER, dump, get, post, rows, signs_in, submit, use_link};

const HOUR: Duration = Duration::from_secs(3_600);
const UNKNOWN_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn request_reset(app: &TestApp, email: &str) -> Answer {
    post(app, "/v1/password-resets", &json!({ "email": email })).await
}

/// Asks for a letter and returns the token of its link.
async fn reset_token(app: &TestApp, email: &str) -> String {
    assert_eq!(request_reset(app, email).await.status, Status::Accepted);
    token_in(app, "password-reset", email).await
}

async fn confirm(app: &TestApp, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "password": password });
    post(app, "/v1/password-resets/confirmations", &body).await
}

async fn press(app: &TestApp, token: &str, password: &str) -> Answer {
    submit(app, "/reset-password", &[("token", token), ("password", password)]).await
}

async fn show(app: &TestApp, token: &str) -> Answer {
    get(app, &format!("/reset-password?token={token}")).await
}

/// Checks that a used link says so.
async fn assert_used(app: &TestApp, token: &str) {
    confirm(app, token, OTHER).await.problem(410, "link-used");
    show(app, token).await.page(410, "already used");
    press(app, token, OTHER).await.page(410, "already used");
}

async fn assert_unknown(app: &TestApp, token: &str) {
    confirm(app, token, OTHER).await.problem(404, "link-unknown");
    show(app, token).await.page(404, "does not work");
    press(app, token, OTHER).await.page(404, "does not work");
}

/// Django sent an account's link to an address that becomes the account's by upper case
/// (CVE-2019-19844).
#[rocket::async_test]
async fn r36_look_alike_address_gets_no_link_of_the_account() {
    let app = support::app().await;
    let owner = "mike.king@example.org";
    app.account(owner).await;
    let before = letters(&app, owner).await;
    for alike in [
        "m\u{131}ke.king@example.org",
        "mi\u{212a}e.king@example.org",
        "m\u{456}ke.king@example.org",
        "\u{ff4d}ike.king@example.org",
        "mike.king@examp\u{29f}e.org",
        "mike.k\u{2139}ng@example.org",
    ] {
        let status = request_reset(&app, alike).await.status;
        assert!([202, 422].contains(&status.code), "{alike}: {status}");
        app.deliver().await;
        assert_eq!(letters(&app, owner).await, before, "{alike}");
        let folded = EmailAddress::parse(alike).map_or(alike.to_owned(), |email| email.to_string());
        assert!(letters(&app, &folded).await.is_empty(), "{alike}");
    }
    // another case of ASCII letters is the same address
    assert_eq!(request_reset(&app, "MIKE.King@Example.org").await.status, Status::Accepted);
    app.deliver().await;
    assert_eq!(letters(&app, owner).await, [before, vec!["password-reset"]].concat());
}

#[rocket::async_test]
async fn r47_known_unknown_and_waiting_addresses_are_answered_alike() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    let mut answers = vec![];
    for email in [ADA, BOB, "nobody@example.org", " ADA@Example.org "] {
        let events = rows(&app, "events").await;
        let outbox = rows(&app, "outbox").await;
        let answer = request_reset(&app, email).await;
        assert_eq!(answer.status, Status::Accepted, "{email}");
        assert_eq!(answer.json(), json!({ "status": "reset_pending" }));
        assert_eq!(rows(&app, "events").await, events + 1, "the same work for {email}");
        assert_eq!(rows(&app, "outbox").await, outbox + 1, "the same work for {email}");
        let answer = answer.without_id();
        answers.push((answer.headers, answer.body));
        // a second request adds no letter while one waits
        let outbox = rows(&app, "outbox").await;
        assert_eq!(request_reset(&app, email).await.status, Status::Accepted, "{email}");
        assert_eq!(rows(&app, "outbox").await, outbox, "the same work for {email}");
        if email == ADA {
            app.deliver().await;
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");

    app.deliver().await;
    assert_eq!(letters(&app, ADA).await, ["activation", "password-reset", "password-reset"]);
    // both letters of a waiting sign-up are of one kind: it has no password to reset
    assert_eq!(letters(&app, BOB).await, ["activation", "activation"]);
    assert_eq!(app.activate(BOB).await, Status::Conflict, "the link asks for a password (S2)");
    assert!(letters(&app, "nobody@example.org").await.is_empty());
}

#[rocket::async_test]
async fn r47_known_unknown_and_waiting_addresses_get_the_same_page() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    for path in ["/account/forgotten-password", "/account/sign-up"] {
        let mut answers = vec![];
        for email in [ADA, BOB, "nobody@example.org"] {
            let fields = [("email", email), ("password", PASSWORD)];
            let answer = submit(&app, path, &fields).await.page(202, "Look in your mailbox");
            assert!(!answer.has("set-cookie"));
            let mut answer = answer.without_id();
            answer.headers.retain(|(name, _)| name != "content-length");
            answers.push((answer.headers, answer.body.replace(email, "…")));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{path}: {answers:?}");
    }
    assert!(letters(&app, ADA).await.contains(&"password-reset"));
}

#[rocket::async_test]
async fn r47_invalid_address_is_refused() {
    let app = support::app().await;
    for (body, error) in [
        (json!({}), "email: missing"),
        (json!({ "email": null }), "email: missing"),
        (json!({ "email": 7 }), "email: not-a-text"),
        (json!({ "email": "ada" }), "email: malformed"),
        (json!({ "email": "a@b@c.example" }), "email: malformed"),
        (json!({ "email": "a@example.org,b@example.org" }), "email: malformed"),
        (json!({ "email": "mi\u{212a}e@example.org" }), "email: local-part"),
        (json!({ "email": "ada\r\nBcc: eve@example.org" }), "email: local-part"),
        (json!({ "email": "a\u{0}@example.org" }), "email: nul"),
    ] {
        let answer = post(&app, "/v1/password-resets", &body).await;
        assert_eq!(answer.problem(422, "invalid-fields").errors(), [error]);
    }
    assert_eq!(rows(&app, "outbox").await, 0);
}

#[rocket::async_test]
async fn r45_link_uses_the_public_url_despite_forged_headers() {
    let app = support::app().await;
    app.account(ADA).await;
    let request = app.client.post("/v1/password-resets").header(rocket::http::ContentType::JSON);
    let request = request
        .header(Header::new("Host", "evil.example"))
        .header(Header::new("X-Forwarded-Host", "evil.example"))
        .header(Header::new("X-Forwarded-Proto", "http"))
        .header(Header::new("Forwarded", "host=evil.example"));
    let answer = request.body(json!({ "email": ADA }).to_string()).dispatch().await;
    assert_eq!(answer.status(), Status::Accepted);
    let letter = app.last_letter_to(ADA).await;
    let link = letter.link.unwrap();
    assert!(link.starts_with("https://accounts.example.org/reset-password?token="), "{link}");
    assert!(letter.text.contains(&link) && letter.html.contains(&link));
    assert!(!String::from_utf8(letter.raw).unwrap().contains("evil.example"));
}

#[rocket::async_test]
async fn r47_letters_are_capped_by_the_hour() {
    let app = support::configured("[default.vestibule.limits]\nletters_per_hour = 3").await;
    app.account(ADA).await;
    app.advance(HOUR + HOUR);
    for _ in 0..20 {
        assert_eq!(request_reset(&app, ADA).await.status, Status::Accepted);
    }
    assert_eq!(letters(&app, ADA).await.len(), 1 + 1, "waiting letters of a kind are one letter");
    for _ in 0..20 {
        assert_eq!(request_reset(&app, ADA).await.status, Status::Accepted);
        app.deliver().await;
    }
    assert_eq!(letters(&app, ADA).await.len(), 1 + 3);
    app.advance(HOUR + Duration::from_secs(1));
    assert_eq!(letters(&app, ADA).await.len(), 1 + 3 + 1, "one of the waiting letters is sent");
}

#[rocket::async_test]
async fn r47_the_request_alone_changes_nothing() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for _ in 0..3 {
        reset_token(&app, ADA).await;
    }
    assert!(opens(&app, &pair.access).await);
    assert!(browser.is_signed_in().await);
    assert!(signs_in(&app, ADA, PASSWORD).await);
    support::refreshed(&app, &pair.refresh).await;
}

#[rocket::async_test]
async fn r47_reset_changes_the_password_and_ends_every_session_without_sign_in() {
    for by_page in [false, true] {
        let app = support::app().await;
        app.account(ADA).await;
        let (one, two) = (sign_in(&app).await, sign_in(&app).await);
        let bob = app.signed_in(BOB).await;
        let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
        let token = reset_token(&app, ADA).await;
        let answer = match by_page {
            true => press(&app, &token, OTHER).await.page(200, "Your password is changed"),
            false => confirm(&app, &token, OTHER).await,
        };
        assert_eq!(answer.status.code, if by_page { 200 } else { 204 }, "{answer:?}");
        assert!(!answer.has("set-cookie"));
        for secret in ["vat_", "vrt_", token.as_str(), OTHER] {
            assert!(!answer.body.contains(secret), "{}", answer.body);
        }
        for pair in [&one, &two] {
            assert!(!opens(&app, &pair.access).await);
            assert_refresh_refused(&app, &pair.refresh).await;
        }
        assert!(!browser.is_signed_in().await);
        assert!(opens(&app, &bob.access_token).await, "other accounts are not affected");
        assert!(!signs_in(&app, ADA, PASSWORD).await);
        assert!(signs_in(&app, ADA, OTHER).await);
        assert_eq!(letters(&app, ADA).await, ["activation", "password-reset", "password-changed"]);
        assert!(app.last_letter_to(ADA).await.link.is_none());
        assert_used(&app, &token).await;
        assert!(signs_in(&app, ADA, OTHER).await);
    }
}

#[rocket::async_test]
async fn r44_one_reset_voids_all_other_links_of_the_kind() {
    let app = support::app().await;
    app.account(ADA).await;
    let (first, second, third) =
        (reset_token(&app, ADA).await, reset_token(&app, ADA).await, reset_token(&app, ADA).await);
    assert_eq!(confirm(&app, &second, OTHER).await.status, Status::NoContent);
    for token in [&first, &second, &third] {
        assert_used(&app, token).await;
    }
    let late = reset_token(&app, ADA).await;
    assert_eq!(confirm(&app, &late, PASSWORD).await.status, Status::NoContent);
}

#[rocket::async_test]
async fn r43_expired_reset_link_offers_a_new_one() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    app.advance(HOUR - Duration::from_secs(1));
    show(&app, &token).await.page(200, "Choose a new password");
    app.advance(Duration::from_secs(1));
    confirm(&app, &token, OTHER).await.problem(410, "link-expired");
    let page = show(&app, &token).await.page(410, "has expired");
    assert!(page.body.contains("action=\"/reset-password/new-link\""));
    press(&app, &token, OTHER).await.page(410, "has expired");
    assert!(signs_in(&app, ADA, PASSWORD).await);

    let sent = letters(&app, ADA).await.len();
    let mut answers = vec![];
    for old in [token.as_str(), UNKNOWN_TOKEN, "x", ""] {
        let answer = submit(&app, "/reset-password/new-link", &[("token", old)]).await;
        let page = answer.page(202, "Look in your mailbox").body;
        // the button that sends the link again carries the link's own token
        answers.push(page.replace(&format!("value=\"{old}\""), "value=\"…\""));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let page = &answers[0];
    assert!(page.contains("a fresh email is on its way") && !page.contains("sign-up"), "{page}");
    assert_eq!(letters(&app, ADA).await.len(), sent + 1);
    let fresh = token_in(&app, "password-reset", ADA).await;
    assert_ne!(fresh, token);
    assert_eq!(confirm(&app, &fresh, OTHER).await.status, Status::NoContent);

    // a used link brings no letter
    let sent = letters(&app, ADA).await.len();
    submit(&app, "/reset-password/new-link", &[("token", &fresh)]).await;
    assert_eq!(letters(&app, ADA).await.len(), sent);
}

#[rocket::async_test]
async fn r43_unknown_and_damaged_reset_links_get_404() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    let mut flipped = token.clone();
    flipped.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    for damaged in [UNKNOWN_TOKEN, "", "x", &token[1..], &flipped, "%00", "%3Cscript%3E"] {
        assert_unknown(&app, damaged).await;
    }
    get(&app, "/reset-password").await.page(404, "does not work");
    submit(&app, "/reset-password", &[("password", OTHER)]).await.page(404, "does not work");
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(confirm(&app, &token, OTHER).await.status, Status::NoContent);
}

#[rocket::async_test]
async fn r47_password_is_checked_before_the_link() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    for token in [token.as_str(), UNKNOWN_TOKEN, "x"] {
        for (password, code) in [("hunter2", "too-short"), ("vestibulevestibule", "service-name")] {
            let answer = confirm(&app, token, password).await.problem(422, "invalid-fields");
            let errors = answer.errors();
            assert!(errors[0].starts_with("password: ") && errors[0].contains(code), "{errors:?}");
            assert!(!answer.body.contains(password));
        }
    }
    let body = json!({ "token": 7 });
    let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
    let errors = answer.problem(422, "invalid-fields").errors();
    assert_eq!(errors, ["token: not-a-text", "password: missing"]);
    // the owner's address is refused as a password, since a valid link identifies the account
    let errors = confirm(&app, &token, ADA).await.problem(422, "invalid-fields").errors();
    assert_eq!(errors, ["password: contains-address"]);
    assert_eq!(
        confirm(&app, &token, OTHER).await.status,
        Status::NoContent,
        "the link still works"
    );
}

#[rocket::async_test]
async fn r43_opening_the_page_repeatedly_changes_nothing() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    let before = dump(&app).await;
    for _ in 0..20 {
        let page = show(&app, &token).await.page(200, "Choose a new password");
        assert!(page.body.contains(ADA));
        let path = format!("/reset-password?token={token}");
        let head = app.client.head(path).dispatch().await;
        assert_eq!(head.status(), Status::Ok);
    }
    assert_eq!(dump(&app).await, before);
    // the page names the error and does not repeat the password
    let page = press(&app, &token, "short-secret").await.page(422, "Choose a new password");
    assert!(page.body.contains("At least 15 characters") && page.body.contains("aria-invalid"));
    assert!(!page.body.contains("short-secret"));
    press(&app, &token, "").await.page(422, "Choose a new password");
    press(&app, UNKNOWN_TOKEN, "short").await.page(404, "does not work");
    assert_eq!(dump(&app).await, before);
    assert_eq!(confirm(&app, &token, OTHER).await.status, Status::NoContent);
}

#[rocket::async_test]
async fn r47_s14_disabled_account_gets_no_letter_and_its_links_look_used() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await;
    let token = reset_token(&app, ADA).await;
    assert!(accounts(&app).disable(id).await.unwrap());
    assert_used(&app, &token).await;
    let answer = request_reset(&app, ADA).await;
    assert_eq!(answer.json(), json!({ "status": "reset_pending" }));
    assert_eq!(letters(&app, ADA).await, ["activation", "password-reset"]);
    accounts(&app).enable(id).await.unwrap();
    assert!(signs_in(&app, ADA, PASSWORD).await);
}

#[rocket::async_test]
async fn r44_a_link_serves_its_own_purpose_only() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    let reset = reset_token(&app, ADA).await;
    let activation = app.link_token(BOB).await;
    assert_unknown(&app, &activation).await;
    use_link(&app, &reset).await.problem(404, "link-unknown");
    for path in ["/activate", "/confirm-email", "/confirm-email/stop"] {
        submit(&app, path, &[("token", &reset)]).await.page(404, "does not work");
    }
    assert_eq!(use_link(&app, &activation).await.status, Status::Ok);
    assert_unknown(&app, &activation).await;
    assert_eq!(confirm(&app, &reset, OTHER).await.status, Status::NoContent);
}

#[rocket::async_test]
async fn r47_of_eight_concurrent_uses_of_a_link_one_succeeds() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    let passwords: Vec<String> = (0..8).map(|n| format!("the passphrase number {n}")).collect();
    let answers = join_all(passwords.iter().map(|password| confirm(&app, &token, password))).await;
    let mut won = vec![];
    for (answer, password) in answers.into_iter().zip(&passwords) {
        match answer.status.code {
            204 => won.push(password),
            _ => drop(answer.problem(410, "link-used")),
        }
    }
    assert_eq!(won.len(), 1);
    assert!(signs_in(&app, ADA, won[0]).await);
    assert_eq!(letters(&app, ADA).await, ["activation", "password-reset", "password-changed"]);
}

#[rocket::async_test]
async fn r21_reset_accepts_composed_and_decomposed_characters() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = reset_token(&app, ADA).await;
    let decomposed = "fu\u{308}nf mu\u{308}de Ba\u{308}ren tra\u{308}umen";
    assert_eq!(confirm(&app, &token, decomposed).await.status, Status::NoContent);
    assert!(signs_in(&app, ADA, "fünf müde Bären träumen").await);
}

#[rocket::async_test]
async fn pages_of_a_live_link_use_the_owners_language() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let changed = ada.patch("/v1/me", &json!({ "locale": "de" })).dispatch().await;
    assert_eq!(changed.status(), Status::Ok);
    let assert_german = |answer: Answer, status: u16| {
        assert_eq!(answer.status.code, status, "{answer:?}");
        assert_eq!(answer.header("content-language"), "de", "{answer:?}");
    };
    let token = reset_token(&app, ADA).await;
    assert_german(show(&app, &token).await, 200);
    assert_german(press(&app, &token, OTHER).await, 200);
    assert_eq!(show(&app, UNKNOWN_TOKEN).await.header("content-language"), "en");
}

/// S14: an ended link says when it ended, and nothing of the account's present state.
#[rocket::async_test]
async fn s14_ended_links_reveal_nothing_about_the_account() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await;
    let used = reset_token(&app, ADA).await;
    assert_eq!(confirm(&app, &used, OTHER).await.status, Status::NoContent);
    let expired = reset_token(&app, ADA).await;
    app.advance(HOUR);
    let pages = async || {
        let mut answers = vec![];
        for token in [&used, &expired] {
            answers.push(show(&app, token).await);
            answers.push(press(&app, token, PASSWORD).await);
        }
        let renewed = submit(&app, "/reset-password/new-link", &[("token", &expired)]).await;
        answers.push(renewed);
        let told = answers.iter().map(|answer| {
            let language = answer.header("content-language").to_owned();
            (answer.status.code, language, answer.body.clone())
        });
        told.collect::<Vec<_>>()
    };
    let before = pages().await;
    app.deliver().await;
    let statuses: Vec<u16> = before.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [410, 410, 410, 410, 202]);
    let german = Locale::parse("de").unwrap();
    let changed =
        app.store().write(async |tx| tx.update_profile(id, None, Some(Some(&german))).await);
    assert!(changed.await.unwrap());
    assert_eq!(pages().await, before, "the pages are in the caller's language");
    accounts(&app).disable(id).await.unwrap();
    let told = pages().await;
    // the answer of an ended link stays as it was
    assert_eq!(told, before, "a disabled account changes no page");
    app.deliver().await;
    let posted = letters(&app, ADA).await;
    assert_eq!(posted.iter().filter(|name| **name == "password-reset").count(), 3, "{posted:?}");
}
