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
    pub id: AccountId,
    pub email: EmailAddress,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub created_at: Timestamp,
}
