//! Counts the rows that a statement reads, as the engine reports them, in a database where one
//! account, one sign-up and one address have most of the rows.

#![expect(clippy::panic, reason = "this is how a test fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{
    AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _, SqliteConnection,
};

use super::support::ON_POSTGRES;

/// The id of the account, and of the sign-up, that has half of all rows.
const ID: &str = "01890000-0000-7000-8000-000000000001";
/// The account's address, to which a million letters were sent.
const EMAIL: &str = "000000000001@example.org";

/// A connection that runs statements and rolls them back.
pub enum Reading {
    Sqlite { db: SqliteConnection, steps: Arc<AtomicU64> },
    Postgres(AnyConnection),
}

impl Reading {
    pub async fn connect(url: &str) -> Self {
        if ON_POSTGRES {
            let mut db = AnyConnection::connect(url).await.unwrap();
            // PostgreSQL does so by itself while a custom plan costs less than a generic one
            db.execute("SET plan_cache_mode = force_custom_plan").await.unwrap();
            return Self::Postgres(db);
        }
        let mut db = SqliteConnection::connect(url).await.unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&steps);
        // SQLite counts the instructions of its virtual machine; a row takes ten or more
        db.lock_handle().await.unwrap().set_progress_handler(10, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            true
        });
        Self::Sqlite { db, steps }
    }

    /// About how many rows the statement reads, and on PostgreSQL its plan.
    pub async fn rows(&mut self, sql: &str) -> (u64, String) {
        let values = worst_values(sql);
        match self {
            Self::Sqlite { db, steps } => {
                let mut sql = sql.to_owned();
                for (n, value) in values.iter().enumerate().rev() {
                    sql = sql.replace(&format!("${}", n + 1), value);
                }
                let mut tx = db.begin().await.unwrap();
                steps.store(0, Ordering::Relaxed);
                let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).fetch_all(&mut *tx).await;
                let steps = steps.load(Ordering::Relaxed);
                done.map(drop)
                    .or_else(ignore_constraint_error)
                    .unwrap_or_else(|e| panic!("{sql}: {e}"));
                tx.rollback().await.unwrap();
                (steps, String::new())
            }
            Self::Postgres(db) => {
                let values = values.join(", ");
                let values = if values.is_empty() { values } else { format!("({values})") };
                prepare(db, "counted", sql).await;
                let explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)";
                let counted = format!("{explain} EXECUTE counted{values}");
                let mut tx = db.begin().await.unwrap();
                let done = sqlx::raw_sql(AssertSqlSafe(counted)).fetch_all(&mut *tx).await;
                let lines: Vec<String> = match done {
                    Ok(rows) => rows.iter().map(|row| row.get::<String, _>(0)).collect(),
                    Err(error) => {
                        ignore_constraint_error(error)
                            .unwrap_or_else(|e| panic!("{sql} {values}: {e}"));
                        vec![]
                    }
                };
                tx.rollback().await.unwrap();
                let scans = lines.iter().filter(|line| line.contains("Scan"));
                let scans = scans.map(|line| line.trim().trim_start_matches("->  "));
                (rows_of(&lines), scans.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// Passes over the constraint error that an `INSERT` or `UPDATE` with values of existing rows may
/// cause.
fn ignore_constraint_error(error: sqlx::Error) -> Result<(), sqlx::Error> {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .unwrap_or_default()
        .into_owned();
    let refused = match ON_POSTGRES {
        true => code.starts_with("23"),
        // the primary code is the lowest byte
        false => code.parse::<u32>().is_ok_and(|code| code & 0xff == 19),
    };
    if refused { Ok(()) } else { Err(error) }
}

/// The rows that the scans of a plan have read, including the rows that they have discarded.
fn rows_of(lines: &[String]) -> u64 {
    let number = |line: &str, before: &str| -> Option<u64> {
        let (_, rest) = line.split_once(before)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let (mut rows, mut loops) = (0, 1);
    for line in lines {
        if line.contains("Scan") && line.contains("(actual") {
            loops = number(line, "loops=").unwrap_or(1);
            rows += number(line, "(actual rows=").unwrap_or(0) * loops;
        }
        rows += number(line, "Rows Removed by Filter: ").unwrap_or(0) * loops;
        rows += number(line, "Rows Removed by Index Recheck: ").unwrap_or(0) * loops;
    }
    rows
}

/// For each parameter of a statement, the value that finds the most rows, as far as its column
/// tells.
fn worst_values(sql: &str) -> Vec<String> {
    let columns = insert_columns(sql);
    (1..=parameters(sql))
        .map(|n| {
            let name = format!("${n}");
            let of_insert = columns.iter().find(|(_, value)| *value == name);
            let column = of_insert.map(|(column, _)| (column.clone(), "=".to_owned()));
            let found = column.or_else(|| compared_column(sql, &name));
            found.map_or_else(|| "NULL".to_owned(), |(column, by)| worst_value(sql, &column, &by))
        })
        .collect()
}

/// Prepares a statement on PostgreSQL, with the types of the parameters that PostgreSQL does not
/// infer itself.
pub async fn prepare(db: &mut AnyConnection, name: &str, sql: &str) {
    let columns = insert_columns(sql);
    let of = |n: usize| {
        let parameter = format!("${n}");
        let is_asked = |what: &str| sql.contains(&format!("{parameter} {what}"));
        if let Some((column, _)) = columns.iter().find(|(_, value)| *value == parameter) {
            return type_of(column);
        }
        if !is_asked("IS NULL") && !is_asked("IS NOT NULL") {
            return "unknown";
        }
        let column = coalesced_column(sql, &parameter);
        let column = column.or_else(|| compared_column(sql, &parameter).map(|(column, _)| column));
        type_of(&column.unwrap_or_default())
    };
    let types: Vec<&str> = (1..=parameters(sql)).map(of).collect();
    let types = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
    for sql in ["DEALLOCATE ALL".to_owned(), format!("PREPARE {name} {types} AS {sql}")] {
        let prepared = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *db).await;
        prepared.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// The column that keeps its value if a parameter is NULL.
fn coalesced_column(sql: &str, parameter: &str) -> Option<String> {
    let (_, rest) = sql.split_once(&format!("COALESCE({parameter}, "))?;
    let column = rest.split(')').next()?;
    Some(column.to_owned())
}

fn type_of(column: &str) -> &'static str {
    let instants_and_counts = ["_at", "_serial", "_ttl", "_until"];
    match column {
        "epoch" | "tries" | "failures" | "at" => "bigint",
        _ if instants_and_counts.iter().any(|end| column.ends_with(end)) => "bigint",
        _ if column.contains("digest") || column == "salt" => "bytea",
        _ => "text",
    }
}

/// How many parameters a statement has.
pub fn parameters(sql: &str) -> usize {
    (1..40).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0)
}

/// The columns of an `INSERT`, each with its value's expression.
fn insert_columns(sql: &str) -> Vec<(String, String)> {
    let Some((columns, rest)) =
        sql.strip_prefix("INSERT INTO ").and_then(|rest| rest.split_once('(')?.1.split_once(')'))
    else {
        return Vec::new();
    };
    let rest = rest.trim_start();
    let values = rest.strip_prefix("VALUES (").or_else(|| rest.strip_prefix("SELECT "));
    let names = columns.split(',').map(|name| name.trim().to_owned());
    names.zip(list_items(values.unwrap_or_default())).collect()
}

/// The expressions of a list, up to its end.
fn list_items(list: &str) -> Vec<String> {
    let (mut depth, mut found) = (0, vec![String::new()]);
    for word in list.split_inclusive([' ', ',', '(', ')']) {
        if depth == 0 && word == "FROM " {
            break;
        }
        if depth == 0 && word.ends_with(')') {
            found.last_mut().unwrap().push_str(word.trim_end_matches(')'));
            break;
        }
        depth += i32::from(word.ends_with('(')) - i32::from(word.ends_with(')'));
        match depth == 0 && word.ends_with(',') {
            true => {
                found.last_mut().unwrap().push_str(word.trim_end_matches(','));
                found.push(String::new());
            }
            false => found.last_mut().unwrap().push_str(word),
        }
    }
    found.iter().map(|expression| expression.trim().to_owned()).collect()
}

/// The column and the operator that a parameter is compared with.
fn compared_column(sql: &str, name: &str) -> Option<(String, String)> {
    let is_whole = |end: usize| !sql[end..].starts_with(|c: char| c.is_ascii_digit());
    let places = sql.match_indices(name).filter(|(at, _)| is_whole(at + name.len()));
    places.filter_map(|(at, _)| column_before(&sql[..at])).next()
}

/// The column and the operator right before a parameter, or the keyword.
fn column_before(before: &str) -> Option<(String, String)> {
    let mut words = before.split_whitespace().rev();
    let operator = words.next()?;
    if ["LIMIT", "OFFSET", "SELECT"].contains(&operator) {
        return Some((operator.to_owned(), String::new()));
    }
    if !["=", "<", "<=", ">", ">=", "<>", "LIKE"].contains(&operator) {
        return None;
    }
    let column = words.find(|word| *word != "NOT" && !word.ends_with("')"))?;
    let column = column.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let column = column.rsplit(['.', '(']).next()?;
    Some((column.to_owned(), operator.to_owned()))
}

fn worst_value(sql: &str, column: &str, operator: &str) -> String {
    let digest = "--------------------000000000001";
    let text = |text: &str| format!("'{text}'");
    match column {
        "LIMIT" => "256".to_owned(),
        "OFFSET" => "1000".to_owned(),
        // where a walk begins
        "SELECT" => text(""),
        // the account's other rows are deleted before its own
        "id" if sql.starts_with("DELETE FROM accounts") => text(""),
        "id" if operator.starts_with('<') => text("z"),
        "id" if operator.starts_with('>') => text(""),
        "id" | "account_id" | "sign_up_id" | "session_id" | "email_change_id" => text(ID),
        "email" => text(EMAIL),
        // the end of `CASE WHEN tries > 0 THEN 1 ELSE 0 END`: many domains have refused letters,
        // and one has many fresh ones
        "END" => if sql.starts_with("WITH RECURSIVE walk") { "1" } else { "0" }.to_owned(),
        // the end of the expression for the domain
        "1" => text("example.org"),
        // letters of another kind wait for the address
        "kind" if sql.contains("outbox") => text("password-reset"),
        "kind" => text("sign-in"),
        "actor" => text("owner"),
        "purpose" => text("activation"),
        "client_id" => text("web"),
        "lease" | "scope" | "access_scope" | "password_hash" | "facts" | "last_error" => text("x"),
        column if column.contains("digest") || column == "salt" => match ON_POSTGRES {
            true => format!("CONVERT_TO('{digest}', 'UTF8')"),
            false => format!("CAST('{digest}' AS BLOB)"),
        },
        column if column == "at" || column.ends_with("_at") || column.ends_with("until") => {
            if operator.starts_with('<') { "9999999999999" } else { "1" }.to_owned()
        }
        "epoch" | "tries" | "failures" => "0".to_owned(),
        _ => "NULL".to_owned(),
    }
}

/// Inserts `rows` rows of each origin directly, without the service.
pub async fn fill(db: &mut AnyConnection, rows: u64) {
    let number = "SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2)";
    let id = format!("'01890000-0000-7000-8000-' || {number}");
    // the first account or sign-up has half of the rows, and a thousand others have the rest
    let of = "'01890000-0000-7000-8000-'
              || SUBSTR(CAST(1000000000001 + (n.i % 2) * (n.i % 1000) AS TEXT), 2)";
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
        // each account has one change that can still be confirmed
        (
            "email_changes",
            "id, account_id, email, requested_at",
            format!("'1' || SUBSTR({id}, 2), {id}, 'o' || {email}, n.i + 9000000000000"),
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
        // events of accounts, of strangers, and of waiting sign-ups
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
        // waiting letters, each for its own address
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries",
            format!("{id}, 'sign-up', {email}, '{{}}', 0, n.i + 9000000000000, 0"),
        ),
        // refused, and waiting for recipients of as many domains
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries",
            format!(
                "'4' || SUBSTR({id}, 2), 'sign-up', 'r@' || {number} || '.example', '{{}}', 0,
                 n.i + 9000000000000, 1"
            ),
        ),
        // letters sent to one address; at most one letter of a kind waits for it
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries, sent_at",
            format!(
                "'3' || SUBSTR({id}, 2), 'sign-up', '{EMAIL}', '{{}}', 0, 0, 0, n.i + 9000000000000"
            ),
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
    // PostgreSQL analyzes by itself; on SQLite the service never does
    if ON_POSTGRES {
        sqlx::raw_sql("ANALYZE").execute(db).await.unwrap();
    }
}
