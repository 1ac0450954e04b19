//! oxide-auth's registrar, for one request.

use std::borrow::Cow;
use std::sync::LazyLock;

use async_trait::async_trait;
use oxide_auth::primitives::registrar::{
    BoundClient, ClientUrl, ExactUrl, PreGrant, RegisteredUrl, RegistrarError,
};
use oxide_auth::primitives::scope::Scope as OxideScope;
use url::Url;

use crate::model::{Client, Scope};
use crate::oauth::{OAuthError, ScopeRefusal};

/// Redirect URI for oxide-auth, which requires one for every client. The grants here never
/// redirect, and this name (RFC 6761 §6.4) never resolves.
const NO_REDIRECT: &str = "https://no-redirect.invalid/";

#[expect(clippy::expect_used, reason = "a constant, and used by every refresh")]
pub(super) static NO_REDIRECT_URL: LazyLock<Url> =
    LazyLock::new(|| NO_REDIRECT.parse().expect("a URL"));

/// Converts to oxide-auth's scope type. Our scopes are stricter, so this cannot fail in practice;
/// on a failure the flow would refuse.
pub(super) fn to_oxide(scope: &Scope) -> Result<OxideScope, RegistrarError> {
    scope.to_string().parse().map_err(|_| RegistrarError::PrimitiveError)
}

/// Converts from oxide-auth's scope type, which keeps no order.
pub(super) fn from_oxide(scope: &OxideScope) -> Result<Scope, OAuthError> {
    Scope::from_tokens(scope.iter()).map_err(|_| ScopeRefusal::Malformed.into())
}

/// oxide-auth's registrar for one request, which knows only the authenticated client.
pub(super) struct Authenticated<'a>(pub &'a Client);

impl Authenticated<'_> {
    fn knows(&self, id: &str) -> Result<(), RegistrarError> {
        match self.0.id.as_str() == id {
            true => Ok(()),
            false => Err(RegistrarError::Unspecified),
        }
    }
}

#[async_trait]
impl oxide_auth_async::primitives::Registrar for Authenticated<'_> {
    async fn bound_redirect<'a>(
        &self,
        bound: ClientUrl<'a>,
    ) -> Result<BoundClient<'a>, RegistrarError> {
        self.knows(&bound.client_id)?;
        let url =
            ExactUrl::new(NO_REDIRECT.to_owned()).map_err(|_| RegistrarError::PrimitiveError)?;
        let redirect_uri = Cow::Owned(RegisteredUrl::Exact(url));
        Ok(BoundClient { client_id: bound.client_id, redirect_uri })
    }

    async fn negotiate<'a>(
        &self,
        bound: BoundClient<'a>,
        scope: Option<OxideScope>,
    ) -> Result<PreGrant, RegistrarError> {
        self.knows(&bound.client_id)?;
        let asked = scope.as_ref().map(from_oxide).transpose();
        let asked = asked.map_err(|_| RegistrarError::Unspecified)?;
        let granted = self.0.grantable(asked.as_ref()).ok_or(RegistrarError::Unspecified)?;
        Ok(PreGrant {
            client_id: bound.client_id.into_owned(),
            redirect_uri: bound.redirect_uri.into_owned(),
            scope: to_oxide(&granted)?,
        })
    }

    /// The endpoint has checked the secret before it began the flow.
    async fn check(&self, id: &str, _: Option<&[u8]>) -> Result<(), RegistrarError> {
        self.knows(id)
    }
}
