//! `vestibule mail …`: the outbox, and test letters.

mod shown;
mod test;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::mail::{AdminError, OutboxAdmin};
use vestibule::outbox_admin_for_operator;
use vestibule::storage::{LetterId, LetterState};

use self::shown::ShownLetter;
use super::common::ListOptions;
use super::output::print_result;
use super::{CommandError, logging, on_database};

#[derive(Args)]
pub struct MailArguments {
    #[command(subcommand)]
    command: MailCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum MailCommand {
    #[command(flatten)]
    Outbox(OutboxCommand),
    /// Send a test letter with these settings, and diagnose a failure
    Test(test::TestArguments),
}

/// Actions on the letters in the outbox.
#[derive(Subcommand)]
enum OutboxCommand {
    /// List letters in the order of their posting; without options, all that have not left
    List {
        #[command(flatten)]
        states: States,
        #[command(flatten)]
        page: ListOptions,
        /// Continue after the letter with this id
        #[arg(long, value_name = "ID")]
        after: Option<LetterId>,
    },
    /// Show a letter: its attempts, the time of the next attempt and the mail server's last reply
    Show {
        #[arg(value_name = "LETTER")]
        id: LetterId,
    },
    /// Retry at once a letter that waits, was given up or is held back
    Retry {
        #[arg(value_name = "LETTER", required_unless_present_any = ["all_dead", "all_held"])]
        id: Option<LetterId>,
        /// All letters that were given up
        #[arg(long, conflicts_with = "id")]
        all_dead: bool,
        /// All letters that are held back since a backup was restored
        #[arg(long, conflicts_with_all = ["id", "all_dead"])]
        all_held: bool,
    },
    /// Drop a letter that waits, was given up or is held back
    Drop {
        #[arg(value_name = "LETTER")]
        id: LetterId,
    },
}

/// States of the letters to list; without any of these, all letters that have not left.
#[derive(Args)]
struct States {
    /// Letters that wait, or are on their way
    #[arg(long)]
    waiting: bool,
    /// Letters that were given up
    #[arg(long)]
    dead: bool,
    /// Letters that are held back since a backup was restored
    #[arg(long)]
    held: bool,
    /// Letters that have left in the last seven days
    #[arg(long)]
    sent: bool,
}

impl States {
    fn wanted(&self) -> Vec<LetterState> {
        let none = !(self.waiting || self.dead || self.held || self.sent);
        [
            (self.waiting || none, LetterState::Waiting),
            (self.waiting || none, LetterState::OnItsWay),
            (self.dead || none, LetterState::Dead),
            (self.held || none, LetterState::Held),
            (self.sent, LetterState::Sent),
        ]
        .into_iter()
        .filter_map(|(wanted, state)| wanted.then_some(state))
        .collect()
    }
}

#[derive(Serialize)]
struct Retried {
    /// Number of letters to try at once.
    retried: u64,
}

#[derive(Serialize)]
struct DroppedLetter {
    /// The letter before it was dropped.
    letter: ShownLetter,
    dropped: bool,
}

pub fn run(figment: Figment, arguments: MailArguments) -> Result<(), CommandError> {
    let MailArguments { command, json } = arguments;
    logging::start_for_command();
    rocket::execute(async move {
        let command = match command {
            MailCommand::Test(arguments) => return test::run(&figment, &arguments, json).await,
            MailCommand::Outbox(command) => command,
        };
        let work = async |outbox: &OutboxAdmin| match command {
            OutboxCommand::List { states, page, after } => {
                list(outbox, &states, &page, after, json).await
            }
            OutboxCommand::Show { id } => show(outbox, id, json).await,
            OutboxCommand::Retry { id: Some(id), .. } => retry(outbox, id, json).await,
            OutboxCommand::Retry { id: None, all_held: true, .. } => {
                let retried = outbox.retry_all_held().await?;
                print_retried(retried, "No letter is held back.", json)
            }
            OutboxCommand::Retry { id: None, .. } => {
                let retried = outbox.retry_all_dead().await?;
                print_retried(retried, "No letter was given up.", json)
            }
            OutboxCommand::Drop { id } => drop(outbox, id, json).await,
        };
        on_database::run(outbox_admin_for_operator(&figment), work).await
    })
}

fn not_done(id: LetterId, outbox: &OutboxAdmin, reason: AdminError) -> CommandError {
    CommandError::Failed(match reason {
        AdminError::Unknown => format!("there is no letter {id} in {}", outbox.store.engine()),
        reason => format!("nothing was done: {reason}"),
    })
}

async fn list(
    outbox: &OutboxAdmin,
    states: &States,
    page: &ListOptions,
    after: Option<LetterId>,
    json: bool,
) -> Result<(), CommandError> {
    let states = states.wanted();
    let mut pages = page.pages(json, after, |letter: &ShownLetter| letter.id);
    while let Some((after, limit)) = pages.wanted() {
        pages.print(outbox.list(&states, after, &page.r#match, limit).await?)?;
    }
    pages.end()
}

async fn show(outbox: &OutboxAdmin, id: LetterId, json: bool) -> Result<(), CommandError> {
    let letter = outbox.find(id).await?.ok_or_else(|| not_done(id, outbox, AdminError::Unknown))?;
    print_result(json, &ShownLetter::from(letter), ShownLetter::in_words)
}

async fn retry(outbox: &OutboxAdmin, id: LetterId, json: bool) -> Result<(), CommandError> {
    let letter = outbox.retry(id).await?.map_err(|reason| not_done(id, outbox, reason))?;
    print_result(json, &Retried { retried: 1 }, |_| {
        format!("The letter to {} is tried at once.", letter.email.to_unicode())
    })
}

fn print_retried(retried: u64, none: &str, json: bool) -> Result<(), CommandError> {
    print_result(json, &Retried { retried }, |outcome| match outcome.retried {
        0 => none.to_owned(),
        1 => "One letter is tried at once.".to_owned(),
        more => format!("{more} letters are tried at once."),
    })
}

async fn drop(outbox: &OutboxAdmin, id: LetterId, json: bool) -> Result<(), CommandError> {
    let letter = outbox.drop(id).await?.map_err(|reason| not_done(id, outbox, reason))?;
    print_result(json, &DroppedLetter { letter: letter.into(), dropped: true }, |dropped| {
        format!("The letter to {} is dropped.", dropped.letter.email.to_unicode())
    })
}
