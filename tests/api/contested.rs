//! "I do not know the password": whatever says so of a waiting sign-up makes it contested (S2, R35).
//!
//! A stranger has signed up with somebody else's address. Its owner hears of it by letters, and must
//! be able to do as the service advises without letting the stranger's password and name go live.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::accounts::Named;
use vestibule::mail::Desk;
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::ADA;
use crate::support_life::accounts;
use crate::support_pages::{Answer, OTHER, open, post, rows, signs_in, submit, texts, use_link};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const CHOSEN: &str = "what the owner has chosen";

/// A way to say that one does not know the password of a sign-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Json,
    Page,
    ExpiredLink,
    Operator,
    AnotherPassword,
}

const CAUSES: [Cause; 5] =
    [Cause::Json, Cause::Page, Cause::ExpiredLink, Cause::Operator, Cause::AnotherPassword];

/// The stranger's sign-up; answers the token of its link.
async fn planted(app: &TestApp) -> String {
    let body = json!({ "email": ADA, "password": OTHER, "name": "Mallory", "locale": "de" });
    assert_eq!(post(app, "/v1/accounts", &body).await.status, Status::Accepted);
    app.link_token(ADA).await
}

/// Posts as a browser that is set to French, and then to English.
async fn ask(app: &TestApp, path: &'static str, kind: ContentType, body: String) -> Answer {
    let languages = Header::new("Accept-Language", "fr, en;q=0.5");
    let request = app.client.post(path).header(kind).header(languages).body(body);
    Answer::of(request.dispatch().await).await
}

impl Cause {
    async fn happens(self, app: &TestApp, token: &str) {
        let json = |password: &str| json!({ "email": ADA, "password": password }).to_string();
        let form = |name: &str, value: &str| support::form(&[(name, value)]);
        let answer = match self {
            Self::Json => {
                let body = json!({ "email": ADA }).to_string();
                ask(app, "/v1/password-resets", ContentType::JSON, body).await
            }
            Self::Page => {
                let body = form("email", ADA);
                ask(app, "/account/forgotten-password", ContentType::Form, body).await
            }
            Self::ExpiredLink => {
                let body = form("token", token);
                ask(app, "/activate/new-link", ContentType::Form, body).await
            }
            Self::Operator => {
                let email = EmailAddress::parse(ADA).unwrap();
                let named = Named::Email(email);
                let waiting = accounts(app).send_sign_up_link(&named).await.unwrap();
                assert_eq!(waiting.unwrap().email.as_str(), ADA);
                return;
            }
            Self::AnotherPassword => {
                ask(app, "/v1/accounts", ContentType::JSON, json(PASSWORD)).await
            }
        };
        assert_eq!(answer.status, Status::Accepted, "{self:?}: {answer:?}");
    }
}

/// Neither the stranger's password nor their name and language come to the account.
async fn is_the_owners(app: &TestApp, token: &str, context: &str) {
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

/// By the letter that the owner asked for, and by the one that came before.
#[rocket::async_test]
async fn r35_s2_not_knowing_the_password_of_a_sign_up_contests_it() {
    for cause in CAUSES {
        for by_the_first in [false, true] {
            let context = format!("{cause:?}, {by_the_first}");
            let app = support::app().await;
            let old = planted(&app).await;
            if cause == Cause::ExpiredLink {
                app.advance(DAY);
                // one that still works when the button of the old one is pressed
                let body = json!({ "email": ADA });
                post(&app, "/v1/activation-mails", &body).await;
            }
            let first = app.link_token(ADA).await;
            cause.happens(&app, &old).await;
            let letter = app.last_letter_to(ADA).await;
            assert_eq!(letter.name, "activation", "{context}");
            // in the language of the request, and not in the stranger's
            assert!(
                letter.text.contains("Somebody, most likely you"),
                "{context}: {}",
                letter.text
            );
            let fresh = app.link_token(ADA).await;
            assert_ne!(first, fresh, "{context}");
            is_the_owners(&app, if by_the_first { &first } else { &fresh }, &context).await;
        }
    }
}

/// Couriers may be behind: what was said counts from when it was acknowledged.
#[rocket::async_test]
async fn r35_s2_it_is_contested_before_any_letter_leaves() {
    for cause in CAUSES {
        let app = support::app().await;
        let first = planted(&app).await;
        cause.happens(&app, &first).await;
        is_the_owners(&app, &first, &format!("{cause:?}")).await;
        // the letter finds an account, and its link changes a password as any other
        app.deliver().await;
        assert!(signs_in(&app, ADA, CHOSEN).await, "{cause:?}");
    }
}

/// A letter that cannot leave, or that the operator takes out, is no way round it.
#[rocket::async_test]
async fn r35_s2_it_stays_contested_if_the_letter_is_dropped() {
    let app = support::app().await;
    let first = planted(&app).await;
    Cause::Json.happens(&app, &first).await;
    let sql = "SELECT id FROM outbox WHERE kind = 'password-reset'";
    let letter = texts(&app, sql).await.pop().unwrap().parse().unwrap();
    let desk = Desk { store: app.store().clone(), clock: accounts(&app).clock.clone() };
    assert!(desk.drop(letter).await.unwrap().is_ok());
    assert!(texts(&app, sql).await.is_empty());
    is_the_owners(&app, &first, "dropped").await;
}

/// The one who has just signed up knows the password: asking for the letter again changes nothing.
#[rocket::async_test]
async fn s2_another_letter_keeps_the_sign_up_as_it_is() {
    for again in ["/v1/activation-mails", "/v1/accounts"] {
        let app = support::app().await;
        planted(&app).await;
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

/// With an account the same request is a reset, and a stranger's waiting sign-up gets nowhere.
#[rocket::async_test]
async fn r47_s2_with_an_account_a_new_password_is_its_own() {
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
