//! The refresh grant (RFC 6749 §6), by oxide-auth's refresh flow.

use std::borrow::Cow;

use oxide_auth::code_grant::refresh::{Error as FlowError, Request};
use oxide_auth_async::code_grant::refresh::{Endpoint, refresh};
use oxide_auth_async::primitives::{Issuer as AsyncIssuer, Registrar as AsyncRegistrar};

use crate::model::{ClientInfo, GrantType, Scope};
use crate::oauth::oxide::issuer::Issuer;
use crate::oauth::oxide::registrar::Authenticated;
use crate::oauth::{Credentials, OAuth, OAuthError, ScopeRefusal, TokenPair};

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
        let mut endpoint =
            RefreshEndpoint { registrar: Authenticated(&client), issuer: Issuer::new(self) };
        endpoint.issuer.client = Some(&client);
        endpoint.issuer.caller = Some(&request.caller);
        let flow_request = RefreshFlowRequest { client_id: client.id.as_str(), request };
        let flow = refresh(&mut endpoint, &flow_request).await;
        match (flow, endpoint.issuer.pair, endpoint.issuer.failure) {
            (Ok(_), Some(pair), _) => Ok(pair),
            (Err(_), _, Some(failure)) => Err(failure),
            (Err(FlowError::Invalid(mut reason)), ..) => {
                use oxide_auth::code_grant::error::AccessTokenErrorType as Kind;
                Err(match reason.description().kind() {
                    Kind::InvalidGrant => OAuthError::RefreshToken,
                    Kind::InvalidScope => {
                        let allowed = endpoint.issuer.recovered_scope.unwrap_or_default();
                        ScopeRefusal::excess(request.scope.as_ref(), &allowed).into()
                    }
                    _ => OAuthError::Flow,
                })
            }
            _ => Err(OAuthError::Flow),
        }
    }
}

struct RefreshEndpoint<'a> {
    registrar: Authenticated<'a>,
    issuer: Issuer<'a>,
}

impl Endpoint for RefreshEndpoint<'_> {
    fn registrar(&self) -> &(dyn AsyncRegistrar + Sync) {
        &self.registrar
    }

    fn issuer(&mut self) -> &mut (dyn AsyncIssuer + Send) {
        &mut self.issuer
    }
}

/// The request in the form that the flow expects. The request always names its client: without a
/// name, the flow would accept any client without a secret.
struct RefreshFlowRequest<'a> {
    client_id: &'a str,
    request: &'a RefreshGrant,
}

impl Request for RefreshFlowRequest<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn refresh_token(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.request.refresh_token))
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        self.request.scope.as_ref().map(|scope| Cow::Owned(scope.to_string()))
    }

    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("refresh_token"))
    }

    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        let secret = self.request.client.as_ref().and_then(|client| client.secret.as_ref());
        let secret = secret.map_or(&[][..], |secret| secret.as_bytes());
        Some((Cow::Borrowed(self.client_id), Cow::Borrowed(secret)))
    }

    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
