//! Integrity check: finds damage, broken references and impossible rows, and changes nothing.

use sqlx::{AnyConnection, SqliteConnection};

use super::catalog::{self, Table};
use crate::storage::engine::migrate::{self, Schema};
use crate::storage::engine::{Engine, Store, StoreError};

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
    /// Checks the database, with any schema, without changing it.
    pub async fn check_integrity(&self) -> Result<IntegrityReport, StoreError> {
        let schema = migrate::inspect(&self.pool).await?;
        let damages = self.damages().await?;
        self.pool
            .on_dedicated_connection(async |connection| {
                check_integrity(connection, self.engine(), schema, damages).await
            })
            .await
    }

    /// Damage that the engine itself finds.
    async fn damages(&self) -> Result<Vec<String>, StoreError> {
        let rows = match self.engine() {
            Engine::Sqlite { file } => {
                const SQL: &str = "
                    SELECT integrity_check FROM pragma_integrity_check
                    WHERE integrity_check <> 'ok'";
                let check = async |connection: &mut SqliteConnection| {
                    Ok(sqlx::query_scalar(SQL).fetch_all(connection).await?)
                };
                self.pool.dedicated().run_on_sqlite(file, check).await?
            }
            Engine::Postgres => {
                // PostgreSQL has no such check except the extension `amcheck`; a failed repair
                // leaves these behind
                const SQL: &str = "
                    SELECT 'the index ' || CAST(CAST(indexrelid AS regclass) AS TEXT)
                           || ' is not valid' FROM pg_index WHERE NOT indisvalid
                    UNION ALL
                    SELECT 'the constraint ' || CAST(conname AS TEXT) || ' was not checked'
                           FROM pg_constraint WHERE NOT convalidated";
                sqlx::query_scalar(SQL).fetch_all(&mut *self.pool.reader().await?).await?
            }
        };
        Ok(rows)
    }
}

async fn check_integrity(
    connection: &mut AnyConnection,
    engine: &Engine,
    schema: Schema,
    damages: Vec<String>,
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
    found.problems.extend(damages);
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
