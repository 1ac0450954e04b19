//! Whether a bearer may use a protected resource (RFC 6750), by oxide-auth's resource flow.

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

/// What a request shows for itself at a protected resource.
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

/// Why a bearer may not (RFC 6750 §3.1).
#[derive(Debug, thiserror::Error)]
pub enum AccessDenied {
    /// Nothing was shown: the challenge says no more than that something is needed.
    #[error("no access token was sent")]
    NoToken,
    #[error("{0}")]
    Malformed(&'static str),
    /// What the request asks for cannot be understood; its token was not looked at.
    #[error("{0}")]
    MalformedScope(&'static str),
    #[error("the access token is expired, revoked, damaged, or none of this service")]
    InvalidToken,
    #[error("the access token has not the scope that is needed")]
    InsufficientScope {
        needed: Scope,
        /// The client that the token was issued to.
        client_id: String,
    },
    #[error(transparent)]
    Failure(OAuthError),
}

/// The scope that a token has to have, as we and as oxide-auth write it.
#[derive(Debug)]
pub struct ScopeRequirement {
    scope: Scope,
    oxide: [OxideScope; 1],
}

impl ScopeRequirement {
    pub fn new(scope: Scope) -> Result<Self, AccessDenied> {
        let oxide = to_oxide(&scope).map_err(|_| AccessDenied::Failure(OAuthError::Flow))?;
        Ok(Self { scope, oxide: [oxide] })
    }

    /// The scope that a route is written with: read once, and not for each request.
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
    /// What the access token grants, if it is live and has at least `needed`.
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
                // an unknown token comes out of the flow as an invalid request
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
