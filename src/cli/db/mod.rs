//! `vestibule db …`: backup, copy and check of the database.

mod copy;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::clock::Clock;
use vestibule::storage::{IntegrityReport, Store, StoreError};

use super::common::failed;
use super::output::answer;
use super::table::table;
use super::{CommandError, logging, on_database};

#[derive(Args)]
pub struct DbArguments {
    #[command(subcommand)]
    command: DbCommand,
    /// Print one JSON document and nothing else
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum DbCommand {
    /// Copy an SQLite database into one file; the service can go on meanwhile
    Backup {
        /// Where to; a folder on the same machine
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace the file if it is there
        #[arg(long)]
        force: bool,
    },
    /// Look whether all that is stored is sound, and count it
    Check,
    /// Copy everything into another database, which has to be empty: all of it, or nothing
    Copy(copy::Arguments),
    /// Hold back letters that wait and end links, as is due after a PostgreSQL backup was restored
    HoldLetters {
        /// Do it; without this, do nothing
        #[arg(long)]
        yes: bool,
    },
    /// End all sessions, as is due after a backup was restored
    EndSessions {
        /// Do it; without this, do nothing
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
struct Ended {
    /// Number of sign-ins that ended.
    ended: u64,
}

#[derive(Serialize)]
struct Held {
    /// Number of letters that are held back.
    held: u64,
}

#[derive(Serialize)]
struct Checked {
    schema: &'static str,
    tables: Vec<Counted>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Counted {
    name: String,
    rows: i64,
}

pub fn run(figment: Figment, arguments: DbArguments) -> Result<(), CommandError> {
    let DbArguments { command, json } = arguments;
    logging::start_for_command();
    rocket::execute(async move {
        match command {
            DbCommand::Backup { file, force } => back_up(&figment, file, force, json).await,
            DbCommand::Check => on_database::until_asked_to_end(check(&figment, json)).await,
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
        answer(json, &BackedUp { file, bytes }, |done| {
            format!("{} is a copy, of {} bytes.", done.file.display(), done.bytes)
        })
    };
    on_database::run(open(figment).await?, work).await
}

async fn check(figment: &Figment, json: bool) -> Result<(), CommandError> {
    let found = Store::check_integrity(figment).await.map_err(|error| failed(&error))?;
    let IntegrityReport { schema, tables, problems } = found;
    let tables = tables.into_iter().map(|(name, rows)| Counted { name, rows }).collect();
    let checked = Checked { schema, tables, problems };
    answer(json, &checked, |found| {
        let row = |counted: &Counted| [counted.name.clone(), counted.rows.to_string()];
        let rows: Vec<_> = found.tables.iter().map(row).collect();
        format!("The schema is {}.\n\n{}", found.schema, table(["TABLE", "ROWS"], &rows))
    })?;
    if checked.problems.is_empty() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("not all is well: {}", checked.problems.join("; "))))
}

async fn hold_letters(figment: &Figment, yes: bool, json: bool) -> Result<(), CommandError> {
    if !yes {
        let problem = "no letter is held back. --yes holds back all that wait";
        return Err(CommandError::Failed(problem.to_owned()));
    }
    let now = Clock::system().now();
    let work = async |store: &Store| {
        let held = store.write(async |tx| tx.hold_letters(now).await).await;
        let held = held.map_err(|error: StoreError| failed(&error))?;
        answer(json, &Held { held }, |done| {
            format!(
                "{} letters are held back, and links that were sent before are over. \
                 `vestibule mail list --held` shows the letters, and \
                 `vestibule mail retry --all-held` sends them.",
                done.held
            )
        })
    };
    on_database::run(open(figment).await?, work).await
}

async fn end_sessions(figment: &Figment, yes: bool, json: bool) -> Result<(), CommandError> {
    if !yes {
        let problem = "nobody was signed out. --yes signs out everybody, everywhere";
        return Err(CommandError::Failed(problem.to_owned()));
    }
    let work = async |store: &Store| {
        let ended = store.end_all_sessions().await?;
        answer(json, &Ended { ended }, |done| {
            format!("Everybody is signed out; there were {} sign-ins.", done.ended)
        })
    };
    on_database::run(open(figment).await?, work).await
}

async fn open(figment: &Figment) -> Result<Store, CommandError> {
    Store::open_without_migrating(figment).await.map_err(|error| failed(&error))
}
