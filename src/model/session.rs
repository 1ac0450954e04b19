//! Sessions: one for each sign-in.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::model::{ClientId, Scope, UserAgent, row_id};

row_id! {
    /// Of a session; every token of the session carries it.
    SessionId
}

/// A session as the account's owner may see it.
#[derive(Clone, Debug, Serialize)]
pub struct SessionSummary {
    pub id: SessionId,
    pub client_id: ClientId,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    /// The earlier of the idle and the absolute end.
    pub expires_at: Timestamp,
    pub user_agent: Option<UserAgent>,
    /// Whether its client is enabled; `None` if it is not one that the database knows.
    #[serde(skip)]
    pub client_enabled: Option<bool>,
}
