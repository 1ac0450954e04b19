//! Tests of the columns: where an export shows each column of each table, or why it does not.
//!
//! A new column fails the first test here until a list names it.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row};
use vestibule::storage::Engine;

use crate::database::TestDatabase;

on_both_engines! {
    every_column_is_exported_or_has_a_reason_not_to_be,
}

/// How an export treats a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportOf {
    /// The export shows it: members with dots between, through every element of arrays.
    Shown(&'static str),
    /// A digest or a hash of a secret, or its salt: it says nothing about a person.
    Secret,
    /// The id of the person who owns the row.
    OwnerId,
    /// Data for the service alone: numbers of rows, counts, and the later of two ends, of which the
    /// export shows the earlier.
    Internal(&'static str),
    /// The column is not about a person.
    NotPersonal,
}

use ExportOf::{Internal, NotPersonal, OwnerId, Secret, Shown};

const ROW: ExportOf = Internal("a row id, which says nothing by itself");
const LEASE: ExportOf = Internal("the lease of a courier, and the time of the next attempt");
const TOKENS: ExportOf = Internal("a count of tokens, or an expiry of the present ones");

pub const COLUMNS: &[(&str, &str, ExportOf)] = &[
    ("_sqlx_migrations", "checksum", NotPersonal),
    ("_sqlx_migrations", "description", NotPersonal),
    ("_sqlx_migrations", "execution_time", NotPersonal),
    ("_sqlx_migrations", "installed_on", NotPersonal),
    ("_sqlx_migrations", "success", NotPersonal),
    ("_sqlx_migrations", "version", NotPersonal),
    ("account_links", "account_id", OwnerId),
    ("account_links", "digest", Secret),
    ("account_links", "email_change_id", ROW),
    ("account_links", "expires_at", Shown("links.expires_at")),
    ("account_links", "minted_at", Shown("links.minted_at")),
    ("account_links", "purpose", Shown("links.purpose")),
    ("account_links", "used_at", Shown("links.used_at")),
    ("account_links", "voided_at", Shown("links.voided_at")),
    ("accounts", "created_at", Shown("account.created_at")),
    ("accounts", "deleted_at", Internal("set while the rows of a deleted account are removed")),
    ("accounts", "disabled_at", Shown("account.disabled_at")),
    ("accounts", "email", Shown("account.email")),
    ("accounts", "epoch", Shown("account.epoch")),
    ("accounts", "id", Shown("account.id")),
    ("accounts", "locale", Shown("account.locale")),
    ("accounts", "name", Shown("account.name")),
    // the export shows the algorithm and its costs; the rest is a secret's hash
    ("accounts", "password_hash", Shown("account.password")),
    ("clients", "access_ttl", NotPersonal),
    ("clients", "allowed_origins", NotPersonal),
    ("clients", "created_at", NotPersonal),
    ("clients", "disabled_at", NotPersonal),
    ("clients", "grants", NotPersonal),
    ("clients", "id", NotPersonal),
    ("clients", "introspects", NotPersonal),
    ("clients", "previous_secret_digest", NotPersonal),
    ("clients", "previous_secret_until", NotPersonal),
    ("clients", "refresh_idle_ttl", NotPersonal),
    ("clients", "scope", NotPersonal),
    ("clients", "secret_digest", NotPersonal),
    ("clients", "session_ttl", NotPersonal),
    ("email_changes", "account_id", OwnerId),
    ("email_changes", "confirmed_at", Shown("email_changes.ended_at")),
    ("email_changes", "email", Shown("email_changes.email")),
    ("email_changes", "id", ROW),
    ("email_changes", "requested_at", Shown("email_changes.requested_at")),
    ("email_changes", "stopped_at", Shown("email_changes.ended_at")),
    ("email_changes", "user_agent", Shown("email_changes.user_agent")),
    ("email_changes", "voided_at", Shown("email_changes.ended_at")),
    ("events", "account_id", OwnerId),
    ("events", "actor", Shown("events.actor")),
    ("events", "address", Shown("events.address")),
    ("events", "at", Shown("events.at")),
    ("events", "client_id", Shown("events.client_id")),
    ("events", "id", Shown("events.id")),
    ("events", "kind", Shown("events.kind")),
    ("events", "nobody_id", NotPersonal),
    ("events", "request_id", Shown("events.request_id")),
    ("events", "session_id", Shown("events.session_id")),
    ("events", "sign_up_id", ROW),
    ("events", "user_agent", Shown("events.user_agent")),
    (
        "guesses",
        "digest",
        Internal("a digest of the address, with that of a network where it is a place"),
    ),
    ("guesses", "failures", Internal("wrong passwords in a row, which the events tell of")),
    ("guesses", "last_at", Internal("when the last was, which the events tell of")),
    ("letters_sent", "digest", Internal("a digest of the address, for an hour")),
    ("letters_sent", "sent_at", Internal("how many letters an address got, for an hour")),
    ("links", "account_id", OwnerId),
    ("links", "digest", Secret),
    ("links", "disavowed_at", Shown("links.voided_at")),
    ("links", "expires_at", Shown("links.expires_at")),
    ("links", "minted_at", Shown("links.minted_at")),
    ("links", "purpose", Shown("links.purpose")),
    ("links", "sign_up_id", ROW),
    ("links", "used_at", Shown("links.used_at")),
    ("networks", "digest", NotPersonal),
    ("networks", "spent_until", NotPersonal),
    ("nobody", "id", NotPersonal),
    ("outbox", "account_id", OwnerId),
    ("outbox", "created_at", Shown("letters.created_at")),
    ("outbox", "dead_at", Shown("letters.given_up_at")),
    ("outbox", "due_at", LEASE),
    ("outbox", "email", Shown("letters.to")),
    // a letter to this address may describe another person, who has a right to their own data
    ("outbox", "facts", Internal("what the letter says, which its reader has got")),
    ("outbox", "id", ROW),
    ("outbox", "kind", Shown("letters.kind")),
    ("outbox", "last_error", Internal("what a mail server said about a delivery")),
    ("outbox", "lease", LEASE),
    ("outbox", "leased_until", LEASE),
    ("outbox", "locale", Internal("the language of the letter, which its reader has got")),
    ("outbox", "sent_at", Shown("letters.sent_at")),
    ("outbox", "tries", LEASE),
    ("page_sessions", "account_id", OwnerId),
    ("page_sessions", "created_at", Shown("page_sessions.created_at")),
    ("page_sessions", "digest", Secret),
    ("page_sessions", "epoch", Internal("whether the sign-in lives: only live ones are shown")),
    ("page_sessions", "expires_at", Shown("page_sessions.expires_at")),
    ("page_sessions", "id", Shown("page_sessions.id")),
    ("page_sessions", "idle_expires_at", Shown("page_sessions.expires_at")),
    ("page_sessions", "user_agent", Shown("page_sessions.user_agent")),
    ("places", "account_id", OwnerId),
    ("places", "digest", Internal("a digest of the address and a network, to know a place again")),
    ("places", "last_used_at", Internal("when the last sign-in was, which the events tell of")),
    ("sessions", "access_digest", Secret),
    ("sessions", "access_expires_at", TOKENS),
    ("sessions", "access_issued_at", TOKENS),
    ("sessions", "access_scope", TOKENS),
    ("sessions", "access_serial", TOKENS),
    ("sessions", "account_id", OwnerId),
    ("sessions", "client_id", Shown("sessions.client_id")),
    ("sessions", "created_at", Shown("sessions.created_at")),
    ("sessions", "epoch", Internal("whether the session lives: only live ones are shown")),
    ("sessions", "expires_at", Shown("sessions.expires_at")),
    ("sessions", "first_used_at", TOKENS),
    ("sessions", "id", Shown("sessions.id")),
    ("sessions", "idle_expires_at", Shown("sessions.expires_at")),
    ("sessions", "last_used_at", Shown("sessions.last_used_at")),
    ("sessions", "previous_access_digest", Secret),
    ("sessions", "previous_access_expires_at", TOKENS),
    ("sessions", "previous_access_issued_at", TOKENS),
    ("sessions", "previous_access_scope", TOKENS),
    ("sessions", "previous_access_serial", TOKENS),
    ("sessions", "previous_refresh_digest", Secret),
    ("sessions", "refresh_digest", Secret),
    ("sessions", "rotated_at", TOKENS),
    ("sessions", "rotation_serial", TOKENS),
    ("sessions", "salt", Secret),
    ("sessions", "scope", Shown("sessions.scope")),
    ("sessions", "tag_digest", Secret),
    ("sessions", "user_agent", Shown("sessions.user_agent")),
    ("sign_ups", "contested_at", Shown("sign_up.contested_at")),
    ("sign_ups", "created_at", Shown("sign_up.created_at")),
    ("sign_ups", "email", Shown("sign_up.email")),
    ("sign_ups", "expires_at", Internal("when the row goes by itself")),
    ("sign_ups", "id", ROW),
    ("sign_ups", "locale", Shown("sign_up.locale")),
    ("sign_ups", "name", Shown("sign_up.name")),
    ("sign_ups", "password_hash", Secret),
    ("sign_ups", "user_agent", Shown("sign_up.user_agent")),
];

/// The values at the member of the export, in every element of arrays, without nulls.
pub fn shown<'a>(export: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![export];
    for member in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(elements) => elements.iter().collect(),
                other => vec![other],
            })
            .filter_map(|value| value.get(member))
            .collect();
    }
    found.retain(|value| !value.is_null());
    found
}

/// Every column of the database, in the tables of the migrations and of the driver.
pub async fn columns(db: &TestDatabase) -> BTreeSet<(String, String)> {
    let sql = match db.store.engine() {
        Engine::Sqlite { .. } => {
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        }
        Engine::Postgres => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT)
             FROM information_schema.columns WHERE table_schema = current_schema()"
        }
    };
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut db.raw().await).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Every row of every table, each value as text; bytes as hexadecimal digits.
pub async fn rows(db: &TestDatabase) -> BTreeSet<String> {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for (table, column) in columns(db).await {
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            _ => tables.push((table, vec![column])),
        }
    }
    let mut connection = db.raw().await;
    let mut all = BTreeSet::new();
    for (table, columns) in tables {
        let text = |column: &String| match db.store.engine() {
            Engine::Sqlite { .. } => format!(
                "CASE typeof({column}) WHEN 'blob' THEN hex({column})
                                       ELSE CAST({column} AS TEXT) END"
            ),
            Engine::Postgres => format!("CAST({column} AS TEXT)"),
        };
        let list: Vec<String> = columns.iter().map(text).collect();
        let sql = format!("SELECT {} FROM {table}", list.join(", "));
        let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        all.extend(found.iter().map(|row| {
            let values = columns.iter().enumerate().filter_map(|(index, column)| {
                let value: Option<String> = row.get(index);
                value.map(|value| format!(" {column}={value}"))
            });
            format!("{table}:{}", values.collect::<String>())
        }));
    }
    all
}

async fn every_column_is_exported_or_has_a_reason_not_to_be(db: TestDatabase) {
    let decided: BTreeSet<(String, String)> =
        COLUMNS.iter().map(|(table, column, _)| ((*table).into(), (*column).into())).collect();
    assert_eq!(columns(&db).await, decided);

    let schema = include_str!("../../schemas/account-export.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    for (table, column, kept) in COLUMNS {
        let Shown(path) = kept else { continue };
        let mut at = &schema;
        for member in path.split('.') {
            // the second alternative: the first is null
            let object = at.get("oneOf").map_or(at, |either| &either[1]);
            let object = object.get("items").unwrap_or(object);
            at = &object["properties"][member];
        }
        assert!(at.is_object(), "{table}.{column}: the schema has no {path}");
    }
}
