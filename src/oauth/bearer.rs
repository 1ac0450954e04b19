//! Bearer token check for protected resources (RFC 6750): a look-up of the token, and a comparison
//! of scopes.

use std::sync::Arc;

use crate::model::{AccessToken, Digest, Scope};
use crate::oauth::{Grant, OAuth, OAuthError};
use crate::storage::StoreError;

/// Reason why the request is refused (RFC 6750 §3.1).
#[derive(Debug, thiserror::Error)]
pub enum AccessDenied {
    /// The request has no token: the challenge says only that one is needed.
    #[error("no access token was sent")]
    NoToken,
    /// The request is malformed (`invalid_request`).
    #[error("{0}")]
    Malformed(&'static str),
    /// The request's scope parameter is malformed; its token was not checked.
    #[error("{0}")]
    MalformedScope(&'static str),
    /// The token is not valid (`invalid_token`).
    #[error("the access token is expired, revoked, damaged, or not issued by this service")]
    InvalidToken,
    /// The token lacks scope (`insufficient_scope`).
    #[error("the access token lacks the required scope")]
    InsufficientScope {
        /// The scope that the resource requires.
        needed: Scope,
        /// The client that the token was issued to.
        client_id: String,
    },
    /// The service could not check the token.
    #[error(transparent)]
    Failure(OAuthError),
}

impl OAuth {
    /// Checks that the access token is live and has at least the scope `needed`, and returns its
    /// grant.
    pub async fn protect(&self, token: &str, needed: &Scope) -> Result<Arc<Grant>, AccessDenied> {
        let token = AccessToken::parse(token).map_err(|_| AccessDenied::InvalidToken)?;
        let digest = token.secret.digest();
        let grant = match self.token_cache.find(token.session, &digest) {
            Some(grant) => grant,
            // boxed: most tokens are cached, and this future is large
            None => Box::pin(self.look_up(&token, digest))
                .await
                .map_err(|error| AccessDenied::Failure(error.into()))?
                .ok_or(AccessDenied::InvalidToken)?,
        };
        match needed.is_within(&grant.scope) {
            true => Ok(grant),
            false => Err(AccessDenied::InsufficientScope {
                needed: needed.clone(),
                client_id: grant.client_id.clone(),
            }),
        }
    }

    async fn look_up(
        &self,
        token: &AccessToken,
        digest: Digest,
    ) -> Result<Option<Arc<Grant>>, StoreError> {
        let read = self.token_cache.stamp();
        let found = self.store.read(async |db| db.find_session(token.session).await).await?;
        let Some(session) = found.filter(|session| self.is_usable(session)) else {
            return Ok(None);
        };
        let Some(slot) = self.accept(&session, &digest) else { return Ok(None) };
        let grant = Arc::new(Grant {
            owner: session.owner(),
            session: session.id,
            client_id: session.client_id.to_string(),
            scope: slot.scope.clone(),
        });
        let expires_at = slot.expires_at.min(session.idle_expires_at).min(session.expires_at);
        self.token_cache.put(read, digest, Arc::clone(&grant), expires_at);
        Ok(Some(grant))
    }
}
