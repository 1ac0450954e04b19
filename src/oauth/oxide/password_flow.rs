//! oxide-auth's client credentials flow, for the password grant.
//!
//! oxide-auth has no flow for this grant. The client credentials flow differs only in the owner of
//! the grant. So that flow settles the scope, and goes on when the password has identified the
//! owner.

use std::borrow::Cow;

use async_trait::async_trait;
use oxide_auth::code_grant::client_credentials::{Error as FlowError, Request};
use oxide_auth::primitives::grant::Grant as OxideGrant;
use oxide_auth_async::code_grant::client_credentials::{
    Endpoint, Extension, Pending, client_credentials,
};
use oxide_auth_async::primitives::{
    Authorizer, Issuer as AsyncIssuer, Registrar as AsyncRegistrar,
};

use crate::accounts::SignedIn;
use crate::model::{Client, ClientInfo, Scope};
use crate::oauth::oxide::issuer::Issuer;
use crate::oauth::oxide::registrar::Authenticated;
use crate::oauth::{OAuth, OAuthError, ScopeRefusal, TokenPair};

/// A password grant whose owner is not known yet.
pub(in crate::oauth) struct PasswordFlow<'a> {
    endpoint: PasswordEndpoint<'a>,
    pending: Pending,
}

impl<'a> PasswordFlow<'a> {
    /// Begins a grant for an authenticated client, and settles its scope.
    pub async fn begin(
        oauth: &'a OAuth,
        client: &'a Client,
        scope: Option<&Scope>,
        caller: &'a ClientInfo,
    ) -> Result<Self, OAuthError> {
        let mut endpoint = PasswordEndpoint {
            registrar: Authenticated(client),
            issuer: Issuer::new(oauth, client, caller),
            no_codes: NoCodes,
            no_extension: (),
        };
        let request = PasswordFlowRequest { client_id: client.id.as_str(), scope };
        match client_credentials(&mut endpoint, &request).await {
            Ok(pending) => Ok(Self { endpoint, pending }),
            // the flow returns `Ignore` where it has no response to send; here the reason was the
            // scope
            Err(FlowError::Ignore) => Err(ScopeRefusal::excess(scope, &client.scope).into()),
            Err(_) => Err(OAuthError::Flow),
        }
    }

    /// Issues tokens to the owner.
    pub async fn issue(mut self, owner: SignedIn) -> Result<TokenPair, OAuthError> {
        let owner_id = owner.account.to_string();
        self.endpoint.issuer.signed_in = Some(owner);
        let issued = self.pending.issue(&mut self.endpoint, owner_id, true).await;
        match (issued, self.endpoint.issuer.pair, self.endpoint.issuer.failure) {
            (Ok(_), Some(pair), _) => Ok(pair),
            (_, _, Some(failure)) => Err(failure),
            _ => Err(OAuthError::Flow),
        }
    }
}

struct PasswordEndpoint<'a> {
    registrar: Authenticated<'a>,
    issuer: Issuer<'a>,
    no_codes: NoCodes,
    no_extension: (),
}

impl Endpoint for PasswordEndpoint<'_> {
    fn registrar(&self) -> &(dyn AsyncRegistrar + Sync) {
        &self.registrar
    }

    fn authorizer(&mut self) -> &mut (dyn Authorizer + Send) {
        &mut self.no_codes
    }

    fn issuer(&mut self) -> &mut (dyn AsyncIssuer + Send) {
        &mut self.issuer
    }

    fn extension(&mut self) -> &mut (dyn Extension + Send) {
        &mut self.no_extension
    }
}

/// oxide-auth's authorizer, which the flow requires and never uses: there is no authorization code
/// grant here.
struct NoCodes;

#[async_trait]
impl Authorizer for NoCodes {
    async fn authorize(&mut self, _: OxideGrant) -> Result<String, ()> {
        Err(())
    }

    async fn extract(&mut self, _: &str) -> Result<Option<OxideGrant>, ()> {
        Ok(None)
    }
}

/// The request in the form that the client credentials flow expects.
struct PasswordFlowRequest<'a> {
    client_id: &'a str,
    scope: Option<&'a Scope>,
}

impl Request for PasswordFlowRequest<'_> {
    fn valid(&self) -> bool {
        true
    }

    /// Without the secret: the client is authenticated before the flow.
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((Cow::Borrowed(self.client_id), Cow::Borrowed(&[])))
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.map(|scope| Cow::Owned(scope.to_string()))
    }

    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("client_credentials"))
    }

    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn allow_refresh_token(&self) -> bool {
        true
    }
}
