//! Integrity check: finds damage, broken references and impossible rows, and changes nothing.

use figment::Figment;
use sqlx::AnyConnection;

use super::catalog::{self, Table};
use crate::storage::engine::migrate::{self, Schema};
use crate::storage::engine::{Engine, OpenError, Store, StoreError, column};

/// Rules that the schema does not enforce: a description, and a count of the rows that break the
/// rule.
const INVARIANTS: [(&str, &str); 4] = [
    (
        "sessions of a later epoch than their account's",
        "SELECT COUNT(*) AS number FROM sessions s JOIN accounts a ON a.id = s.account_id
         WHERE s.epoch > a.epoch",
    ),
    (
        "sign-ins at the account page of a later epoch than their account's",
        "SELECT COUNT(*) AS number FROM page_sessions s JOIN accounts a ON a.id = s.account_id
         WHERE s.epoch > a.epoch",
    ),
    (
        "letters that were both sent and given up",
        "SELECT COUNT(*) AS number FROM outbox WHERE sent_at IS NOT NULL AND dead_at IS NOT NULL",
    ),
    (
        "sessions that ended before they began",
        "SELECT COUNT(*) AS number FROM sessions WHERE expires_at < created_at",
    ),
];

/// Result of the integrity check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityReport {
    /// State of the schema, in words.
    pub schema: &'static str,
    /// Names of the tables and their numbers of rows; empty if the schema is unusable.
    pub tables: Vec<(String, i64)>,
    /// Problems, without values and personal data; empty if there are none.
    pub problems: Vec<String>,
}

impl Store {
    /// Checks the database at `databases.vestibule` of `figment`, with any schema, without changing
    /// it.
    pub async fn check_integrity(figment: &Figment) -> Result<IntegrityReport, OpenError> {
        let store = Self::open_unchecked(figment).await?;
        let found = store.find_problems().await;
        store.close().await;
        Ok(found?)
    }

    async fn find_problems(&self) -> Result<IntegrityReport, StoreError> {
        let engine = self.engine();
        let schema = migrate::inspect(&self.pool).await?;
        self.pool
            .on_dedicated_connection(async |connection| {
                check_integrity(connection, engine, schema).await
            })
            .await
    }
}

async fn check_integrity(
    connection: &mut AnyConnection,
    engine: &Engine,
    schema: Schema,
) -> Result<IntegrityReport, StoreError> {
    let mut found = IntegrityReport { schema: "", tables: Vec::new(), problems: Vec::new() };
    found.schema = match schema {
        Schema::Known => "this program's",
        Schema::Newer => "a later one, with which this program works",
        Schema::Older => "an earlier one: `vestibule migrate` brings it up to date",
        Schema::Other => "another one, with which this program cannot work",
    };
    if matches!(schema, Schema::Older | Schema::Other) {
        found.problems.push(format!("the schema is {}", found.schema));
    }
    found.problems.extend(damages(connection, engine).await?);
    let tables = match schema {
        Schema::Known | Schema::Newer => catalog::all(connection, engine).await?,
        Schema::Older | Schema::Other => Vec::new(),
    };
    for table in &tables {
        found.problems.extend(orphans(connection, table).await?);
        let rows = catalog::count(connection, &table.name).await?;
        found.tables.push((table.name.clone(), rows));
    }
    if !tables.is_empty() {
        for (what, sql) in INVARIANTS {
            let number = catalog::number(connection, sql.to_owned()).await?;
            if number > 0 {
                found.problems.push(format!("{what}: {number}"));
            }
        }
    }
    Ok(found)
}

/// Damage that the engine itself finds.
async fn damages(
    connection: &mut AnyConnection,
    engine: &Engine,
) -> Result<Vec<String>, StoreError> {
    let sql = match engine {
        Engine::Sqlite { .. } => {
            "SELECT integrity_check AS problem FROM pragma_integrity_check
             WHERE integrity_check <> 'ok'"
        }
        // PostgreSQL has no such check except the extension `amcheck`; a failed repair leaves these
        // behind
        Engine::Postgres => {
            "SELECT 'the index ' || CAST(CAST(indexrelid AS regclass) AS TEXT) || ' is not valid'
                    AS problem FROM pg_index WHERE NOT indisvalid
             UNION ALL
             SELECT 'the constraint ' || CAST(conname AS TEXT) || ' was not checked'
                    FROM pg_constraint WHERE NOT convalidated"
        }
    };
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| column::text(row, "problem")).collect()
}

/// Counts rows whose foreign key matches no row. The engines enforce the keys, except against a
/// write past them or a partial restore.
async fn orphans(connection: &mut AnyConnection, table: &Table) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    for reference in &table.references {
        let (name, child) = (&table.name, &reference.column);
        let (to_table, to_column) = (&reference.to_table, &reference.to_column);
        let sql = format!(
            r#"SELECT COUNT(*) AS number FROM "{name}" child WHERE child."{child}" IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM "{to_table}" parent
                               WHERE parent."{to_column}" = child."{child}")"#
        );
        let number = catalog::number(connection, sql).await?;
        if number > 0 {
            problems.push(format!("rows of {name} whose {child} is not in {to_table}: {number}"));
        }
    }
    Ok(problems)
}
