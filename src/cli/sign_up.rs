//! `vestibule sign-up …`: people who have not used their link yet.

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::Hashing;
use vestibule::accounts::{Accounts, Named};
use vestibule::clock::Timestamp;
use vestibule::mail::Cause;
use vestibule::model::{EmailAddress, Locale, Name, SignUp, SignUpId, UserAgent};

use super::CommandError;
use super::on_database;
use super::output::answer;
use super::people::{self, Page, as_text, browser, or_dash};
use super::table::table;

#[derive(Args)]
pub struct SignUpArguments {
    #[command(subcommand)]
    command: SignUpCommand,
    /// Print one JSON document and nothing else
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum SignUpCommand {
    /// List waiting sign-ups in the order of their making
    List {
        #[command(flatten)]
        page: Page,
        /// Go on behind the sign-up with this id
        #[arg(long, value_name = "ID")]
        after: Option<SignUpId>,
    },
    /// Send a fresh link to someone who cannot get in; the password is chosen behind it
    SendLink {
        /// An address or an id
        #[arg(value_name = "SIGN-UP")]
        named: Named<SignUpId>,
    },
    /// Drop a waiting sign-up: its links are unknown from then on
    Drop {
        /// An address or an id
        #[arg(value_name = "SIGN-UP")]
        named: Named<SignUpId>,
    },
}

#[derive(Serialize)]
struct SignUpList {
    sign_ups: Vec<ShownSignUp>,
    /// Where to go on, as `--after`, if there is more.
    next: Option<SignUpId>,
}

#[derive(Serialize)]
struct Dropped {
    /// As it was.
    sign_up: ShownSignUp,
    dropped: bool,
}

#[derive(Serialize)]
struct Posted {
    sign_up: ShownSignUp,
    /// The kind of the letter.
    letter: &'static str,
}

#[derive(Serialize)]
struct ShownSignUp {
    id: SignUpId,
    #[serde(serialize_with = "as_text")]
    email: EmailAddress,
    name: Option<Name>,
    locale: Option<Locale>,
    created_at: Timestamp,
    contested_at: Option<Timestamp>,
    user_agent: Option<UserAgent>,
}

impl From<SignUp> for ShownSignUp {
    fn from(waiting: SignUp) -> Self {
        let SignUp { id, email, name, locale, contested_at, user_agent, created_at } = waiting;
        Self { id, email, name, locale, created_at, contested_at, user_agent }
    }
}

pub fn run(figment: Figment, arguments: SignUpArguments) -> Result<(), CommandError> {
    let SignUpArguments { command, json } = arguments;
    rocket::execute(async move {
        let accounts = people::open(&figment, Hashing::Nothing).await?;
        let work = async |accounts: &Accounts| match command {
            SignUpCommand::List { page, after } => list(accounts, &page, after, json).await,
            SignUpCommand::SendLink { named } => send_link(accounts, &named, json).await,
            SignUpCommand::Drop { named } => drop(accounts, &named, json).await,
        };
        on_database::run(accounts, work).await
    })
}

async fn list(
    accounts: &Accounts,
    page: &Page,
    after: Option<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let mut found = accounts.list_sign_ups(after, &page.r#match, page.look_for()).await?;
    let is_more = page.cut(&mut found);
    let next = found.last().map(|last| last.sign_up.id).filter(|_| is_more);
    let sign_ups = found.into_iter().map(|record| record.sign_up.into()).collect();
    answer(json, &SignUpList { sign_ups, next }, |list| {
        let row = |waiting: &ShownSignUp| {
            [
                waiting.id.to_string(),
                waiting.email.shown(),
                if waiting.contested_at.is_some() { "contested" } else { "waits" }.to_owned(),
                waiting.created_at.rfc3339(),
                or_dash(waiting.name.as_ref()),
                browser(waiting.user_agent.as_ref()),
            ]
        };
        let rows: Vec<_> = list.sign_ups.iter().map(row).collect();
        let head = ["ID", "ADDRESS", "STATE", "SIGNED UP", "NAME", "BROWSER"];
        page.in_words(&table(head, &rows), "sign-ups", rows.len(), list.next)
    })
}

fn none_waits(named: &Named<SignUpId>) -> CommandError {
    CommandError::Failed(match named {
        Named::Id(id) => format!("no sign-up {id} waits"),
        Named::Email(email) => format!("no sign-up for {} waits", email.shown()),
    })
}

async fn send_link(
    accounts: &Accounts,
    named: &Named<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let waiting = accounts.send_sign_up_link(named).await?.ok_or_else(|| none_waits(named))?;
    answer(json, &Posted { sign_up: waiting.into(), letter: Cause::RESET }, |done| {
        format!("A letter with a link to choose a password goes to {}.", done.sign_up.email.shown())
    })
}

async fn drop(
    accounts: &Accounts,
    named: &Named<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let dropped = accounts.drop_sign_up(named).await?.ok_or_else(|| none_waits(named))?;
    answer(json, &Dropped { sign_up: dropped.into(), dropped: true }, |done| {
        format!(
            "The sign-up of {} is dropped; its links are unknown now.",
            done.sign_up.email.shown()
        )
    })
}
