//! `vestibule account …`: the operator's actions on accounts.

mod create;
mod show;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::Hashing;
use vestibule::accounts::{Accounts, IdOrEmail};
use vestibule::model::{AccountId, Actor, ClientInfo, LetterKind};
use vestibule::storage::AccountRecord;

use super::CommandError;
use super::common::{self, ListOptions, ShownAccount};
use super::on_database;
use super::output::print_result;

#[derive(Args)]
pub struct AccountArguments {
    #[command(subcommand)]
    command: AccountCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum AccountCommand {
    /// List accounts in the order of their creation
    List {
        #[command(flatten)]
        page: ListOptions,
        /// Continue after the account with this id
        #[arg(long, value_name = "ID")]
        after: Option<AccountId>,
    },
    /// Show an account: its profile, its sign-ins and its latest events
    Show(Whom),
    /// Disable an account: refuse its sign-ins, and invalidate its tokens at once
    Disable(Whom),
    /// Enable an account again; earlier tokens stay invalid
    Enable(Whom),
    /// Delete an account with its owner's personal data; a letter tells the owner
    Delete {
        #[command(flatten)]
        whom: Whom,
        /// Confirm; without this option, the command only reports what it would delete
        #[arg(long)]
        yes: bool,
    },
    /// End all sign-ins of an account
    EndSessions(Whom),
    /// Send the owner a link to choose a new password; nothing changes until the link is used
    SendReset(Whom),
    /// Create an account for an address that needs no confirmation
    Create(create::CreateArguments),
}

#[derive(Args)]
struct Whom {
    /// An address or an id
    #[arg(value_name = "ACCOUNT")]
    named: IdOrEmail<AccountId>,
}

/// Result of an action on one account.
#[derive(Serialize)]
struct AccountChange {
    account: ShownAccount,
    /// `false` if the account was in that state already.
    changed: bool,
}

#[derive(Serialize)]
struct SignedOut {
    account: ShownAccount,
    /// Number of sign-ins that ended.
    ended: i64,
}

#[derive(Serialize)]
struct Deleted {
    /// The account before its deletion.
    account: ShownAccount,
    deleted: bool,
}

#[derive(Serialize)]
struct ResetLink {
    account: ShownAccount,
    letter: &'static str,
}

pub fn run(figment: Figment, arguments: AccountArguments) -> Result<(), CommandError> {
    let AccountArguments { command, json } = arguments;
    let hashing = match command {
        AccountCommand::Create(_) => Hashing::OnePassword,
        _ => Hashing::Nothing,
    };
    rocket::execute(async move {
        let work = async |accounts: &Accounts| match command {
            AccountCommand::List { page, after } => list(accounts, &page, after, json).await,
            AccountCommand::Show(whom) => {
                show::run(accounts, whom.find(accounts).await?, json).await
            }
            AccountCommand::Disable(whom) => disable(accounts, &whom, json).await,
            AccountCommand::Enable(whom) => enable(accounts, &whom, json).await,
            AccountCommand::Delete { whom, yes } => delete(accounts, &whom, yes, json).await,
            AccountCommand::EndSessions(whom) => end_sessions(accounts, &whom, json).await,
            AccountCommand::SendReset(whom) => send_reset(accounts, &whom, json).await,
            AccountCommand::Create(wanted) => create::run(accounts, wanted, json).await,
        };
        on_database::run(common::open(&figment, hashing), work).await
    })
}

impl Whom {
    async fn find(&self, accounts: &Accounts) -> Result<AccountRecord, CommandError> {
        accounts.find_named(&self.named).await?.ok_or_else(|| self.not_found(accounts))
    }

    fn not_found(&self, accounts: &Accounts) -> CommandError {
        let database = accounts.store.engine();
        CommandError::Failed(match &self.named {
            IdOrEmail::Id(id) => format!("there is no account {id} in {database}"),
            IdOrEmail::Email(email) => {
                format!("there is no account for {} in {database}", email.to_unicode())
            }
        })
    }
}

async fn list(
    accounts: &Accounts,
    page: &ListOptions,
    after: Option<AccountId>,
    json: bool,
) -> Result<(), CommandError> {
    let mut pages = page.pages(json, after, |account: &ShownAccount| account.id);
    while let Some((after, limit)) = pages.wanted() {
        pages.print(accounts.list(after, &page.r#match, limit).await?)?;
    }
    pages.end()
}

async fn disable(accounts: &Accounts, whom: &Whom, json: bool) -> Result<(), CommandError> {
    let changed = accounts.disable(whom.find(accounts).await?.account.id).await?;
    let account = whom.find(accounts).await?.into();
    print_result(json, &AccountChange { account, changed }, |change| match change.changed {
        true => {
            format!("{} is disabled, and signed out everywhere.", change.account.email.to_unicode())
        }
        false => format!("{} was disabled already.", change.account.email.to_unicode()),
    })
}

async fn enable(accounts: &Accounts, whom: &Whom, json: bool) -> Result<(), CommandError> {
    let changed = accounts.enable(whom.find(accounts).await?.account.id).await?;
    let account = whom.find(accounts).await?.into();
    print_result(json, &AccountChange { account, changed }, |change| match change.changed {
        true => format!("{} is enabled: its owner can sign in.", change.account.email.to_unicode()),
        false => format!("{} was enabled already.", change.account.email.to_unicode()),
    })
}

async fn delete(
    accounts: &Accounts,
    whom: &Whom,
    yes: bool,
    json: bool,
) -> Result<(), CommandError> {
    let record = whom.find(accounts).await?;
    if !yes {
        let places = accounts.active_sign_ins_of(record.account.id).await?;
        return Err(CommandError::Failed(format!(
            "nothing was deleted. With --yes, this command deletes from {} the account of {}, \
             with the id {}, created on {}, with {} sign-ins and all personal data of its owner; \
             a deletion cannot be undone",
            accounts.store.engine(),
            record.account.email.to_unicode(),
            record.account.id,
            record.account.created_at.rfc3339(),
            places.count,
        )));
    }
    if !accounts.delete_by_operator(record.account.id).await? {
        return Err(whom.not_found(accounts));
    }
    print_result(json, &Deleted { account: record.into(), deleted: true }, |deleted| {
        format!(
            "The account of {} is deleted; a letter tells its owner.",
            deleted.account.email.to_unicode()
        )
    })
}

async fn end_sessions(accounts: &Accounts, whom: &Whom, json: bool) -> Result<(), CommandError> {
    let record = whom.find(accounts).await?;
    let id = record.account.id;
    let places = accounts.active_sign_ins_of(id).await?;
    if !accounts.end_sessions(id, Actor::Operator, &ClientInfo::operator()).await? {
        return Err(whom.not_found(accounts));
    }
    let ended = places.count;
    print_result(
        json,
        &SignedOut { account: record.into(), ended },
        |SignedOut { account, ended }| {
            format!(
                "{} is signed out everywhere; {ended} sign-ins ended.",
                account.email.to_unicode()
            )
        },
    )
}

async fn send_reset(accounts: &Accounts, whom: &Whom, json: bool) -> Result<(), CommandError> {
    let record = whom.find(accounts).await?;
    if !accounts.send_reset(&record).await? {
        let email = whom.find(accounts).await?.account.email.to_unicode();
        return Err(CommandError::Failed(format!(
            "{email} is disabled, so its links do not work: enable it first"
        )));
    }
    let letter = LetterKind::OperatorReset.as_str();
    print_result(json, &ResetLink { account: record.into(), letter }, |sent| {
        format!(
            "A letter with a link to choose a new password goes to {}.",
            sent.account.email.to_unicode()
        )
    })
}
