//! No request's work grows with what others have left: how the engine plans every statement that the
//! operations of the API run (S3, S4, S11).
//!
//! The statements are gathered, not written down twice: the tests of the operations run once more in a
//! process of their own, in which the driver's log of statements is recorded. Those of the service are
//! told from the tests' own by the sources in `src/storage`.
//!
//! With `TEST_MILLION=1` the plans are made with a million rows of each origin, and printed as the table
//! in `docs/performance.md`.

#![expect(clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table, and what was skipped")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use vestibule::testing::TestApp;

use crate::support::{self, ON_POSTGRES};

/// The tests whose operations are recorded: between them they call every operation of the API, and
/// contract.rs holds that list complete.
const RECORDED: [&str; 12] = [
    "contract::",
    "whole_path::",
    "sessions::",
    "deletion::",
    "email_change::",
    "password_reset::",
    "revocation::",
    "activation::",
    "guessing::",
    "invitation::",
    "introspection::",
    "events::s3_",
];

/// Tables that grow with what people and strangers do.
const GROWING: [&str; 13] = [
    "accounts",
    "sign_ups",
    "links",
    "account_links",
    "email_changes",
    "sessions",
    "page_sessions",
    "events",
    "outbox",
    "letters_sent",
    "guesses",
    "networks",
    "places",
];

/// Statements that no request runs, by the function they stand in, and may go through a table.
const BACKGROUND: [(&str, &str); 6] = [
    ("count_sessions", "metrics, by a worker"),
    ("count_outbox", "metrics, by a worker; of what waits alone"),
    ("count_dead_letters", "metrics, by a worker"),
    ("find_refused_letters", "the start of the courier; of what waits alone"),
    ("retry_dead_letters", "the operator's command"),
    ("find_closed_accounts", "the janitor; of closed accounts alone"),
];

/// Where the child process puts its statements.
const FILE: &str = "TEST_STATEMENTS";

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// PostgreSQL plans by what is in the tables: its plans are looked at with a million rows only.
fn is_skipped() -> bool {
    let skipped = ON_POSTGRES && setting("TEST_MILLION").is_none();
    if skipped {
        eprintln!("SKIPPED: plans on PostgreSQL, without TEST_MILLION=1");
    }
    skipped
}

/// Records the statements of this process, if it is the one that is asked to.
pub fn record() {
    let Some(file) = setting(FILE) else { return };
    let file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    let recorder = Recorder { seen: Mutex::new((BTreeSet::new(), file)) };
    // a second application of the same process finds it there
    let _ = tracing::subscriber::set_global_default(recorder);
}

/// Writes each statement of the driver's log into a file once, with NUL behind it.
struct Recorder {
    seen: Mutex<(BTreeSet<String>, fs::File)>,
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        let sql =
            in_one_line(if statement.sql.is_empty() { &statement.summary } else { &statement.sql });
        let (seen, file) = &mut *self.seen.lock().unwrap();
        if seen.insert(sql.clone()) {
            file.write_all(format!("{sql}\0").as_bytes()).unwrap();
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Statement {
    summary: String,
    sql: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.sql),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every statement of `src/storage`, with the file and the function that it stands in.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = fs::read_to_string(&path).unwrap();
            let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
            for (at, _) in code.match_indices('"') {
                let rest = &code[at + 1..];
                let first = rest.split_whitespace().next().unwrap_or_default();
                if !["SELECT", "INSERT", "UPDATE", "DELETE"].contains(&first) {
                    continue;
                }
                let sql = in_one_line(rest.split('"').next().unwrap());
                let function = code[..at].rsplit("fn ").next().unwrap();
                let function = function.split(['(', '<']).next().unwrap();
                let place = match code[..at].contains("fn ") {
                    true => format!("{file}::{function}"),
                    false => file.clone(),
                };
                found.insert(sql, place);
            }
        }
    }
    assert!(found.len() > 100, "{} statements in the sources", found.len());
    found
}

/// The statements of the service that the tests of its operations run, with where they stand.
fn gathered() -> BTreeMap<String, String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("statements");
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(RECORDED)
        .args(["--skip", "statements::"])
        .env(FILE, &file)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let recorded = fs::read_to_string(&file).unwrap();
    let recorded: BTreeSet<&str> = recorded.split('\0').collect();
    let mut statements = sources();
    statements.retain(|sql, _| recorded.contains(sql.as_str()));
    assert!(statements.len() > 80, "{} statements were run", statements.len());
    statements
}

/// How SQLite goes about a statement, and which tables it goes through as a whole.
async fn plan_on_sqlite(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let rows = rows.fetch_all(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let steps: Vec<String> = rows.iter().map(|row| row.get::<String, _>("detail")).collect();
    let scans = steps.iter().filter_map(|step| {
        let name = step.strip_prefix("SCAN ")?.split(' ').next()?;
        table_called(sql, name).map(|table| format!("{table}: {step}"))
    });
    (steps.join("; "), scans.collect())
}

/// The growing table that a statement calls so.
fn table_called(sql: &str, name: &str) -> Option<&'static str> {
    let is_called = |table: &str| {
        table == name
            || sql.contains(&format!(" {table} {name} "))
            || sql.contains(&format!(" {table} {name})"))
            || sql.ends_with(&format!(" {table} {name}"))
            || sql.contains(&format!(" {table} AS {name} "))
    };
    GROWING.into_iter().find(|table| is_called(table))
}

/// The same of PostgreSQL, whatever the values are.
async fn plan_on_postgres(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    let parameters = (1..30).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
    let nulls = vec!["NULL"; parameters].join(", ");
    let values = if parameters == 0 { String::new() } else { format!("({nulls})") };
    for sql in ["DEALLOCATE ALL".to_owned(), format!("PREPARE planned AS {sql}")] {
        let prepared = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *db).await;
        prepared.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE planned{values}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(db).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get::<String, _>(0)).collect();
    let mut scans = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let goes_through = match step.split_once("Seq Scan on ") {
            Some((_, name)) => name.split(' ').next(),
            // an index without a condition is gone through as a whole, too
            None if step.contains("Index") && step.contains("Scan using ") => {
                let bound = steps.get(index + 1).is_some_and(|next| next.contains("Index Cond"));
                let name = step.split_once(" on ").and_then(|(_, name)| name.split(' ').next());
                name.filter(|_| !bound)
            }
            None => None,
        };
        if let Some(table) = goes_through.filter(|name| GROWING.contains(name)) {
            scans.push(format!("{table}: {}", step.trim()));
        }
    }
    let scans_of = steps.iter().map(|step| step.trim().trim_start_matches("->  "));
    let kept = scans_of.filter(|step| step.contains("Scan"));
    (kept.collect::<Vec<_>>().join("; "), scans)
}

/// So many rows of each origin, behind the service's back.
async fn fill(db: &mut AnyConnection, rows: u64) {
    let number = "SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2)";
    let id = format!("'01890000-0000-7000-8000-' || {number}");
    // a thousand accounts and sign-ups have all of it, which is more than anybody has
    let of = "'01890000-0000-7000-8000-' || SUBSTR(CAST(1000000000001 + n.i % 1000 AS TEXT), 2)";
    let digest = match ON_POSTGRES {
        true => format!("CONVERT_TO('--------------------' || {number}, 'UTF8')"),
        false => format!("CAST('--------------------' || {number} AS BLOB)"),
    };
    let email = format!("{number} || '@example.org'");
    let secrets = format!("{digest}, {digest}, {digest}");
    for (table, columns, values) in [
        (
            "accounts",
            "id, email, password_hash, epoch, created_at",
            format!("{id}, {email}, '', 0, n.i"),
        ),
        (
            "sign_ups",
            "id, email, password_hash, created_at, expires_at",
            format!("{id}, 's' || {email}, '', n.i, n.i + 9000000000000"),
        ),
        (
            "links",
            "digest, purpose, sign_up_id, minted_at, expires_at",
            format!("{digest}, 'activation', {of}, n.i, n.i + 9000000000000"),
        ),
        (
            "email_changes",
            "id, account_id, email, requested_at, voided_at",
            format!("{id}, {of}, 'n' || {email}, n.i + 9000000000000, n.i"),
        ),
        (
            "account_links",
            "digest, purpose, account_id, email_change_id, minted_at, expires_at",
            format!("{digest}, 'email-change', {of}, {id}, n.i, n.i + 9000000000000"),
        ),
        (
            "page_sessions",
            "digest, id, account_id, epoch, created_at, idle_expires_at, expires_at",
            format!("{digest}, {id}, {of}, 0, n.i, n.i + 9000000000000, n.i + 9000000000000"),
        ),
        (
            "sessions",
            "id, account_id, client_id, scope, epoch, created_at, last_used_at, idle_expires_at, expires_at, tag_digest, salt, refresh_digest, rotated_at, access_serial, rotation_serial, access_scope, access_expires_at",
            format!(
                "{id}, {of}, 'web', '', 0, n.i, n.i, n.i + 9000000000000, n.i + 9000000000000, {secrets}, 0, 0, 0, '', 0"
            ),
        ),
        // of accounts, of strangers, and of waiting sign-ups
        (
            "events",
            "id, kind, actor, at, account_id",
            format!("{id}, 'sign-in', 'owner', n.i + 9000000000000, {of}"),
        ),
        (
            "events",
            "id, kind, actor, at",
            format!("'1' || SUBSTR({id}, 2), 'sign-in-failed', 'stranger', n.i + 9000000000000"),
        ),
        (
            "events",
            "id, kind, actor, at, sign_up_id",
            format!(
                "'2' || SUBSTR({id}, 2), 'sign-in-failed', 'stranger', n.i + 9000000000000, {of}"
            ),
        ),
        // waiting, and sent
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries",
            format!("{id}, 'sign-up', {email}, '{{}}', 0, n.i + 9000000000000, 0"),
        ),
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries, sent_at, account_id",
            format!(
                "'1' || SUBSTR({id}, 2), 'password-changed', {email}, '{{}}', 0, 0, 0, n.i + 9000000000000, {of}"
            ),
        ),
        ("letters_sent", "digest, sent_at", format!("{digest}, n.i + 9000000000000")),
        ("guesses", "digest, failures, last_at", format!("{digest}, 1, n.i + 9000000000000")),
        ("networks", "digest, spent_until", format!("{digest}, n.i + 9000000000000")),
        (
            "places",
            "digest, account_id, last_used_at",
            format!("{digest}, {of}, n.i + 9000000000000"),
        ),
    ] {
        let sql = format!(
            "INSERT INTO {table} ({columns})
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             SELECT {values} FROM n"
        );
        let filled = sqlx::query(AssertSqlSafe(sql)).execute(&mut *db).await;
        filled.unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    sqlx::raw_sql("ANALYZE").execute(db).await.unwrap();
}

#[rocket::async_test]
async fn s4_no_statement_of_a_request_goes_through_a_growing_table() {
    if is_skipped() {
        return;
    }
    let statements = gathered();
    let database = support::database().await;
    let app = TestApp::on_database(&database.url, "").await;
    app.store().close().await;
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&database.url).await.unwrap();
    let is_full = setting("TEST_MILLION").is_some();
    if is_full {
        fill(&mut db, 1_000_000).await;
    } else {
        eprintln!("SKIPPED: a million rows of each origin, without TEST_MILLION=1");
    }
    if ON_POSTGRES {
        // with few rows a table is read as a whole, since that is faster; here an index has to do
        let how = ["SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off"];
        for set in how.iter().take(if is_full { 1 } else { 2 }) {
            sqlx::raw_sql(*set).execute(&mut db).await.unwrap();
        }
    }
    let mut found = Vec::new();
    for (sql, place) in &statements {
        let (plan, scans) = match ON_POSTGRES {
            true => plan_on_postgres(&mut db, sql).await,
            false => plan_on_sqlite(&mut db, sql).await,
        };
        let function = place.split_once("::").map_or(place.as_str(), |(_, function)| function);
        let is_background = BACKGROUND.iter().any(|(name, _)| *name == function);
        if is_full {
            println!("| `{place}` | {} |", plan.replace('|', "\\|"));
        }
        if !is_background {
            found.extend(scans.into_iter().map(|scan| format!("{place}: {scan}: {sql}")));
        }
    }
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), statements.len(), found.join("\n"));
}

/// The check can fail: a statement without an index is found on either engine.
#[rocket::async_test]
async fn s4_a_statement_that_goes_through_a_table_is_found() {
    if is_skipped() {
        return;
    }
    let database = support::database().await;
    TestApp::on_database(&database.url, "").await.store().close().await;
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&database.url).await.unwrap();
    for (sql, is_found) in [
        ("SELECT e.id FROM events e WHERE e.request_id = $1", true),
        ("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE last_error = $1)", true),
        ("SELECT id FROM events WHERE id = $1", false),
    ] {
        let (plan, scans) = match ON_POSTGRES {
            true => {
                sqlx::raw_sql("SET enable_seqscan = off").execute(&mut db).await.unwrap();
                plan_on_postgres(&mut db, sql).await
            }
            false => plan_on_sqlite(&mut db, sql).await,
        };
        assert_eq!(!scans.is_empty(), is_found, "{sql}: {plan}");
    }
}
