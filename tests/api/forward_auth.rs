//! Tests of `/oauth/check`, the forward authentication of reverse proxies (R29, R30).

use rocket::http::{Header, Method, Status};
use vestibule::testing::TestApp;

use crate::support::{
    self, ADA, assert_no_store, assert_refresh_refused, basic, bearer, header, refreshed, sign_in,
    warnings,
};
use crate::support_clients::{add, public};

/// The status, the challenge and the `error` of a refusal. Checks its form.
async fn refusal(app: &TestApp, path: &str, headers: &[Header<'static>]) -> (u16, String, String) {
    let mut request = app.client.get(path.to_owned());
    for header in headers {
        request.add_header(header.clone());
    }
    let response = request.dispatch().await;
    assert_no_store(&response);
    for name in ["X-Vestibule-Account", "X-Vestibule-Client", "X-Vestibule-Scope"] {
        assert_eq!(header(&response, name), None, "{path} {name}");
    }
    let challenge = header(&response, "WWW-Authenticate").unwrap_or_default().to_owned();
    let status = response.status().code;
    let body: serde_json::Value = response.into_json().await.expect("JSON");
    assert!(body["error_description"].is_string(), "{body}");
    let uri = body["error_uri"].as_str().unwrap_or_default();
    assert!(uri.starts_with("https://accounts.example.org/problems/"), "{body}");
    (status, challenge, body["error"].as_str().unwrap_or_default().to_owned())
}

#[rocket::async_test]
async fn r29_live_token_passes_and_headers_name_account_client_and_scope() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let account = ada.account_id().await.to_string();
    for method in [Method::Get, Method::Head] {
        for query in [
            "",
            "?",
            "?scope=",
            "?scope=account.read",
            "?scope=account.read%20account.write",
            "?scope=account.write+account.read",
            "?%73cope=account.read",
            "?unknown=x",
        ] {
            let request = app.client.req(method, format!("/oauth/check{query}"));
            let response = request.header(ada.header()).dispatch().await;
            assert_eq!(response.status(), Status::Ok, "{method} {query}");
            assert_no_store(&response);
            assert_eq!(header(&response, "X-Vestibule-Account"), Some(account.as_str()));
            assert_eq!(header(&response, "X-Vestibule-Client"), Some("web"));
            let scope = header(&response, "X-Vestibule-Scope");
            assert_eq!(scope, Some("account.read account.write"));
            assert_eq!(response.into_string().await.unwrap_or_default(), "");
        }
    }
}

#[rocket::async_test]
async fn r29_missing_invalid_and_insufficient_tokens_get_the_challenge() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    for headers in [vec![], vec![basic("web", "")]] {
        let (status, challenge, error) = refusal(&app, "/oauth/check", &headers).await;
        assert_eq!((status, challenge.as_str()), (401, "Bearer"));
        assert_eq!(error, "invalid_token");
    }
    for token in ["x", pair.refresh.as_str(), &"v".repeat(65_536), "é"] {
        let (status, challenge, error) = refusal(&app, "/oauth/check", &[bearer(token)]).await;
        assert_eq!(status, 401);
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        assert_eq!(error, "invalid_token");
    }
    for (scope, needed) in [
        ("orders.read", "orders.read"),
        ("orders.read%20account.read", "account.read orders.read"),
        ("Account.Read", "Account.Read"),
    ] {
        let path = format!("/oauth/check?scope={scope}");
        let (status, challenge, error) = refusal(&app, &path, &[bearer(&pair.access)]).await;
        assert_eq!((status, error.as_str()), (403, "insufficient_scope"));
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.ends_with(&format!(", scope=\"{needed}\"")), "{challenge}");
    }
}

#[rocket::async_test]
async fn r29_malformed_check_requests_are_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let ours = || bearer(&pair.access);
    for path in [
        "/oauth/check?scope=%22".to_owned(),
        "/oauth/check?scope=a%5Cb".to_owned(),
        "/oauth/check?scope=%20".to_owned(),
        "/oauth/check?scope=%C3%A9".to_owned(),
        "/oauth/check?scope=%ff".to_owned(),
        "/oauth/check?scope=%00".to_owned(),
        // with two scopes, to drop either would let a caller pass without it
        "/oauth/check?scope=account.read&scope=orders.read".to_owned(),
        "/oauth/check?scope=account.read&%73cope=account.read".to_owned(),
        format!("/oauth/check?access_token={}", pair.access),
    ] {
        let (status, challenge, error) = refusal(&app, &path, &[ours()]).await;
        assert_eq!((status, error.as_str()), (400, "invalid_request"), "{path}");
        assert!(challenge.starts_with("Bearer error=\"invalid_request\""), "{challenge}");
    }
    let (status, ..) = refusal(&app, "/oauth/check", &[ours(), ours()]).await;
    assert_eq!(status, 400);
    for method in [Method::Post, Method::Put, Method::Delete] {
        let response = app.client.req(method, "/oauth/check").header(ours()).dispatch().await;
        assert_eq!(response.status(), Status::MethodNotAllowed);
        assert_eq!(header(&response, "Allow"), Some("GET, HEAD"));
    }
}

#[rocket::async_test]
async fn r23_check_counts_as_use_of_the_access_token() {
    let app = support::app().await;
    app.account(ADA).await;
    let first = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    let request = app.client.get("/oauth/check").header(bearer(&second.access));
    assert_eq!(request.dispatch().await.status(), Status::Ok);
    app.settle().await;
    app.advance(std::time::Duration::from_secs(60));
    assert_refresh_refused(&app, &first.refresh).await;
    assert_eq!(warnings(&app).await, 1);
}

#[rocket::async_test]
async fn client_id_in_the_header_is_percent_encoded() {
    let app = support::app().await;
    app.account(ADA).await;
    for (id, encoded) in [
        ("my shop", "my%20shop"),
        ("my é", "my%20%C3%A9"),
        ("100%", "100%25"),
        ("a:b,c;d\"e", "a:b,c;d\"e"),
        ("馬", "%E9%A6%AC"),
    ] {
        add(&app, id, &public()).await;
        let signed = app.sign_in_to(id, ADA).await;
        let response = signed.get("/oauth/check").dispatch().await;
        assert_eq!(response.status(), Status::Ok, "{id}");
        assert_eq!(header(&response, "X-Vestibule-Client"), Some(encoded));
    }
}
