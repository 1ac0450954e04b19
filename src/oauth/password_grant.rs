//! The resource owner password credentials grant (RFC 6749 §4.3).
//!
//! oxide-auth has no flow for this grant. The client credentials flow differs only in the owner of
//! the grant. So that flow authenticates the client and settles the scope; then the password
//! identifies the owner.
//!
//! If no hashing slot is free, the request is refused before any work. The password is hashed last,
//! after all cheap checks.

use std::borrow::Cow;

use async_trait::async_trait;
use oxide_auth::code_grant::client_credentials::{Error as FlowError, Request};
use oxide_auth::primitives::grant::Grant as OxideGrant;
use oxide_auth_async::code_grant::client_credentials::{Endpoint, Extension, client_credentials};
use oxide_auth_async::primitives::{
    Authorizer, Issuer as AsyncIssuer, Registrar as AsyncRegistrar,
};

use crate::accounts::{SignInAttempt, SignInError};
use crate::model::{ClientInfo, GrantType, Password, Scope};
use crate::oauth::oxide::issuer::Issuer;
use crate::oauth::oxide::registrar::Authenticated;
use crate::oauth::{Credentials, OAuth, OAuthError, ScopeRefusal, TokenPair};

/// Token request with `grant_type=password`.
#[derive(Debug)]
pub struct PasswordGrant {
    /// Client credentials, if the request has any.
    pub client: Option<Credentials>,
    /// Address as typed.
    pub username: String,
    /// Password as typed.
    pub password: Password,
    /// Requested scope; `None` requests the whole scope of the client.
    pub scope: Option<Scope>,
    /// Client information of the request.
    pub caller: ClientInfo,
}

impl OAuth {
    /// Signs the owner in and starts a session for the client.
    pub async fn password_grant(&self, request: &PasswordGrant) -> Result<TokenPair, OAuthError> {
        self.accounts.admit_sign_in(&request.caller)?;
        let client = self.authenticate(request.client.as_ref()).await?;
        if !client.may_use(GrantType::Password) {
            return Err(OAuthError::GrantNotAllowed(GrantType::Password));
        }
        let mut endpoint = PasswordEndpoint {
            registrar: Authenticated(&client),
            issuer: Issuer::new(self),
            no_codes: NoCodes,
            no_extension: (),
        };
        endpoint.issuer.client = Some(&client);
        endpoint.issuer.caller = Some(&request.caller);
        let flow_request = PasswordFlowRequest { client_id: client.id.as_str(), request };
        let pending = client_credentials(&mut endpoint, &flow_request).await;
        let pending = pending.map_err(|error| match error {
            // the flow returns `Ignore` where it has no response to send; here the reason was the
            // scope
            FlowError::Ignore => ScopeRefusal::excess(request.scope.as_ref(), &client.scope).into(),
            _ => OAuthError::Flow,
        })?;

        let attempt = SignInAttempt {
            username: &request.username,
            password: &request.password,
            client_id: Some(&client.id),
            caller: &request.caller,
        };
        let owner = self.accounts.sign_in(attempt).await;
        let signed_in = owner.map_err(|error| match error {
            SignInError::Refused => OAuthError::WrongPassword,
            SignInError::Failure(failure) => failure.into(),
        })?;
        let owner_id = signed_in.account.to_string();
        endpoint.issuer.signed_in = Some(signed_in);
        let issued = pending.issue(&mut endpoint, owner_id, true).await;
        match (issued, endpoint.issuer.pair, endpoint.issuer.failure) {
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
    request: &'a PasswordGrant,
}

impl Request for PasswordFlowRequest<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        let secret = self.request.client.as_ref().and_then(|client| client.secret.as_ref());
        let secret = secret.map_or(&[][..], |secret| secret.as_bytes());
        Some((Cow::Borrowed(self.client_id), Cow::Borrowed(secret)))
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        self.request.scope.as_ref().map(|scope| Cow::Owned(scope.to_string()))
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
