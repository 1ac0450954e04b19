//! `vestibule sign-up …`: the operator's actions on sign-ups that wait for their link to be used.

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::Hashing;
use vestibule::accounts::{Accounts, IdOrEmail};
use vestibule::clock::Timestamp;
use vestibule::model::{EmailAddress, LetterKind, Locale, Name, SignUp, SignUpId, UserAgent};

use super::CommandError;
use super::common::{self, ListOptions, as_text, browser, or_dash};
use super::listing::Listed;
use super::on_database;
use super::output::print_result;

#[derive(Args)]
pub struct SignUpArguments {
    #[command(subcommand)]
    command: SignUpCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum SignUpCommand {
    /// List waiting sign-ups in the order of their creation
    List {
        #[command(flatten)]
        page: ListOptions,
        /// Continue after the sign-up with this id
        #[arg(long, value_name = "ID")]
        after: Option<SignUpId>,
    },
    /// Send a new link; the page behind it asks for a new password
    SendLink {
        /// An address or an id
        #[arg(value_name = "SIGN-UP")]
        named: IdOrEmail<SignUpId>,
    },
    /// Drop a waiting sign-up; its links no longer work
    Drop {
        /// An address or an id
        #[arg(value_name = "SIGN-UP")]
        named: IdOrEmail<SignUpId>,
    },
}

#[derive(Serialize)]
struct DroppedSignUp {
    /// The sign-up before it was dropped.
    sign_up: ShownSignUp,
    dropped: bool,
}

#[derive(Serialize)]
struct NewLink {
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

impl Listed<6> for ShownSignUp {
    const HEAD: [&'static str; 6] = ["ID", "ADDRESS", "STATE", "SIGNED UP", "NAME", "BROWSER"];
    const MEMBER: &'static str = "sign_ups";
    const NAME: &'static str = "sign-ups";

    fn row(&self) -> [String; 6] {
        [
            self.id.to_string(),
            self.email.to_unicode(),
            if self.contested_at.is_some() { "contested" } else { "waits" }.to_owned(),
            self.created_at.rfc3339(),
            or_dash(self.name.as_ref()),
            browser(self.user_agent.as_ref()),
        ]
    }
}

pub fn run(figment: Figment, arguments: SignUpArguments) -> Result<(), CommandError> {
    let SignUpArguments { command, json } = arguments;
    rocket::execute(async move {
        let work = async |accounts: &Accounts| match command {
            SignUpCommand::List { page, after } => list(accounts, &page, after, json).await,
            SignUpCommand::SendLink { named } => send_link(accounts, &named, json).await,
            SignUpCommand::Drop { named } => drop(accounts, &named, json).await,
        };
        on_database::run(common::open(&figment, Hashing::Nothing), work).await
    })
}

async fn list(
    accounts: &Accounts,
    page: &ListOptions,
    after: Option<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let mut pages = page.pages(json, after, |waiting: &ShownSignUp| waiting.id);
    while let Some((after, limit)) = pages.wanted() {
        let found = accounts.list_sign_ups(after, &page.r#match, limit).await?;
        pages.print(found.into_iter().map(|record| record.sign_up))?;
    }
    pages.end()
}

fn not_waiting(named: &IdOrEmail<SignUpId>) -> CommandError {
    CommandError::Failed(match named {
        IdOrEmail::Id(id) => format!("there is no waiting sign-up {id}"),
        IdOrEmail::Email(email) => {
            format!("there is no waiting sign-up for {}", email.to_unicode())
        }
    })
}

async fn send_link(
    accounts: &Accounts,
    named: &IdOrEmail<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let waiting = accounts.send_sign_up_link(named).await?.ok_or_else(|| not_waiting(named))?;
    print_result(
        json,
        &NewLink { sign_up: waiting.into(), letter: LetterKind::PasswordReset.as_str() },
        |link| {
            format!(
                "A letter with a link to choose a password goes to {}.",
                link.sign_up.email.to_unicode()
            )
        },
    )
}

async fn drop(
    accounts: &Accounts,
    named: &IdOrEmail<SignUpId>,
    json: bool,
) -> Result<(), CommandError> {
    let dropped = accounts.drop_sign_up(named).await?.ok_or_else(|| not_waiting(named))?;
    print_result(json, &DroppedSignUp { sign_up: dropped.into(), dropped: true }, |dropped| {
        format!(
            "The sign-up of {} is dropped; its links no longer work.",
            dropped.sign_up.email.to_unicode()
        )
    })
}
