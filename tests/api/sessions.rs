//! Tests of the list of sessions and of signing out: `/v1/me/sessions` (R27).

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::testing::{Signed, TestApp};

use crate::support;
use crate::support::{
    ADA, assert_refresh_refused, bearer, form, opens, problem_of, refreshed, sign_in,
    sign_in_fields, tokens,
};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn list(app: &TestApp, access_token: &str) -> Vec<Value> {
    let request = app.client.get("/v1/me/sessions").header(bearer(access_token));
    let response = request.dispatch().await;
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(response.content_type(), Some(ContentType::JSON));
    let body: Value = response.into_json().await.unwrap();
    body["sessions"].as_array().unwrap().clone()
}

async fn end(ada: &Signed<'_>, id: &str) -> Status {
    ada.delete(&format!("/v1/me/sessions/{id}")).dispatch().await.status()
}

fn id_of(session: &Value) -> &str {
    session["id"].as_str().unwrap()
}

#[rocket::async_test]
async fn session_is_listed_with_client_scope_times_and_browser() {
    let app = support::app().await;
    app.account(ADA).await;
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let request = request.header(Header::new("User-Agent", FIREFOX));
    let pair = tokens(request.body(form(&sign_in_fields())).dispatch().await).await;
    app.advance(Duration::from_secs(60));
    assert!(opens(&app, &pair.access).await);
    app.settle().await;

    let listed = list(&app, &pair.access).await;
    let id = id_of(&listed[0]).to_owned();
    assert_eq!(
        listed,
        [json!({
            "id": id,
            "client_id": "web",
            "scope": "account.read account.write",
            "created_at": "2026-01-01T00:00:00.000Z",
            "last_used_at": "2026-01-01T00:01:00.000Z",
            "expires_at": "2026-01-15T00:00:00.000Z",
            "user_agent": FIREFOX,
            "current": true,
        })]
    );
    app.advance(Duration::from_secs(540));
    refreshed(&app, &pair.refresh).await;
    let listed = list(&app, &pair.access).await;
    assert_eq!(
        listed[0]["expires_at"], "2026-01-15T00:10:00.000Z",
        "a refresh extends the session"
    );
    assert_eq!(listed[0]["last_used_at"], "2026-01-01T00:10:00.000Z");
    assert_eq!((id_of(&listed[0]), listed.len()), (id.as_str(), 1));
}

#[rocket::async_test]
async fn sessions_are_listed_latest_first_with_the_current_one_marked() {
    let app = support::app().await;
    app.account(ADA).await;
    app.account("bob@example.org").await;
    app.sign_in("bob@example.org").await;
    let mut pairs = vec![];
    for _ in 0..3 {
        app.advance(Duration::from_secs(1));
        pairs.push(sign_in(&app).await);
    }
    for (age, pair) in pairs.iter().rev().enumerate() {
        let listed = list(&app, &pair.access).await;
        let current: Vec<bool> = listed.iter().map(|s| s["current"] == true).collect();
        let expected: Vec<bool> = (0..3).map(|position| position == age).collect();
        assert_eq!(current, expected);
        assert!(listed.iter().all(|session| session["user_agent"].is_null()));
    }
}

#[rocket::async_test]
async fn ended_session_is_not_listed() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut fields = sign_in_fields();
    fields[1] = ("client_id", "kiosk");
    tokens(app.token(&fields).await).await;
    let pair = sign_in(&app).await;
    assert_eq!(list(&app, &pair.access).await.len(), 2);
    // a session that cannot be refreshed ends with its access token
    app.advance(Duration::from_secs(900));
    let pair = refreshed(&app, &pair.refresh).await;
    assert_eq!(list(&app, &pair.access).await.len(), 1);
}

#[rocket::async_test]
async fn r27_ending_a_session_ends_its_tokens_at_once() {
    let app = support::app().await;
    app.account(ADA).await;
    let there = sign_in(&app).await;
    let id = id_of(&list(&app, &there.access).await[0]).to_owned();
    let here = app.sign_in(ADA).await;
    assert_eq!(end(&here, &id).await, Status::NoContent);
    assert!(!opens(&app, &there.access).await);
    assert_refresh_refused(&app, &there.refresh).await;
    assert!(opens(&app, &here.access_token).await);
    assert_eq!(list(&app, &here.access_token).await.len(), 1);
    assert_eq!(end(&here, &id).await, Status::NotFound, "the session has ended");
}

#[rocket::async_test]
async fn r27_the_current_session_can_be_ended() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = id_of(&list(&app, &ada.access_token).await[0]).to_owned();
    assert_eq!(end(&ada, &id).await, Status::NoContent);
    assert!(!opens(&app, &ada.access_token).await);
    assert_refresh_refused(&app, &ada.refresh_token).await;
}

#[rocket::async_test]
async fn session_of_another_account_is_not_found_and_lives() {
    let app = support::app().await;
    let (ada, eve) = (app.signed_in(ADA).await, app.signed_in("eve@example.org").await);
    let id = id_of(&list(&app, &ada.access_token).await[0]).to_owned();
    let theirs = eve.delete(&format!("/v1/me/sessions/{id}")).dispatch().await;
    let unknown = "/v1/me/sessions/01912345-6789-7abc-8def-0123456789ab";
    let unknown = eve.delete(unknown).dispatch().await;
    assert_eq!(problem_of(theirs).await, problem_of(unknown).await, "both get the same answer");
    assert!(opens(&app, &ada.access_token).await);
}

#[rocket::async_test]
async fn malformed_session_id_is_not_found() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for id in ["x", "0", "%00", "%ff", "'%20OR%201=1", &"a".repeat(5_000), "..", "%2e%2e"] {
        let response = ada.delete(&format!("/v1/me/sessions/{id}")).dispatch().await;
        assert_eq!(problem_of(response).await.0, Status::NotFound, "{id}");
    }
    assert!(opens(&app, &ada.access_token).await);
}

#[rocket::async_test]
async fn r27_signing_out_everywhere_ends_every_session_of_the_account() {
    let app = support::app().await;
    app.account(ADA).await;
    let eve = app.signed_in("eve@example.org").await;
    let (first, second) = (sign_in(&app).await, sign_in(&app).await);
    let request = app.client.delete("/v1/me/sessions").header(bearer(&first.access));
    assert_eq!(request.dispatch().await.status(), Status::NoContent);
    for pair in [&first, &second] {
        assert!(!opens(&app, &pair.access).await);
        assert_refresh_refused(&app, &pair.refresh).await;
    }
    assert!(opens(&app, &eve.access_token).await);
    let again = sign_in(&app).await;
    assert_eq!(list(&app, &again.access).await.len(), 1);
}

#[rocket::async_test]
async fn other_methods_are_answered_405_with_allow() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for (path, allow) in [
        ("/v1/me/sessions", "DELETE, GET, HEAD"),
        ("/v1/me/sessions/01912345-6789-7abc-8def-0123456789ab", "DELETE"),
    ] {
        let request = app.client.put(path).header(ada.header()).header(ContentType::JSON);
        let response = request.body("{}").dispatch().await;
        assert_eq!(response.headers().get_one("Allow"), Some(allow));
        assert_eq!(problem_of(response).await.0, Status::MethodNotAllowed);
    }
}

/// One page, and the start of the next.
async fn list_page(app: &TestApp, access_token: &str, query: &str) -> (Vec<Value>, Option<String>) {
    let path = format!("/v1/me/sessions{query}");
    let response = app.client.get(path).header(bearer(access_token)).dispatch().await;
    assert_eq!(response.status(), Status::Ok);
    let body: Value = response.into_json().await.unwrap();
    let next = body["next"].as_str().map(str::to_owned);
    (body["sessions"].as_array().unwrap().clone(), next)
}

#[rocket::async_test]
async fn s11_sessions_are_listed_page_by_page() {
    let app = support::app().await;
    app.account(ADA).await;
    for _ in 0..205 {
        app.advance(Duration::from_millis(1));
        sign_in(&app).await;
    }
    let token = sign_in(&app).await.access;
    let (mut ids, mut sizes, mut query) = (Vec::new(), Vec::new(), String::new());
    loop {
        let (sessions, next) = list_page(&app, &token, &query).await;
        sizes.push(sessions.len());
        ids.extend(sessions.iter().map(|session| id_of(session).to_owned()));
        let Some(next) = next else { break };
        query = format!("?before={next}");
    }
    assert_eq!(sizes, [100, 100, 6]);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "the latest first, each once");
    let request = app.client.get("/v1/me/sessions?before=nonsense").header(bearer(&token));
    let (status, problem) = problem_of(request.dispatch().await).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (Status::UnprocessableEntity, &json!("before"))
    );
}

const TEN_SESSIONS: &str = "[default.vestibule.limits]\nsessions_per_account = 10";

#[rocket::async_test]
async fn s11_beyond_the_limit_the_longest_unused_session_ends_with_an_event() {
    let app = support::configured(TEN_SESSIONS).await;
    let ada = app.signed_in(ADA).await;
    let mut pairs = vec![];
    for _ in 0..9 {
        app.advance(Duration::from_secs(60));
        pairs.push(sign_in(&app).await);
    }
    // the sessions are refreshed and so established, but for one unused session
    app.advance(Duration::from_secs(3_600));
    let unused = pairs.remove(4);
    for pair in &mut pairs {
        *pair = refreshed(&app, &pair.refresh).await;
    }
    let first = refreshed(&app, &ada.refresh_token).await;
    assert_eq!(list_page(&app, &first.access, "").await.0.len(), 10);
    let newest = sign_in(&app).await;
    assert_eq!(list_page(&app, &newest.access, "").await.0.len(), 10);
    assert_refresh_refused(&app, &unused.refresh).await;
    for pair in pairs.iter().chain([&first, &newest]) {
        assert!(opens(&app, &pair.access).await);
    }
    let events = app.client.get("/v1/me/events").header(bearer(&newest.access)).dispatch().await;
    let events: Value = events.into_json().await.unwrap();
    let evicted: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "session-evicted")
        .collect();
    assert_eq!((evicted.len(), &evicted[0]["actor"]), (1, &json!("service")));
    assert_eq!(evicted[0]["client_id"], "web");
}

#[rocket::async_test]
async fn s11_flood_of_sign_ins_evicts_no_established_session() {
    let app = support::configured(TEN_SESSIONS).await;
    let ada = app.signed_in(ADA).await;
    let phone = sign_in(&app).await;
    app.advance(Duration::from_secs(3_600));
    let ada = refreshed(&app, &ada.refresh_token).await;
    let phone = refreshed(&app, &phone.refresh).await;
    // the owner does nothing, and another person signs in again and again
    app.advance(Duration::from_secs(2 * 3_600));
    let mut last = None;
    for _ in 0..40 {
        app.advance(Duration::from_secs(60));
        last = Some(sign_in(&app).await);
    }
    for pair in [ada, phone] {
        let pair = refreshed(&app, &pair.refresh).await;
        assert_eq!(list_page(&app, &pair.access, "").await.0.len(), 10);
    }
    assert!(opens(&app, &last.unwrap().access).await, "the newest session is never evicted");
}

#[rocket::async_test]
async fn s11_without_limits_an_account_has_any_number_of_sessions() {
    let app = support::configured(&format!("{TEN_SESSIONS}\nenabled = false")).await;
    app.account(ADA).await;
    for _ in 0..11 {
        sign_in(&app).await;
    }
    let pair = sign_in(&app).await;
    assert_eq!(list_page(&app, &pair.access, "").await.0.len(), 12);
}
