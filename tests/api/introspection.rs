//! Tests of introspection (RFC 7662): R32.

use std::time::Duration;

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::{Value, json};
use vestibule::testing::{BEGINNING, PASSWORD, Signed, TestApp};

use crate::support::{
    self, ADA, Tokens, basic, bearer, error_of, header, invalid, opens, post_form_with, raw_basic,
    refresh_scope, refreshed, sign_in, tokens, warnings,
};
use crate::support_accounts::{accounts, change_password};
use crate::support_clients::{
    API, SECRET, add, confidential, id, introspect, public, sign_in_with,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn inactive() -> Value {
    json!({ "active": false })
}

async fn app() -> TestApp {
    let app = support::configured(API).await;
    app.account(ADA).await;
    app
}

fn invalid_client() -> (Status, String) {
    (Status::Unauthorized, "invalid_client".to_owned())
}

async fn is_active(app: &TestApp, token: &str) -> bool {
    let answer = introspect(app, "api", token).await;
    if answer["active"] != true {
        assert_eq!(answer, inactive());
    }
    answer["active"] == true
}

#[rocket::async_test]
async fn r32_unauthenticated_clients_get_invalid_client() {
    let app = app().await;
    let pair = sign_in(&app).await;
    let token = ("token", pair.access.as_str());
    for fields in [
        &[token][..],
        &[token, ("client_id", "nobody")],
        &[token, ("client_id", "shop")],
        &[token, ("client_id", "shop"), ("client_secret", "")],
        &[token, ("client_id", "shop"), ("client_secret", "wrong")],
        // a public client cannot authenticate
        &[token, ("client_id", "web")],
        &[token, ("client_id", "web"), ("client_secret", "")],
        &[token, ("client_id", "web"), ("client_secret", SECRET)],
    ] {
        let answer = app.post_form("/oauth/introspect", fields).await;
        assert_eq!(error_of(answer).await, invalid_client(), "{fields:?}");
    }
    for header in [
        basic("api", "wrong"),
        basic("web", ""),
        raw_basic("api"),
        raw_basic(b"api:\xff"),
        bearer(&pair.access),
        Header::new("Authorization", "Basic !!!"),
    ] {
        let said = format!("{header:?}");
        let answer = post_form_with(&app, "/oauth/introspect", header, &[token]).await;
        assert_eq!(error_of(answer).await, invalid_client(), "{said}");
    }
}

#[rocket::async_test]
async fn r32_a_default_client_does_not_introspect() {
    let app = support::configured("[default.vestibule]\ndefault_client = \"web\"").await;
    let answer = app.post_form("/oauth/introspect", &[("token", "x")]).await;
    assert_eq!(error_of(answer).await, invalid_client());
}

#[rocket::async_test]
async fn r32_secret_is_accepted_in_header_or_body_and_not_in_both() {
    let app = app().await;
    let pair = sign_in(&app).await;
    let token = ("token", pair.access.as_str());
    let body = [token, ("client_id", "api"), ("client_secret", SECRET)];
    let answer = app.post_form("/oauth/introspect", &body).await;
    let answer: Value = answer.into_json().await.unwrap();
    assert_eq!(answer["active"], true);
    let header = basic("api", SECRET);
    let answer = post_form_with(&app, "/oauth/introspect", header, &body).await;
    assert_eq!(error_of(answer).await, invalid("invalid_request"));
}

#[rocket::async_test]
async fn r32_malformed_introspection_requests_are_refused() {
    let app = app().await;
    for fields in [&[][..], &[("token", "")], &[("token", "a"), ("token", "a")]] {
        let answer = post_form_with(&app, "/oauth/introspect", basic("api", SECRET), fields).await;
        assert_eq!(error_of(answer).await, invalid("invalid_request"), "{fields:?}");
    }
    let request = app.client.post("/oauth/introspect").header(basic("api", SECRET));
    let answer = request.header(ContentType::JSON).body("{\"token\":\"x\"}").dispatch().await;
    assert_eq!(error_of(answer).await, invalid("invalid_request"));
    for method in [Method::Get, Method::Put, Method::Delete] {
        let request = app.client.req(method, "/oauth/introspect?token=x");
        let answer = request.header(basic("api", SECRET)).dispatch().await;
        assert_eq!(header(&answer, "Allow"), Some("POST"));
        assert_eq!(error_of(answer).await.0, Status::MethodNotAllowed);
    }
}

#[rocket::async_test]
async fn r32_live_tokens_are_described() {
    let app = app().await;
    app.advance(MINUTE);
    let pair = sign_in(&app).await;
    let sub = accounts(&app);
    let sub = sub.find_named(&ADA.parse().unwrap()).await.unwrap().unwrap().account.id;
    let now = BEGINNING.unix_millis() / 1_000 + 60;
    let expected = json!({
        "active": true,
        "scope": "account.read account.write",
        "client_id": "web",
        "username": ADA,
        "token_type": "Bearer",
        "exp": now + 900,
        "iat": now,
        "sub": sub.to_string(),
        "iss": "https://accounts.example.org",
    });
    assert_eq!(introspect(&app, "api", &pair.access).await, expected);

    // a refresh token is no bearer token, and lives until its session has idled too long
    let mut expected = expected;
    expected["exp"] = json!(now + 14 * 24 * 3_600);
    expected.as_object_mut().unwrap().remove("token_type");
    assert_eq!(introspect(&app, "api", &pair.refresh).await, expected);
}

#[rocket::async_test]
async fn r32_scope_and_times_are_those_of_each_token() {
    let app = app().await;
    let first = sign_in(&app).await;
    app.advance(MINUTE);
    let narrow = refresh_scope(&app, &first.refresh, "account.read").await;
    let narrow = tokens(narrow).await;
    let now = BEGINNING.unix_millis() / 1_000;
    let told = introspect(&app, "api", &narrow.access).await;
    assert_eq!((&told["scope"], &told["iat"]), (&json!("account.read"), &json!(now + 60)));
    // the preceding access token keeps its own scope
    let told = introspect(&app, "api", &first.access).await;
    assert_eq!(told["scope"], "account.read account.write");
    assert_eq!((&told["iat"], &told["exp"]), (&json!(now), &json!(now + 900)));
    // the session keeps its whole scope
    let told = introspect(&app, "api", &narrow.refresh).await;
    assert_eq!(told["scope"], "account.read account.write");
    assert_eq!(told["iat"], now + 60);
}

#[rocket::async_test]
async fn r32_client_introspects_own_tokens_unless_configured_for_all() {
    let app = app().await;
    let foreign = sign_in(&app).await;
    let own = sign_in_with(&app, basic("shop", SECRET)).await;
    for token in [&own.access, &own.refresh] {
        assert_eq!(introspect(&app, "shop", token).await["client_id"], "shop");
        assert_eq!(introspect(&app, "api", token).await["client_id"], "shop");
    }
    for token in [&foreign.access, &foreign.refresh] {
        assert_eq!(introspect(&app, "shop", token).await, inactive());
        assert_eq!(introspect(&app, "api", token).await["client_id"], "web");
    }
}

#[rocket::async_test]
async fn r32_malformed_and_damaged_tokens_are_inactive_without_details() {
    let app = app().await;
    let pair = sign_in(&app).await;
    let cut = &pair.access[..pair.access.len() - 1];
    let damaged = |token: &str| {
        let mut bytes = token.to_owned().into_bytes();
        let last = bytes.len() - 2;
        bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let long = "v".repeat(20_000);
    for token in [
        "x",
        "vat_",
        "vrt_",
        "null",
        "é",
        cut,
        long.as_str(),
        &damaged(&pair.access),
        &damaged(&pair.refresh),
        &pair.access.to_lowercase(),
        &format!(" {}", pair.access),
        &format!("Bearer {}", pair.access),
        &pair.access.replace("vat_", "vrt_"),
    ] {
        assert_eq!(introspect(&app, "api", token).await, inactive(), "{token}");
    }
}

#[rocket::async_test]
async fn r32_a_wrong_or_unknown_hint_is_ignored() {
    let app = app().await;
    let pair = sign_in(&app).await;
    for token in [&pair.access, &pair.refresh] {
        for hint in ["access_token", "refresh_token", "nonsense", ""] {
            let fields = [("token", token.as_str()), ("token_type_hint", hint)];
            let header = basic("api", SECRET);
            let answer = post_form_with(&app, "/oauth/introspect", header, &fields).await;
            let answer: Value = answer.into_json().await.unwrap();
            assert_eq!(answer["active"], true, "{hint}");
        }
    }
}

#[rocket::async_test]
async fn r32_r23_introspection_counts_as_use_of_the_access_token() {
    let app = app().await;
    let first = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    // until the new pair is used, the old token gets the same pair again
    app.advance(MINUTE);
    assert_eq!(refreshed(&app, &first.refresh).await.refresh, second.refresh);
    assert!(is_active(&app, &first.refresh).await, "the predecessor still answers");
    assert!(is_active(&app, &second.access).await);
    app.settle().await;
    app.advance(MINUTE);
    assert!(!is_active(&app, &first.refresh).await, "the successor is in use");
    support::assert_refresh_refused(&app, &first.refresh).await;
    assert_eq!(warnings(&app).await, 1);
    assert!(!is_active(&app, &second.refresh).await);
}

/// RFC 7662 §2.2: `iat` is the instant at which this token was issued.
#[rocket::async_test]
async fn r32_predecessor_is_active_without_iat() {
    let app = app().await;
    let first = sign_in(&app).await;
    let live = introspect(&app, "api", &first.refresh).await;
    app.advance(MINUTE);
    let second = refreshed(&app, &first.refresh).await;
    let spent = introspect(&app, "api", &first.refresh).await;
    assert_eq!((&spent["active"], spent.get("iat")), (&json!(true), None), "{spent}");
    let successor = introspect(&app, "api", &second.refresh).await;
    assert_eq!(successor["iat"], json!(live["iat"].as_i64().unwrap() + 60));
}

#[rocket::async_test]
async fn r32_introspection_of_a_spent_token_ends_no_session() {
    let app = app().await;
    let first = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    let third = refreshed(&app, &second.refresh).await;
    app.advance(MINUTE);
    // presented to the token endpoint, this token would count as theft
    assert!(!is_active(&app, &first.refresh).await);
    assert_eq!(warnings(&app).await, 0);
    refreshed(&app, &third.refresh).await;
}

/// Checks that the bearer guard and introspection agree on the pair's tokens, and returns their
/// verdict.
async fn agreed_verdict(app: &TestApp, pair: &Tokens, case: &str) -> bool {
    let open = opens(app, &pair.access).await;
    assert_eq!(is_active(app, &pair.access).await, open, "{case}: guard and introspection");
    open
}

/// Signs in through a client of the database, ends that sign-in by `end`, and checks that no token
/// is active.
async fn assert_ended_by(case: &str, end: impl AsyncFnOnce(&TestApp, &Tokens, &Signed<'_>)) {
    let app = app().await;
    add(&app, "desk", &confidential()).await;
    add(&app, "till", &public()).await;
    let pair = sign_in_with(&app, basic("desk", SECRET)).await;
    let other = app.sign_in_to("till", ADA).await;
    assert!(agreed_verdict(&app, &pair, case).await, "{case}: before");
    end(&app, &pair, &other).await;
    assert!(!agreed_verdict(&app, &pair, case).await, "{case}: after");
    assert!(!is_active(&app, &pair.refresh).await, "{case}: the refresh token");
    // a clock that steps back revives no token
    app.step_back(MINUTE);
    let is_by_clock = case.starts_with("by the clock");
    assert!(
        is_by_clock || !agreed_verdict(&app, &pair, case).await,
        "{case}: with the clock set back"
    );
}

#[rocket::async_test]
async fn r32_introspection_agrees_with_the_bearer_guard_after_every_session_end() {
    assert_ended_by("signing out", async |_, _, other| {
        let list = other.get("/v1/me/sessions").dispatch().await;
        let list: Value = list.into_json().await.unwrap();
        for session in list["sessions"].as_array().unwrap() {
            if session["client_id"] == "desk" {
                let path = format!("/v1/me/sessions/{}", session["id"].as_str().unwrap());
                assert_eq!(other.delete(&path).dispatch().await.status(), Status::NoContent);
            }
        }
    })
    .await;
    assert_ended_by("signing out everywhere", async |_, _, other| {
        let answer = other.delete("/v1/me/sessions").dispatch().await;
        assert_eq!(answer.status(), Status::NoContent);
    })
    .await;
    assert_ended_by("revoking the refresh token", async |app, pair, _| {
        let fields = [("token", pair.refresh.as_str())];
        let header = basic("desk", SECRET);
        let answer = post_form_with(app, "/oauth/revoke", header, &fields).await;
        assert_eq!(answer.status(), Status::Ok);
    })
    .await;
    assert_ended_by("a new password", async |app, _, other| {
        let new = "another correct horse battery";
        let answer = change_password(app, &other.access_token, PASSWORD, new).await;
        assert_eq!(answer.status, Status::NoContent);
    })
    .await;
    assert_ended_by("disabling the account", async |app, _, other| {
        let account = other.account_id().await;
        assert!(accounts(app).disable(account).await.unwrap());
    })
    .await;
    assert_ended_by("deleting the account", async |app, _, other| {
        let account = other.account_id().await;
        assert!(accounts(app).delete_by_operator(account).await.unwrap());
    })
    .await;
    assert_ended_by("disabling the client", async |app, _, other| {
        assert!(app.oauth().disable_client(&id("desk")).await.unwrap());
        assert!(opens(app, &other.access_token).await, "another client's");
    })
    .await;
    assert_ended_by("disabling the client for a while", async |app, _, _| {
        assert!(app.oauth().disable_client(&id("desk")).await.unwrap());
        assert!(app.oauth().enable_client(&id("desk")).await.unwrap());
    })
    .await;
    assert_ended_by("removing the client", async |app, _, other| {
        let removed = app.oauth().remove_client(&id("desk")).await.unwrap();
        assert_eq!(removed.ended, 1);
        assert!(opens(app, &other.access_token).await, "another client's");
    })
    .await;
    assert_ended_by("another client of the same id", async |app, _, _| {
        app.oauth().remove_client(&id("desk")).await.unwrap();
        add(app, "desk", &confidential()).await;
    })
    .await;
    assert_ended_by("by the clock", async |app, _, _| app.advance(15 * DAY)).await;
}

#[rocket::async_test]
async fn r32_introspection_agrees_with_the_bearer_guard_after_single_tokens_end() {
    let app = app().await;
    let first = sign_in(&app).await;
    let second = refreshed(&app, &first.refresh).await;
    assert!(agreed_verdict(&app, &first, "the preceding one").await);
    let third = refreshed(&app, &second.refresh).await;
    assert!(!agreed_verdict(&app, &first, "the one before that").await);
    let answer =
        app.post_form("/oauth/revoke", &[("client_id", "web"), ("token", &third.access)]).await;
    assert_eq!(answer.status(), Status::Ok);
    assert!(!agreed_verdict(&app, &third, "a revoked one").await);
    assert!(is_active(&app, &third.refresh).await, "the session stays");
    assert!(agreed_verdict(&app, &second, "the one before a revoked one").await);
    app.advance(15 * MINUTE - Duration::from_secs(1));
    assert!(agreed_verdict(&app, &second, "a second before its end").await);
    app.advance(Duration::from_secs(1));
    assert!(!agreed_verdict(&app, &second, "at its end").await);
    assert!(is_active(&app, &third.refresh).await);
}
