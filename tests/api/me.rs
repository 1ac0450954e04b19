//! Tests of `/v1/me`, the account of the token's owner (R3, R8, R9, R38).

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::testing::Signed;

use crate::support;
use crate::support::{ADA, problem_of};

async fn me(ada: &Signed<'_>) -> Value {
    let response = ada.get("/v1/me").dispatch().await;
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(response.content_type(), Some(ContentType::JSON));
    response.into_json().await.unwrap()
}

/// Patches the account and returns the answer. Checks that a second read agrees.
async fn patch(ada: &Signed<'_>, change: Value) -> Value {
    let response = ada.patch("/v1/me", &change).dispatch().await;
    assert_eq!(response.status(), Status::Ok, "{change}");
    let body: Value = response.into_json().await.unwrap();
    assert_eq!(body, me(ada).await);
    body
}

/// Field and code of each error.
async fn patch_errors(ada: &Signed<'_>, change: Value) -> Vec<(String, String)> {
    let before = me(ada).await;
    let (status, problem) = problem_of(ada.patch("/v1/me", &change).dispatch().await).await;
    assert_eq!(status, Status::UnprocessableEntity, "{change}");
    assert_eq!(problem["type"], "/problems/invalid-fields");
    assert_eq!(me(ada).await, before, "{change} was taken in part");
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
    assert!(errors.iter().all(|error| !text(error, "message").is_empty()));
    errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
}

fn owned_pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect()
}

#[rocket::async_test]
async fn account_has_the_documented_members_only() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await.to_string();
    let expected = json!({
        "id": id,
        "email": ADA,
        "name": null,
        "locale": null,
        "created_at": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(me(&ada).await, expected);
}

#[rocket::async_test]
async fn absent_members_stay_and_null_clears() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for (change, name, locale) in [
        (json!({ "name": "Ada", "locale": "en-GB" }), json!("Ada"), json!("en-GB")),
        (json!({}), json!("Ada"), json!("en-GB")),
        (json!({ "name": " Ada Lovelace " }), json!("Ada Lovelace"), json!("en-GB")),
        (json!({ "locale": "de" }), json!("Ada Lovelace"), json!("de")),
        (json!({ "locale": null }), json!("Ada Lovelace"), json!(null)),
        (json!({ "name": "" }), json!(null), json!(null)),
        (json!({ "name": "é🦀<b>{{7*7}}" }), json!("é🦀<b>{{7*7}}"), json!(null)),
        (json!({ "name": null, "locale": "fr" }), json!(null), json!("fr")),
    ] {
        let account = patch(&ada, change.clone()).await;
        assert_eq!((&account["name"], &account["locale"]), (&name, &locale), "{change}");
    }
}

#[rocket::async_test]
async fn r38_unknown_profile_members_are_ignored() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let before = me(&ada).await;
    let change = json!({
        "id": "01912345-6789-7abc-8def-0123456789ab",
        "email": "eve@example.org",
        "created_at": "1970-01-01T00:00:00.000Z",
        "activated": true,
        "disabled_at": null,
        "epoch": 9,
        "role": "admin",
        "password": "x",
        "Name": "Eve",
    });
    assert_eq!(patch(&ada, change).await, before);
}

#[rocket::async_test]
async fn all_invalid_fields_are_reported_at_once() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    patch(&ada, json!({ "name": "Ada", "locale": "en" })).await;
    let long = "x".repeat(101);
    for (change, expected) in [
        (
            json!({ "name": long, "locale": "no_locale" }),
            &[("name", "too-long"), ("locale", "malformed")][..],
        ),
        (json!({ "name": "Bob", "locale": "" }), &[("locale", "malformed")]),
        (json!({ "name": "a\nb" }), &[("name", "control-characters")]),
        (json!({ "name": "\u{202e}a" }), &[("name", "control-characters")]),
        (json!({ "name": "a\u{0}b" }), &[("name", "nul")]),
        (json!({ "name": 7 }), &[("name", "not-a-text")]),
        (json!({ "name": ["Ada"] }), &[("name", "not-a-text")]),
        (
            json!({ "name": { "first": "Ada" }, "locale": true }),
            &[("name", "not-a-text"), ("locale", "not-a-text")],
        ),
    ] {
        assert_eq!(patch_errors(&ada, change.clone()).await, owned_pairs(expected), "{change}");
    }
    for change in [json!([]), json!("Ada"), json!(null), json!(1)] {
        assert_eq!(patch_errors(&ada, change).await, vec![]);
    }
}

#[rocket::async_test]
async fn malformed_json_is_400() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let deep = "[".repeat(10_000);
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"{\"name\":\"Ada\"",
        b"{\"name\":\"Ada\"}{}",
        b"{'name':'Ada'}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\\ud800\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let request = app.client.patch("/v1/me").header(ada.header()).header(ContentType::JSON);
        let (status, problem) = problem_of(request.body(body).dispatch().await).await;
        assert_eq!(status, Status::BadRequest, "{:?}", String::from_utf8_lossy(body));
        assert_eq!(problem["type"], "/problems/malformed-json");
    }
}

#[rocket::async_test]
async fn r3_another_content_type_is_415() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for content_type in
        [Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("nonsense"), None]
    {
        let mut request = app.client.patch("/v1/me").header(ada.header());
        if let Some(content_type) = content_type {
            request.add_header(Header::new("Content-Type", content_type));
        }
        let response = request.body(r#"{"name":"Eve"}"#).dispatch().await;
        let (status, problem) = problem_of(response).await;
        assert_eq!(status, Status::UnsupportedMediaType, "{content_type:?}");
        assert_eq!(problem["type"], "/problems/unsupported-media-type");
    }
    assert_eq!(me(&ada).await["name"], Value::Null);
    let request = app.client.patch("/v1/me").header(ada.header());
    let request = request.header(Header::new("Content-Type", "application/json; charset=utf-8"));
    assert_eq!(request.body("{}").dispatch().await.status(), Status::Ok);
}

#[rocket::async_test]
async fn r9_oversized_json_body_is_413() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let padded = |length: usize| {
        let padding = "x".repeat(length - r#"{"x":""}"#.len());
        format!(r#"{{"x":"{padding}"}}"#)
    };
    let send = async |body: String, said: Option<&'static str>| {
        let mut request =
            app.client.patch("/v1/me").header(ada.header()).header(ContentType::JSON).body(body);
        if let Some(said) = said {
            request.add_header(Header::new("Content-Length", said));
        }
        request.dispatch().await
    };
    assert_eq!(send(padded(32_768), None).await.status(), Status::Ok);
    for (body, said) in [(padded(32_769), None), ("{}".to_owned(), Some("1073741824"))] {
        let (status, problem) = problem_of(send(body, said).await).await;
        assert_eq!(status, Status::PayloadTooLarge);
        assert_eq!(problem["type"], "/problems/content-too-large");
    }
}

#[rocket::async_test]
async fn other_methods_are_answered_405_with_allow() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for request in [app.client.post("/v1/me"), app.client.delete("/v1/me")] {
        let response = request.header(ada.header()).dispatch().await;
        assert_eq!(response.headers().get_one("Allow"), Some("GET, HEAD, PATCH"));
        assert_eq!(problem_of(response).await.0, Status::MethodNotAllowed);
    }
    let response = ada.get("/v1/me/nothing").dispatch().await;
    assert_eq!(problem_of(response).await.0, Status::NotFound);
}
