//! Tests of the password rules: every operation that sets a password refuses easily guessed ones
//! (R40) and accepts others (R39).

use rocket::http::{Header, Status};
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA};
use crate::support_accounts::{BOB, Browser, change_password, put_as, token_in};
use crate::support_pages::{Answer, post, rows, signs_in, submit};

const GUESSABLE: [(&str, &str); 5] = [
    ("passwordpassword", "common"),
    ("P@ssw0rd123!!!!!", "common"),
    ("Princess 20262026", "common"),
    ("zyxwvutsrqponml", "pattern"),
    ("xq7xq7xq7xq7xq7", "pattern"),
];

async fn sign_up(app: &TestApp, email: &str, password: &str) -> Answer {
    post(app, "/v1/accounts", &json!({ "email": email, "password": password })).await
}

/// Checks that the answer refuses the password with the reason and the advice, and does not repeat
/// it.
fn assert_refused(answer: Answer, field: &str, password: &str, code: &str) {
    let answer = answer.problem(422, "invalid-fields");
    assert_eq!(answer.errors(), [format!("{field}: {code}")], "{password}");
    let suggestion = answer.json()["errors"][0]["suggestion"].to_string();
    assert!(suggestion.contains("four or more words"), "{answer:?}");
    assert!(!answer.body.contains(password), "{answer:?}");
}

#[rocket::async_test]
async fn r40_common_passwords_are_refused_by_every_operation() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let link = token_in(&app, "password-reset", ADA).await;
    for (password, code) in GUESSABLE {
        assert_refused(sign_up(&app, BOB, password).await, "password", password, code);
        let answer = change_password(&app, &ada.access_token, PASSWORD, password).await;
        assert_refused(answer, "new_password", password, code);
        let body = json!({ "token": link, "password": password });
        let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
        assert_refused(answer, "password", password, code);
        let fields = [("token", link.as_str()), ("password", password)];
        submit(&app, "/reset-password", &fields).await.page(422, "Choose a new password");
    }
    assert_eq!(rows(&app, "sign_ups").await, 0);
    assert!(signs_in(&app, ADA, PASSWORD).await, "the password is unchanged");
}

#[rocket::async_test]
async fn r40_pages_explain_refusals_and_advise_in_both_languages() {
    let app = support::app().await;
    app.account(ADA).await;
    let fields = [("email", BOB), ("name", "Bob"), ("password", "passwordpassword")];
    let english = [("many people have", "four or more words"), ("Sign up", "password manager")];
    let german = [("viele Leute", "vier oder mehr Wörter"), ("Registrieren", "Passwortmanager")];
    for (language, words) in [("en", english), ("de", german)] {
        let header = Header::new("Accept-Language", language);
        let mut browser = Browser::new(&app);
        let page = browser.submit_with("/account/sign-up", &fields, vec![header]).await;
        assert_eq!(page.status, Status::UnprocessableEntity);
        for (one, other) in words {
            assert!(page.body.contains(one) && page.body.contains(other), "{}", page.body);
        }
        assert!(!page.body.contains("passwordpassword"));
    }
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let fields = [("current_password", PASSWORD), ("new_password", "passwordpassword")];
    let page = browser.send("/account/password", &fields).await;
    assert_eq!(page.status, Status::UnprocessableEntity);
    assert!(page.body.contains("many people have"), "{}", page.body);
}

#[rocket::async_test]
async fn r40_password_made_of_the_owners_name_is_refused() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let body = json!({ "name": "Xanthorpe Vlk" }).to_string();
    let request = app.client.patch("/v1/me").header(support::bearer(&ada.access_token));
    let request = request.header(rocket::http::ContentType::JSON).body(body);
    assert_eq!(request.dispatch().await.status(), Status::Ok);
    // no word of this password is on the list
    let typed = "Vlk-Xanthorpe-18";
    let answer = change_password(&app, &ada.access_token, PASSWORD, typed).await;
    assert_refused(answer, "new_password", typed, "contains-name");
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let fields = [("current_password", PASSWORD), ("new_password", typed)];
    let page = browser.send("/account/password", &fields).await;
    assert!(page.body.contains("This password is your name"), "{}", page.body);
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let body = json!({ "token": token_in(&app, "password-reset", ADA).await, "password": typed });
    let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
    assert_refused(answer, "password", typed, "contains-name");
}

/// The service judges from the input alone: whether the address has an account makes no difference.
#[rocket::async_test]
async fn r40_refusal_is_the_same_for_known_and_unknown_addresses() {
    let app = support::app().await;
    app.account(ADA).await;
    let before = rows(&app, "outbox").await;
    for (password, _) in GUESSABLE {
        let known = sign_up(&app, ADA, password).await.without_id();
        let unknown = sign_up(&app, BOB, password).await.without_id();
        assert_eq!((known.status, known.body), (unknown.status, unknown.body));
    }
    assert_eq!(rows(&app, "outbox").await, before);
}

#[rocket::async_test]
async fn r39_long_lower_case_blank_and_emoji_passwords_are_accepted_in_full() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let mut current = PASSWORD.to_owned();
    let horses = "\u{1f40e}".repeat(15);
    let long: String = ('a'..='z').cycle().step_by(7).take(128).collect();
    let longest = "all of it counts".repeat(32);
    for new in ["correct horse battery", "  six blanks   in all ", &horses, &long, &longest] {
        let body = json!({ "current_password": current, "new_password": new });
        let answer = put_as(&app, &ada.access_token, "/v1/me/password", &body).await;
        assert_eq!(answer.status, Status::NoContent, "{new}: {answer:?}");
        assert!(signs_in(&app, ADA, new).await, "{new}");
        let cut: String = new.chars().take(new.chars().count() - 1).collect();
        assert!(!signs_in(&app, ADA, &cut).await, "{new}");
        current = new.to_owned();
    }
    let fourteen = "\u{1f40e}".repeat(14);
    let answer = change_password(&app, &ada.access_token, &current, &fourteen).await;
    assert_refused(answer, "new_password", &fourteen, "too-short");
    assert_eq!(longest.chars().count(), 512);
}
