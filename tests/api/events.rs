//! Tests of an account's events: `GET /v1/me/events`.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::{Value, json};
use vestibule::model::{Actor, ClientInfo};
use vestibule::testing::{PASSWORD, Signed, TestApp};

use crate::support::{self, ADA, form, opens, refresh, refreshed, sign_in, sign_in_fields, tokens};
use crate::support_accounts::{
    BOB, Browser, FIREFOX, NEW, accounts, change_password, get_as, kinds, post_as,
    record_sign_outs, token_in, with_access_token,
};
use crate::support_pages::{OTHER, get, post, rows, signs_in, submit};

/// The time between two events, which gives them an order.
const TICK: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

async fn page(ada: &Signed<'_>, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = get_as(ada, &format!("/v1/me/events{query}")).await;
    assert_eq!(answer.status, Status::Ok, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let next = body["next"].as_str().map(str::to_owned);
    (body["events"].as_array().unwrap().clone(), next)
}

/// The kinds of the events, sorted: events of the same instant have no order.
async fn sorted_kinds(ada: &Signed<'_>) -> Vec<String> {
    let mut kinds = kinds(ada).await;
    kinds.sort_unstable();
    kinds
}

/// Signs in from an address, with a browser's `User-Agent`.
async fn sign_in_from(app: &TestApp, address: &str, fields: &[(&str, &str)]) -> Status {
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let request = request.header(Header::new("User-Agent", FIREFOX));
    let request = request.remote(address.parse::<SocketAddr>().unwrap());
    request.body(form(fields)).dispatch().await.status()
}

#[rocket::async_test]
async fn events_of_an_account_are_listed_in_order() {
    let app = support::app().await;
    assert_eq!(app.sign_up(ADA, PASSWORD).await, Status::Accepted);
    app.advance(TICK);
    assert_eq!(app.activate(ADA).await, Status::Ok);
    app.advance(TICK);
    app.advance(TICK);
    let mut fields = sign_in_fields();
    fields[3] = ("password", OTHER);
    assert_eq!(app.token(&fields).await.status(), Status::BadRequest);
    app.advance(TICK);
    let ada = app.sign_in(ADA).await;
    app.advance(TICK);
    ada.patch("/v1/me", &json!({ "name": "Ada" })).dispatch().await;
    app.advance(TICK);
    change_password(&app, &ada.access_token, OTHER, "a third long passphrase").await;
    app.advance(TICK);
    change_password(&app, &ada.access_token, PASSWORD, OTHER).await;
    app.advance(TICK);
    change_password(&app, &ada.access_token, OTHER, PASSWORD).await;
    app.advance(TICK);
    let body = json!({ "email": NEW, "password": PASSWORD });
    post_as(&ada, "/v1/me/email", &body).await;
    app.advance(TICK);
    let stop = token_in(&app, "email-change-notice", ADA).await;
    submit(&app, "/confirm-email/stop", &[("token", &stop)]).await.page(200, "stopped");
    app.advance(TICK);
    post_as(&ada, "/v1/me/email", &body).await;
    app.advance(TICK);
    let token = token_in(&app, "email-change", NEW).await;
    submit(&app, "/confirm-email", &[("token", &token)]).await.page(200, "confirmed");
    app.advance(TICK);
    get_as(&ada, "/v1/me/export").await;
    app.advance(TICK);
    app.post_form("/oauth/revoke", &[("client_id", "web"), ("token", &ada.access_token)]).await;
    app.advance(TICK);
    app.post_form("/oauth/revoke", &[("client_id", "web"), ("token", &ada.refresh_token)]).await;
    app.advance(TICK);
    post(&app, "/v1/password-resets", &json!({ "email": NEW })).await;
    app.advance(TICK);
    let reset = token_in(&app, "password-reset", NEW).await;
    let body = json!({ "token": reset, "password": OTHER });
    post(&app, "/v1/password-resets/confirmations", &body).await;
    app.advance(TICK);

    let mut browser = Browser::signed_in(&app, NEW, OTHER).await;
    app.advance(TICK);
    browser.send("/account/sign-out", &[]).await;
    app.advance(TICK);
    fields[2] = ("username", NEW);
    let pair = tokens(app.token(&fields).await).await;
    app.advance(TICK);
    let ada = with_access_token(&ada, pair.access);
    assert_eq!(ada.delete("/v1/me/sessions").dispatch().await.status(), Status::NoContent);
    app.advance(TICK);
    let pair = tokens(app.token(&fields).await).await;
    app.advance(TICK);
    let second = refreshed(&app, &pair.refresh).await;
    app.advance(TICK);
    let third = refreshed(&app, &second.refresh).await;
    app.advance(TICK);
    app.advance(Duration::from_secs(600));
    assert!(opens(&app, &third.access).await);
    app.advance(TICK);
    assert_eq!(refresh(&app, &pair.refresh).await.status(), Status::BadRequest);
    app.advance(TICK);
    let pair = tokens(app.token(&fields).await).await;
    app.advance(TICK);
    let ada = with_access_token(&ada, pair.access);

    let mut told = kinds(&ada).await;
    told.reverse();
    assert_eq!(
        told,
        [
            "sign-up",
            "activation",
            "sign-in-failed",
            "sign-in",
            "profile-changed",
            "password-refused",
            "password-changed",
            "password-changed",
            "email-change-requested",
            "email-change-stopped",
            "email-change-requested",
            "email-changed",
            "data-exported",
            "access-token-revoked",
            "sign-out",
            "password-reset-requested",
            "password-reset",
            "sign-in",
            "sign-out",
            "sign-in",
            "sign-out-everywhere",
            "sign-in",
            "refresh-token-stolen",
            "sign-in",
        ]
    );
}

#[rocket::async_test]
async fn event_has_actor_time_client_and_shortened_address() {
    let app = support::app().await;
    app.account(ADA).await;
    app.advance(Duration::from_secs(60));
    let mut wrong = sign_in_fields();
    wrong[3] = ("password", OTHER);
    let address = "[2001:db8:1:2:3:4:5:6]:7";
    assert_eq!(sign_in_from(&app, address, &wrong).await, Status::BadRequest);
    app.advance(TICK);
    assert_eq!(sign_in_from(&app, "192.0.2.77:5", &sign_in_fields()).await, Status::Ok);
    app.advance(TICK);
    let ada = app.sign_in(ADA).await;
    let (events, next) = page(&ada, "").await;
    assert_eq!(next, None);
    let members: BTreeSet<&str> =
        events[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "kind",
        "actor",
        "at",
        "session_id",
        "client_id",
        "address",
        "user_agent",
        "request_id",
    ];
    assert_eq!(members, BTreeSet::from(expected));
    let (good, bad) = (&events[1], &events[2]);
    assert_eq!((&good["kind"], &good["actor"]), (&json!("sign-in"), &json!("owner")));
    assert_eq!((&bad["kind"], &bad["actor"]), (&json!("sign-in-failed"), &json!("stranger")));
    for event in [good, bad] {
        assert!(event["at"].as_str().unwrap().starts_with("2026-01-01T00:01:00"), "{event}");
        assert_eq!(event["client_id"], "web");
        assert_eq!(event["user_agent"], FIREFOX);
        assert!(event["request_id"].is_string());
    }
    assert_eq!((&good["address"], &bad["address"]), (&json!("192.0.2.0"), &json!("2001:db8:1::")));
    assert!(good["session_id"].is_string() && bad["session_id"].is_null());
    let all: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    assert!(all.contains(&&json!("sign-up")), "the sign-up before the account: {all:?}");
}

#[rocket::async_test]
async fn setting_decides_how_much_of_an_address_events_keep() {
    for (setting, kept) in
        [("none", Value::Null), ("shortened", json!("192.0.2.0")), ("full", json!("192.0.2.77"))]
    {
        let toml = format!("[default.vestibule.events]\naddress = \"{setting}\"");
        let app = support::configured(&toml).await;
        app.account(ADA).await;
        app.advance(TICK);
        assert_eq!(sign_in_from(&app, "192.0.2.77:5", &sign_in_fields()).await, Status::Ok);
        app.advance(TICK);
        let ada = app.sign_in(ADA).await;
        assert_eq!(page(&ada, "").await.0[1]["address"], kept, "{setting}");
    }
}

#[rocket::async_test]
async fn events_are_paged_by_a_hundred() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    record_sign_outs(&app, &ada, 247).await;
    let mut all: Vec<Value> = vec![];
    let mut lengths = vec![];
    let mut query = String::new();
    loop {
        let (events, next) = page(&ada, &query).await;
        lengths.push(events.len());
        all.extend(events);
        match next {
            Some(next) => query = format!("?before={next}"),
            None => break,
        }
    }
    assert_eq!(lengths, [100, 100, 50]);
    let ids: Vec<&str> = all.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "the latest first, none twice");
    let first = all.last().unwrap()["kind"].as_str().unwrap();
    assert!(
        ["sign-up", "activation", "sign-in"].contains(&first),
        "the pages reach the first event: {first}"
    );
    // a full last page has no next page
    record_sign_outs(&app, &ada, 50).await;
    let (_, next) = page(&ada, "").await;
    let (_, next) = page(&ada, &format!("?before={}", next.unwrap())).await;
    let (last, next) = page(&ada, &format!("?before={}", next.unwrap())).await;
    assert_eq!((last.len(), next), (100, None));
}

#[rocket::async_test]
async fn malformed_before_parameter_is_refused() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for wrong in ["x", "", "0", "'%20OR%201=1", "%00", "-1"] {
        let answer = get_as(&ada, &format!("/v1/me/events?before={wrong}")).await;
        assert_eq!(answer.problem(422, "invalid-fields").errors(), ["before: malformed"]);
    }
    let none = "?before=00000000-0000-7000-8000-000000000000";
    assert_eq!(page(&ada, none).await, (vec![], None));
}

#[rocket::async_test]
async fn events_are_only_those_of_the_callers_account() {
    let app = support::app().await;
    let (ada, bob) = (app.signed_in(ADA).await, app.signed_in(BOB).await);
    assert!(!signs_in(&app, ADA, OTHER).await);
    assert!(!signs_in(&app, "nobody@example.org", OTHER).await);
    assert_eq!(sorted_kinds(&bob).await, ["activation", "sign-in", "sign-up"]);
    assert_eq!(sorted_kinds(&ada).await, ["activation", "sign-in", "sign-in-failed", "sign-up"]);
    // another account's event as the place to continue from reveals nothing of it
    app.advance(TICK);
    assert!(!signs_in(&app, ADA, OTHER).await);
    let theirs = page(&ada, "").await.0[0]["id"].as_str().unwrap().to_owned();
    let (events, _) = page(&bob, &format!("?before={theirs}")).await;
    assert_eq!(events.len(), 3);
    get(&app, "/v1/me/events").await.problem(401, "no-token");
    let fields = [&sign_in_fields()[..], &[("scope", "account.write")]].concat();
    let pair = tokens(app.token(&fields).await).await;
    let writer = with_access_token(&ada, pair.access);
    get_as(&writer, "/v1/me/events").await.problem(403, "insufficient-scope");
}

#[rocket::async_test]
async fn events_are_purged_after_the_configured_time() {
    let app = support::configured("[default.vestibule.events]\nkeep = \"10d\"").await;
    app.account(ADA).await;
    app.advance(DAY * 9);
    sign_in(&app).await;
    app.advance(DAY * 2);
    let ada = app.sign_in(ADA).await;
    app.purge().await;
    assert_eq!(kinds(&ada).await, ["sign-in", "sign-in"]);
    app.advance(DAY * 30);
    app.purge().await;
    let ada = app.sign_in(ADA).await;
    assert_eq!(kinds(&ada).await, ["sign-in"]);
}

#[rocket::async_test]
async fn r18_failed_sign_in_writes_an_event_for_every_address() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    for email in [ADA, BOB, "nobody@example.org", "no address"] {
        let before = rows(&app, "events").await;
        assert!(!signs_in(&app, email, OTHER).await);
        assert_eq!(rows(&app, "events").await, before + 1, "{email}");
    }
}

#[rocket::async_test]
async fn r34_sign_up_writes_an_event_for_every_address() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    // a letter that waits would be updated in place
    app.deliver().await;
    for email in [ADA, BOB, "nobody@example.org"] {
        let (events, outbox) = (rows(&app, "events").await, rows(&app, "outbox").await);
        assert_eq!(app.sign_up(email, PASSWORD).await, Status::Accepted);
        assert_eq!(rows(&app, "events").await, events + 1, "{email}");
        assert_eq!(rows(&app, "outbox").await, outbox + 1, "{email}");
    }
    // the account's own events show the sign-up at its address
    app.deliver().await;
    let ada = app.sign_in(ADA).await;
    assert_eq!(sorted_kinds(&ada).await, ["activation", "sign-in", "sign-up", "sign-up"]);
}

#[rocket::async_test]
async fn r35_fifty_sign_ups_at_once_are_fifty_events_of_one_account() {
    let app = support::app().await;
    let many = (0..50).map(|_| app.sign_up(ADA, PASSWORD));
    for status in rocket::futures::future::join_all(many).await {
        assert_eq!(status, Status::Accepted);
    }
    assert_eq!(rows(&app, "events").await, 50);
    assert_eq!(app.activate(ADA).await, Status::Ok);
    let ada = app.sign_in(ADA).await;
    let told = kinds(&ada).await;
    assert_eq!(told.iter().filter(|kind| *kind == "sign-up").count(), 50);
}

#[rocket::async_test]
async fn full_last_page_has_no_next_link() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let ada = app.sign_in(ADA).await;
    assert_eq!(rows(&app, "events").await, 4);
    for (more, leads_on) in [(46, false), (1, true)] {
        record_sign_outs(&app, &ada, more).await;
        let page = browser.open("/account/events").await;
        assert_eq!(page.body.contains("/account/events?before="), leads_on);
    }
    for (more, leads_on) in [(49, false), (1, true)] {
        record_sign_outs(&app, &ada, more).await;
        let (events, next) = page(&ada, "").await;
        assert_eq!((events.len(), next.is_some()), (100, leads_on));
    }
}

#[rocket::async_test]
async fn s3_no_event_is_written_where_nothing_changes() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await;
    let accounts = accounts(&app);
    ada.patch("/v1/me", &json!({ "name": "Ada", "locale": "de" })).dispatch().await;
    let before = sorted_kinds(&ada).await;
    assert_eq!(before.iter().filter(|kind| *kind == "profile-changed").count(), 1);

    // an unchanged profile, through the API and on the page
    for body in [
        json!({}),
        json!({ "name": "Ada" }),
        json!({ "locale": "de" }),
        json!({ "name": "Ada", "locale": "de" }),
        json!({ "name": " Ada " }),
    ] {
        let answer = ada.patch("/v1/me", &body).dispatch().await;
        assert_eq!(answer.status(), Status::Ok, "{body}");
        let me: Value = answer.into_json().await.unwrap();
        assert_eq!((&me["name"], &me["locale"]), (&json!("Ada"), &json!("de")));
    }
    let body = json!({ "email": ADA, "password": PASSWORD });
    post_as(&ada, "/v1/me/email", &body).await.problem(422, "invalid-fields");
    assert!(!accounts.enable(id).await.unwrap());
    assert!(!accounts.withdraw_email_change(id, &ClientInfo::default()).await.unwrap());
    assert_eq!(sorted_kinds(&ada).await, before);
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    browser.send("/account/profile", &[("name", "Ada"), ("locale", "de")]).await;
    let mut with_page = before.clone();
    with_page.push("sign-in".to_owned());
    with_page.sort_unstable();
    assert_eq!(sorted_kinds(&ada).await, with_page);

    // a repeated revocation or sign-out is no event
    let reader = app.sign_in(ADA).await;
    for _ in 0..3 {
        let revoked = [("client_id", "web"), ("token", reader.access_token.as_str())];
        assert_eq!(app.post_form("/oauth/revoke", &revoked).await.status(), Status::Ok);
    }
    for _ in 0..3 {
        let revoked = [("client_id", "web"), ("token", reader.refresh_token.as_str())];
        assert_eq!(app.post_form("/oauth/revoke", &revoked).await.status(), Status::Ok);
    }
    let told = sorted_kinds(&ada).await;
    for kind in ["access-token-revoked", "sign-out"] {
        assert_eq!(told.iter().filter(|told| *told == kind).count(), 1, "{kind}");
    }

    // a repeated command of the operator is no event
    for _ in 0..3 {
        let ended = accounts.end_sessions(id, Actor::Operator, &ClientInfo::operator()).await;
        assert!(ended.unwrap());
    }
    for _ in 0..3 {
        accounts.disable(id).await.unwrap();
    }
    for _ in 0..3 {
        accounts.enable(id).await.unwrap();
    }
    let ada = app.sign_in(ADA).await;
    let told = sorted_kinds(&ada).await;
    for kind in ["sign-out-everywhere", "account-disabled", "account-enabled"] {
        assert_eq!(told.iter().filter(|told| *told == kind).count(), 1, "{kind}");
    }
}
