//! Tests of protected resources (RFC 6750): R29, R30, and R2 where a token opens a resource.

use rocket::http::{ContentType, Header, Method, Status};
use vestibule::model::AccessToken;
use vestibule::testing::TestApp;

use crate::support;
use crate::support::{
    ADA, basic, bearer, header, opens, problem_of, sign_in, sign_in_fields, tokens,
};

/// Every protected resource with its required scope.
const PROTECTED: [(Method, &str, &str); 5] = [
    (Method::Get, "/v1/me", "account.read"),
    (Method::Patch, "/v1/me", "account.write"),
    (Method::Get, "/v1/me/sessions", "account.read"),
    (Method::Delete, "/v1/me/sessions", "account.write"),
    (Method::Delete, "/v1/me/sessions/01912345-6789-7abc-8def-0123456789ab", "account.write"),
];

/// The status, the challenge and the problem type of a refusal.
async fn refusal(
    app: &TestApp,
    method: Method,
    path: &str,
    headers: &[Header<'static>],
) -> (u16, String, String) {
    let mut request = app.client.req(method, path.to_owned());
    for header in headers {
        request.add_header(header.clone());
    }
    let response = request.dispatch().await;
    assert_eq!(header(&response, "Cache-Control"), Some("no-store"), "{method} {path}");
    let challenge = header(&response, "WWW-Authenticate").unwrap_or_default().to_owned();
    let (status, problem) = problem_of(response).await;
    (status.code, challenge, problem["type"].as_str().unwrap().to_owned())
}

fn authorization(value: impl Into<std::borrow::Cow<'static, str>>) -> Header<'static> {
    Header::new("Authorization", value)
}

#[rocket::async_test]
async fn r29_request_without_token_gets_a_bare_challenge() {
    let app = support::app().await;
    for (method, path, _) in PROTECTED {
        for headers in [vec![], vec![basic("web", "")], vec![authorization("Bearervat_x")]] {
            let (status, challenge, kind) = refusal(&app, method, path, &headers).await;
            assert_eq!((status, challenge.as_str()), (401, "Bearer"), "{method} {path}");
            assert_eq!(kind, "/problems/no-token");
        }
    }
}

#[rocket::async_test]
async fn r29_malformed_token_is_invalid_at_every_resource() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let mut cut = pair.access.clone();
    cut.pop();
    for token in [
        "x",
        "vat_",
        "null",
        pair.refresh.as_str(),
        &cut,
        &pair.access.to_lowercase(),
        &"v".repeat(65_536),
        &format!("vat_{}", "A".repeat(65_536)),
        &format!("vat_{}", "A".repeat(70)),
        "vat_%00",
        "é",
        "\"quoted\"",
        "a,b",
    ] {
        for (method, path, _) in PROTECTED {
            let (status, challenge, kind) = refusal(&app, method, path, &[bearer(token)]).await;
            assert_eq!(status, 401, "{token} {method} {path}");
            let start = "Bearer error=\"invalid_token\", error_description=\"";
            assert!(challenge.starts_with(start), "{challenge}");
            assert_eq!(kind, "/problems/invalid-token");
        }
    }
    assert!(opens(&app, &pair.access).await);
}

#[rocket::async_test]
async fn r29_insufficient_scope_gets_403_naming_the_required_scope() {
    let app = support::app().await;
    app.account(ADA).await;
    for (method, path, needed) in PROTECTED {
        let has = if needed == "account.read" { "account.write" } else { "account.read" };
        let mut fields = sign_in_fields();
        fields.push(("scope", has));
        let pair = tokens(app.token(&fields).await).await;
        let (status, challenge, kind) = refusal(&app, method, path, &[bearer(&pair.access)]).await;
        assert_eq!(status, 403, "{method} {path}");
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.ends_with(&format!(", scope=\"{needed}\"")), "{challenge}");
        assert_eq!(kind, "/problems/insufficient-scope");
    }
}

#[rocket::async_test]
async fn r29_token_in_query_or_sent_twice_is_a_bad_request() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let query = |name: &str| format!("/v1/me?{name}={}", pair.access);
    let ours = || bearer(&pair.access);
    for (path, headers) in [
        (query("access_token"), vec![]),
        (query("access_token"), vec![ours()]),
        (query("%61ccess_token"), vec![]),
        (query("x=1&access_token"), vec![ours()]),
        ("/v1/me?access_token".to_owned(), vec![ours()]),
        ("/v1/me".to_owned(), vec![ours(), ours()]),
        ("/v1/me".to_owned(), vec![ours(), basic("web", "")]),
        ("/v1/me".to_owned(), vec![authorization("Bearer")]),
        ("/v1/me".to_owned(), vec![authorization("Bearer ")]),
        ("/v1/me".to_owned(), vec![authorization("Bearer a b")]),
        ("/v1/me".to_owned(), vec![authorization(format!("Bearer {0} {0}", pair.access))]),
    ] {
        let (status, challenge, kind) = refusal(&app, Method::Get, &path, &headers).await;
        assert_eq!(status, 400, "{path} {headers:?}");
        assert!(challenge.starts_with("Bearer error=\"invalid_request\""), "{challenge}");
        assert_eq!(kind, "/problems/token-misplaced");
    }
}

#[rocket::async_test]
async fn r29_token_in_form_body_is_ignored() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let request = app.client.patch("/v1/me").header(ContentType::Form);
    let response = request.body(format!("access_token={}", pair.access)).dispatch().await;
    assert_eq!(header(&response, "WWW-Authenticate"), Some("Bearer"));
    assert_eq!(response.status(), Status::Unauthorized);
}

#[rocket::async_test]
async fn bearer_scheme_is_case_insensitive() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        let header = authorization(format!("{scheme} {}", pair.access));
        let response = app.client.get("/v1/me").header(header).dispatch().await;
        assert_eq!(response.status(), Status::Ok, "{scheme}");
    }
}

#[rocket::async_test]
async fn r30_token_with_id_and_secret_of_different_sessions_is_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    app.account("eve@example.org").await;
    let ada = AccessToken::parse(&sign_in(&app).await.access).unwrap();
    let eve = AccessToken::parse(&app.sign_in("eve@example.org").await.access_token).unwrap();
    let forged = AccessToken { session: ada.session, secret: eve.secret.clone() };
    assert!(!opens(&app, &forged.reveal()).await);
    assert!(opens(&app, &ada.reveal()).await && opens(&app, &eve.reveal()).await);
}

#[rocket::async_test]
async fn r30_responses_to_bearer_requests_are_not_cacheable() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for path in ["/v1/me", "/v1/me/sessions"] {
        for method in [Method::Get, Method::Head] {
            let request = app.client.req(method, path).header(ada.header());
            let response = request.dispatch().await;
            assert_eq!(response.status(), Status::Ok, "{method} {path}");
            assert_eq!(header(&response, "Cache-Control"), Some("no-store"), "{method} {path}");
            assert_eq!(header(&response, "WWW-Authenticate"), None);
        }
    }
    let response = ada.delete("/v1/me/sessions/nothing").dispatch().await;
    assert_eq!(header(&response, "Cache-Control"), Some("no-store"));
    let response = ada.delete("/v1/me/sessions").dispatch().await;
    assert_eq!(header(&response, "Cache-Control"), Some("no-store"));
}

#[rocket::async_test]
async fn head_request_needs_a_token_and_gets_no_body() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let response = app.client.head("/v1/me").dispatch().await;
    assert_eq!(response.status(), Status::Unauthorized);
    assert_eq!(header(&response, "WWW-Authenticate"), Some("Bearer"));
    assert_eq!(response.into_string().await.unwrap_or_default(), "");
    let response = app.client.head("/v1/me").header(ada.header()).dispatch().await;
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(response.into_string().await.unwrap_or_default(), "");
}

#[rocket::async_test]
async fn r2_a_form_field_does_not_turn_a_post_into_a_delete() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for (path, allow) in [("/v1/me/sessions", "DELETE, GET, HEAD"), ("/v1/me", "GET, HEAD, PATCH")]
    {
        for method in ["delete", "DELETE", "patch", "put"] {
            let request = app.client.post(path).header(ada.header()).header(ContentType::Form);
            let response = request.body(format!("_method={method}&x=y")).dispatch().await;
            assert_eq!(header(&response, "Allow"), Some(allow));
            assert_eq!(problem_of(response).await.0, Status::MethodNotAllowed, "{method} {path}");
        }
    }
    assert!(opens(&app, &ada.access_token).await);
}
