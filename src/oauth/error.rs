//! Errors of the token and revocation endpoints, in the domain's words.

use crate::accounts::Failure;
use crate::model::{GrantType, Scope};
use crate::storage::StoreError;

/// Reason why a request got no token, or revoked none.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// A parameter is missing, empty, or in two places (RFC 6749 §5.2 `invalid_request`).
    #[error("{0}")]
    Malformed(&'static str),
    /// The grant type is not supported (`unsupported_grant_type`).
    #[error("the grant type is neither password nor refresh_token")]
    UnknownGrantType,
    /// Client authentication failed (`invalid_client`).
    #[error("client authentication failed: {0}")]
    Client(#[from] ClientRefusal),
    /// The client may not use the grant (`unauthorized_client`).
    #[error("the client is not registered for the grant {}", .0.as_str())]
    GrantNotAllowed(GrantType),
    /// The scope is not granted (`invalid_scope`).
    #[error(transparent)]
    Scope(#[from] ScopeRefusal),
    /// Wrong password, unknown address, disabled account, or waiting sign-up: one response (R18).
    #[error("username or password is wrong, or the address is not yet confirmed")]
    WrongPassword,
    /// Damaged, unknown, expired, ended, spent, or issued to another client.
    #[error("the refresh token is not valid")]
    RefreshToken,
    /// The token belongs to another client, and is not revoked (RFC 7009 §2.1).
    #[error("the token was issued to another client")]
    ForeignToken,
    /// The service could not finish the request.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// oxide-auth ended a flow without a reason that this service knows: a bug.
    #[error("the OAuth flow ended without a reason")]
    Flow,
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Reason why no scope is granted (RFC 6749 §5.2 `invalid_scope`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeRefusal {
    /// The text is not a valid scope.
    #[error("the scope is malformed")]
    Malformed,
    /// The request exceeds the scope of the client or the session, by these tokens.
    #[error("the scope exceeds the allowed scope by {0}")]
    Excess(Scope),
}

impl ScopeRefusal {
    /// Refusal of a request for `asked` where at most `allowed` may be granted.
    pub(super) fn excess(asked: Option<&Scope>, allowed: &Scope) -> Self {
        Self::Excess(asked.map(|asked| asked.without(allowed)).unwrap_or_default())
    }
}

/// Reason why client authentication failed (RFC 6749 §2.3). The log tells the reasons apart; the
/// response does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientRefusal {
    /// The request has no client credentials, and there is no default client.
    #[error("the request has no client credentials")]
    Missing,
    /// In the body, without a secret: the client is unknown, disabled, or needs a secret.
    #[error("the request has no secret, and the client is not a public client")]
    NoSecret,
    /// The `Authorization` header is not valid Basic.
    #[error("the Authorization header is not valid Basic")]
    Header,
    /// The client is unknown, or the secret is wrong.
    #[error("the client is unknown, or its secret is wrong")]
    Wrong,
    /// As [`Self::Wrong`], where a `+` in the secret was read as a blank. The response hints at it.
    #[error("the client is unknown, or its secret is wrong; a + in the secret was read as a blank")]
    WrongWithPlus,
    /// Introspection is only for clients with a secret.
    #[error("the request has no secret, and only confidential clients are allowed")]
    SecretNeeded,
}

impl ClientRefusal {
    /// Whether the response carries a challenge (RFC 6749 §5.2). A client without a secret gets
    /// none: a Basic challenge opens the browser's own dialog on pages of the same origin.
    pub const fn is_challenged(self) -> bool {
        match self {
            Self::Missing | Self::NoSecret => false,
            Self::Header | Self::Wrong | Self::WrongWithPlus | Self::SecretNeeded => true,
        }
    }
}
