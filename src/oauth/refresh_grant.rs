//! The refresh grant (RFC 6749 §6).

use crate::model::{ClientInfo, GrantType, Scope};
use crate::oauth::{Credentials, OAuth, OAuthError, TokenPair, oxide};

/// Token request with `grant_type=refresh_token`.
#[derive(Debug)]
pub struct RefreshGrant {
    /// Client credentials, if the request has any.
    pub client: Option<Credentials>,
    /// The refresh token as sent.
    pub refresh_token: zeroize::Zeroizing<String>,
    /// Requested scope; `None` requests the whole scope of the session.
    pub scope: Option<Scope>,
    /// Client information of the request.
    pub caller: ClientInfo,
}

impl OAuth {
    /// Exchanges a refresh token for its successor. The client is authenticated before the token is
    /// read. The flow compares the two before any change.
    pub async fn refresh_grant(&self, request: &RefreshGrant) -> Result<TokenPair, OAuthError> {
        let outcome = self.refresh_for(request).await;
        self.accounts.events.metrics().refresh(match &outcome {
            Ok(_) => "success",
            Err(OAuthError::Failure(_)) => "failed",
            Err(_) => "refused",
        });
        outcome
    }

    async fn refresh_for(&self, request: &RefreshGrant) -> Result<TokenPair, OAuthError> {
        let client = self.authenticate(request.client.as_ref()).await?;
        if !client.may_use(GrantType::RefreshToken) {
            return Err(OAuthError::GrantNotAllowed(GrantType::RefreshToken));
        }
        let (scope, caller) = (request.scope.as_ref(), &request.caller);
        oxide::refresh(self, &client, &request.refresh_token, scope, caller).await
    }
}
