//! Registered OAuth clients.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::config::Introspects;
use crate::model::{Digest, Origins, Scope};

/// Client identifier (RFC 6749 §2.2): 1 to 128 characters, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct ClientId(String);

impl ClientId {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = RegistrationError;

    fn from_str(text: &str) -> Result<Self, RegistrationError> {
        // letters such as é are not VSCHAR (appendix A.1), but operators do use them in ids, and
        // clients encode them
        if text.is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
            return Err(RegistrationError::Id);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The grants that the token endpoint knows (RFC 6749 §4.3, §6).
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Resource owner password credentials, §4.3.
    Password,
    /// Refreshing an access token, §6.
    RefreshToken,
}

impl GrantType {
    /// All grants, for iteration.
    pub const ALL: [Self; 2] = [Self::Password, Self::RefreshToken];

    /// The value of `grant_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// Parses a value of `grant_type`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// Client authentication method (RFC 6749 §2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientAuthentication {
    /// A public client: it cannot keep a secret, so it has none.
    Public,
    /// A confidential client. The service holds the digest of its secret, which has at least 128
    /// random bits.
    Confidential { secret: Digest, previous: Option<PreviousSecret> },
}

/// Secret before the present one. The old secret works until `until`, so that the client can move
/// to the new secret without an outage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSecret {
    /// Digest of the old secret.
    pub secret: Digest,
    /// Instant from which the old secret no longer works.
    pub until: Timestamp,
}

impl ClientAuthentication {
    /// Whether this secret, or its absence, authenticates the client. Compares in constant time.
    pub fn is_proven_by(&self, presented: Option<&Digest>, now: Timestamp) -> bool {
        match (self, presented) {
            (Self::Public, None) => true,
            (Self::Confidential { secret, previous }, Some(presented)) => {
                let is_present = secret == presented;
                let is_previous = previous.as_ref().is_some_and(|previous| {
                    (previous.secret == *presented) & (now < previous.until)
                });
                is_present | is_previous
            }
            // a secret sent for a public client: the client takes itself for a confidential one
            (Self::Public, Some(_)) | (Self::Confidential { .. }, None) => false,
        }
    }
}

/// Token lifetimes of a client, where its registration differs from the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientLifetimes {
    /// Lifetime of an access token.
    pub access: Option<Duration>,
    /// Lifetime of a session that is not refreshed.
    pub idle: Option<Duration>,
    /// Total lifetime of a session.
    pub session: Option<Duration>,
}

/// Registered client (RFC 6749 §2).
#[derive(Clone, Debug)]
pub struct Client {
    /// Id of the client.
    pub id: ClientId,
    /// Authentication method, with the secret digests.
    pub authentication: ClientAuthentication,
    /// Grants that the client may use.
    pub grants: BTreeSet<GrantType>,
    /// The widest scope that the client may get, and its scope if it requests none.
    pub scope: Scope,
    /// Tokens that the client may introspect (RFC 7662).
    pub introspects: Introspects,
    /// Origins of web pages whose scripts may call the service for this client.
    pub allowed_origins: Origins,
    /// Lifetimes that differ from the settings.
    pub lifetimes: ClientLifetimes,
}

impl Client {
    /// Whether the client has no secret.
    pub fn is_public(&self) -> bool {
        self.authentication == ClientAuthentication::Public
    }

    /// The scope that the client gets for `asked`; its whole scope for none. `None` if `asked`
    /// exceeds it.
    pub fn grantable(&self, asked: Option<&Scope>) -> Option<Scope> {
        match asked {
            None => Some(self.scope.clone()),
            Some(asked) if asked.is_within(&self.scope) => Some(asked.clone()),
            Some(_) => None,
        }
    }

    /// Whether the client is registered for a grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }
}

/// Reason why a client cannot be registered as described.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The id is empty, too long, or has a control character.
    #[error("a client id has 1 to 128 characters, none of them a control character")]
    Id,
    /// The grant is unknown.
    #[error("unknown grant `{0}`; known are password and refresh_token")]
    Grant(String),
    /// A public client has no grant.
    #[error("a public client needs at least one grant")]
    NoGrant,
    /// The client may refresh, but not sign in.
    #[error(
        "a client without the grant password has no sessions to refresh: add the grant password"
    )]
    RefreshOnly,
    /// The text is no scope token.
    #[error("`{0}` is not a scope token (RFC 6749 section 3.3)")]
    Scope(String),
    /// The text is no origin.
    #[error("{0}")]
    Origin(#[from] crate::model::OriginError),
    /// A public client has a secret.
    #[error("a client has either public = true or secret_sha256, not both")]
    PublicWithSecret,
    /// The client is neither public nor has a secret.
    #[error(
        "a client needs public = true, or secret_sha256 as `vestibule client secret` prints it"
    )]
    NoAuthentication,
    /// The secret digest is malformed.
    #[error("secret_sha256 is the SHA-256 of the secret in 64 hexadecimal digits")]
    Digest,
    /// A lifetime is less than one second.
    #[error("expected at least 1s")]
    Lifetime,
}
