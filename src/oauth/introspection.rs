//! Token introspection (RFC 7662): tells an authorised client the state of a token.

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::config::Introspects;
use crate::model::{AccessToken, AccountId, Client, ClientId, EmailAddress, RefreshToken, Scope};
use crate::oauth::sessions::RefreshTokenStatus;
use crate::oauth::{ClientRefusal, Credentials, OAuth, OAuthError};
use crate::storage::{SessionRecord, StoreError};

/// Introspection request, without `token_type_hint`: the token's form shows its kind.
#[derive(Debug)]
pub struct Introspection {
    /// Client credentials, if the request has any.
    pub client: Option<Credentials>,
    /// The token to introspect.
    pub token: Zeroizing<String>,
}

/// Kind of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// Access token.
    Access,
    /// Refresh token.
    Refresh,
}

/// Valid token (RFC 7662 §2.2).
#[derive(Debug)]
pub struct Introspected {
    /// Kind of the token.
    pub kind: TokenKind,
    /// Scope of the token.
    pub scope: Scope,
    /// Client that the token was issued to.
    pub client_id: ClientId,
    /// Id of the account.
    pub account: AccountId,
    /// Address of the account.
    pub username: EmailAddress,
    /// Time of issue, if it is known.
    pub issued_at: Option<Timestamp>,
    /// Time of expiry.
    pub expires_at: Timestamp,
}

impl OAuth {
    /// Introspects a token. `None` for an unknown, expired, revoked or foreign token: the client
    /// cannot tell these apart.
    ///
    /// # Errors
    /// Refuses clients without a secret: they cannot prove to be a protected resource (§2.1).
    pub async fn introspect(
        &self,
        request: &Introspection,
    ) -> Result<Option<Introspected>, OAuthError> {
        let client = match self.authenticate(request.client.as_ref()).await {
            Err(OAuthError::Client(ClientRefusal::Missing | ClientRefusal::NoSecret)) => {
                return Err(ClientRefusal::SecretNeeded.into());
            }
            authenticated => authenticated?,
        };
        if client.is_public() {
            return Err(ClientRefusal::SecretNeeded.into());
        }
        let found = match AccessToken::parse(&request.token) {
            Ok(token) => self.introspect_access(&client, &token).await?,
            Err(_) => match RefreshToken::parse(&request.token) {
                Ok(token) => self.introspect_refresh(&client, &token).await?,
                Err(_) => None,
            },
        };
        Ok(found)
    }

    async fn introspect_access(
        &self,
        client: &Client,
        token: &AccessToken,
    ) -> Result<Option<Introspected>, StoreError> {
        let found = self.store.read(async |db| db.find_session(token.session).await).await?;
        let Some(session) = found.filter(|session| self.may_know(client, session)) else {
            return Ok(None);
        };
        let slot = self.accept(&session, &token.secret.digest());
        let Some(slot) = slot else { return Ok(None) };
        Ok(Some(Introspected {
            kind: TokenKind::Access,
            scope: slot.scope.clone(),
            client_id: session.client_id.clone(),
            account: session.account,
            username: session.email.clone(),
            issued_at: slot.issued_at,
            expires_at: slot.expires_at,
        }))
    }

    /// Finds the live refresh token, or its immediate predecessor while that is still answered.
    async fn introspect_refresh(
        &self,
        client: &Client,
        token: &RefreshToken,
    ) -> Result<Option<Introspected>, StoreError> {
        let found = self.store.read(async |db| db.find_session(token.session).await).await?;
        let session = found.filter(|session| {
            self.may_know(client, session) && session.tag_digest == token.tag.digest()
        });
        let Some(session) = session else { return Ok(None) };
        let issued_at = match self.refresh_token_status(&token.secret.digest(), &session) {
            RefreshTokenStatus::Live => Some(session.rotated_at),
            // the time of its issue is not stored
            RefreshTokenStatus::Predecessor => None,
            RefreshTokenStatus::LateRetry | RefreshTokenStatus::Stolen => return Ok(None),
        };
        Ok(Some(Introspected {
            kind: TokenKind::Refresh,
            expires_at: session.idle_expires_at.min(session.expires_at),
            issued_at,
            scope: session.scope,
            client_id: session.client_id,
            account: session.account,
            username: session.email,
        }))
    }

    /// Whether the session is live, and belongs to the client or the client may introspect all
    /// tokens.
    fn may_know(&self, client: &Client, session: &SessionRecord) -> bool {
        let is_its_business =
            client.introspects == Introspects::All || client.id == session.client_id;
        is_its_business && self.is_usable(session)
    }
}
