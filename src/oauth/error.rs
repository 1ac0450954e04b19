//! What can go wrong at the token and revocation endpoints, in the domain's words.

use crate::accounts::Failure;
use crate::model::{GrantType, Scope};
use crate::storage::StoreError;

/// Why a request got no token, or revoked none.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// A parameter is missing, empty, or in two places (RFC 6749 §5.2 `invalid_request`).
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the grant type is none of password and refresh_token")]
    UnknownGrantType,
    #[error("the client did not authenticate: {0}")]
    Client(#[from] ClientRefusal),
    #[error("the client is not registered for the grant {}", .0.as_str())]
    GrantNotAllowed(GrantType),
    #[error(transparent)]
    Scope(#[from] ScopeRefusal),
    /// Wrong password, unknown address, disabled account, waiting sign-up: one answer (R18).
    #[error("username and password do not belong together, or the address has yet to be confirmed")]
    WrongPassword,
    /// Damaged, unknown, expired, ended, of another client, or spent.
    #[error("the refresh token is not valid")]
    RefreshToken,
    /// A token of another client is refused, and lives (RFC 7009 §2.1).
    #[error("the token was issued to another client")]
    ForeignToken,
    #[error(transparent)]
    Failure(#[from] Failure),
    /// oxide-auth ended a flow in a way that none of our answers explains: a bug.
    #[error("the OAuth flow ended for no known reason")]
    Flow,
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Why no scope is granted (RFC 6749 §5.2 `invalid_scope`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeRefusal {
    /// No scope by its spelling.
    #[error("the scope is malformed")]
    Malformed,
    /// More than the client, or the session, may have: what is too much of it.
    #[error("the scope is more than may be had, by {0}")]
    Excess(Scope),
}

impl ScopeRefusal {
    /// Of a request for `asked` where no more than `allowed` may be had.
    pub(super) fn excess(asked: Option<&Scope>, allowed: &Scope) -> Self {
        Self::Excess(asked.map(|asked| asked.without(allowed)).unwrap_or_default())
    }
}

/// Why a client is not who it says (RFC 6749 §2.3). Kept apart for the log; the answer is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientRefusal {
    #[error("it did not say who it is")]
    Missing,
    /// In the body, without a secret: the client is unknown, disabled, or has to show one.
    #[error("it showed no secret, and is not known as a public client")]
    NoSecret,
    #[error("its Authorization header is no Basic one")]
    Header,
    #[error("it is unknown, or its secret is wrong")]
    Wrong,
    /// Where only a client with a secret may ask: introspection.
    #[error("it showed no secret, and this is for confidential clients")]
    SecretNeeded,
}

impl ClientRefusal {
    /// Whether the answer carries a challenge (RFC 6749 §5.2). A client that showed no secret gets
    /// none: a Basic challenge raises the browser's own dialog on pages of the same origin.
    pub const fn is_challenged(self) -> bool {
        match self {
            Self::Missing | Self::NoSecret => false,
            Self::Header | Self::Wrong | Self::SecretNeeded => true,
        }
    }
}
