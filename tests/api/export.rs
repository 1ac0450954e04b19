//! Tests of the export of all that is stored about a person: `GET /v1/me/export`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::ops::Range;

use rocket::http::{Method, Status};
use rocket::tokio::io::AsyncReadExt as _;
use serde_json::{Value, json};
use vestibule::accounts::{ExportList, ExportPart, ExportedRow};
use vestibule::model::AccountId;
use vestibule::testing::{PASSWORD, Signed, TestApp};

use crate::support::{self, ADA, sign_in};
use crate::support_accounts::{
    BOB, Browser, FIREFOX, NEW, accounts, get_as, post_as, record_sign_outs, token_in,
};
use crate::support_pages::{Answer, OTHER, dump, get, post, rows, signs_in, texts};

async fn schema(app: &TestApp) -> Value {
    let answer = get(app, "/schemas/account-export.json").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("content-type"), "application/schema+json");
    answer.json()
}

async fn export(app: &TestApp, ada: &Signed<'_>) -> Value {
    let answer = get_as(ada, "/v1/me/export").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"account.json\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert_valid(app, &document).await;
    document
}

/// Checks that the document is valid by the schema that it names.
async fn assert_valid(app: &TestApp, document: &Value) {
    let named = document["$schema"].as_str().unwrap();
    assert_eq!(named, "https://accounts.example.org/schemas/account-export.json");
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema(app).await)
        .unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn length(document: &Value, member: &str) -> usize {
    document[member].as_array().unwrap().len()
}

#[rocket::async_test]
async fn export_needs_a_token_with_the_read_scope() {
    let app = support::app().await;
    get(&app, "/v1/me/export").await.problem(401, "no-token");
    app.account(ADA).await;
    let fields = [&support::sign_in_fields()[..], &[("scope", "account.write")]].concat();
    let pair = support::tokens(app.token(&fields).await).await;
    let request = app.client.get("/v1/me/export").header(support::bearer(&pair.access));
    Answer::of(request.dispatch().await).await.problem(403, "insufficient-scope");
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    browser.open("/v1/me/export").await.problem(401, "no-token");
}

#[rocket::async_test]
async fn export_schema_is_a_valid_json_schema() {
    let app = support::app().await;
    let schema = schema(&app).await;
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    let bad = json!({ "$schema": "x" });
    assert!(!jsonschema::is_valid(&schema, &bad), "the schema refuses other documents");
}

#[rocket::async_test]
async fn export_of_a_new_account_matches_the_schema() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let document = export(&app, &ada).await;
    assert_eq!(document["account"]["email"], ADA);
    assert_eq!(document["account"]["password"], "argon2id v=19 m=64,t=1,p=1");
    assert_eq!(document["exported_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(document["sign_up"], Value::Null);
    assert_eq!((length(&document, "sessions"), length(&document, "page_sessions")), (1, 0));
}

/// A person with every kind of stored data; returns all their secrets, too.
async fn account_with_all_data(app: &TestApp) -> (Signed<'_>, Vec<String>) {
    app.account(ADA).await;
    let ada = app.sign_in(ADA).await;
    let pair = sign_in(app).await;
    let change = json!({ "name": "Ada <b>{{7*7}}</b>", "locale": "de-AT" });
    assert_eq!(ada.patch("/v1/me", &change).dispatch().await.status(), Status::Ok);
    let browser = Browser::signed_in(app, ADA, PASSWORD).await;
    assert!(!signs_in(app, ADA, OTHER).await);
    post(app, "/v1/password-resets", &json!({ "email": ADA })).await;
    let reset = token_in(app, "password-reset", ADA).await;
    for email in ["ada@first.example", NEW] {
        let body = json!({ "email": email, "password": PASSWORD });
        assert_eq!(post_as(&ada, "/v1/me/email", &body).await.status, Status::Accepted);
    }
    let change = token_in(app, "email-change", NEW).await;
    let stop = token_in(app, "email-change-notice", ADA).await;
    let activation = token_in(app, "activation", ADA).await;
    // a stranger's sign-up waits for the address until its letter leaves, and a letter waits
    let request = app.client.post("/v1/accounts").header(rocket::http::ContentType::JSON);
    let request = request.header(rocket::http::Header::new("User-Agent", FIREFOX));
    let body = json!({ "email": ADA, "password": OTHER, "name": "Mallory" }).to_string();
    assert_eq!(request.body(body).dispatch().await.status(), Status::Accepted);

    let cookie = browser.cookie.clone().unwrap();
    let mut secrets = vec![reset, change, stop, activation, browser.form_token().await];
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    for token in [&ada.access_token, &ada.refresh_token, &pair.access, &pair.refresh] {
        secrets.push(token[4..].to_owned());
    }
    secrets.extend([PASSWORD.to_owned(), OTHER.to_owned(), "$argon2".to_owned()]);
    (ada, secrets)
}

#[rocket::async_test]
async fn export_holds_all_stored_data_of_the_account() {
    let app = support::app().await;
    let (ada, _) = account_with_all_data(&app).await;
    let document = export(&app, &ada).await;
    assert_eq!(document["account"]["name"], "Ada <b>{{7*7}}</b>");
    assert_eq!(document["account"]["locale"], "de-AT");
    assert_eq!((length(&document, "sessions"), length(&document, "page_sessions")), (2, 1));
    let states: Vec<&Value> = document["email_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["state"])
        .collect();
    // both changes are of the same instant
    assert!(states.contains(&&json!("voided")) && states.contains(&&json!("pending")));
    assert_eq!(document["sign_up"]["name"], "Mallory");
    assert_eq!(document["sign_up"]["user_agent"], FIREFOX);
    let of = |list: &str, member: &str| -> Vec<String> {
        let list = document[list].as_array().unwrap();
        list.iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
    };
    for purpose in ["activation", "password-reset", "email-change-stop"] {
        assert!(of("links", "purpose").iter().any(|one| one == purpose), "{purpose}");
    }
    assert!(of("letters", "kind").iter().any(|kind| kind == "email-change-notice"));
    // data of an address that is not the owner's is not exported (S7)
    assert!(of("letters", "to").iter().all(|to| to == ADA));
    assert!(!of("links", "purpose").iter().any(|one| one == "email-change"));
    let kinds = of("events", "kind");
    assert!(
        kinds.iter().any(|kind| kind == "data-exported"),
        "the export records itself: {kinds:?}"
    );
    for kind in ["sign-up", "activation", "sign-in", "sign-in-failed", "email-change-requested"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind}: {kinds:?}");
    }
}

#[rocket::async_test]
async fn export_of_many_events_is_complete() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let mut before = length(&export(&app, &ada).await, "events");
    // the size of a part, one less and one more, and the same for two parts
    for all in [499, 500, 501, 999, 1_000, 1_001] {
        // the export itself is an event
        record_sign_outs(&app, &ada, all - before - 1).await;
        let document = export(&app, &ada).await;
        let events = document["events"].as_array().unwrap();
        let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), all);
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "the latest first, none twice");
        let has_the_first = events.iter().any(|event| event["kind"] == "sign-up");
        assert!(has_the_first, "the export reaches the first event");
        before = all;
    }
}

/// The service reads events while it sends the answer, so that a long history does not fill the
/// memory. A broken-off answer is not a valid document.
#[rocket::async_test]
async fn r51_export_reads_events_while_sending() {
    for away in ["the database", "the account"] {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        let id = ada.account_id().await;
        record_sign_outs(&app, &ada, 1_200).await;
        let mut answer = ada.get("/v1/me/export").dispatch().await;
        let mut text = vec![0; 1_000];
        answer.read_exact(&mut text).await.unwrap();
        match away {
            "the account" => assert!(accounts(&app).delete_by_operator(id).await.unwrap()),
            _ => app.store().close().await,
        }
        answer.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let events = text.matches("\"sign-out\"").count();
        assert!(text.starts_with("{\"$schema\"") && (400..=500).contains(&events), "{events}");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "the answer is cut off");
    }
}

/// Each list of an export, with the tables of its rows.
const LISTS: [(&str, &[&str]); 6] = [
    ("sessions", &["sessions"]),
    ("page_sessions", &["page_sessions"]),
    ("email_changes", &["email_changes"]),
    ("links", &["links", "account_links"]),
    ("letters", &["outbox"]),
    ("events", &["events"]),
];

/// More rows than two parts hold.
const MANY: Range<usize> = 0..1_100;

/// Adds rows of the account to a table, older than the service's own rows. Some share an instant.
async fn fill(app: &TestApp, account: AccountId, table: &str, numbers: Range<usize>) {
    let number = "SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2)";
    let id = format!("'01890000-0000-7000-8000-' || {number}");
    let digest = match support::ON_POSTGRES {
        true => format!("CONVERT_TO('--------------------' || {number}, 'UTF8')"),
        false => format!("CAST('--------------------' || {number} AS BLOB)"),
    };
    let end = "n.i + 9000000000000";
    let (columns, values) = match table {
        "sessions" => (
            "id, account_id, client_id, scope, epoch, created_at, last_used_at, idle_expires_at,
             expires_at, tag_digest, salt, refresh_digest, rotated_at, access_serial,
             rotation_serial, access_scope, access_expires_at",
            format!(
                "{id}, '{account}', 'web', 'account.read', 0, n.i, n.i, {end}, {end}, {digest},
                 {digest}, {digest}, 0, 0, 0, 'account.read', 0"
            ),
        ),
        "page_sessions" => (
            "digest, id, account_id, epoch, created_at, idle_expires_at, expires_at",
            format!("{digest}, {id}, '{account}', 0, n.i, {end}, {end}"),
        ),
        "email_changes" => (
            "id, account_id, email, requested_at, voided_at",
            format!("{id}, '{account}', {number} || '@example.org', n.i / 3, n.i"),
        ),
        "links" => (
            "digest, purpose, sign_up_id, account_id, minted_at, expires_at",
            format!("{digest}, 'activation', {id}, '{account}', n.i / 3, {end}"),
        ),
        "account_links" => (
            "digest, purpose, account_id, minted_at, expires_at",
            format!("{digest}, 'password-reset', '{account}', n.i / 3, {end}"),
        ),
        "outbox" => (
            "id, kind, email, facts, created_at, due_at, tries, sent_at, account_id",
            format!("{id}, 'password-changed', '{ADA}', '{{}}', n.i, 0, 0, n.i, '{account}'"),
        ),
        "events" => (
            "id, kind, actor, at, account_id",
            format!("{id}, 'sign-in', 'owner', n.i, '{account}'"),
        ),
        other => panic!("{other}"),
    };
    let Range { start, end } = numbers;
    let sql = format!(
        "INSERT INTO {table} ({columns})
         WITH RECURSIVE n(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end})
         SELECT {values} FROM n"
    );
    texts(app, &sql).await;
}

async fn fill_all(app: &TestApp, account: AccountId, numbers: Range<usize>) {
    for table in LISTS.iter().flat_map(|(_, tables)| *tables) {
        fill(app, account, table, numbers.clone()).await;
    }
}

#[rocket::async_test]
async fn s11_every_list_of_an_export_is_complete() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    fill_all(&app, ada.account_id().await, MANY).await;
    let document = export(&app, &ada).await;
    for (list, tables) in LISTS {
        let mut expected = 0;
        for table in tables {
            expected += rows(&app, table).await;
        }
        let found: Vec<String> =
            document[list].as_array().unwrap().iter().map(ToString::to_string).collect();
        let once: BTreeSet<&String> = found.iter().collect();
        assert_eq!(found.len(), once.len(), "{list}: each row once");
        assert_eq!(i64::try_from(found.len()), Ok(expected), "{list}");
    }
}

fn rows_of(part: &ExportPart) -> impl Iterator<Item = (ExportList, &ExportedRow)> {
    part.pages.iter().flat_map(|page| page.rows.iter().map(|row| (page.list, row)))
}

fn describe_row((list, row): (ExportList, &ExportedRow)) -> String {
    format!("{} {}", list.name(), serde_json::to_string(row).unwrap())
}

/// Removes an exported row.
async fn remove_row(app: &TestApp, row: &ExportedRow) {
    let sql = match row {
        ExportedRow::Session(row) => format!("DELETE FROM sessions WHERE id = '{}'", row.id),
        ExportedRow::PageSession(row) => {
            format!("DELETE FROM page_sessions WHERE id = '{}'", row.id)
        }
        ExportedRow::EmailChange(row) => {
            format!("DELETE FROM email_changes WHERE email = '{}'", row.email)
        }
        ExportedRow::Link(row) => {
            let table = if row.purpose == "activation" { "links" } else { "account_links" };
            format!("DELETE FROM {table} WHERE expires_at = {}", row.expires_at.unix_millis())
        }
        ExportedRow::Letter(row) => {
            format!("DELETE FROM outbox WHERE created_at = {}", row.created_at.unix_millis())
        }
        ExportedRow::Event(row) => format!("DELETE FROM events WHERE id = '{}'", row.id),
    };
    texts(app, &sql).await;
}

#[rocket::async_test]
async fn s11_export_parts_are_bounded_and_complete_despite_concurrent_changes() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let (id, accounts) = (ada.account_id().await, accounts(&app));
    fill_all(&app, id, MANY).await;
    let mut before = BTreeSet::new();
    let mut part = accounts.look_at_export(id).await.unwrap().first;
    loop {
        before.extend(rows_of(&part).map(describe_row));
        let Some(next) = part.next else { break };
        part = accounts.export_part(next).await.unwrap();
    }
    assert!(before.len() > 7 * MANY.len());

    let mut seen = Vec::new();
    let mut part = accounts.look_at_export(id).await.unwrap().first;
    for added in MANY.end.. {
        assert!(rows_of(&part).count() <= ExportPart::ROWS, "rows held at a time");
        seen.extend(rows_of(&part).map(describe_row));
        let Some(next) = part.next else { break };
        // the row after which the list continues is removed, and each list gets another row
        remove_row(&app, rows_of(&part).last().unwrap().1).await;
        fill_all(&app, id, added..added + 1).await;
        part = accounts.export_part(next).await.unwrap();
    }
    let once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(seen.len(), once.len(), "a row is listed twice");
    let missing: Vec<_> = before.difference(&once).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// For each long list: while the client has read little, the service has read at most one part.
#[rocket::async_test]
async fn s11_r51_export_reads_every_list_while_sending() {
    for table in LISTS.iter().flat_map(|(_, tables)| *tables) {
        let app = support::app().await;
        let ada = app.signed_in(ADA).await;
        fill(&app, ada.account_id().await, table, MANY).await;
        let mut answer = ada.get("/v1/me/export").dispatch().await;
        let mut text = vec![0; 1_000];
        answer.read_exact(&mut text).await.unwrap();
        app.store().close().await;
        answer.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        // the document and the account are objects, too
        let objects = text.matches('{').count() - 2;
        assert_eq!(objects, ExportPart::ROWS, "{table}");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "the answer is cut off");
    }
}

#[rocket::async_test]
async fn r55_export_contains_no_secret() {
    let app = support::app().await;
    let (ada, mut secrets) = account_with_all_data(&app).await;
    // the export has no digest of a secret either, in any spelling
    for table in ["links", "account_links", "page_sessions"] {
        let sql = match support::ON_POSTGRES {
            true => format!("SELECT encode(digest, 'hex') FROM {table}"),
            false => format!("SELECT hex(digest) FROM {table}"),
        };
        let digests = texts(&app, &sql).await;
        assert!(!digests.is_empty(), "{table}");
        secrets.extend(digests.iter().flat_map(|hex| [hex.to_lowercase(), hex.to_uppercase()]));
    }
    let answer = get_as(&ada, "/v1/me/export").await;
    for secret in &secrets {
        assert!(!answer.body.contains(secret), "{secret} in {}", answer.body);
    }
    let events = get_as(&ada, "/v1/me/events").await;
    let stored = dump(&app).await.join("\n");
    for secret in secrets.iter().filter(|secret| !secret.starts_with('$')) {
        assert!(!events.body.contains(secret), "{secret} in {}", events.body);
        let is_digest = secret.len() == 64;
        assert!(is_digest || !stored.contains(secret), "{secret} is stored");
    }
}

#[rocket::async_test]
async fn export_contains_no_data_of_other_accounts() {
    let app = support::app().await;
    let (ada, _) = account_with_all_data(&app).await;
    let bob = app.signed_in(BOB).await;
    let theirs = get_as(&bob, "/v1/me/export").await;
    for word in [ADA, NEW, "first.example", "Mallory", &ada.account_id().await.to_string()] {
        assert!(!theirs.body.contains(word), "{word}: {}", theirs.body);
    }
    assert!(!get_as(&ada, "/v1/me/export").await.body.contains(BOB));
}

#[rocket::async_test]
async fn account_page_exports_the_same_document() {
    let app = support::app().await;
    let (ada, _) = account_with_all_data(&app).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let answer = browser.open("/account/export").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"account.json\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let (page, token) = (answer.json(), export(&app, &ada).await);
    assert_valid(&app, &page).await;
    for member in ["account", "sessions", "email_changes", "links", "sign_up"] {
        assert_eq!(page[member], token[member], "{member}");
    }
    let answer = Browser::new(&app).open("/account/export").await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
}

#[rocket::async_test]
async fn head_request_for_an_export_changes_nothing() {
    let app = support::app().await;
    let ada = app.signed_in(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let before = dump(&app).await;
    let request = app.client.head("/v1/me/export").header(support::bearer(&ada.access_token));
    let asked = Answer::of(request.dispatch().await).await;
    for answer in [asked, browser.request(Method::Head, "/account/export").await] {
        assert_eq!((answer.status, answer.body.as_str()), (Status::Ok, ""), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"account.json\"");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(dump(&app).await, before);
    let unauthenticated = app.client.head("/v1/me/export").dispatch().await;
    assert_eq!(unauthenticated.status(), Status::Unauthorized);
    let unauthenticated = Browser::new(&app).request(Method::Head, "/account/export").await;
    assert_eq!(unauthenticated.status.code, 303);
}
