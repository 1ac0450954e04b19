//! Tests of the authorization server's metadata (RFC 8414): R33.

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::testing::TestApp;

use crate::support::{self, ADA, basic, post_form_with, problem_of};
use crate::support_clients::SECRET;

const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

async fn metadata(app: &TestApp, path: &'static str) -> Value {
    let response = app.client.get(path).dispatch().await;
    assert_eq!(response.status(), Status::Ok, "{path}");
    assert_eq!(response.content_type(), Some(ContentType::JSON));
    response.into_json().await.unwrap()
}

#[rocket::async_test]
async fn r33_issuer_is_the_configured_url_for_every_host_header() {
    let app = support::app().await;
    for host in ["evil.example", "accounts.example.org:81", ""] {
        let request = app.client.get(METADATA_PATH).header(Header::new("Host", host));
        let request = request.header(Header::new("X-Forwarded-Host", "evil.example"));
        let request = request.header(Header::new("Forwarded", "host=evil.example;proto=http"));
        let answer: Value = request.dispatch().await.into_json().await.unwrap();
        assert_eq!(answer["issuer"], "https://accounts.example.org");
        assert!(!answer.to_string().contains("evil"), "{answer}");
    }
}

#[rocket::async_test]
async fn r33_issuer_with_a_path_has_its_metadata_at_the_rfcs_path() {
    let app =
        support::configured("[default.vestibule]\npublic_url = \"https://h.example/auth\"").await;
    for path in [METADATA_PATH, "/.well-known/oauth-authorization-server/auth"] {
        let answer = metadata(&app, path).await;
        assert_eq!(answer["issuer"], "https://h.example/auth", "{path}");
        assert_eq!(answer["token_endpoint"], "https://h.example/auth/oauth/token");
    }
    for path in ["/other", "/auth/more", "/Auth", "/aut", "/auth%2fmore", "/.auth"] {
        let response = app.client.get(format!("{METADATA_PATH}{path}")).dispatch().await;
        assert_eq!(response.status(), Status::NotFound, "{path}");
    }
    // an issuer without a path has no metadata below it
    let app = support::app().await;
    let response = app.client.get(format!("{METADATA_PATH}/auth")).dispatch().await;
    assert_eq!(problem_of(response).await.0, Status::NotFound);
}

#[rocket::async_test]
async fn r33_required_members_are_present_and_unsupported_ones_absent() {
    let app = support::app().await;
    let answer = metadata(&app, METADATA_PATH).await;
    assert_eq!(answer["response_types_supported"], json!([]), "{answer}");
    for absent in ["authorization_endpoint", "jwks_uri", "registration_endpoint"] {
        assert!(answer.get(absent).is_none(), "{answer}");
    }
    let grants = json!(["password", "refresh_token"]);
    assert_eq!(answer["grant_types_supported"], grants);
}

#[rocket::async_test]
async fn r33_advertised_scopes_and_documentation_page_exist() {
    let app = support::app().await;
    app.account(ADA).await;
    let answer = metadata(&app, METADATA_PATH).await;
    // the shipped client may have every named scope, and gets all of them if it asks for none
    let tokens = app.token(&support::sign_in_fields()).await.into_json::<Value>().await.unwrap();
    let scopes: Vec<&str> = tokens["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(answer["scopes_supported"], json!(scopes));
    let page = answer["service_documentation"].as_str().unwrap();
    let path = page.strip_prefix(answer["issuer"].as_str().unwrap()).unwrap().to_owned();
    let response = app.client.get(path).dispatch().await;
    assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(ContentType::HTML)));
}

/// A request of a client that authenticates by one of the methods that the metadata names.
async fn request_with_method(
    app: &TestApp,
    path: &'static str,
    method: &str,
    fields: &[(&str, &str)],
) -> Status {
    let body = match method {
        "client_secret_basic" => {
            return post_form_with(app, path, basic("shop", SECRET), fields).await.status();
        }
        "client_secret_post" => vec![("client_id", "shop"), ("client_secret", SECRET)],
        "none" => vec![("client_id", "web")],
        other => unreachable!("unknown authentication method: {other}"),
    };
    app.post_form(path, &[fields, &body].concat()).await.status()
}

#[rocket::async_test]
async fn r33_advertised_endpoints_and_authentication_methods_work() {
    let app = support::app().await;
    app.account(ADA).await;
    let answer = metadata(&app, METADATA_PATH).await;
    let issuer = answer["issuer"].as_str().unwrap();
    let mut tried = 0;
    for (member, value) in answer.as_object().unwrap() {
        let Some(endpoint) = member.strip_suffix("_endpoint") else { continue };
        let path = value.as_str().unwrap().strip_prefix(issuer).unwrap();
        let sign_in = [
            ("grant_type", "password"),
            ("username", ADA),
            ("password", vestibule::testing::PASSWORD),
        ];
        let (known, fields) = match path {
            "/oauth/token" => ("/oauth/token", &sign_in[..]),
            "/oauth/revoke" => ("/oauth/revoke", &[("token", "x")][..]),
            "/oauth/introspect" => ("/oauth/introspect", &[("token", "x")][..]),
            other => panic!("unknown endpoint: {other}"),
        };
        let methods = &answer[format!("{endpoint}_endpoint_auth_methods_supported")];
        let methods: Vec<&str> =
            methods.as_array().unwrap().iter().map(|method| method.as_str().unwrap()).collect();
        for method in ["client_secret_basic", "client_secret_post", "none"] {
            let status = request_with_method(&app, known, method, fields).await;
            let works = status == Status::Ok;
            assert_eq!(works, methods.contains(&method), "{member} {method}: {status}");
            tried += 1;
        }
    }
    assert_eq!(tried, 9, "{answer}");
}
