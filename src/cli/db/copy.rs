//! `vestibule db copy`: copies all data into another database.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use figment::Figment;
use serde::Serialize;
use vestibule::storage::{CopiedTable, CopyError, copy};

use super::super::error::failed;
use super::super::output::print_result;
use super::super::table::table;
use super::super::{CommandError, signals};

/// A URL with a password in it is refused among the arguments, and given in a file.
#[derive(clap::Args)]
pub struct CopyArguments {
    /// The database to copy; by default, the database in the settings
    #[arg(long, value_name = "URL", conflicts_with = "from_file")]
    from: Option<String>,
    /// A file whose first line is the URL of the database to copy, such as /dev/stdin
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The database to copy into
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "to_file",
        required_unless_present = "to_file"
    )]
    to: Option<String>,
    /// A file whose first line is the URL of the database to copy into, such as /dev/stdin
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
}

/// A table with its number of rows.
#[derive(Serialize)]
pub struct Counted {
    pub name: String,
    pub rows: i64,
}

#[derive(Serialize)]
struct Copied {
    tables: Vec<Counted>,
}

pub async fn run(
    figment: &Figment,
    arguments: CopyArguments,
    json: bool,
) -> Result<(), CommandError> {
    let own: String =
        figment.extract_inner("databases.vestibule.url").map_err(|error| failed(&error))?;
    let from = url(arguments.from, arguments.from_file.as_deref())?.unwrap_or_else(|| own.clone());
    let to = url(arguments.to, arguments.to_file.as_deref())?.unwrap_or_default();
    let (signal, received) = (signals::wait(signals::listen()), OnceLock::new());
    let until = async {
        let _ = received.set(signal.await);
    };
    let copied = copy((&from, &to, &own), until, progress).await;
    if let (Err(CopyError::Interrupted), Some(&signal)) = (&copied, received.get()) {
        return Err(CommandError::Interrupted { signal });
    }
    let copied = copied.map_err(|error| failed(&error))?;
    let counted = |CopiedTable { name, rows }| Counted { name, rows: rows.cast_signed() };
    let copied = Copied { tables: copied.into_iter().map(counted).collect() };
    print_result(json, &copied, |copied| {
        let row = |counted: &Counted| [counted.name.clone(), counted.rows.to_string()];
        let rows: Vec<_> = copied.tables.iter().map(row).collect();
        format!("All rows are copied and verified.\n\n{}", table(["TABLE", "ROWS"], &rows))
    })
}

/// The URL from the argument or from the file. A file without a URL is an error: the command would
/// otherwise copy another database than the operator meant.
fn url(given: Option<String>, file: Option<&Path>) -> Result<Option<String>, CommandError> {
    let Some(file) = file else { return Ok(given) };
    let wrong = |problem: &str| CommandError::Failed(format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error.to_string()))?;
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    if first.is_empty() {
        return Err(wrong("the first line has no URL"));
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(wrong("the file has more than one line"));
    }
    Ok(Some(first.to_owned()))
}

/// Prints progress on standard error: standard output is for the result.
fn progress(table: &str, rows: u64) {
    let _ = writeln!(std::io::stderr(), "{table}: {rows}");
}
