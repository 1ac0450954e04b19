//! What the commands about people have in common: the use cases, on the database that a service may
//! be at work on, and how accounts are shown.

use std::fmt::Display;

use figment::Figment;
use serde::Serialize;
use vestibule::accounts::Accounts;
use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, EmailAddress, Locale, Name, UserAgent};
use vestibule::oauth::OAuth;
use vestibule::storage::{AccountRecord, StoreError, chain};
use vestibule::{Hashing, OperatorError, accounts_for_operator, oauth_for_operator};

use super::listing::{Listed, Listing, PAGE};
use super::{CommandError, logging};

/// So much of a browser's name is shown that is not known here.
const MAX_UNKNOWN_BROWSER: usize = 40;

/// How many are listed, and from where on.
#[derive(clap::Args)]
pub struct ListOptions {
    /// Only those whose address holds this
    #[arg(long, value_name = "PART", default_value = "", hide_default_value = true)]
    pub r#match: String,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

impl ListOptions {
    /// The pages of a list of such items behind `after`; `id` is what the next page goes on behind.
    pub fn pages<T: Listed<N>, Id: Copy + Display, const N: usize>(
        &self,
        json: bool,
        after: Option<Id>,
        id: fn(&T) -> Id,
    ) -> Pages<T, Id, N> {
        let listing = Listing::of::<T>(json);
        Pages { listing, left: self.limit.into(), after, id, is_over: false }
    }
}

/// Prints up to so many items page by page.
pub struct Pages<T, Id, const N: usize> {
    listing: Listing<N>,
    left: usize,
    after: Option<Id>,
    id: fn(&T) -> Id,
    is_over: bool,
}

impl<T: Listed<N>, Id: Copy + Display, const N: usize> Pages<T, Id, N> {
    /// Behind which item to read how many, if another page is wanted.
    pub fn wanted(&self) -> Option<(Option<Id>, i64)> {
        let wanted = i64::try_from(self.left.min(PAGE)).unwrap_or(i64::MAX);
        // one more than is shown tells whether there is more
        (!self.is_over).then_some((self.after, wanted + 1))
    }

    /// Prints what was read.
    pub fn print(&mut self, found: impl IntoIterator<Item: Into<T>>) -> Result<(), CommandError> {
        let mut found: Vec<T> = found.into_iter().map(Into::into).collect();
        let wanted = self.left.min(PAGE);
        let is_more = found.len() > wanted;
        found.truncate(wanted);
        self.left -= found.len();
        self.after = found.last().map(self.id).filter(|_| is_more);
        let is_read = self.listing.print(&found)?;
        self.is_over = self.left == 0 || !is_more || !is_read;
        Ok(())
    }

    /// Prints the end, and how to go on where there is more.
    pub fn end(self) -> Result<(), CommandError> {
        self.listing.end_before(self.after)
    }
}

/// An account as the operator sees it; its members are documented in `docs/operating.md`.
#[derive(Serialize)]
pub struct ShownAccount {
    pub id: AccountId,
    #[serde(serialize_with = "as_text")]
    pub email: EmailAddress,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

impl From<AccountRecord> for ShownAccount {
    fn from(record: AccountRecord) -> Self {
        Self {
            id: record.account.id,
            email: record.account.email,
            name: record.account.name,
            locale: record.account.locale,
            created_at: record.account.created_at,
            disabled_at: record.disabled_at,
        }
    }
}

impl Listed<5> for ShownAccount {
    const HEAD: [&'static str; 5] = ["ID", "ADDRESS", "STATE", "CREATED", "NAME"];
    const MEMBER: &'static str = "accounts";
    const NAME: &'static str = "accounts";

    fn row(&self) -> [String; 5] {
        [
            self.id.to_string(),
            self.email.to_unicode(),
            self.state().to_owned(),
            self.created_at.rfc3339(),
            or_dash(self.name.as_ref()),
        ]
    }
}

impl ShownAccount {
    pub fn state(&self) -> &'static str {
        if self.disabled_at.is_some() { "disabled" } else { "active" }
    }
}

pub fn as_text<S: serde::Serializer>(
    value: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Opens the database beside the service.
pub async fn open(figment: &Figment, hashing: Hashing) -> Result<Accounts, CommandError> {
    logging::start_for_command();
    Ok(accounts_for_operator(figment, hashing).await?)
}

/// The same for clients and tokens.
pub async fn open_oauth(figment: &Figment) -> Result<OAuth, CommandError> {
    logging::start_for_command();
    Ok(oauth_for_operator(figment).await?)
}

impl From<OperatorError> for CommandError {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Setting(error) => error.into(),
            OperatorError::Open(error) => failed(&error),
        }
    }
}

pub fn failed(error: &dyn std::error::Error) -> CommandError {
    CommandError::Failed(chain(error))
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        failed(&error)
    }
}

pub fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A browser by the name that people know it by; else the beginning of what it says of itself.
pub fn browser(user_agent: Option<&UserAgent>) -> String {
    or_dash(user_agent.map(|agent| {
        let raw = || agent.as_str().chars().take(MAX_UNKNOWN_BROWSER).collect();
        agent.describe().unwrap_or_else(raw)
    }))
}
