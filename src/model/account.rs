//! Accounts: people who have shown that the address is theirs.

use crate::clock::Timestamp;
use crate::model::{EmailAddress, Locale, Name, row_id};

row_id! {
    /// Of an account; what `sub` and `X-Vestibule-Account` carry. Never reused.
    AccountId
}

/// An account as its owner may see it.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub email: EmailAddress,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub created_at: Timestamp,
}
