//! Tables of a database, read from its schema, so that a copy or a check cannot omit one.
//!
//! It knows names, columns and references, and no meaning of any table.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use crate::storage::engine::{Engine, StoreError, column};

/// A table of the service. sqlx's own table of migrations is left out: it belongs to the schema.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub references: Vec<Reference>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    kind: Kind,
}

/// A foreign key: a column, and the column of another table that must hold its value.
#[derive(Debug)]
pub(super) struct Reference {
    pub column: String,
    pub to_table: String,
    pub to_column: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    Bytes,
}

/// The value of one column of one row, in either engine.
#[derive(Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// Whether migrations insert the table's rows, which are then the same in every database.
pub(super) fn is_filled_by_migrations(table: &str) -> bool {
    table == "nobody"
}

/// Names of all tables, empty ones included.
pub(super) async fn names(
    connection: &mut AnyConnection,
    engine: &Engine,
) -> Result<Vec<String>, StoreError> {
    let sql = match engine {
        Engine::Sqlite { .. } => {
            "SELECT name FROM sqlite_master WHERE type = 'table'
             AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> '_sqlx_migrations'"
        }
        Engine::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
             AND table_name <> '_sqlx_migrations'"
        }
    };
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    let mut names: Vec<String> =
        rows.iter().map(|row| column::text(row, "name")).collect::<Result<_, _>>()?;
    names.sort_unstable();
    Ok(names)
}

/// All tables, each after the tables that it references.
pub(super) async fn all(
    connection: &mut AnyConnection,
    engine: &Engine,
) -> Result<Vec<Table>, StoreError> {
    let mut left = Vec::new();
    for name in names(connection, engine).await? {
        let columns = columns(connection, engine, &name).await?;
        let references = references(connection, engine, &name).await?;
        left.push(Table { name, columns, references });
    }
    let mut sorted: Vec<Table> = Vec::new();
    while !left.is_empty() {
        let is_ready = |table: &Table| {
            let is_there = |reference: &Reference| {
                reference.to_table == table.name
                    || sorted.iter().any(|before| before.name == reference.to_table)
            };
            table.references.iter().all(is_there)
        };
        let (ready, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(StoreError::internal("tables refer to each other in a circle".to_owned()));
        }
        sorted.extend(ready);
        left = others;
    }
    Ok(sorted)
}

async fn columns(
    connection: &mut AnyConnection,
    engine: &Engine,
    table: &str,
) -> Result<Vec<Column>, StoreError> {
    let sql = match engine {
        Engine::Sqlite { .. } => "SELECT name, LOWER(type) AS kind FROM pragma_table_info($1)",
        Engine::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1"
        }
    };
    let rows = sqlx::query(sql).bind(table.to_owned()).fetch_all(connection).await?;
    let column = |row: &AnyRow| {
        let name = column::text(row, "name")?;
        let kind = match column::text(row, "kind")?.as_str() {
            "text" => Kind::Text,
            "bigint" => Kind::Integer,
            "blob" | "bytea" => Kind::Bytes,
            other => {
                let problem = format!("{table}.{name} is of the type {other}, not one of ours");
                return Err(StoreError::internal(problem));
            }
        };
        Ok(Column { name, kind })
    };
    let mut columns: Vec<Column> = rows.iter().map(column).collect::<Result<_, _>>()?;
    columns.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(columns)
}

async fn references(
    connection: &mut AnyConnection,
    engine: &Engine,
    table: &str,
) -> Result<Vec<Reference>, StoreError> {
    let sql = match engine {
        Engine::Sqlite { .. } => {
            r#"SELECT "from" AS child, "table" AS to_table, "to" AS to_column
               FROM pragma_foreign_key_list($1)"#
        }
        Engine::Postgres => {
            "SELECT CAST(child.attname AS TEXT) AS child, CAST(parents.relname AS TEXT) AS to_table,
                    CAST(parent.attname AS TEXT) AS to_column
             FROM pg_constraint c
             JOIN pg_class children ON children.oid = c.conrelid
             JOIN pg_class parents ON parents.oid = c.confrelid
             JOIN pg_attribute child ON child.attrelid = c.conrelid AND child.attnum = c.conkey[1]
             JOIN pg_attribute parent
                  ON parent.attrelid = c.confrelid AND parent.attnum = c.confkey[1]
             WHERE c.contype = 'f' AND children.relname = $1
             AND children.relnamespace = CAST(current_schema() AS regnamespace)"
        }
    };
    let rows = sqlx::query(sql).bind(table.to_owned()).fetch_all(connection).await?;
    let reference = |row: &AnyRow| {
        Ok(Reference {
            column: column::text(row, "child")?,
            to_table: column::text(row, "to_table")?,
            to_column: column::text(row, "to_column")?,
        })
    };
    rows.iter().map(reference).collect()
}

pub(super) async fn count(connection: &mut AnyConnection, table: &str) -> Result<i64, StoreError> {
    number(connection, format!(r#"SELECT COUNT(*) AS number FROM "{table}""#)).await
}

/// The number that `sql` returns in its column `number`.
pub(super) async fn number(connection: &mut AnyConnection, sql: String) -> Result<i64, StoreError> {
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await?;
    column::integer(&row, "number")
}

impl Table {
    fn columns_in_sql(&self) -> String {
        let quoted: Vec<String> =
            self.columns.iter().map(|column| format!(r#""{}""#, column.name)).collect();
        quoted.join(", ")
    }

    pub fn select(&self) -> String {
        format!(r#"SELECT {} FROM "{}""#, self.columns_in_sql(), self.name)
    }

    pub fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let values: Vec<String> =
                (1..=width).map(|column| format!("${}", row * width + column)).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        let columns = self.columns_in_sql();
        format!(r#"INSERT INTO "{}" ({columns}) VALUES {}"#, self.name, rows.join(", "))
    }

    pub fn read(&self, row: &AnyRow) -> Result<Vec<Value>, StoreError> {
        let value = |(index, column): (usize, &Column)| {
            Ok(match column.kind {
                Kind::Text => Value::Text(row.try_get(index)?),
                Kind::Integer => Value::Integer(row.try_get(index)?),
                Kind::Bytes => Value::Bytes(row.try_get(index)?),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}

impl Value {
    pub fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        match self {
            Self::Text(value) => query.bind(value),
            Self::Integer(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
        }
    }

    /// Appends an encoding that is the same for equal values and different for all others.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        let integer;
        let value: Option<&[u8]> = match self {
            Self::Text(value) => value.as_ref().map(String::as_bytes),
            Self::Bytes(value) => value.as_deref(),
            Self::Integer(value) => {
                integer = value.unwrap_or_default().to_be_bytes();
                value.map(|_| integer.as_slice())
            }
        };
        bytes.push(u8::from(value.is_some()));
        let value = value.unwrap_or_default();
        bytes.extend(value.len().to_be_bytes());
        bytes.extend(value);
    }
}
