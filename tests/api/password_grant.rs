//! Tests of the password grant (RFC 6749 §4.3): R17 to R19, R21, R41.

use std::time::Duration;

use rocket::http::Status;
use serde_json::json;
use vestibule::model::EmailAddress;
use vestibule::storage::StoreError;
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::support;
use crate::support::{
    ADA, described_error_of, error_of, invalid, opens, sign_in, sign_in_fields, tokens,
};
use crate::support_accounts::Browser;
use crate::support_pages::{Answer, get, texts};

const WRONG: &str = "incorrect horse battery staple";

async fn refused_sign_in(
    app: &TestApp,
    username: &str,
    password: &str,
) -> (Status, String, String) {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", username),
        ("password", password),
    ];
    described_error_of(app.token(&fields).await).await
}

async fn sign_in_with_scope(app: &TestApp, scope: &str) -> Result<String, (Status, String)> {
    let mut fields = sign_in_fields();
    fields.push(("scope", scope));
    let answer = app.token(&fields).await;
    if answer.status() == Status::Ok {
        Ok(tokens(answer).await.scope)
    } else {
        Err(error_of(answer).await)
    }
}

#[rocket::async_test]
async fn r17_successful_response_has_the_required_members() {
    let app = support::app().await;
    app.account(ADA).await;
    let tokens = sign_in(&app).await;
    assert_eq!(tokens.expires_in, 900);
    assert_eq!(tokens.scope, "account.read account.write");
    assert!(tokens.refresh.starts_with("vrt_"));
    assert!(opens(&app, &tokens.access).await);
    // 32 random bytes, 16 of session id, 4 of checksum; the refresh token has 16 more of tag
    assert_eq!((tokens.access.len(), tokens.refresh.len()), (4 + 70, 4 + 91));
    app.advance(Duration::from_millis(899_999));
    assert!(opens(&app, &tokens.access).await);
    app.advance(Duration::from_millis(1));
    assert!(!opens(&app, &tokens.access).await);
}

#[rocket::async_test]
async fn access_token_lives_no_longer_than_its_session() {
    let app = support::configured(
        "[default.vestibule.tokens]\naccess_ttl = \"20m\"\nsession_ttl = \"15m\"\n\
         refresh_idle_ttl = \"15m\"",
    )
    .await;
    app.account(ADA).await;
    assert_eq!(sign_in(&app).await.expires_in, 900);
}

#[rocket::async_test]
async fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut fields = sign_in_fields();
    fields[1] = ("client_id", "kiosk");
    let answer = app.token(&fields).await.into_json::<serde_json::Value>().await.unwrap();
    assert!(answer.get("refresh_token").is_none(), "{answer}");
    assert_eq!((&answer["scope"], &answer["expires_in"]), (&json!("account.read"), &json!(900)));
}

#[rocket::async_test]
async fn r18_every_refused_sign_in_gets_the_same_error() {
    let app = support::app().await;
    app.account(ADA).await;
    let id = app.signed_in("disabled@example.org").await.account_id().await;
    let disabled: Result<bool, StoreError> =
        app.store().write(async |tx| tx.disable_account(id, BEGINNING).await).await;
    assert!(disabled.unwrap());
    app.sign_up("waiting@example.org", PASSWORD).await;
    app.sign_up("contested@example.org", WRONG).await;
    app.sign_up("contested@example.org", PASSWORD).await;

    let mut answers = vec![];
    for (username, password) in [
        (ADA, WRONG),
        (ADA, "x"),
        ("nobody@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.org,bob@example.org", PASSWORD),
        ("disabled@example.org", PASSWORD),
        ("disabled@example.org", WRONG),
        ("waiting@example.org", WRONG),
        ("waiting@example.org", PASSWORD),
        ("contested@example.org", PASSWORD),
        ("contested@example.org", WRONG),
    ] {
        answers.push(refused_sign_in(&app, username, password).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((answers[0].0, answers[0].1.clone()), invalid("invalid_grant"));
}

/// A stranger tries [`PASSWORD`] for Ada's address as often as is free, and once more. Returns the
/// answers by token and on the page, the counters, and the kinds of events.
async fn traces_of_attempts(app: &TestApp) -> (Vec<Answer>, Vec<String>, Vec<String>) {
    let counted = |app: &TestApp| {
        let of_requests = |line: &&str| {
            line.starts_with("vestibule_") && !line.contains("seconds") && !line.contains("pool")
        };
        app.metrics().lines().filter(of_requests).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = counted(app);
    let mut answers = vec![];
    for _ in 0..6 {
        answers.push(Answer::of(app.token(&sign_in_fields()).await).await.without_id());
        let fields = [("email", ADA), ("password", PASSWORD)];
        let page = Browser::new(app).submit("/account/sign-in", &fields).await;
        let mut page = page.without_id();
        // the page of a problem contains the request's id
        if let Some(at) = page.body.find("<code class=\"value\">") {
            page.body.truncate(at);
        }
        answers.push(page);
    }
    let metrics = counted(app).into_iter().filter(|line| !before.contains(line)).collect();
    let sql = "SELECT kind || ' ' || actor FROM events WHERE kind LIKE '%sign-in%' ORDER BY 1";
    (answers, metrics, texts(app, sql).await)
}

/// S1: a stranger can make a sign-up for any address without an account. So the right password of a
/// sign-up is refused, counted and recorded like a wrong password of an account.
#[rocket::async_test]
async fn r18_s1_right_password_of_waiting_sign_up_is_refused_like_any_other() {
    let mut seen = vec![];
    for state in ["unknown", "account", "waiting", "contested", "forgotten", "expired"] {
        let app =
            support::configured("[default.vestibule.metrics]\naddress = \"127.0.0.1:0\"").await;
        let others = app.signed_in("bob@example.org").await;
        let passwords: &[&str] = match state {
            "unknown" => &[],
            "account" => &[WRONG],
            "contested" => &[PASSWORD, WRONG],
            _ => &[PASSWORD],
        };
        for password in passwords {
            assert_eq!(app.sign_up(ADA, password).await, Status::Accepted);
        }
        match state {
            "account" => assert_eq!(app.activate(ADA).await, Status::Ok),
            "forgotten" => {
                let body = json!({ "email": ADA });
                let asked = app.post_json("/v1/password-resets", &body).await;
                assert_eq!(asked.status(), Status::Accepted);
            }
            "expired" => app.advance(Duration::from_secs(31 * 24 * 3_600)),
            _ => {}
        }
        app.deliver().await;
        drop(others);
        // the next state is an hour later, past all limits
        app.advance(Duration::from_secs(3_600));
        seen.push((state, traces_of_attempts(&app).await));
    }
    let (_, first) = &seen[0];
    let (answers, metrics, events) = first;
    let text = answers[0].json()["error_description"].as_str().unwrap().to_owned();
    assert!(text.contains("belong together, or the address has yet to be confirmed"), "{text}");
    let page = &answers[1].body;
    assert!(page.contains("or the address has yet to be confirmed"), "{page}");
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.code).collect();
    assert_eq!(statuses, [[400, 422].repeat(5), vec![429, 429]].concat(), "each attempt counts");
    assert!(metrics.contains(&"vestibule_sign_ins_total{outcome=\"refused\"} 10".to_owned()));
    assert_eq!(events.iter().filter(|kind| *kind == "sign-in-failed stranger").count(), 10);
    for (state, left) in &seen[1..] {
        assert_eq!(left, first, "{state}");
    }
    let uri = answers[0].json()["error_uri"].as_str().unwrap().to_owned();
    let app = support::app().await;
    let path = uri.replace("https://accounts.example.org", "");
    let page = get(&app, &path).await.page(200, "invalid_grant");
    assert!(page.body.contains("has yet to be confirmed"), "{}", page.body);
}

#[rocket::async_test]
async fn r18_passwords_are_compared_exactly() {
    let app = support::app().await;
    app.account(ADA).await;
    for password in [
        &PASSWORD.to_uppercase(),
        &format!("{PASSWORD} "),
        &format!(" {PASSWORD}"),
        &PASSWORD[1..],
        &PASSWORD.replace(' ', "+"),
        &PASSWORD.replace(' ', "%20"),
    ] {
        assert_eq!(refused_sign_in(&app, ADA, password).await.1, "invalid_grant", "{password}");
    }
}

#[rocket::async_test]
async fn the_username_is_trimmed_and_folded() {
    let app = support::app().await;
    app.account(ADA).await;
    for username in [" ada@example.org ", "ADA@EXAMPLE.ORG", "\tAda@Example.org\t"] {
        let mut fields = sign_in_fields();
        fields[2] = ("username", username);
        tokens(app.token(&fields).await).await;
    }
}

#[rocket::async_test]
async fn r19_granted_scope_is_the_requested_one_in_canonical_order() {
    let app = support::app().await;
    app.account(ADA).await;
    let both = Ok("account.read account.write".to_owned());
    for (asked, granted) in [
        ("account.write account.read", both.clone()),
        ("account.read account.write account.read", both),
        ("account.write", Ok("account.write".to_owned())),
        ("account.read orders.read", Err(invalid("invalid_scope"))),
        ("unknown", Err(invalid("invalid_scope"))),
        ("Account.Read", Err(invalid("invalid_scope"))),
        ("account.read,account.write", Err(invalid("invalid_scope"))),
        ("account.read\taccount.write", Err(invalid("invalid_scope"))),
        ("\"account.read\"", Err(invalid("invalid_scope"))),
        ("é", Err(invalid("invalid_scope"))),
        (" ", Err(invalid("invalid_scope"))),
    ] {
        assert_eq!(sign_in_with_scope(&app, asked).await, granted, "{asked:?}");
    }
}

#[rocket::async_test]
async fn client_and_scope_are_checked_before_the_password() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut fields = sign_in_fields();
    fields[3] = ("password", WRONG);
    fields.push(("scope", "orders.read"));
    assert_eq!(error_of(app.token(&fields).await).await, invalid("invalid_scope"));
    fields[1] = ("client_id", "nobody");
    assert_eq!(error_of(app.token(&fields).await).await.1, "invalid_client");
}

#[rocket::async_test]
async fn r21_password_matches_in_composed_and_decomposed_characters() {
    const COMPOSED: &str = "fünf müde Bären träumen";
    const DECOMPOSED: &str = "fu\u{308}nf mu\u{308}de Ba\u{308}ren tra\u{308}umen";
    for (chosen, typed) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
        let app = support::app().await;
        app.sign_up(ADA, chosen).await;
        app.activate(ADA).await;
        for typed in [chosen, typed] {
            let mut fields = sign_in_fields();
            fields[3] = ("password", typed);
            tokens(app.token(&fields).await).await;
        }
        assert_eq!(refused_sign_in(&app, ADA, "funf mude Baren traumen").await.1, "invalid_grant");
    }
}

async fn stored_hash(app: &TestApp) -> String {
    let email = EmailAddress::parse(ADA).unwrap();
    let found = app.store().read(async |db| db.find_account_by_email(&email).await).await;
    found.unwrap().unwrap().password_hash.as_str().to_owned()
}

#[rocket::async_test]
async fn r41_a_sign_in_rehashes_when_the_parameters_have_risen() {
    let database = support::database().await;
    let app = TestApp::on_database(&database.url, "").await;
    app.account(ADA).await;
    sign_in(&app).await;
    let first = stored_hash(&app).await;
    assert!(first.contains("m=64,t=1,p=1"), "{first}");
    sign_in(&app).await;
    assert_eq!(stored_hash(&app).await, first, "the parameters are unchanged");
    drop(app);

    let dearer = "[default.vestibule.hashing]\niterations = 2";
    let app = TestApp::on_database(&database.url, dearer).await;
    assert_eq!(refused_sign_in(&app, ADA, WRONG).await.1, "invalid_grant");
    assert_eq!(stored_hash(&app).await, first, "a wrong password rehashes nothing");
    let tokens = sign_in(&app).await;
    let second = stored_hash(&app).await;
    assert!(second.contains("m=64,t=2,p=1"), "{second}");
    assert!(opens(&app, &tokens.access).await);
    sign_in(&app).await;
    assert_eq!(stored_hash(&app).await, second);
}
