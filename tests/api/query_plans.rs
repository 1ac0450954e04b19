//! Tests of query plans: no request's work grows with the rows of other parties. The tests check
//! how the engine plans every statement that the operations of the API run (S3, S4, S11).
//!
//! The statements are all of those in `src/storage`: more than requests run, but none is missing.
//! Lists name the exceptions, each with its reason.
//!
//! With `TEST_MILLION=1` there are a million rows of each origin, half of them of one account, one
//! sign-up and one address. Each statement then runs with these values, and the test counts the
//! rows that it reads: the table in `docs/performance.md`.

#![expect(clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table, and what was skipped")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use vestibule::testing::TestApp;

use super::query_plan_rows::{self, fill};
use crate::support::{self, ON_POSTGRES};

/// Tables that grow with the requests of users and strangers.
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
const BACKGROUND: [(&str, &str); 9] = [
    ("count_sessions", "metrics, by a worker"),
    ("count_outbox", "metrics, by a worker; only waiting letters"),
    ("count_dead_letters", "metrics, by a worker"),
    ("find_refused_letters", "the start of the courier; only waiting letters"),
    ("end_part_of_all_sessions", "the operator's command"),
    ("count_sessions_of_client", "the operator's command"),
    ("find_accounts", "the operator's command, by a part of the address"),
    ("find_sign_ups", "the operator's command, by a part of the address"),
    ("find_closed_accounts", "the janitor; only closed accounts"),
];

/// Files whose statements no request runs. Most concern the engine and not the rows of people.
const EXCLUDED_FILES: [(&str, &str); 8] = [
    ("catalog", "the operator's command"),
    ("copy", "the operator's command"),
    ("data_version", "the check for other processes, by a worker"),
    ("held_letters", "the start, and the operator's command"),
    ("integrity", "the operator's command"),
    ("letters", "the operator's command"),
    ("migrate", "the start"),
    ("server", "the start"),
];

/// Statements that may read many rows, by their function or file, with the reason why the rows stay
/// few.
const BOUNDED: [(&str, &str); 20] = [
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
    ("purge_failed_attempts", "the janitor; only past places with wrong passwords since"),
    ("purge_email_changes", "the janitor; only past changes whose links are remembered"),
    ("clock_set_back", "the janitor; only rows from while the clock was ahead"),
];

/// The most rows that a statement of a request may read: a little more than the stored events of a
/// kind.
const MAX_ROWS: u64 = 12_000;

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every statement of `src/storage`, with its file and function.
///
/// The driver takes only literals and text in `AssertSqlSafe`, which only files of
/// [`EXCLUDED_FILES`] may use.
fn statements_of_storage() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if EXCLUDED_FILES.iter().any(|(name, _)| *name == file) {
                continue;
            }
            let code = fs::read_to_string(&path).unwrap();
            let code = code.split("#[cfg(test)]").next().unwrap();
            assert!(!code.contains("AssertSqlSafe"), "{file} composes statements");
            for (at, _) in code.match_indices('"') {
                let rest = &code[at + 1..];
                let first = rest.split_whitespace().next().unwrap_or_default();
                if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first) {
                    continue;
                }
                let sql = in_one_line(rest.split('"').next().unwrap());
                let place = match code[..at].rsplit_once("fn ") {
                    Some((_, function)) => {
                        format!("{file}::{}", function.split(['(', '<']).next().unwrap())
                    }
                    None => file.clone(),
                };
                found.insert(sql, place);
            }
        }
    }
    assert!(found.len() > 150, "{} statements in the sources", found.len());
    for (name, _) in BACKGROUND.iter().chain(&BOUNDED) {
        assert!(found.values().any(|place| function(place) == *name), "{name} has no statement");
    }
    found
}

/// The function of a place, or else its file.
fn function(place: &str) -> &str {
    place.split_once("::").map_or(place, |(_, function)| function)
}

/// SQLite's plan of a statement, and the tables that it scans.
async fn plan_on_sqlite(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let rows = rows.fetch_all(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let steps: Vec<String> = rows.iter().map(|row| row.get::<String, _>("detail")).collect();
    let scans = steps.iter().filter_map(|step| {
        let name = step.strip_prefix("SCAN ")?.split(' ').next()?;
        growing_table_named(sql, name).map(|table| format!("{table}: {step}"))
    });
    (steps.join("; "), scans.collect())
}

/// The growing table that a statement has under this name.
fn growing_table_named(sql: &str, name: &str) -> Option<&'static str> {
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
    if !ON_POSTGRES {
        return;
    }
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
    let generic = "SET plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(generic).execute(&mut *db).await.unwrap();
    query_plan_rows::prepare(db, "planned", sql).await;
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE planned{values}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(db).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get::<String, _>(0)).collect();
    let mut scans = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let scanned = match step.split_once("Seq Scan on ") {
            Some((_, name)) => name.split(' ').next(),
            // an index scan without a condition reads the whole index, too
            None if step.contains("Index") && step.contains("Scan using ") => {
                let bound = steps.get(index + 1).is_some_and(|next| next.contains("Index Cond"));
                let name = step.split_once(" on ").and_then(|(_, name)| name.split(' ').next());
                name.filter(|_| !bound)
            }
            None => None,
        };
        if let Some(table) = scanned.filter(|name| GROWING.contains(name)) {
            scans.push(format!("{table}: {}", step.trim()));
        }
    }
    let scans_of = steps.iter().map(|step| step.trim().trim_start_matches("->  "));
    let kept = scans_of.filter(|step| step.contains("Scan"));
    (kept.collect::<Vec<_>>().join("; "), scans)
}

async fn plan_of(db: &mut AnyConnection, sql: &str) -> (String, Vec<String>) {
    match ON_POSTGRES {
        true => plan_on_postgres(db, sql).await,
        false => plan_on_sqlite(db, sql).await,
    }
}

#[rocket::async_test]
async fn s4_no_statement_of_a_request_scans_a_growing_table() {
    let statements = statements_of_storage();
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
        // PostgreSQL would rather read a whole empty index than find a row by its key
        fill(&mut db, 1_000).await;
        rely_on_indexes(&mut db).await;
    }
    let mut reading = query_plan_rows::Reading::connect(&database.url).await;
    let mut found = Vec::new();
    for (sql, place) in &statements {
        let function = function(place);
        if BACKGROUND.iter().any(|(name, _)| *name == function) {
            continue;
        }
        // with a million rows PostgreSQL scans a table for its first rows where most rows match
        if !ON_POSTGRES || !is_full {
            let (_, scans) = plan_of(&mut db, sql).await;
            found.extend(scans.into_iter().map(|scan| format!("{place}: {scan}: {sql}")));
        }
        if is_full {
            let (rows, plan) = reading.rows(sql).await;
            let plan = if ON_POSTGRES { plan } else { plan_of(&mut db, sql).await.0 };
            println!("| `{place}` | {} | {rows} |", plan.replace('|', "\\|"));
            if rows > MAX_ROWS && !BOUNDED.iter().any(|(name, _)| *name == function) {
                found.push(format!("{place}: reads {rows} rows: {sql}"));
            }
        }
    }
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), statements.len(), found.join("\n"));
}

/// The statements of a claim, of which the writer of SQLite waits for each.
const CLAIM: [&str; 4] = ["claim_letters", "walk_domains", "find_due_letters_to", "claim_letter"];

/// The work of a claim, with eight times as many letters: fresh ones to one domain, and refused ones
/// to as many domains.
#[rocket::async_test]
async fn s4_work_of_a_claim_does_not_grow_with_waiting_letters() {
    let statements = statements_of_storage();
    let claim: Vec<&String> = statements
        .iter()
        .filter(|(_, place)| CLAIM.contains(&function(place)))
        .map(|(sql, _)| sql)
        .collect();
    assert_eq!(claim.len(), CLAIM.len());
    let mut work = Vec::new();
    for rows in [1_000, 8_000] {
        let database = support::database().await;
        TestApp::on_database(&database.url, "").await.store().close().await;
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&database.url).await.unwrap();
        fill(&mut db, rows).await;
        let mut reading = query_plan_rows::Reading::connect(&database.url).await;
        if let query_plan_rows::Reading::Postgres(db) = &mut reading {
            rely_on_indexes(db).await;
        }
        let mut read = Vec::new();
        for sql in &claim {
            let (rows, plan) = reading.rows(sql).await;
            assert!(rows > 0, "{sql}: nothing was read: {plan}");
            read.push(rows);
        }
        work.push(read);
    }
    for ((few, many), sql) in work[0].iter().zip(&work[1]).zip(&claim) {
        assert!(*many <= few + few / 4, "{sql}: reads {few} rows, and then {many}");
    }
}

/// The check can fail: it finds a statement without an index on either engine.
#[rocket::async_test]
async fn s4_check_finds_a_statement_that_scans_a_table() {
    let database = support::database().await;
    TestApp::on_database(&database.url, "").await.store().close().await;
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&database.url).await.unwrap();
    for (sql, is_found) in [
        ("SELECT e.id FROM events e WHERE e.request_id = $1", true),
        ("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE last_error = $1)", true),
        ("SELECT id FROM events WHERE id = $1", false),
    ] {
        rely_on_indexes(&mut db).await;
        let (plan, scans) = plan_of(&mut db, sql).await;
        assert_eq!(!scans.is_empty(), is_found, "{sql}: {plan}");
    }
}
