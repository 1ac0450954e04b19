//! Sessions: one for each sign-in.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::model::{ClientId, Scope, UserAgent, row_id};

row_id! {
    /// Id of a session. Every token of the session carries it.
    SessionId
}

/// A session as the account's owner may see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionSummary {
    #[schema(value_type = String, format = "uuid")]
    pub id: SessionId,
    /// The client that signed in.
    #[schema(value_type = String, example = "web")]
    pub client_id: ClientId,
    #[schema(value_type = String, example = "account.read account.write")]
    pub scope: Scope,
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    pub last_used_at: Timestamp,
    /// The earlier of the idle and the absolute end.
    #[schema(value_type = String, format = "date-time")]
    pub expires_at: Timestamp,
    #[schema(value_type = Option<String>, required = true)]
    pub user_agent: Option<UserAgent>,
    /// Whether the client is enabled; `None` if the database does not have the client.
    #[serde(skip)]
    pub client_enabled: Option<bool>,
}
