//! Tests of the forms under `/oauth` (R1 to R10). [`error_of`] checks the form of every error.

use rocket::http::{ContentType, Header, Method, Status};
use vestibule::testing::PASSWORD;

use crate::support;
use crate::support::{
    ADA, assert_no_store, error_of, form, header, invalid, post_raw, sign_in, sign_in_fields,
    tokens,
};

const ENDPOINTS: [&str; 2] = ["/oauth/token", "/oauth/revoke"];

#[rocket::async_test]
async fn r1_other_methods_are_answered_405_with_allow() {
    let app = support::app().await;
    for endpoint in ENDPOINTS {
        for method in [Method::Get, Method::Put, Method::Delete, Method::Patch, Method::Options] {
            let request = app.client.req(method, endpoint).header(ContentType::Form);
            let response = request.body(form(&sign_in_fields())).dispatch().await;
            assert_eq!(header(&response, "Allow"), Some("POST"), "{method} {endpoint}");
            let expected = (Status::MethodNotAllowed, "invalid_request".to_owned());
            assert_eq!(error_of(response).await, expected, "{method} {endpoint}");
        }
        let response = app.client.head(endpoint).dispatch().await;
        assert_eq!(response.status(), Status::MethodNotAllowed, "HEAD {endpoint}");
        assert_eq!(header(&response, "Allow"), Some("POST"));
        assert_no_store(&response);
    }
}

#[rocket::async_test]
async fn r2_method_override_field_is_ignored() {
    let app = support::app().await;
    app.account(ADA).await;
    for method in ["PUT", "put", "Delete", "patch", "GET", "head", "nonsense", ""] {
        let body = format!("_method={method}&{}", form(&sign_in_fields()));
        assert!(!tokens(post_raw(&app, body).await).await.access.is_empty(), "{method}");
    }
    // Rocket takes these for the same field, or looks at the beginning of the value only
    for field in
        ["_method=deleteX", "&_method=put", "_method[]=put", "_method.a=get", "_method=put "]
    {
        let body = format!("{field}&{}", form(&sign_in_fields()));
        assert!(!tokens(post_raw(&app, body).await).await.access.is_empty(), "{field}");
    }
}

#[rocket::async_test]
async fn r3_content_types_other_than_forms_are_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    let json = r#"{"grant_type":"password","client_id":"web"}"#;
    for endpoint in ENDPOINTS {
        for content_type in [
            Some("application/json"),
            Some("multipart/form-data; boundary=x"),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded-not"),
            Some("nonsense"),
            None,
        ] {
            for body in [json.to_owned(), form(&sign_in_fields())] {
                let mut request = app.client.post(endpoint).body(body);
                if let Some(content_type) = content_type {
                    request.add_header(Header::new("Content-Type", content_type));
                }
                let answer = error_of(request.dispatch().await).await;
                assert_eq!(answer, invalid("invalid_request"), "{endpoint} {content_type:?}");
            }
        }
    }
    for content_type in
        ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLEncoded"]
    {
        let request = app.client.post("/oauth/token").body(form(&sign_in_fields()));
        let request = request.header(Header::new("Content-Type", content_type));
        tokens(request.dispatch().await).await;
    }
}

#[rocket::async_test]
async fn r4_repeated_known_parameter_is_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    let with_scope = |mut fields: Vec<(&'static str, &'static str)>| {
        fields.push(("scope", "account.read"));
        fields
    };
    for (name, value) in with_scope(sign_in_fields()) {
        for again in [value, "", "else"] {
            let mut fields = with_scope(sign_in_fields());
            fields.push((name, again));
            let answer = error_of(app.token(&fields).await).await;
            assert_eq!(answer, invalid("invalid_request"), "{name}={again}");
        }
    }
    for (name, value) in [("refresh_token", "x"), ("client_secret", "x"), ("client_secret", "")] {
        let fields = [("grant_type", "refresh_token"), (name, value), (name, value)];
        assert_eq!(error_of(app.token(&fields).await).await, invalid("invalid_request"), "{name}");
    }
    for name in ["token", "token_type_hint"] {
        let fields = [("client_id", "web"), ("token", "x"), (name, "x"), (name, "x")];
        let answer = app.post_form("/oauth/revoke", &fields).await;
        assert_eq!(error_of(answer).await, invalid("invalid_request"), "{name}");
    }
}

#[rocket::async_test]
async fn r4_unknown_parameters_are_ignored_even_twice() {
    let app = support::app().await;
    app.account(ADA).await;
    let body = format!("{}&resource=a&resource=b&&audience&=&", form(&sign_in_fields()));
    tokens(post_raw(&app, body).await).await;
}

#[rocket::async_test]
async fn r5_empty_scope_counts_as_omitted() {
    let app = support::app().await;
    app.account(ADA).await;
    for scope in ["scope=", "scope"] {
        let body = format!("{}&{scope}", form(&sign_in_fields()));
        let tokens = tokens(post_raw(&app, body).await).await;
        assert_eq!(tokens.scope, "account.read account.write");
    }
}

#[rocket::async_test]
async fn r5_r7_empty_and_missing_parameters_are_invalid_requests() {
    let app = support::app().await;
    app.account(ADA).await;
    let refresh =
        vec![("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", "x")];
    for (fields, needed) in [
        (sign_in_fields(), &["grant_type", "username", "password"][..]),
        (refresh, &["grant_type", "refresh_token"][..]),
    ] {
        for needed in needed {
            let others = fields.iter().copied().filter(|(name, _)| name != needed);
            let without: Vec<_> = others.clone().collect();
            let empty: Vec<_> = others.chain([(*needed, "")]).collect();
            for fields in [without, empty] {
                let answer = error_of(app.token(&fields).await).await;
                assert_eq!(answer, invalid("invalid_request"), "{fields:?}");
            }
        }
    }
}

#[rocket::async_test]
async fn r6_query_parameters_are_ignored() {
    let app = support::app().await;
    app.account(ADA).await;
    let all = form(&sign_in_fields());
    let request = app.client.post(format!("/oauth/token?{all}")).header(ContentType::Form);
    assert_eq!(error_of(request.dispatch().await).await, invalid("invalid_request"));

    let shop = form(&[("client_id", "shop"), ("client_secret", "shop secret")]);
    let anonymous: Vec<_> =
        sign_in_fields().into_iter().filter(|(name, _)| *name != "client_id").collect();
    for query in [shop.as_str(), "client_id=web"] {
        let request = app.client.post(format!("/oauth/token?{query}")).header(ContentType::Form);
        let answer = error_of(request.body(form(&anonymous)).dispatch().await).await;
        assert_eq!(answer, invalid("invalid_client"), "{query}");
    }
}

#[rocket::async_test]
async fn r7_unsupported_and_unauthorized_grant_types_have_distinct_errors() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = sign_in(&app).await.refresh;
    for (grant_type, client, error) in [
        ("authorization_code", "web", "unsupported_grant_type"),
        ("client_credentials", "web", "unsupported_grant_type"),
        ("Password", "web", "unsupported_grant_type"),
        ("password ", "web", "unsupported_grant_type"),
        ("refresh_token", "kiosk", "unauthorized_client"),
    ] {
        let fields = [
            ("grant_type", grant_type),
            ("client_id", client),
            ("username", ADA),
            ("password", PASSWORD),
            ("refresh_token", &token),
        ];
        assert_eq!(error_of(app.token(&fields).await).await, invalid(error), "{grant_type}");
    }
}

#[rocket::async_test]
async fn r8_malformed_encoding_and_nul_are_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    let start = form(&sign_in_fields());
    let bodies: [&[u8]; 10] = [
        b"&x=%zz",
        b"&x=%",
        b"&x=%f",
        b"&%zz=x",
        b"&x=%ff",
        b"&x=\xff",
        b"&x=%00",
        b"&x=a\0b",
        b"&x=%c3",
        b"&x=%ed%a0%80", // half of a surrogate pair
    ];
    for end in bodies {
        let body = [start.as_bytes(), end].concat();
        let answer = error_of(post_raw(&app, body).await).await;
        assert_eq!(answer, invalid("invalid_request"), "{end:?}");
    }
    for field in ["client_id", "username", "password", "scope", "refresh_token", "client_secret"] {
        for value in ["%00", "%ff", "%fe"] {
            let others = sign_in_fields().into_iter().filter(|(name, _)| *name != field);
            let others: Vec<_> = others.collect();
            let body = format!("{}&{field}={PASSWORD}{value}", form(&others)).replace(' ', "+");
            let answer = error_of(post_raw(&app, body).await).await;
            assert_eq!(answer, invalid("invalid_request"), "{field}={value}");
        }
    }
}

#[rocket::async_test]
async fn r9_oversized_form_is_refused() {
    let app = support::app().await;
    app.account(ADA).await;
    let padded = |length: usize| {
        let mut body = format!("{}&x=", form(&sign_in_fields()));
        body.push_str(&"x".repeat(length - body.len()));
        body
    };
    tokens(post_raw(&app, padded(32 * 1_024)).await).await;

    let too_large = (Status::PayloadTooLarge, "invalid_request".to_owned());
    for length in [32 * 1_024 + 1, 33 * 1_024, 1 << 22] {
        assert_eq!(error_of(post_raw(&app, padded(length)).await).await, too_large, "{length}");
    }
    // a body whose `Content-Length` is too large is not read
    for said in ["33792", "1073741824", "18446744073709551615"] {
        for endpoint in ENDPOINTS {
            let request = app.client.post(endpoint).header(ContentType::Form);
            let request = request.header(Header::new("Content-Length", said));
            assert_eq!(error_of(request.body("x").dispatch().await).await, too_large, "{said}");
        }
    }
}

#[rocket::async_test]
async fn r10_unknown_path_below_oauth_gets_an_oauth_error() {
    let app = support::app().await;
    for path in ["/oauth", "/oauth/", "/oauth/tokens", "/oauth/token/more"] {
        for method in [Method::Get, Method::Post] {
            let response = app.client.req(method, path).dispatch().await;
            let expected = (Status::NotFound, "invalid_request".to_owned());
            assert_eq!(error_of(response).await, expected, "{method} {path}");
        }
    }
}

#[rocket::async_test]
async fn every_answer_has_a_request_id_and_a_well_formed_one_is_kept() {
    let app = support::app().await;
    for path in ["/oauth/token", "/v1/me", "/nowhere", "/health/live"] {
        let ours = Header::new("X-Request-Id", "0af7651916cd43dd-8448");
        let response = app.client.get(path).header(ours).dispatch().await;
        assert_eq!(header(&response, "X-Request-Id"), Some("0af7651916cd43dd-8448"), "{path}");
        let nonsense = Header::new("X-Request-Id", "<b>");
        let response = app.client.get(path).header(nonsense).dispatch().await;
        let id = header(&response, "X-Request-Id").unwrap();
        assert!(id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    }
}
