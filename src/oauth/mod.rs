//! OAuth 2: which client may have which token, and what becomes of it.
//!
//! The protocol's decisions are oxide-auth's: its state machines ask a [`Registrar`] about clients
//! and an issuer about tokens, and this module answers. What they are short of is mended here:
//! client authentication is [`Credentials`]; causes that `Err(())` loses are kept beside the flow;
//! expiry is decided on our own clock. No HTTP and no SQL.

mod credentials;
mod error;
mod issuer;
mod password_grant;
mod protect;
mod refresh_grant;
mod registrar;
mod revocation;
mod sessions;
mod usage;

use std::time::Duration;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::config::TokenSettings;
use crate::crypto::secret::Entropy;
use crate::mail::Outbox;
use crate::storage::Store;

pub use credentials::{Credentials, form_decode};
pub use error::{ClientRefusal, OAuthError};
pub use password_grant::PasswordGrant;
pub use protect::{Access, AccessDenied};
pub use refresh_grant::RefreshGrant;
pub use registrar::Registrar;
pub use revocation::Revocation;
pub use sessions::{Grant, TokenPair};
pub use usage::Usage;

/// The use cases around tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OAuth {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    pub outbox: Outbox,
    pub accounts: Accounts,
    pub registrar: Registrar,
    pub lifetimes: Lifetimes,
    pub usage: Usage,
}

/// How long things live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub access: Duration,
    pub idle: Duration,
    pub session: Duration,
    /// How long a refresh token's predecessor answers after the pair was first seen in use; none:
    /// never.
    pub reuse_grace: Duration,
}

impl From<&TokenSettings> for Lifetimes {
    fn from(settings: &TokenSettings) -> Self {
        Self {
            access: settings.access_ttl.duration(),
            idle: settings.refresh_idle_ttl.duration(),
            session: settings.session_ttl.duration(),
            reuse_grace: settings.reuse_grace.duration(),
        }
    }
}
