//! Bearer token check for protected resources (RFC 6750), by oxide-auth's resource flow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use oxide_auth::code_grant::resource::{Error as FlowError, ErrorCode, Request};
use oxide_auth::primitives::scope::Scope as OxideScope;
use oxide_auth_async::code_grant::resource::{Endpoint, protect};
use oxide_auth_async::primitives::Issuer as AsyncIssuer;

use crate::model::Scope;
use crate::oauth::oxide::issuer::Issuer;
use crate::oauth::oxide::registrar::to_oxide;
use crate::oauth::{Grant, OAuth, OAuthError};

/// Token of a request to a protected resource.
#[derive(Clone, Copy)]
pub enum PresentedToken<'a> {
    /// No `Authorization: Bearer`.
    Nothing,
    /// The token in `Authorization: Bearer`.
    Token(&'a str),
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Token(_) => "Token(redacted)",
        })
    }
}

/// Reason why the request is refused (RFC 6750 §3.1).
#[derive(Debug, thiserror::Error)]
pub enum AccessDenied {
    /// The request has no token: the challenge says only that one is needed.
    #[error("no access token was sent")]
    NoToken,
    /// The request is malformed (`invalid_request`).
    #[error("{0}")]
    Malformed(&'static str),
    /// The request's scope parameter is malformed; its token was not checked.
    #[error("{0}")]
    MalformedScope(&'static str),
    /// The token is not valid (`invalid_token`).
    #[error("the access token is expired, revoked, damaged, or not issued by this service")]
    InvalidToken,
    /// The token lacks scope (`insufficient_scope`).
    #[error("the access token lacks the required scope")]
    InsufficientScope {
        /// The scope that the resource requires.
        needed: Scope,
        /// The client that the token was issued to.
        client_id: String,
    },
    /// The service could not check the token.
    #[error(transparent)]
    Failure(OAuthError),
}

/// Scope that a token must have, in this service's and in oxide-auth's type.
#[derive(Debug)]
pub struct ScopeRequirement {
    scope: Scope,
    oxide: [OxideScope; 1],
}

impl ScopeRequirement {
    /// The requirement of a scope from a request, not cached.
    pub fn new(scope: Scope) -> Result<Self, AccessDenied> {
        let oxide = to_oxide(&scope).map_err(|_| AccessDenied::Failure(OAuthError::Flow))?;
        Ok(Self { scope, oxide: [oxide] })
    }

    /// The requirement of a route's scope. Each scope is parsed once and cached.
    pub fn of_route(scope: &'static str) -> Result<Arc<Self>, AccessDenied> {
        static READ: RwLock<BTreeMap<&str, Arc<ScopeRequirement>>> = RwLock::new(BTreeMap::new());
        if let Some(needed) = READ.read().unwrap_or_else(PoisonError::into_inner).get(scope) {
            return Ok(Arc::clone(needed));
        }
        let parsed = scope.parse().map_err(|_| AccessDenied::Failure(OAuthError::Flow))?;
        let needed = Arc::new(Self::new(parsed)?);
        READ.write().unwrap_or_else(PoisonError::into_inner).insert(scope, Arc::clone(&needed));
        Ok(needed)
    }
}

impl OAuth {
    /// Checks that the access token is live and has at least `needed`, and returns its grant.
    pub async fn protect(
        &self,
        access: PresentedToken<'_>,
        needed: &ScopeRequirement,
    ) -> Result<Arc<Grant>, AccessDenied> {
        let mut endpoint = ResourceEndpoint { issuer: Issuer::new(self), scopes: &needed.oxide };
        let flow = protect(&mut endpoint, &access).await;
        let Err(denied) = flow else {
            return endpoint.issuer.grant.ok_or(AccessDenied::Failure(OAuthError::Flow));
        };
        if let Some(failure) = endpoint.issuer.failure {
            return Err(AccessDenied::Failure(failure));
        }
        let grant = endpoint.issuer.grant;
        let client_id = grant.map(|grant| grant.client_id.clone()).unwrap_or_default();
        Err(match denied {
            FlowError::NoAuthentication { .. } => AccessDenied::NoToken,
            FlowError::InvalidRequest { .. } => AccessDenied::Malformed("the request is malformed"),
            FlowError::AccessDenied { failure, .. } => match failure.code {
                Some(ErrorCode::InsufficientScope) => {
                    AccessDenied::InsufficientScope { needed: needed.scope.clone(), client_id }
                }
                // the flow reports an unknown token as an invalid request
                Some(ErrorCode::InvalidToken | ErrorCode::InvalidRequest) | None => {
                    AccessDenied::InvalidToken
                }
            },
            FlowError::PrimitiveError => AccessDenied::Failure(OAuthError::Flow),
        })
    }
}

struct ResourceEndpoint<'a> {
    issuer: Issuer<'a>,
    scopes: &'a [OxideScope],
}

impl Endpoint for ResourceEndpoint<'_> {
    fn scopes(&mut self) -> &[OxideScope] {
        self.scopes
    }

    fn issuer(&mut self) -> &mut (dyn AsyncIssuer + Send) {
        &mut self.issuer
    }
}

impl Request for PresentedToken<'_> {
    fn valid(&self) -> bool {
        true
    }

    fn token(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Nothing => None,
            Self::Token(token) => Some(Cow::Owned(format!("Bearer {token}"))),
        }
    }
}
