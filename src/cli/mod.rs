//! The command line: one file for each subcommand.

mod account;
mod arguments;
mod client;
mod common;
mod completions;
mod config;
mod db;
mod error;
mod hash;
mod health;
mod input;
mod listing;
mod logging;
mod mail;
mod migrate;
mod on_database;
mod output;
mod serve;
mod sign_up;
mod signals;
mod table;
mod templates;
mod token;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use figment::Figment;
use vestibule::config::{layers, rocket_defaults};

use self::error::CommandError;
use self::output::{print_error, print_text};

/// An account service: sign-up with a confirmed address, OAuth 2 tokens, protected resources.
#[derive(Parser)]
#[command(name = "vestibule", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (the default without a subcommand)
    Serve,
    /// Print the effective settings and the source of each value
    Config,
    /// Migrate the database's schema, and exit
    Migrate,
    /// Back up, check or copy the database
    Db(db::DbArguments),
    /// Manage OAuth clients, also while the service runs
    Client(client::ClientArguments),
    /// Inspect tokens
    Token(token::TokenArguments),
    /// Check or preview the texts and templates of letters and pages
    #[command(subcommand)]
    Templates(templates::TemplatesCommand),
    /// Calibrate the cost of password hashes for this machine
    Hash(hash::HashArguments),
    /// Check whether the service on this machine is ready
    Health,
    /// Manage accounts, also while the service runs
    Account(account::AccountArguments),
    /// Manage sign-ups that wait for their link to be used
    SignUp(sign_up::SignUpArguments),
    /// Manage the letters in the outbox, and send a test letter
    Mail(mail::MailArguments),
    /// Print a completion script for a shell
    Completions { shell: Shell },
}

/// The exit code that shells expect for wrong arguments.
const USAGE: u8 = 2;

/// Runs the command in the program's arguments.
pub fn run() -> ExitCode {
    if let Some(instead) = arguments::secret_among(std::env::args_os()) {
        print_error(&format!(
            "nothing was done: every user of this machine can read a secret among the arguments; \
             {instead}"
        ));
        return ExitCode::from(USAGE);
    }
    let command = match CommandLine::try_parse() {
        Ok(arguments) => arguments.command.unwrap_or(Command::Serve),
        Err(message) => return print_parser_message(&message),
    };
    let figment = layers(rocket_defaults()).map_err(CommandError::from);
    let outcome = figment.and_then(|figment| {
        // `config` shows the settings before it reports errors in them
        if !matches!(command, Command::Config) {
            config::check_rocket(&figment)?;
        }
        execute(command, figment)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            error.exit_code()
        }
    }
}

/// Prints the message of the argument parser: help, version, or an error in the arguments.
fn print_parser_message(message: &clap::Error) -> ExitCode {
    match message.print().and_then(|()| io::stdout().flush()) {
        Err(error) if !message.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            let error = CommandError::Output(error);
            print_error(&error);
            error.exit_code()
        }
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(USAGE)),
    }
}

fn execute(command: Command, figment: Figment) -> Result<(), CommandError> {
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
        Command::Completions { shell } => completions::run(shell, CommandLine::command()),
    }
}
