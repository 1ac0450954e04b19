//! Tests of revocation (RFC 7009): R31. `client_authentication.rs` tests which client may revoke.

use rocket::http::Status;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support;
use crate::support::{
    ADA, Tokens, assert_no_store, assert_refresh_refused, basic, error_of, invalid, opens,
    post_form_with, refreshed, sign_in, tokens, warnings,
};

async fn signed_in() -> (TestApp, Tokens) {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    (app, pair)
}

/// Revokes as the client `web`, and checks the answer.
async fn revoke(app: &TestApp, fields: &[(&str, &str)]) {
    let fields = [&[("client_id", "web")], fields].concat();
    let response = app.post_form("/oauth/revoke", &fields).await;
    assert_eq!(response.status(), Status::Ok, "{fields:?}");
    assert_no_store(&response);
    assert_eq!(response.into_string().await.unwrap_or_default(), "");
}

#[rocket::async_test]
async fn r31_revoked_access_token_is_refused_and_its_session_lives() {
    let (app, first) = signed_in().await;
    revoke(&app, &[("token", &first.access)]).await;
    assert!(!opens(&app, &first.access).await);
    let second = refreshed(&app, &first.refresh).await;
    assert!(opens(&app, &second.access).await);
    // the preceding access token can be revoked as well
    let third = refreshed(&app, &second.refresh).await;
    revoke(&app, &[("token", &second.access)]).await;
    assert!(!opens(&app, &second.access).await && opens(&app, &third.access).await);
}

#[rocket::async_test]
async fn r31_revoked_refresh_token_ends_its_session() {
    let (app, first) = signed_in().await;
    let elsewhere = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    revoke(&app, &[("token", &second.refresh)]).await;
    assert!(!opens(&app, &first.access).await && !opens(&app, &second.access).await);
    assert_refresh_refused(&app, &first.refresh).await;
    assert_refresh_refused(&app, &second.refresh).await;
    assert!(opens(&app, &elsewhere.access).await);
    assert_eq!(warnings(&app).await, 0, "a revocation sends no warning of theft");
}

#[rocket::async_test]
async fn revocation_of_a_spent_refresh_token_ends_its_session() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    revoke(&app, &[("token", &first.refresh)]).await;
    assert!(!opens(&app, &third.access).await);
    assert_refresh_refused(&app, &third.refresh).await;
}

#[rocket::async_test]
async fn r31_revocation_of_an_unknown_token_succeeds() {
    let (app, pair) = signed_in().await;
    for token in ["x", "vat_x", "vrt_", &pair.refresh[..40], &"x".repeat(20_000)] {
        revoke(&app, &[("token", token)]).await;
    }
    assert!(opens(&app, &pair.access).await);
    for _ in 0..2 {
        revoke(&app, &[("token", &pair.access)]).await;
    }
    for _ in 0..2 {
        revoke(&app, &[("token", &pair.refresh)]).await;
    }
}

#[rocket::async_test]
async fn r31_revocation_of_an_expired_token_succeeds() {
    let (app, pair) = signed_in().await;
    app.advance(std::time::Duration::from_secs(100 * 86_400));
    for purged in [false, true] {
        revoke(&app, &[("token", &pair.access)]).await;
        revoke(&app, &[("token", &pair.refresh)]).await;
        if !purged {
            app.purge().await;
        }
    }
}

#[rocket::async_test]
async fn r31_revocation_without_a_token_is_an_invalid_request() {
    let app = support::app().await;
    for fields in [&[][..], &[("token", "")], &[("refresh_token", "x")]] {
        let fields = [&[("client_id", "web")], fields].concat();
        let answer = app.post_form("/oauth/revoke", &fields).await;
        assert_eq!(error_of(answer).await, invalid("invalid_request"), "{fields:?}");
    }
    let request = app.client.post("/oauth/revoke?token=x&client_id=web");
    let request = request.header(rocket::http::ContentType::Form);
    assert_eq!(error_of(request.dispatch().await).await, invalid("invalid_request"));
}

#[rocket::async_test]
async fn r31_wrong_token_type_hint_is_ignored() {
    for hint in ["access_token", "refresh_token", "banana", ""] {
        let (app, pair) = signed_in().await;
        revoke(&app, &[("token", &pair.access), ("token_type_hint", hint)]).await;
        assert!(!opens(&app, &pair.access).await, "{hint}");
        revoke(&app, &[("token_type_hint", hint), ("token", &pair.refresh)]).await;
        assert_refresh_refused(&app, &pair.refresh).await;
    }
}

#[rocket::async_test]
async fn r31_token_of_another_client_is_refused_and_lives() {
    let (app, first) = signed_in().await;
    let second = refreshed(&app, &first.refresh).await;
    for token in [&first.access, &first.refresh, &second.access, &second.refresh] {
        let header = basic("shop", "shop secret");
        let answer = post_form_with(&app, "/oauth/revoke", header, &[("token", token)]).await;
        assert_eq!(error_of(answer).await, invalid("invalid_grant"));
        let fields = [("client_id", "kiosk"), ("token", token)];
        let answer = app.post_form("/oauth/revoke", &fields).await;
        assert_eq!(error_of(answer).await, invalid("invalid_grant"));
    }
    assert!(opens(&app, &first.access).await && opens(&app, &second.access).await);
    refreshed(&app, &second.refresh).await;
}

#[rocket::async_test]
async fn r31_confidential_client_revokes_its_own_token() {
    let app = support::app().await;
    app.account(ADA).await;
    let fields = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
    let header = || basic("shop", "shop secret");
    let pair = tokens(post_form_with(&app, "/oauth/token", header(), &fields).await).await;
    let fields = [("token", pair.refresh.as_str())];
    let answer = post_form_with(&app, "/oauth/revoke", header(), &fields).await;
    assert_eq!(answer.status(), Status::Ok);
    assert!(!opens(&app, &pair.access).await);
}
