//! Grant of an access token.

use crate::model::{Account, Scope, SessionId};

/// Grant of an access token: its scope, and its owner.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The account when the token was looked up.
    pub owner: Account,
    /// Session of the token.
    pub session: SessionId,
    /// Client that the token was issued to.
    pub client_id: String,
    /// Scope of the token.
    pub scope: Scope,
}
