//! Tests of invitations: the operator makes an account, and its owner chooses the first password by
//! a link.

use std::time::Duration;

use rocket::http::Status;
use serde_json::json;
use vestibule::accounts::AccountToCreate;
use vestibule::model::EmailAddress;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA};
use crate::support_accounts::{accounts, get_as, letters, token_in};
use crate::support_pages::{Answer, OTHER, get, post, signs_in, submit};

const DAY: Duration = Duration::from_secs(86_400);

/// Makes an account without a password, and returns the token of the link in its invitation.
async fn invitation_token(app: &TestApp) -> String {
    let new = AccountToCreate {
        email: EmailAddress::parse(ADA).unwrap(),
        name: None,
        locale: None,
        password: None,
    };
    accounts(app).create(&new).await.unwrap();
    token_in(app, "invitation", ADA).await
}

async fn show(app: &TestApp, token: &str) -> Answer {
    get(app, &format!("/reset-password?token={token}")).await
}

async fn press(app: &TestApp, token: &str, password: &str) -> Answer {
    submit(app, "/reset-password", &[("token", token), ("password", password)]).await
}

async fn renew(app: &TestApp, token: &str) {
    submit(app, "/reset-password/new-link", &[("token", token)]).await.page(202, "mailbox");
}

#[rocket::async_test]
async fn invitation_link_sets_the_first_password() {
    let app = support::app().await;
    let token = invitation_token(&app).await;
    let page = show(&app, &token).await.page(200, "Choose your password");
    assert!(page.body.contains("An account was made for you") && page.body.contains(ADA));
    assert!(!page.body.contains("every sign-in"), "the account has no session yet: {}", page.body);
    let page = press(&app, &token, "short").await.page(422, "Choose your password");
    assert!(page.body.contains("aria-invalid"), "{}", page.body);
    let page = press(&app, &token, PASSWORD).await.page(200, "Your password is set");
    assert!(!page.has("set-cookie") && !page.body.contains("has ended"), "{}", page.body);
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(letters(&app, ADA).await, ["invitation"], "a first password causes no notice");
    press(&app, &token, OTHER).await.page(410, "already used");
    assert!(!signs_in(&app, ADA, OTHER).await);
    let export = get_as(&app.sign_in(ADA).await, "/v1/me/export").await.json();
    assert_eq!(export["links"][0]["purpose"], "invitation");
}

#[rocket::async_test]
async fn invitation_is_accepted_through_the_api() {
    let app = support::app().await;
    let token = invitation_token(&app).await;
    let body = json!({ "token": token, "password": PASSWORD });
    let answer = post(&app, "/v1/password-resets/confirmations", &body).await;
    assert_eq!(answer.status, Status::NoContent, "{answer:?}");
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(letters(&app, ADA).await, ["invitation"]);
}

#[rocket::async_test]
async fn r43_expired_invitation_is_renewed_as_an_invitation() {
    let app = support::app().await;
    let token = invitation_token(&app).await;
    renew(&app, &token).await;
    assert_eq!(letters(&app, ADA).await, ["invitation"], "a link that works is not renewed");
    app.advance(DAY * 7);
    show(&app, &token).await.page(410, "has expired");
    press(&app, &token, PASSWORD).await.page(410, "has expired");
    renew(&app, &token).await;
    assert_eq!(letters(&app, ADA).await, ["invitation", "invitation"]);
    let fresh = token_in(&app, "invitation", ADA).await;
    app.advance(DAY * 7 - Duration::from_secs(1));
    press(&app, &fresh, PASSWORD).await.page(200, "Your password is set");
    // an account with a password gets no invitation
    for token in [&token, &fresh] {
        renew(&app, token).await;
    }
    let sent = letters(&app, ADA).await;
    assert_eq!(sent, ["invitation", "invitation", "password-reset"]);
}

#[rocket::async_test]
async fn r47_renewals_of_an_invitation_are_capped() {
    let app = support::configured("[default.vestibule.limits]\nletters_per_hour = 3").await;
    let token = invitation_token(&app).await;
    app.advance(DAY * 7);
    for _ in 0..10 {
        renew(&app, &token).await;
    }
    assert_eq!(letters(&app, ADA).await.len(), 1 + 1, "one letter of a kind waits");
    for _ in 0..10 {
        renew(&app, &token).await;
        app.deliver().await;
    }
    assert_eq!(letters(&app, ADA).await.len(), 1 + 3);
}

#[rocket::async_test]
async fn r44_a_new_password_voids_the_invitation() {
    let app = support::app().await;
    let token = invitation_token(&app).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let reset = token_in(&app, "password-reset", ADA).await;
    press(&app, &reset, PASSWORD).await.page(200, "Your password is changed");
    press(&app, &token, OTHER).await.page(410, "already used");
    assert!(signs_in(&app, ADA, PASSWORD).await);
}
