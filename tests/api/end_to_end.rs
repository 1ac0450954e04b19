//! Test of an account's whole way through the service, from sign-up to sign-out.

use rocket::http::Status;
use serde_json::Value;
use vestibule::testing::PASSWORD;

use crate::support;
use crate::support::{
    ADA, assert_refresh_refused, error_of, invalid, opens, refreshed, sign_in, sign_in_fields,
};

#[rocket::async_test]
async fn sign_up_activation_sign_in_refresh_and_sign_out_work_in_sequence() {
    let app = support::app().await;

    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    let early = app.token(&sign_in_fields()).await;
    assert_eq!(error_of(early).await, invalid("invalid_grant"), "the address is not confirmed");
    assert_eq!(app.activate(ADA).await, Status::Ok);

    let tokens = sign_in(&app).await;
    let ada = app.sign_in(ADA).await;
    let me: Value = ada.get("/v1/me").dispatch().await.into_json().await.unwrap();
    assert_eq!(me["email"], ADA);

    let renewed = refreshed(&app, &tokens.refresh).await;
    assert!(opens(&app, &renewed.access).await);

    let fields = [("client_id", "web"), ("token", renewed.refresh.as_str())];
    assert_eq!(app.post_form("/oauth/revoke", &fields).await.status(), Status::Ok);
    assert!(!opens(&app, &renewed.access).await);
    assert_refresh_refused(&app, &renewed.refresh).await;
    assert!(opens(&app, &ada.access_token).await, "the other session stays");
}
