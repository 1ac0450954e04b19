//! Tests of contested sign-ups: a request that says "I do not know the password" of a waiting
//! sign-up makes it contested (S2, R35).
//!
//! A stranger has signed up with another person's address. The owner of the address hears of it by
//! letters. When the owner follows the service's advice, the stranger's password and name must not
//! go live.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::accounts::IdOrEmail;
use vestibule::mail::OutboxAdmin;
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::ADA;
use crate::support_accounts::accounts;
use crate::support_pages::{
    Answer, FormOnPage, OTHER, get, open, post, rows, signs_in, submit, texts, use_link,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const CHOSEN: &str = "what the owner has chosen";

/// A request by which the owner says that they do not know the sign-up's password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Json,
    Page,
    ExpiredLink,
    /// The button after an expired link, pressed a second time.
    ExpiredLinkAgain,
    /// The button on the page of a refused sign-in.
    RefusedSignIn,
    /// The form on the page of an unknown link.
    UnknownLink,
    UnknownResetLink,
    Operator,
    AnotherPassword,
}

const CAUSES: [Cause; 9] = [
    Cause::Json,
    Cause::Page,
    Cause::ExpiredLink,
    Cause::ExpiredLinkAgain,
    Cause::RefusedSignIn,
    Cause::UnknownLink,
    Cause::UnknownResetLink,
    Cause::Operator,
    Cause::AnotherPassword,
];

const SEND_AGAIN: &str = "Send the link again";
const SEND_NEW: &str = "Send me a new link";

/// Makes the stranger's sign-up and returns the token of its link.
async fn strangers_sign_up(app: &TestApp) -> String {
    let body = json!({ "email": ADA, "password": OTHER, "name": "Mallory", "locale": "de" });
    assert_eq!(post(app, "/v1/accounts", &body).await.status, Status::Accepted);
    app.link_token(ADA).await
}

/// Posts as a browser that prefers French, and then English.
async fn post_in_french(app: &TestApp, path: &str, kind: ContentType, body: String) -> Answer {
    let languages = Header::new("Accept-Language", "fr, en;q=0.5");
    let request = app.client.post(path.to_owned()).header(kind).header(languages).body(body);
    Answer::of(request.dispatch().await).await
}

/// Sends a form of a page.
async fn press(app: &TestApp, form: &FormOnPage) -> Answer {
    post_in_french(app, &form.action, ContentType::Form, support::form(&form.filled())).await
}

/// The page of a sign-in with a wrong password.
async fn refused_sign_in_page(app: &TestApp, email: &str, password: &str) -> Answer {
    let fields = [("email", email), ("password", password)];
    submit(app, "/account/sign-in", &fields).await.page(422, "Sign in")
}

impl Cause {
    async fn trigger(self, app: &TestApp, token: &str) {
        let json = |password: &str| json!({ "email": ADA, "password": password }).to_string();
        let form = |name: &str, value: &str| support::form(&[(name, value)]);
        let answer = match self {
            Self::Json => {
                let body = json!({ "email": ADA }).to_string();
                post_in_french(app, "/v1/password-resets", ContentType::JSON, body).await
            }
            Self::Page => {
                let body = form("email", ADA);
                post_in_french(app, "/account/forgotten-password", ContentType::Form, body).await
            }
            Self::ExpiredLink => {
                let body = form("token", token);
                post_in_french(app, "/activate/new-link", ContentType::Form, body).await
            }
            Self::ExpiredLinkAgain => {
                // the first page answers an unknown token; its button then sends the expired one
                let fields = [("token", "x")];
                let sent = submit(app, "/activate/new-link", &fields).await.page(202, "mailbox");
                let form = FormOnPage::of(&sent, SEND_AGAIN);
                assert_eq!((&*form.action, form.filled()), ("/activate/new-link", fields.into()));
                press(app, &form.with("token", token)).await
            }
            Self::RefusedSignIn => {
                let page = refused_sign_in_page(app, ADA, PASSWORD).await;
                press(app, &FormOnPage::of(&page, SEND_AGAIN)).await
            }
            Self::UnknownLink => {
                let page = open(app, "x").await.page(404, "This link does not work");
                press(app, &FormOnPage::of(&page, SEND_NEW).with("email", ADA)).await
            }
            Self::UnknownResetLink => {
                let page = get(app, "/reset-password?token=x").await;
                press(app, &FormOnPage::of(&page, SEND_NEW).with("email", ADA)).await
            }
            Self::Operator => {
                let email = EmailAddress::parse(ADA).unwrap();
                let named = IdOrEmail::Email(email);
                let waiting = accounts(app).send_sign_up_link(&named).await.unwrap();
                assert_eq!(waiting.unwrap().email.as_str(), ADA);
                return;
            }
            Self::AnotherPassword => {
                post_in_french(app, "/v1/accounts", ContentType::JSON, json(PASSWORD)).await
            }
        };
        assert_eq!(answer.status, Status::Accepted, "{self:?}: {answer:?}");
    }
}

/// Checks that the account has neither the stranger's password nor their name and language.
async fn assert_stranger_left_nothing(app: &TestApp, token: &str, context: &str) {
    use_link(app, token).await.problem(409, "password-needed");
    let page = open(app, token).await.page(200, "Confirm your email address");
    assert!(page.body.contains("type=\"password\"") && !page.body.contains("Mallory"), "{context}");
    let pressed = submit(app, "/activate", &[("token", token)]).await;
    pressed.page(409, "Confirm your email address");
    assert_eq!(rows(app, "accounts").await, 0, "{context}");
    let body = json!({ "token": token, "password": CHOSEN });
    assert_eq!(post(app, "/v1/activations", &body).await.status, Status::Ok, "{context}");
    assert!(!signs_in(app, ADA, OTHER).await, "{context}: the stranger's password is planted");
    assert!(!signs_in(app, ADA, PASSWORD).await, "{context}");
    assert!(signs_in(app, ADA, CHOSEN).await, "{context}");
    let sql = "SELECT COALESCE(name, 'none') || ' ' || COALESCE(locale, 'none') FROM accounts";
    assert_eq!(texts(app, sql).await, ["none none"], "{context}");
}

/// Two links show that the sign-up is contested: the one that the owner asked for, and the one
/// before it.
#[rocket::async_test]
async fn r35_s2_request_for_a_new_password_contests_the_waiting_sign_up() {
    for cause in CAUSES {
        for by_the_first in [false, true] {
            let context = format!("{cause:?}, {by_the_first}");
            let app = support::app().await;
            let old = strangers_sign_up(&app).await;
            if matches!(cause, Cause::ExpiredLink | Cause::ExpiredLinkAgain) {
                app.advance(DAY);
                // a link that still works, when the owner presses the button of the old one
                let body = json!({ "email": ADA });
                post(&app, "/v1/activation-mails", &body).await;
            }
            let first = app.link_token(ADA).await;
            cause.trigger(&app, &old).await;
            let letter = app.last_letter_to(ADA).await;
            assert_eq!(letter.name, "activation", "{context}");
            // the letter is in the language of the request and not in the stranger's
            assert!(
                letter.text.contains("Somebody, most likely you"),
                "{context}: {}",
                letter.text
            );
            let fresh = app.link_token(ADA).await;
            assert_ne!(first, fresh, "{context}");
            assert_stranger_left_nothing(
                &app,
                if by_the_first { &first } else { &fresh },
                &context,
            )
            .await;
        }
    }
}

/// The courier may be late: a sign-up is contested from the acknowledged request on.
#[rocket::async_test]
async fn r35_s2_sign_up_is_contested_before_any_letter_leaves() {
    for cause in CAUSES {
        let app = support::app().await;
        let first = strangers_sign_up(&app).await;
        cause.trigger(&app, &first).await;
        assert_stranger_left_nothing(&app, &first, &format!("{cause:?}")).await;
        // the letter finds an account, and its link resets the password like any other reset link
        app.deliver().await;
        assert!(signs_in(&app, ADA, CHOSEN).await, "{cause:?}");
    }
}

/// The sign-up stays contested if its letter cannot leave or is removed by the operator.
#[rocket::async_test]
async fn r35_s2_sign_up_stays_contested_if_the_letter_is_dropped() {
    let app = support::app().await;
    let first = strangers_sign_up(&app).await;
    Cause::Json.trigger(&app, &first).await;
    let sql = "SELECT id FROM outbox WHERE kind = 'password-reset'";
    let letter = texts(&app, sql).await.pop().unwrap().parse().unwrap();
    let outbox = OutboxAdmin { store: app.store().clone(), clock: accounts(&app).clock.clone() };
    assert!(outbox.drop(letter).await.unwrap().is_ok());
    assert!(texts(&app, sql).await.is_empty());
    assert_stranger_left_nothing(&app, &first, "dropped").await;
}

/// The person who has just signed up knows the password: to ask for the letter again changes
/// nothing.
#[rocket::async_test]
async fn s2_request_for_another_letter_does_not_contest_the_sign_up() {
    for again in ["/v1/activation-mails", "/v1/accounts"] {
        let app = support::app().await;
        strangers_sign_up(&app).await;
        let body = json!({ "email": ADA, "password": OTHER });
        assert_eq!(post(&app, again, &body).await.status, Status::Accepted);
        let letter = app.last_letter_to(ADA).await;
        assert!(letter.text.contains("bestätigen"), "{again}: {}", letter.text);
        let fresh = app.link_token(ADA).await;
        assert_eq!(use_link(&app, &fresh).await.status, Status::Ok, "{again}");
        assert!(signs_in(&app, ADA, OTHER).await, "{again}");
        let sql = "SELECT name || ' ' || locale FROM accounts";
        assert_eq!(texts(&app, sql).await, ["Mallory de"], "{again}");
    }
}

/// The page after a sign-up is shown to the person who knows the password.
#[rocket::async_test]
async fn s2_button_after_a_sign_up_sends_the_link_again_and_keeps_the_sign_up() {
    for address in [ADA, "ada@b\u{fc}cher.example"] {
        let app = support::app().await;
        let fields = [("email", address), ("password", OTHER), ("name", "Ada")];
        let sent = submit(&app, "/account/sign-up", &fields).await;
        let mut page = sent.page(202, "Look in your mailbox");
        let email = EmailAddress::parse(address).unwrap();
        let first = app.link_token(email.as_str()).await;
        // the button works again and again
        for _ in 0..2 {
            let form = FormOnPage::of(&page, SEND_AGAIN);
            assert_eq!(form.action, "/account/sign-up/new-link");
            page = press(&app, &form).await.page(202, "Look in your mailbox");
            assert!(page.body.contains(address) && page.body.contains("still waits"), "{page:?}");
        }
        let fresh = app.link_token(email.as_str()).await;
        assert_ne!(first, fresh);
        // the sign-up is unchanged: one button, and the sign-up's own password
        let page = open(&app, &fresh).await.page(200, "Confirm your email address");
        assert!(!page.body.contains("type=\"password\""), "{page:?}");
        assert_eq!(use_link(&app, &first).await.status, Status::Ok);
        assert!(signs_in(&app, address, OTHER).await);
        assert_eq!(texts(&app, "SELECT name FROM accounts").await, ["Ada"]);
    }
}

/// An invalid address leads back to the form, as it does in the form itself.
#[rocket::async_test]
async fn s2_button_after_a_sign_up_refuses_invalid_addresses() {
    let app = support::app().await;
    for email in ["", "ada", "a@b@c.example"] {
        let fields = [("email", email)];
        let page = submit(&app, "/account/sign-up/new-link", &fields).await.page(422, "Sign up");
        assert!(page.body.contains("An email address has one @"), "{page:?}");
    }
    assert!(texts(&app, "SELECT kind FROM outbox").await.is_empty());
}

/// Buttons and forms on the pages look and answer alike for every state of the address.
#[rocket::async_test]
async fn r18_r47_s2_request_for_a_new_link_reveals_no_account() {
    const EVE: &str = "eve@example.org";
    let app = support::app().await;
    app.account(ADA).await;
    assert_eq!(app.sign_up(EVE, OTHER).await, Status::Accepted);
    app.deliver().await;
    let mut all = vec![];
    for email in [ADA, EVE, "nobody@example.org"] {
        let comparable = |page: Answer| {
            let mut page = page.without_id();
            page.headers.retain(|(name, _)| name != "content-length");
            (page.status, page.headers, page.body.replace(email, "…"))
        };
        let mut pages = vec![];
        for password in ["wrong and long enough", OTHER] {
            let page = refused_sign_in_page(&app, email, password).await;
            let sent = press(&app, &FormOnPage::of(&page, SEND_AGAIN)).await;
            pages.push(comparable(page));
            // the button on the answer, pressed again
            let form = FormOnPage::of(&sent.clone().page(202, "mailbox"), SEND_AGAIN);
            pages.push(comparable(sent));
            pages.push(comparable(press(&app, &form).await.page(202, "mailbox")));
        }
        let again = [("email", email)];
        pages.push(comparable(submit(&app, "/account/sign-up/new-link", &again).await));
        all.push(pages);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    app.deliver().await;
    assert!(app.letters_to("nobody@example.org").await.is_empty());
    assert_eq!(app.last_letter_to(ADA).await.name, "password-reset");
}

/// A refused sign-in attempt finds out nothing about the password, so its page offers no link.
#[rocket::async_test]
async fn s2_only_a_refused_sign_in_offers_the_link() {
    let app = support::app().await;
    app.account(ADA).await;
    for path in ["/account/sign-in", "/account/sign-in?done=out", "/account/sign-in?done=ended"] {
        assert!(!get(&app, path).await.body.contains(SEND_AGAIN), "{path}");
    }
    // without an address the page offers no letter
    let page = submit(&app, "/account/sign-in", &[("password", OTHER)]).await;
    assert!(!page.page(422, "Sign in").body.contains(SEND_AGAIN));
    // a change of the address is renewed in the account
    for path in ["/confirm-email?token=x", "/confirm-email/stop?token=x"] {
        let page = get(&app, path).await.page(404, "This link does not work");
        assert!(!page.body.contains("<form") && page.body.contains("in your account"), "{path}");
    }
}

/// S2: with an account, the same request is a password reset, and the stranger's waiting sign-up
/// has no effect.
#[rocket::async_test]
async fn r47_s2_password_reset_of_an_account_ignores_a_waiting_sign_up() {
    let app = support::app().await;
    app.account(ADA).await;
    let body = json!({ "email": ADA, "password": OTHER, "name": "Mallory" });
    assert_eq!(post(&app, "/v1/accounts", &body).await.status, Status::Accepted);
    assert_eq!(
        post(&app, "/v1/password-resets", &json!({ "email": ADA })).await.status,
        Status::Accepted
    );
    let mut names: Vec<_> = app.letters_to(ADA).await.iter().map(|letter| letter.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["account-exists", "activation", "password-reset"]);
    assert!(signs_in(&app, ADA, PASSWORD).await && !signs_in(&app, ADA, OTHER).await);
    let me = app.sign_in(ADA).await.get("/v1/me").dispatch().await;
    assert_eq!(Answer::of(me).await.json()["name"], Value::Null);
    assert_eq!(rows(&app, "sign_ups").await, 0);
}
