//! The resource owner password credentials grant (RFC 6749 §4.3).
//!
//! If no hashing slot is free, the request is refused before any work. The password is hashed last,
//! after all cheap checks.

use crate::accounts::{SignInAttempt, SignInError};
use crate::model::{ClientInfo, GrantType, Password, Scope};
use crate::oauth::oxide::PasswordFlow;
use crate::oauth::{Credentials, OAuth, OAuthError, TokenPair};

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
        let (scope, caller) = (request.scope.as_ref(), &request.caller);
        let flow = PasswordFlow::begin(self, &client, scope, caller).await?;
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
        flow.issue(signed_in).await
    }
}
