//! Tests of query plans: no request's work grows with the rows of other parties. The tests check
//! how the engine plans every statement that the operations of the API run (S3, S4, S11).
//!
//! The tests gather the statements instead of listing them: they run the tests of the operations
//! once more in a child process that records the driver's log of statements. The sources in
//! `src/storage` tell the service's statements from the tests' own.
//!
//! With `TEST_MILLION=1` there are a million rows of each origin, half of them of one account, one
//! sign-up and one address. Each statement then runs with these values, and the test counts the
//! rows that it reads: the table in `docs/performance.md`.

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

use super::query_plan_rows::{self, fill};
use crate::support::{self, ON_POSTGRES};

/// The tests whose operations are recorded: together they call every operation of the API, and
/// openapi.rs checks that the list is complete.
const RECORDED: [&str; 12] = [
    "openapi::",
    "end_to_end::",
    "sessions::",
    "deletion::",
    "email_change::",
    "password_reset::",
    "revocation::",
    "activation::",
    "login_attempts::",
    "invitation::",
    "introspection::",
    "events::s3_",
];

/// Tables that grow with the deeds of people and strangers.
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

/// Statements that no request runs and that may scan a table, by their function.
const BACKGROUND: [(&str, &str); 6] = [
    ("count_sessions", "metrics, by a worker"),
    ("count_outbox", "metrics, by a worker; of what waits alone"),
    ("count_dead_letters", "metrics, by a worker"),
    ("find_refused_letters", "the start of the courier; of what waits alone"),
    ("retry_dead_letters", "the operator's command"),
    ("find_closed_accounts", "the janitor; of closed accounts alone"),
];

/// Statements that may read many rows, by their function or file, with the reason why the rows stay
/// few.
const BOUNDED: [(&str, &str); 22] = [
    ("attach_events", "purge_excess_events_of comes before it"),
    ("delete_events_of_sign_up", "purge_excess_events_of comes before it"),
    ("delete_links_of_sign_up", "purge_excess_of comes before it"),
    ("delete_letters_to", "purge_excess_of comes before it"),
    ("purge_sessions_of_client", "end_sessions_of_client comes before it"),
    ("delete_part_of_account", "removes the events that it has counted before"),
    ("consume_links", "limits.letters_per_hour: a link comes with a letter"),
    ("disavow_links", "limits.letters_per_hour: a link comes with a letter"),
    ("detach_letters", "limits.letters_per_hour, and few letters of a kind wait for an account"),
    ("find_email_changes_of", "limits.requests_per_account"),
    ("find_account_links_of", "limits.requests_per_account"),
    ("void_account_links", "limits.requests_per_account"),
    ("find_letters_about", "limits.letters_per_hour and limits.notices_per_hour"),
    ("count_live_sessions_of", "limits.sessions_per_account"),
    ("find_excess_sessions", "limits.sessions_per_account"),
    ("find_excess_page_sessions", "limits.sessions_per_account"),
    ("purge_ended_sessions_of", "limits.sessions_per_account"),
    ("claim_letters_beside", "the courier; only past letters to domains that it leaves out"),
    ("letters_counted", "the courier; letters that wait for one address"),
    ("purge_failed_attempts", "the janitor; only past places with wrong passwords since"),
    ("purge_email_changes", "the janitor; only past changes whose links are remembered"),
    ("clock_set_back", "the janitor; what came while the clock was ahead"),
];

/// The most rows that a statement of a request may read: a little more than the stored events of a
/// kind.
const MOST_ROWS: u64 = 12_000;

/// The environment variable with the child process's file of statements.
const FILE: &str = "TEST_STATEMENTS";

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Records the statements of this process if the environment asks for it.
pub fn record() {
    let Some(file) = setting(FILE) else { return };
    let file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    let recorder = Recorder { seen: Mutex::new((BTreeSet::new(), file)) };
    // a second application of the same process finds the recorder already set
    let _ = tracing::subscriber::set_global_default(recorder);
}

/// Writes each statement of the driver's log into a file once, followed by NUL.
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

/// Every statement of `src/storage`, with its file and function.
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

/// The service's statements that the tests of its operations run, with their places.
fn gathered() -> BTreeMap<String, String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("statements");
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(RECORDED)
        .args(["--skip", "query_plans::"])
        .env(FILE, &file)
        .output()
        .unwrap();
    // a failing test fails in its own run; here the others need only have called their operations
    let recorded = fs::read_to_string(&file).unwrap();
    let recorded: BTreeSet<&str> = recorded.split('\0').collect();
    let mut statements = sources();
    statements.retain(|sql, _| recorded.contains(sql.as_str()));
    let ran = String::from_utf8_lossy(&ran.stdout);
    assert!(statements.len() > 80, "{} statements were run: {ran}", statements.len());
    statements
}

/// SQLite's plan of a statement, and the tables that it scans.
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

/// The growing table that a statement has under this name.
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

/// With few rows PostgreSQL scans a table, since that is faster. From here on it does so only where
/// no index fits.
async fn rely_on_indexes(db: &mut AnyConnection) {
    for setting in ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"] {
        sqlx::raw_sql(AssertSqlSafe(format!("SET {setting} = off")))
            .execute(&mut *db)
            .await
            .unwrap();
    }
}

/// PostgreSQL's generic plan and its scans: with a NULL known beforehand, PostgreSQL reads no row
/// at all.
async fn plan_on_postgres(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    let parameters = vec!["NULL"; query_plan_rows::parameters(sql)];
    let nulls = parameters.join(", ");
    let values = if parameters.is_empty() { String::new() } else { format!("({nulls})") };
    for sql in [
        "SET plan_cache_mode = force_generic_plan".to_owned(),
        "DEALLOCATE ALL".to_owned(),
        format!("PREPARE planned {} AS {sql}", query_plan_rows::types(sql)),
    ] {
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
            // an index scan without a condition reads the whole index, too
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

async fn planned(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    match ON_POSTGRES {
        true => plan_on_postgres(db, sql).await,
        false => plan_on_sqlite(db, sql).await,
    }
}

#[rocket::async_test]
async fn s4_no_statement_of_a_request_goes_through_a_growing_table() {
    if ON_POSTGRES && setting("TEST_MILLION").is_none() {
        eprintln!("SKIPPED: plans on PostgreSQL, without TEST_MILLION=1");
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
    if ON_POSTGRES && !is_full {
        rely_on_indexes(&mut db).await;
    }
    let mut reading = query_plan_rows::Reading::of(&database.url).await;
    let mut found = Vec::new();
    for (sql, place) in &statements {
        let function = place.split_once("::").map_or(place.as_str(), |(_, function)| function);
        if BACKGROUND.iter().any(|(name, _)| *name == function) {
            continue;
        }
        // with a million rows PostgreSQL scans a table for its first rows where most rows match
        if !ON_POSTGRES || !is_full {
            let (_, scans) = planned(&mut db, sql).await;
            found.extend(scans.into_iter().map(|scan| format!("{place}: {scan}: {sql}")));
        }
        if is_full {
            let (rows, plan) = reading.rows(sql).await;
            let plan = if ON_POSTGRES { plan } else { planned(&mut db, sql).await.0 };
            println!("| `{place}` | {} | {rows} |", plan.replace('|', "\\|"));
            if rows > MOST_ROWS && !BOUNDED.iter().any(|(name, _)| *name == function) {
                found.push(format!("{place}: reads {rows} rows: {sql}"));
            }
        }
    }
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), statements.len(), found.join("\n"));
}

/// The check can fail: it finds a statement without an index on either engine.
#[rocket::async_test]
async fn s4_a_statement_that_goes_through_a_table_is_found() {
    let database = support::database().await;
    TestApp::on_database(&database.url, "").await.store().close().await;
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&database.url).await.unwrap();
    for (sql, is_found) in [
        ("SELECT e.id FROM events e WHERE e.request_id = $1", true),
        ("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE last_error = $1)", true),
        ("SELECT id FROM events WHERE id = $1", false),
    ] {
        if ON_POSTGRES {
            rely_on_indexes(&mut db).await;
        }
        let (plan, scans) = planned(&mut db, sql).await;
        assert_eq!(!scans.is_empty(), is_found, "{sql}: {plan}");
    }
}
