//! oxide-auth's issuer, for one request.
//!
//! The methods of an issuer can return only `()` as an error, and only strings as tokens. So this
//! adapter keeps the real error and the real pair for the caller of the flow, and gives the flow
//! empty strings.

use async_trait::async_trait;
use oxide_auth::primitives::grant::{Extensions, Grant as OxideGrant};
use oxide_auth::primitives::issuer::{IssuedToken, RefreshedToken, TokenType};

use crate::accounts::SignedIn;
use crate::model::{AccountId, Client, ClientInfo, RefreshToken, Scope};
use crate::oauth::oxide::registrar::{NO_REDIRECT_URL, from_oxide, to_oxide};
use crate::oauth::{OAuth, OAuthError, TokenPair};
use crate::storage::SessionRecord;

/// Issues and refreshes tokens for one request.
pub(super) struct Issuer<'a> {
    oauth: &'a OAuth,
    /// The authenticated client.
    client: &'a Client,
    /// Client information of the request.
    caller: &'a ClientInfo,
    /// The signed-in owner, for a flow that issues tokens.
    pub signed_in: Option<SignedIn>,
    /// Session that the flow recovered, so that it is read once.
    recovered: Option<(RefreshToken, SessionRecord)>,
    /// The widest scope that a refresh may ask for.
    pub recovered_scope: Option<Scope>,
    pub pair: Option<TokenPair>,
    pub failure: Option<OAuthError>,
}

impl<'a> Issuer<'a> {
    /// Issuer without an owner, whom the flow's caller sets.
    pub fn new(oauth: &'a OAuth, client: &'a Client, caller: &'a ClientInfo) -> Self {
        Self {
            oauth,
            client,
            caller,
            signed_in: None,
            recovered: None,
            recovered_scope: None,
            pair: None,
            failure: None,
        }
    }

    /// Keeps the real error, and returns oxide-auth's `()`.
    fn fail<T>(&mut self, error: impl Into<OAuthError>) -> Result<T, ()> {
        self.failure = Some(error.into());
        Err(())
    }

    /// Keeps the real pair or the real error.
    fn keep(&mut self, pair: Result<TokenPair, OAuthError>) -> Result<(), ()> {
        self.pair = Some(pair.or_else(|error| self.fail(error))?);
        Ok(())
    }

    async fn try_issue(&mut self, grant: OxideGrant) -> Result<TokenPair, OAuthError> {
        let signed_in = self.signed_in.take().ok_or(OAuthError::Flow)?;
        let scope = from_oxide(&grant.scope)?;
        self.oauth.start_session(&signed_in, self.client, scope, self.caller).await
    }

    async fn try_refresh(&mut self, grant: OxideGrant) -> Result<TokenPair, OAuthError> {
        let (token, session) = self.recovered.take().ok_or(OAuthError::Flow)?;
        let scope = from_oxide(&grant.scope)?;
        self.oauth.refresh_session(self.client, &token, session, &scope, self.caller).await
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
        let pair = self.try_issue(grant).await;
        self.keep(pair)?;
        Ok(IssuedToken {
            token: String::new(),
            refresh: None,
            until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
            token_type: TokenType::Bearer,
        })
    }

    async fn refresh(&mut self, _: &str, grant: OxideGrant) -> Result<RefreshedToken, ()> {
        let pair = self.try_refresh(grant).await;
        self.keep(pair)?;
        Ok(RefreshedToken {
            token: String::new(),
            refresh: None,
            until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
            token_type: TokenType::Bearer,
        })
    }

    /// Never called by the flows of the token endpoint; `oauth/bearer.rs` recognises access tokens.
    async fn recover_token(&mut self, _: &str) -> Result<Option<OxideGrant>, ()> {
        Ok(None)
    }

    /// Free of effects: oxide-auth calls this before it has compared the clients.
    async fn recover_refresh(&mut self, token: &str) -> Result<Option<OxideGrant>, ()> {
        match self.oauth.find_by_refresh_token(token).await {
            Ok(None) => Ok(None),
            Ok(Some((token, session))) => {
                // the registration may have been narrowed since the sign-in
                let scope = session.scope.intersection(&self.client.scope);
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
