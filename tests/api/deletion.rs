//! Tests of the deletion of an account: `POST /v1/me/deletion` (R27).

use rocket::http::{ContentType, Status};
use serde_json::{Value, json};
use vestibule::testing::{PASSWORD, Signed, TestApp};

use crate::support::{
    self, ADA, assert_refresh_refused, described_error_of, opens, refresh, sign_in, sign_in_fields,
    tokens,
};
use crate::support_accounts::{
    BOB, Browser, NEW, get_as, kinds, letters, post_as, token_in, with_access_token,
};
use crate::support_pages::{Answer, OTHER, dump, get, post, rows, signs_in, submit, use_link};

const PATH: &str = "/v1/me/deletion";

async fn delete(ada: &Signed<'_>, password: &str) -> Answer {
    post_as(ada, PATH, &json!({ "password": password })).await
}

async fn delete_account(app: &TestApp, ada: &Signed<'_>) {
    let answer = delete(ada, PASSWORD).await;
    assert_eq!((answer.status, answer.body.as_str()), (Status::NoContent, ""));
    app.deliver().await;
}

#[rocket::async_test]
async fn deletion_needs_the_password_the_scope_and_a_token() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    for (body, error) in [
        (json!({ "password": OTHER }), "password: wrong-password"),
        (json!({ "password": "" }), "password: wrong-password"),
        (json!({}), "password: missing"),
        (json!({ "password": null }), "password: missing"),
        (json!({ "password": true }), "password: not-a-text"),
    ] {
        let answer = post_as(&ada, PATH, &body).await.problem(422, "invalid-fields");
        assert_eq!(answer.errors(), [error]);
    }
    let reader = app.sign_in_to("kiosk", ADA).await;
    delete(&reader, PASSWORD).await.problem(403, "insufficient-scope");
    post(&app, PATH, &json!({ "password": PASSWORD })).await.problem(401, "no-token");
    let request = ada.post(PATH).header(ContentType::Form).body("password=x");
    Answer::of(request.dispatch().await).await.problem(415, "unsupported-media-type");
    let request = ada.delete("/v1/me").dispatch().await;
    assert_eq!(request.status(), Status::MethodNotAllowed);

    assert!(opens(&app, &ada.access_token).await);
    assert!(signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(rows(&app, "accounts").await, 1);
    assert_eq!(letters(&app, ADA).await, ["activation"]);
}

#[rocket::async_test]
async fn r27_deletion_ends_every_session_and_every_link() {
    let app = support::app().await;
    app.account(ADA).await;
    let bob = app.signed_in(BOB).await;
    let bobs = Browser::signed_in(&app, BOB, PASSWORD).await;
    let other = sign_in(&app).await;
    let ada = app.sign_in(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let reset = token_in(&app, "password-reset", ADA).await;
    let activation = token_in(&app, "activation", ADA).await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    let change = token_in(&app, "email-change", NEW).await;
    let stop = token_in(&app, "email-change-notice", ADA).await;
    delete_account(&app, &ada).await;

    for token in [&ada.access_token, &other.access] {
        assert!(!opens(&app, token).await);
    }
    for token in [&ada.refresh_token, &other.refresh] {
        assert_refresh_refused(&app, token).await;
    }
    assert!(!browser.is_signed_in().await);
    for (path, token) in [
        ("/reset-password", &reset),
        ("/confirm-email", &change),
        ("/confirm-email/stop", &stop),
        ("/activate", &activation),
    ] {
        get(&app, &format!("{path}?token={token}")).await.page(404, "does not work");
        let fields = [("token", token.as_str()), ("password", OTHER)];
        submit(&app, path, &fields).await.page(404, "does not work");
    }
    use_link(&app, &activation).await.problem(404, "link-unknown");

    assert!(opens(&app, &bob.access_token).await && bobs.is_signed_in().await);
    delete(&ada, PASSWORD).await.problem(401, "invalid-token");
}

#[rocket::async_test]
async fn r18_sign_in_after_deletion_fails_as_for_an_unknown_address() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    delete_account(&app, &ada).await;
    let of = async |email: &str| {
        let mut fields = sign_in_fields();
        fields[2] = ("username", email);
        let answer = described_error_of(app.token(&fields).await).await;
        let fields = [("email", email), ("password", PASSWORD)];
        let page = submit(&app, "/account/sign-in", &fields).await.without_id();
        (answer, page.status, page.body.replace(email, "…"))
    };
    assert_eq!(of(ADA).await, of("nobody@example.org").await);
}

#[rocket::async_test]
async fn deletion_leaves_no_personal_data() {
    let app = support::app().await;
    app.account(ADA).await;
    let ada = app.sign_in(ADA).await;
    let id = ada.account_id().await.to_string();
    ada.patch("/v1/me", &json!({ "name": "Ada Lovelace", "locale": "de" })).dispatch().await;
    Browser::signed_in(&app, ADA, PASSWORD).await;
    assert!(!signs_in(&app, ADA, OTHER).await);
    // a waiting sign-up at the address, and letters that have not left
    let before = letters(&app, ADA).await.len();
    assert_eq!(app.sign_up(ADA, OTHER).await, Status::Accepted);
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    post_as(&ada, "/v1/me/email", &body).await;
    assert!(!dump(&app).await.is_empty());
    delete_account(&app, &ada).await;

    let farewell = app.last_letter_to(ADA).await;
    assert_eq!(farewell.name, "account-deleted");
    assert!(farewell.link.is_none());
    assert!(farewell.subject.contains("gelöscht"), "the owner's language: {}", farewell.subject);
    assert_eq!(letters(&app, ADA).await.len(), before + 1, "no other letter leaves");
    // once the letter has left, the database remembers only that an account was deleted
    let left = dump(&app).await;
    for name in [ADA, NEW, &id, "Lovelace"] {
        assert!(!left.iter().any(|row| row.contains(name)), "{name}: {left:#?}");
    }
    for table in ["accounts", "sessions", "page_sessions", "links", "account_links", "outbox"] {
        assert_eq!(rows(&app, table).await, 0, "{table}");
    }
    let deleted: Vec<&String> = left.iter().filter(|row| row.contains("account-deleted")).collect();
    assert_eq!(deleted.len(), 1, "{left:#?}");
}

#[rocket::async_test]
async fn deletion_erases_former_addresses() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    post(&app, "/v1/password-resets", &json!({ "email": ADA })).await;
    app.deliver().await;
    let body = json!({ "email": NEW, "password": PASSWORD });
    assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    let token = token_in(&app, "email-change", NEW).await;
    submit(&app, "/confirm-email", &[("token", &token)]).await.page(200, "confirmed");
    app.deliver().await;
    let exported = get_as(&ada, "/v1/me/export").await.json();
    let to: Vec<&Value> =
        exported["letters"].as_array().unwrap().iter().map(|letter| &letter["to"]).collect();
    assert!(to.contains(&&json!(ADA)) && to.contains(&&json!(NEW)), "{to:?}");
    delete_account(&app, &ada).await;
    let left = dump(&app).await;
    for address in [ADA, NEW] {
        assert!(!left.iter().any(|row| row.contains(address)), "{address}: {left:#?}");
    }
    assert_eq!(letters(&app, NEW).await.last(), Some(&"account-deleted"));
    assert!(!letters(&app, ADA).await.contains(&"account-deleted"));
}

#[rocket::async_test]
async fn address_of_deleted_account_signs_up_as_a_new_account() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let id = ada.account_id().await;
    ada.patch("/v1/me", &json!({ "name": "Ada", "locale": "de" })).dispatch().await;
    assert!(!signs_in(&app, ADA, OTHER).await);
    delete_account(&app, &ada).await;

    assert_eq!(app.sign_up(ADA, OTHER).await, Status::Accepted);
    assert_eq!(app.activate(ADA).await, Status::Ok);
    assert!(!signs_in(&app, ADA, PASSWORD).await, "the old password no longer works");
    let mut fields = sign_in_fields();
    fields[3] = ("password", OTHER);
    let pair = tokens(app.token(&fields).await).await;
    let again = with_access_token(&ada, pair.access);
    let me: Value = get_as(&again, "/v1/me").await.json();
    assert_ne!(me["id"], json!(id));
    assert_eq!((&me["name"], &me["locale"]), (&Value::Null, &Value::Null));
    let mut told = kinds(&again).await;
    told.sort_unstable();
    assert_eq!(told, ["activation", "sign-in", "sign-in-failed", "sign-up"], "no older events");
    assert!(!opens(&app, &ada.access_token).await, "the old tokens are dead");
    assert_refresh_refused(&app, &ada.refresh_token).await;
}

#[rocket::async_test]
async fn r27_a_deletion_that_races_a_refresh_leaves_no_working_token() {
    for _ in 0..5 {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        let fields = sign_in_fields();
        let (answer, refreshed, signed_in) = rocket::tokio::join!(
            delete(&ada, PASSWORD),
            refresh(&app, &ada.refresh_token),
            app.token(&fields),
        );
        assert_eq!(answer.status, Status::NoContent, "{answer:?}");
        for answer in [refreshed, signed_in] {
            if answer.status() == Status::Ok {
                let pair = tokens(answer).await;
                assert!(!opens(&app, &pair.access).await);
                assert_refresh_refused(&app, &pair.refresh).await;
            }
        }
        assert_eq!(rows(&app, "sessions").await, 0);
    }
}
