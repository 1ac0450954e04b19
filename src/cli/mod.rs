//! The subcommands, one file each.

mod account;
mod client;
mod completions;
mod config;
mod db;
mod hash;
mod health;
mod input;
mod logging;
mod mail;
mod migrate;
mod people;
mod serve;
mod sign_up;
mod table;
mod templates;
mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use figment::Figment;
use vestibule::config::{SettingError, layers, rocket_defaults};

/// An account service: sign-up with a confirmed address, OAuth 2 tokens, protected resources.
#[derive(Parser)]
#[command(name = "vestibule", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (what happens without a subcommand)
    Serve,
    /// Print the settings in force, and where each value came from
    Config,
    /// Bring the database's schema up to date, and do nothing else
    Migrate,
    /// Keep the database, move it to another, or look whether it is sound
    Db(db::DbArguments),
    /// Register OAuth clients, beside a running service
    Client(client::ClientArguments),
    /// Look into tokens
    Token(token::TokenArguments),
    /// Letters and pages: look for mistakes, or look at them
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    /// How much a password hash should cost here
    Hash(hash::HashArguments),
    /// Ask a running service on this machine whether it is ready
    Health,
    /// Help people with their accounts, beside a running service
    Account(account::AccountArguments),
    /// Sign-ups that wait for their link to be used
    SignUp(sign_up::SignUpArguments),
    /// Letters that wait or were given up, and whether letters leave at all
    Mail(mail::MailArguments),
    /// Print a script for a shell that completes this program's commands
    Completions { shell: Shell },
}

/// Why a command failed: one message for people, on standard error.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}")]
    Setting(#[from] SettingError),
    #[error("{0}")]
    Failed(String),
    /// The reasons were logged.
    #[error("the service did not start")]
    NotStarted,
}

/// Runs the command that the program was called with.
pub fn run() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    let figment = layers(rocket_defaults()).map_err(CommandError::from);
    match figment.and_then(|figment| carry_out(command, figment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command, figment: Figment) -> Result<(), CommandError> {
    match command {
        Command::Serve => serve::run(figment),
        Command::Config => config::run(&figment),
        Command::Migrate => migrate::run(figment),
        Command::Db(arguments) => db::run(figment, arguments),
        Command::Client(arguments) => client::run(figment, arguments),
        Command::Token(arguments) => token::run(figment, arguments),
        Command::Templates(command) => templates::run(&command, &figment),
        Command::Hash(arguments) => hash::run(&figment, &arguments),
        Command::Health => health::run(&figment),
        Command::Account(arguments) => account::run(figment, arguments),
        Command::SignUp(arguments) => sign_up::run(figment, arguments),
        Command::Mail(arguments) => mail::run(figment, arguments),
        Command::Completions { shell } => {
            completions::run(shell);
            Ok(())
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is how a command says why it failed")]
fn complain(error: &dyn std::fmt::Display) {
    eprintln!("vestibule: {error}");
}

/// Prints what a command was asked for. Whoever closes the pipe has seen enough.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The port that the service listens on.
fn port(figment: &Figment) -> u16 {
    figment.extract_inner("port").unwrap_or(8000)
}
