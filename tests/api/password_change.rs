//! Tests of `PUT /v1/me/password` (R27, R42).

use rocket::http::Status;
use serde_json::json;
use vestibule::testing::PASSWORD;

use crate::support::{self, ADA, assert_refresh_refused, opens, refreshed, sign_in, tokens};
use crate::support_accounts::{
    BOB, Browser, NEW, accounts, change_password, letters, post_as, put_as, token_in,
};
use crate::support_pages::{Answer, OTHER, get, post, signs_in, submit};

const PATH: &str = "/v1/me/password";

#[rocket::async_test]
async fn r42_a_change_needs_the_current_password() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let elsewhere = sign_in(&app).await;
    for wrong in [OTHER, "", "x", &PASSWORD[1..]] {
        let answer = change_password(&app, &ada.access_token, wrong, OTHER).await;
        let errors = answer.problem(422, "invalid-fields").errors();
        assert_eq!(errors, ["current_password: wrong-password"]);
    }
    assert!(signs_in(&app, ADA, PASSWORD).await && !signs_in(&app, ADA, OTHER).await);
    assert!(opens(&app, &elsewhere.access).await);
    assert_eq!(letters(&app, ADA).await, ["activation"], "no notice is sent");
}

#[rocket::async_test]
async fn r42_new_password_is_checked_before_the_current_one() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for (body, expected) in [
        (json!({}), &["current_password: missing", "new_password: missing"][..]),
        (
            json!({ "current_password": 1, "new_password": ["x"] }),
            &["current_password: not-a-text", "new_password: not-a-text"],
        ),
        (
            json!({ "current_password": OTHER, "new_password": "short" }),
            &["new_password: too-short"],
        ),
        (
            json!({ "current_password": PASSWORD, "new_password": "x".repeat(14) }),
            &["new_password: too-short"],
        ),
        (
            json!({ "current_password": PASSWORD, "new_password": "a\u{0}bcdefghijklmnop" }),
            &["new_password: nul"],
        ),
        (
            json!({ "current_password": PASSWORD, "new_password": ADA }),
            &["new_password: contains-address"],
        ),
    ] {
        let answer = put_as(&app, &ada.access_token, PATH, &body).await;
        let answer = answer.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), expected);
        assert!(!answer.body.contains(PASSWORD));
    }
    assert!(signs_in(&app, ADA, PASSWORD).await);
    let long = "ä".repeat(128);
    let answer = change_password(&app, &ada.access_token, PASSWORD, &long).await;
    assert_eq!(answer.status, Status::NoContent, "{answer:?}");
    assert!(signs_in(&app, ADA, &long).await && !signs_in(&app, ADA, &"ä".repeat(127)).await);
}

#[rocket::async_test]
async fn r29_password_change_needs_a_token_with_the_write_scope() {
    let app = support::app().await;
    app.account(ADA).await;
    let reader = app.sign_in_to("kiosk", ADA).await;
    let answer = change_password(&app, &reader.access_token, PASSWORD, OTHER).await;
    let answer = answer.problem(403, "insufficient-scope");
    assert!(answer.header("www-authenticate").contains("scope=\"account.write\""), "{answer:?}");
    let answer = change_password(&app, "vat_nonsense", PASSWORD, OTHER).await;
    answer.problem(401, "invalid-token");
    let request = app.client.put(PATH).header(rocket::http::ContentType::JSON);
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER }).to_string();
    Answer::of(request.body(body).dispatch().await).await.problem(401, "no-token");
    assert!(signs_in(&app, ADA, PASSWORD).await);
}

#[rocket::async_test]
async fn r27_password_change_keeps_its_own_session_and_ends_all_others() {
    let app = support::app().await;
    app.account(ADA).await;
    let (own, other) = (sign_in(&app).await, sign_in(&app).await);
    let kiosk = app.sign_in_to("kiosk", ADA).await;
    let bob = app.signed_in(BOB).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let answer = change_password(&app, &own.access, PASSWORD, OTHER).await;
    assert_eq!((answer.status, answer.body.as_str()), (Status::NoContent, ""));
    assert!(!answer.has("set-cookie"));

    assert!(opens(&app, &own.access).await, "the session of the change stays");
    let renewed = refreshed(&app, &own.refresh).await;
    assert!(opens(&app, &renewed.access).await);
    for token in [&other.access, &kiosk.access_token] {
        assert!(!opens(&app, token).await);
    }
    assert_refresh_refused(&app, &other.refresh).await;
    assert!(!browser.is_signed_in().await);
    assert!(opens(&app, &bob.access_token).await, "other accounts are not affected");

    assert!(!signs_in(&app, ADA, PASSWORD).await && signs_in(&app, ADA, OTHER).await);
    assert_eq!(letters(&app, ADA).await, ["activation", "password-changed"]);
    let notice = app.last_letter_to(ADA).await;
    assert!(notice.link.is_none() && !notice.text.contains(OTHER));
}

#[rocket::async_test]
async fn r44_password_change_voids_the_links_of_earlier_letters() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let reset = token_in(&app, "password-reset", ADA).await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    let confirmation = token_in(&app, "email-change", NEW).await;
    let stop = token_in(&app, "email-change-notice", ADA).await;
    let answer = change_password(&app, &ada.access_token, PASSWORD, OTHER).await;
    assert_eq!(answer.status, Status::NoContent);

    get(&app, &format!("/reset-password?token={reset}")).await.page(410, "already used");
    get(&app, &format!("/confirm-email?token={confirmation}")).await.page(404, "does not work");
    get(&app, &format!("/confirm-email/stop?token={stop}")).await.page(404, "does not work");
    let fields = [("token", confirmation.as_str())];
    submit(&app, "/confirm-email", &fields).await.page(404, "does not work");
    assert!(signs_in(&app, ADA, OTHER).await && !signs_in(&app, NEW, OTHER).await);
}

#[rocket::async_test]
async fn r21_composed_and_decomposed_characters_are_one_password() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let composed = "fünf müde Bären träumen";
    let decomposed = "fu\u{308}nf mu\u{308}de Ba\u{308}ren tra\u{308}umen";
    let answer = change_password(&app, &ada.access_token, PASSWORD, decomposed).await;
    assert_eq!(answer.status, Status::NoContent);
    assert!(signs_in(&app, ADA, composed).await);
    let answer = change_password(&app, &ada.access_token, composed, PASSWORD).await;
    assert_eq!(answer.status, Status::NoContent);
}

#[rocket::async_test]
async fn r42_concurrent_changes_leave_one_of_the_new_passwords() {
    let app = support::app().await;
    app.account(ADA).await;
    let (one, two) = (sign_in(&app).await, sign_in(&app).await);
    let third = "a third long passphrase";
    let (first, second) = rocket::tokio::join!(
        change_password(&app, &one.access, PASSWORD, OTHER),
        change_password(&app, &two.access, PASSWORD, third),
    );
    // the second change has a wrong password, or no session any more
    let codes = [first.status.code, second.status.code];
    assert!(codes.contains(&204), "{first:?} {second:?}");
    assert!(codes.iter().all(|code| [204, 401, 422].contains(code)), "{first:?} {second:?}");
    assert!(signs_in(&app, ADA, OTHER).await != signs_in(&app, ADA, third).await);
    assert!(!signs_in(&app, ADA, PASSWORD).await);
}

#[rocket::async_test]
async fn r27_disabling_an_account_ends_every_session() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let id = ada.account_id().await;
    assert!(accounts(&app).disable(id).await.unwrap());
    assert!(!opens(&app, &ada.access_token).await);
    assert_refresh_refused(&app, &ada.refresh_token).await;
    assert!(!browser.is_signed_in().await);
    assert!(!signs_in(&app, ADA, PASSWORD).await);
    assert!(accounts(&app).enable(id).await.unwrap());
    assert!(!opens(&app, &ada.access_token).await, "ended sessions stay ended");
    tokens(app.token(&support::sign_in_fields()).await).await;
}
