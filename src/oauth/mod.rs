//! OAuth 2 use cases: token grants, refresh, introspection, revocation, bearer checks, and the
//! registry of clients.
//!
//! oxide-auth decides the grants of the token endpoint; its adapter is the folder `oxide`. All other
//! checks are this service's own: client authentication ([`Credentials`], [`ClientRegistry`]),
//! bearer tokens, introspection, revocation, and every comparison with a clock.
//!
//! This module has no HTTP and no SQL.

mod activity_tracker;
mod bearer;
mod client_admin;
mod client_registry;
mod credentials;
mod error;
mod grant;
mod inspection;
mod introspection;
mod oxide;
mod password_grant;
mod refresh_grant;
mod revocation;
mod sessions;
mod token_cache;

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::config::TokenSettings;
use crate::crypto::entropy::Entropy;
use crate::mail::Outbox;
use crate::model::Client;
use crate::storage::{Store, StoreError};

pub use activity_tracker::ActivityTracker;
pub use bearer::AccessDenied;
pub use client_admin::{
    ClientError, ClientList, PreparedClient, PreparedRotation, RegisteredClient, RegisteredIn,
    RemovedClient, new_client_secret,
};
pub use client_registry::ClientRegistry;
pub use credentials::{Credentials, ShownIn, form_decode};
pub use error::{ClientRefusal, OAuthError, ScopeRefusal};
pub use grant::Grant;
pub use inspection::{InspectedSession, Inspection, TokenState};
pub use introspection::{Introspected, Introspection, TokenKind};
pub use password_grant::PasswordGrant;
pub use refresh_grant::RefreshGrant;
pub use revocation::Revocation;
pub use sessions::{SessionPage, TokenPair};
pub use token_cache::TokenCache;

/// OAuth use cases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Source of random bytes.
    pub entropy: Entropy,
    /// Outbox of letters.
    pub outbox: Outbox,
    /// Use cases around accounts.
    pub accounts: Accounts,
    /// Registry of clients.
    pub client_registry: ClientRegistry,
    /// Default lifetimes.
    pub lifetimes: Lifetimes,
    /// Tracker of session activity.
    pub activity: ActivityTracker,
    /// Cache of verified access tokens.
    pub token_cache: TokenCache,
}

/// Lifetimes of tokens and sessions.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Lifetime of an access token.
    pub access: Duration,
    /// Lifetime of a session that is not refreshed.
    pub idle: Duration,
    /// Total lifetime of a session.
    pub session: Duration,
    /// Time for which a refresh token's predecessor is still answered, after the new pair was first
    /// seen in use. Zero: never.
    pub reuse_grace: Duration,
}

impl Lifetimes {
    /// The lifetimes for this client.
    fn of(&self, client: &Client) -> Self {
        let own = client.lifetimes;
        Self {
            access: own.access.unwrap_or(self.access),
            idle: own.idle.unwrap_or(self.idle),
            session: own.session.unwrap_or(self.session),
            ..*self
        }
    }
}

impl OAuth {
    /// Authenticates the client of `credentials`.
    pub(crate) async fn authenticate(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<Arc<Client>, OAuthError> {
        self.client_registry.authenticate(&self.store, self.clock.now(), credentials).await
    }

    /// Id of the default client, which serves requests without a client id.
    pub fn default_client(&self) -> Option<&str> {
        self.client_registry.default_client()
    }

    /// The origin as registered, if the client allows it; without a client, if any client allows
    /// it.
    pub async fn find_origin(
        &self,
        client: Option<&str>,
        origin: &str,
    ) -> Result<Option<String>, StoreError> {
        self.client_registry.find_origin(&self.store, client, origin).await
    }

    /// The origin as registered, if the client of a live token allows it.
    pub async fn find_origin_of(
        &self,
        client: &str,
        origin: &str,
    ) -> Result<Option<String>, StoreError> {
        self.client_registry.find_origin_of(&self.store, client, origin).await
    }
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
