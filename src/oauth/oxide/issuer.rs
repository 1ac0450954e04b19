//! oxide-auth's issuer, for one request.
//!
//! The methods of an issuer can return only `()` as an error, and only strings as tokens. So this
//! adapter keeps the real error and the real pair for the caller of the flow.

use std::sync::Arc;

use async_trait::async_trait;
use oxide_auth::primitives::grant::{Extensions, Grant as OxideGrant};
use oxide_auth::primitives::issuer::{IssuedToken, RefreshedToken, TokenType};

use crate::accounts::SignedIn;
use crate::model::{AccessToken, AccountId, Client, ClientInfo, Digest, RefreshToken, Scope};
use crate::oauth::oxide::registrar::{NO_REDIRECT_URL, from_oxide, to_oxide};
use crate::oauth::{Grant, OAuth, OAuthError, TokenPair};
use crate::storage::SessionRecord;

/// Issues, refreshes and recognises tokens for one request.
pub(in crate::oauth) struct Issuer<'a> {
    oauth: &'a OAuth,
    /// The signed-in owner, for a flow that issues tokens.
    pub signed_in: Option<SignedIn>,
    /// The authenticated client, for a flow that issues or refreshes tokens.
    pub client: Option<&'a Client>,
    /// Client information of the request, for such a flow.
    pub caller: Option<&'a ClientInfo>,
    /// Session that the flow recovered, so that it is read once.
    recovered: Option<(RefreshToken, SessionRecord)>,
    /// The widest scope that a refresh may ask for.
    pub recovered_scope: Option<Scope>,
    pub grant: Option<Arc<Grant>>,
    pub pair: Option<TokenPair>,
    pub failure: Option<OAuthError>,
}

impl<'a> Issuer<'a> {
    /// Issuer without owner, client and caller; the flow's caller sets them.
    pub fn new(oauth: &'a OAuth) -> Self {
        Self {
            oauth,
            signed_in: None,
            client: None,
            caller: None,
            recovered: None,
            recovered_scope: None,
            grant: None,
            pair: None,
            failure: None,
        }
    }

    /// Keeps the real error, and returns oxide-auth's `()`.
    fn fail<T>(&mut self, error: impl Into<OAuthError>) -> Result<T, ()> {
        self.failure = Some(error.into());
        Err(())
    }

    async fn try_issue(&mut self, grant: OxideGrant) -> Result<TokenPair, OAuthError> {
        let signed_in = self.signed_in.take().ok_or(OAuthError::Flow)?;
        let client = self.client.ok_or(OAuthError::Flow)?;
        let scope = from_oxide(&grant.scope)?;
        let caller = self.caller.ok_or(OAuthError::Flow)?;
        self.oauth.start_session(&signed_in, client, scope, caller).await
    }

    async fn try_refresh(&mut self, grant: OxideGrant) -> Result<TokenPair, OAuthError> {
        let (token, session) = self.recovered.take().ok_or(OAuthError::Flow)?;
        let scope = from_oxide(&grant.scope)?;
        let caller = self.caller.ok_or(OAuthError::Flow)?;
        let client = self.client.ok_or(OAuthError::Flow)?;
        self.oauth.refresh_session(client, &token, session, &scope, caller).await
    }

    async fn try_recover_token(&mut self, token: &str) -> Result<Option<OxideGrant>, OAuthError> {
        let Ok(token) = AccessToken::parse(token) else { return Ok(None) };
        let digest = token.secret.digest();
        let grant = match self.oauth.token_cache.find(token.session, &digest) {
            Some(grant) => grant,
            // boxed: most tokens are cached, and this future is large
            None => match Box::pin(self.look_up(&token, digest)).await? {
                Some(grant) => grant,
                None => return Ok(None),
            },
        };
        let recovered = oxide_grant(grant.owner.id, &grant.client_id, &grant.scope)?;
        self.grant = Some(grant);
        Ok(Some(recovered))
    }

    async fn look_up(
        &self,
        token: &AccessToken,
        digest: Digest,
    ) -> Result<Option<Arc<Grant>>, OAuthError> {
        let OAuth { store, token_cache, .. } = self.oauth;
        let read = token_cache.stamp();
        let found = store.read(async |db| db.find_session(token.session).await).await?;
        let Some(session) = found.filter(|session| self.oauth.is_usable(session)) else {
            return Ok(None);
        };
        let Some(slot) = self.oauth.accept(&session, &digest) else { return Ok(None) };
        let grant = Arc::new(Grant {
            owner: session.owner(),
            session: session.id,
            client_id: session.client_id.to_string(),
            scope: slot.scope.clone(),
        });
        let expires_at = slot.expires_at.min(session.idle_expires_at).min(session.expires_at);
        token_cache.put(read, digest, Arc::clone(&grant), expires_at);
        Ok(Some(grant))
    }
}

/// A session as oxide-auth's grant. oxide-auth compares the expiry with the machine's clock; this
/// service has checked it by its own clock already, so this grant never expires.
fn oxide_grant(
    account: AccountId,
    client_id: &str,
    scope: &Scope,
) -> Result<OxideGrant, OAuthError> {
    Ok(OxideGrant {
        owner_id: account.to_string(),
        client_id: client_id.to_owned(),
        scope: to_oxide(scope).map_err(|_| OAuthError::Flow)?,
        redirect_uri: NO_REDIRECT_URL.clone(),
        until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
        extensions: Extensions::new(),
    })
}

#[async_trait]
impl oxide_auth_async::primitives::Issuer for Issuer<'_> {
    async fn issue(&mut self, grant: OxideGrant) -> Result<IssuedToken, ()> {
        match self.try_issue(grant).await {
            Ok(pair) => {
                let issued = IssuedToken {
                    token: pair.access.reveal(),
                    refresh: pair.refresh.as_ref().map(RefreshToken::reveal),
                    until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
                    token_type: TokenType::Bearer,
                };
                self.pair = Some(pair);
                Ok(issued)
            }
            Err(error) => self.fail(error),
        }
    }

    async fn refresh(&mut self, _: &str, grant: OxideGrant) -> Result<RefreshedToken, ()> {
        match self.try_refresh(grant).await {
            Ok(pair) => {
                let refreshed = RefreshedToken {
                    token: pair.access.reveal(),
                    refresh: pair.refresh.as_ref().map(RefreshToken::reveal),
                    until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
                    token_type: TokenType::Bearer,
                };
                self.pair = Some(pair);
                Ok(refreshed)
            }
            Err(error) => self.fail(error),
        }
    }

    async fn recover_token(&mut self, token: &str) -> Result<Option<OxideGrant>, ()> {
        match self.try_recover_token(token).await {
            Ok(grant) => Ok(grant),
            Err(error) => self.fail(error),
        }
    }

    /// Free of effects: oxide-auth calls this before it has compared the clients.
    async fn recover_refresh(&mut self, token: &str) -> Result<Option<OxideGrant>, ()> {
        match self.oauth.find_by_refresh_token(token).await {
            Ok(None) => Ok(None),
            Ok(Some((token, session))) => {
                // the registration may have been narrowed since the sign-in
                let scope = match self.client {
                    Some(client) => session.scope.intersection(&client.scope),
                    None => session.scope.clone(),
                };
                if scope.is_empty() && !session.scope.is_empty() {
                    return Ok(None);
                }
                let grant = oxide_grant(session.account, session.client_id.as_str(), &scope)
                    .or_else(|error| self.fail(error))?;
                self.recovered = Some((token, session));
                self.recovered_scope = Some(scope);
                Ok(Some(grant))
            }
            Err(error) => self.fail(error),
        }
    }
}
