//! Shared parts of the operator's commands: the use cases on a database that a service may use at
//! the same time, paged lists, and the output of accounts.

use std::fmt::Display;

use figment::Figment;
use serde::Serialize;
use vestibule::accounts::Accounts;
use vestibule::clock::Timestamp;
use vestibule::model::{AccountId, EmailAddress, Locale, Name, UserAgent};
use vestibule::oauth::OAuth;
use vestibule::storage::AccountRecord;
use vestibule::{Hashing, accounts_for_operator, oauth_for_operator};

use super::listing::{Listed, Listing, PAGE};
use super::{CommandError, logging};

/// Number of characters to show of an unknown browser's `User-Agent`.
const MAX_UNKNOWN_BROWSER: usize = 40;

/// Filter and length of a list.
#[derive(clap::Args)]
pub struct ListOptions {
    /// List only items whose address contains this text
    #[arg(long, value_name = "PART", default_value = "", hide_default_value = true)]
    pub r#match: String,
    /// Maximum number of items
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

impl ListOptions {
    /// The pages of a list behind `after`; `id` returns the id from which the next page continues.
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

/// Prints a list of limited length page by page.
pub struct Pages<T, Id, const N: usize> {
    listing: Listing<N>,
    left: usize,
    after: Option<Id>,
    id: fn(&T) -> Id,
    is_over: bool,
}

impl<T: Listed<N>, Id: Copy + Display, const N: usize> Pages<T, Id, N> {
    /// The item to continue from and the number of items to read; `None` if no further page is
    /// needed.
    pub fn wanted(&self) -> Option<(Option<Id>, i64)> {
        let wanted = i64::try_from(self.left.min(PAGE)).unwrap_or(i64::MAX);
        // one item more than the page shows whether there are further items
        (!self.is_over).then_some((self.after, wanted + 1))
    }

    /// Prints the items that were read.
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

    /// Prints the end of the list, and how to continue if there are further items.
    pub fn end(self) -> Result<(), CommandError> {
        self.listing.end_before(self.after)
    }
}

/// An account for the operator; `docs/operating/commands.md` documents its members.
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

/// Opens the database for a command; a service may use it at the same time.
pub async fn open(figment: &Figment, hashing: Hashing) -> Result<Accounts, CommandError> {
    logging::start_for_command();
    Ok(accounts_for_operator(figment, hashing).await?)
}

/// The same for commands on clients and tokens.
pub async fn open_oauth(figment: &Figment) -> Result<OAuth, CommandError> {
    logging::start_for_command();
    Ok(oauth_for_operator(figment).await?)
}

/// The port that the service listens on.
pub fn port(figment: &Figment) -> u16 {
    figment.extract_inner("port").unwrap_or(8000)
}

pub fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The common name of a browser, or the beginning of its `User-Agent` if the browser is unknown.
pub fn browser(user_agent: Option<&UserAgent>) -> String {
    or_dash(user_agent.map(|agent| {
        let raw = || agent.as_str().chars().take(MAX_UNKNOWN_BROWSER).collect();
        agent.describe().unwrap_or_else(raw)
    }))
}
