//! Tests of an unreachable database: 503 with `Retry-After`, and no acknowledgement (R31, R52).

use rocket::http::Status;
use rocket::local::asynchronous::LocalResponse;
use serde_json::json;
use vestibule::testing::PASSWORD;

use crate::support;
use crate::support::{ADA, error_of, header, sign_in};

fn assert_unavailable_with_retry_after(response: &LocalResponse<'_>, case: &str) {
    assert_eq!(response.status(), Status::ServiceUnavailable, "{case}");
    assert_eq!(header(response, "Retry-After"), Some("1"), "{case}");
}

#[rocket::async_test]
async fn r31_without_a_database_nothing_is_acknowledged() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    app.store().close().await;

    let refresh = [("grant_type", "refresh_token"), ("client_id", "web")];
    let refresh = [&refresh[..], &[("refresh_token", &pair.refresh)]].concat();
    let password = [("grant_type", "password"), ("client_id", "web"), ("username", ADA)];
    let password = [&password[..], &[("password", PASSWORD)]].concat();
    let revocation = |token| vec![("client_id", "web"), ("token", token)];
    for (path, fields) in [
        ("/oauth/revoke", revocation(pair.access.as_str())),
        ("/oauth/revoke", revocation(pair.refresh.as_str())),
        ("/oauth/token", refresh),
        ("/oauth/token", password),
    ] {
        let response = app.post_form(path, &fields).await;
        assert_unavailable_with_retry_after(&response, path);
        let expected = (Status::ServiceUnavailable, "temporarily_unavailable".to_owned());
        assert_eq!(error_of(response).await, expected, "{path}");
    }

    let sign_up = json!({ "email": "bob@example.org", "password": PASSWORD });
    assert_unavailable_with_retry_after(&app.post_json("/v1/accounts", &sign_up).await, "sign-up");
    let bearer = rocket::http::Header::new("Authorization", format!("Bearer {}", pair.access));
    let me = app.client.get("/v1/me").header(bearer).dispatch().await;
    assert_unavailable_with_retry_after(&me, "a protected resource");
    assert_eq!(header(&me, "WWW-Authenticate"), None, "the error is not about the token");
    let ready = app.client.get("/health/ready").dispatch().await;
    assert_unavailable_with_retry_after(&ready, "ready");
    let live = app.client.get("/health/live").dispatch().await;
    assert_eq!(live.status(), Status::Ok, "the process is live");
}
