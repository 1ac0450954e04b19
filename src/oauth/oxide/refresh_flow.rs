//! oxide-auth's refresh flow.

use std::borrow::Cow;

use oxide_auth::code_grant::error::AccessTokenErrorType;
use oxide_auth::code_grant::refresh::{Error as FlowError, Request};
use oxide_auth_async::code_grant::refresh::{Endpoint, refresh as run};
use oxide_auth_async::primitives::{Issuer as AsyncIssuer, Registrar as AsyncRegistrar};

use crate::model::{Client, ClientInfo, Scope};
use crate::oauth::oxide::issuer::Issuer;
use crate::oauth::oxide::registrar::Authenticated;
use crate::oauth::{OAuth, OAuthError, ScopeRefusal, TokenPair};

/// Exchanges a refresh token of an authenticated client for its successor.
pub(in crate::oauth) async fn refresh(
    oauth: &OAuth,
    client: &Client,
    refresh_token: &str,
    scope: Option<&Scope>,
    caller: &ClientInfo,
) -> Result<TokenPair, OAuthError> {
    let mut endpoint = RefreshEndpoint {
        registrar: Authenticated(client),
        issuer: Issuer::new(oauth, client, caller),
    };
    let request = RefreshFlowRequest { client_id: client.id.as_str(), refresh_token, scope };
    let flow = run(&mut endpoint, &request).await;
    match (flow, endpoint.issuer.pair, endpoint.issuer.failure) {
        (Ok(_), Some(pair), _) => Ok(pair),
        (Err(_), _, Some(failure)) => Err(failure),
        (Err(FlowError::Invalid(mut reason)), ..) => Err(match reason.description().kind() {
            AccessTokenErrorType::InvalidGrant => OAuthError::RefreshToken,
            AccessTokenErrorType::InvalidScope => {
                let allowed = endpoint.issuer.recovered_scope.unwrap_or_default();
                ScopeRefusal::excess(scope, &allowed).into()
            }
            _ => OAuthError::Flow,
        }),
        _ => Err(OAuthError::Flow),
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
    refresh_token: &'a str,
    scope: Option<&'a Scope>,
}

impl Request for RefreshFlowRequest<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn refresh_token(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.refresh_token))
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.map(|scope| Cow::Owned(scope.to_string()))
    }

    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("refresh_token"))
    }

    /// Without the secret: the client is authenticated before the flow.
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((Cow::Borrowed(self.client_id), Cow::Borrowed(&[])))
    }

    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
