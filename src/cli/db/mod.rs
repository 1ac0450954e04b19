//! `vestibule db …`: backup, copy and check of the database.

mod copy;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::clock::Clock;
use vestibule::storage::{IntegrityReport, Store, StoreError};

use super::error::failed;
use super::output::print_result;
use super::table::table;
use super::{CommandError, logging, on_database};
use copy::Counted;

#[derive(Args)]
pub struct DbArguments {
    #[command(subcommand)]
    command: DbCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum DbCommand {
    /// Back up an SQLite database into one file, also while the service runs
    Backup {
        /// The file to write, on this machine
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
    },
    /// Check the integrity of the database, and count its rows
    Check,
    /// Copy all data into another database, which must be empty; a copy that fails is undone
    Copy(copy::CopyArguments),
    /// Hold back waiting letters and end links: needed after restoring a PostgreSQL backup
    HoldLetters {
        /// Confirm; without this option, the command changes nothing
        #[arg(long)]
        yes: bool,
    },
    /// End all sessions: needed after restoring a backup
    EndSessions {
        /// Confirm; without this option, the command changes nothing
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: u64,
}

#[derive(Serialize)]
struct EndedSessions {
    /// Number of sign-ins that ended.
    ended: u64,
}

#[derive(Serialize)]
struct HeldLetters {
    /// Number of letters that are held back.
    held: u64,
}

#[derive(Serialize)]
struct Checked {
    schema: &'static str,
    tables: Vec<Counted>,
    problems: Vec<String>,
}

pub fn run(figment: Figment, arguments: DbArguments) -> Result<(), CommandError> {
    let DbArguments { command, json } = arguments;
    logging::start_for_command();
    rocket::execute(async move {
        match command {
            DbCommand::Backup { file, force } => back_up(&figment, file, force, json).await,
            DbCommand::Check => check(&figment, json).await,
            DbCommand::Copy(arguments) => copy::run(&figment, arguments, json).await,
            DbCommand::HoldLetters { yes } => hold_letters(&figment, yes, json).await,
            DbCommand::EndSessions { yes } => end_sessions(&figment, yes, json).await,
        }
    })
}

async fn back_up(
    figment: &Figment,
    file: PathBuf,
    force: bool,
    json: bool,
) -> Result<(), CommandError> {
    let work = async |store: &Store| {
        store.back_up(&file, force, Clock::system().now()).await.map_err(|error| failed(&error))?;
        let bytes = std::fs::metadata(&file).map_err(|error| failed(&error))?.len();
        print_result(json, &BackedUp { file, bytes }, |backup| {
            format!("The backup is complete: {} ({} bytes).", backup.file.display(), backup.bytes)
        })
    };
    on_database::run(Store::open_without_migrating(figment), work).await
}

async fn check(figment: &Figment, json: bool) -> Result<(), CommandError> {
    on_database::run(Store::open_unchecked(figment), async |store| report(store, json).await).await
}

async fn report(store: &Store, json: bool) -> Result<(), CommandError> {
    let found = store.check_integrity().await?;
    let IntegrityReport { schema, tables, problems } = found;
    let tables = tables.into_iter().map(|(name, rows)| Counted { name, rows }).collect();
    let checked = Checked { schema, tables, problems };
    print_result(json, &checked, |found| {
        let row = |counted: &Counted| [counted.name.clone(), counted.rows.to_string()];
        let rows: Vec<_> = found.tables.iter().map(row).collect();
        format!("The schema is {}.\n\n{}", found.schema, table(["TABLE", "ROWS"], &rows))
    })?;
    if checked.problems.is_empty() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("the check found problems: {}", checked.problems.join("; "))))
}

async fn hold_letters(figment: &Figment, yes: bool, json: bool) -> Result<(), CommandError> {
    if !yes {
        let problem = "no letter is held back; --yes holds back all waiting letters";
        return Err(CommandError::Failed(problem.to_owned()));
    }
    let now = Clock::system().now();
    let work = async |store: &Store| {
        let held = store.write(async |tx| tx.hold_letters(now).await).await;
        let held = held.map_err(|error: StoreError| failed(&error))?;
        print_result(json, &HeldLetters { held }, |letters| {
            format!(
                "{} letters are held back, and earlier links no longer work. \
                 `vestibule mail list --held` shows the letters, and \
                 `vestibule mail retry --all-held` sends them.",
                letters.held
            )
        })
    };
    on_database::run(Store::open_without_migrating(figment), work).await
}

async fn end_sessions(figment: &Figment, yes: bool, json: bool) -> Result<(), CommandError> {
    if !yes {
        let problem = "no session has ended; --yes ends the sessions of all accounts";
        return Err(CommandError::Failed(problem.to_owned()));
    }
    let work = async |store: &Store| {
        let ended = store.end_all_sessions().await?;
        print_result(json, &EndedSessions { ended }, |sessions| {
            format!("All sessions have ended: {} sign-ins.", sessions.ended)
        })
    };
    on_database::run(Store::open_without_migrating(figment), work).await
}
