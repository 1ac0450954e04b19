//! Accounts. An account belongs to a person who has proved to own its address.

use crate::clock::Timestamp;
use crate::model::{EmailAddress, Locale, Name, row_id};

row_id! {
    /// Id of an account, which `sub` and `X-Vestibule-Account` carry. Never reused.
    AccountId
}

/// Account as its owner may see it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Id of the account.
    pub id: AccountId,
    /// Confirmed address.
    pub email: EmailAddress,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// Time of creation.
    pub created_at: Timestamp,
}
