//! Request guard for protected resources: a route that takes [`Bearer`] needs an access token (RFC
//! 6750).
//!
//! The guard reads the token from the request and formats refusals. [`OAuth::protect`] decides
//! whether the token is valid.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::outcome::IntoOutcome;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Response};

use crate::accounts::Failure;
use crate::model::{Account, AccountId, Scope, SessionId};
use crate::oauth::{AccessDenied, Grant, OAuth, OAuthError, form_decode};
use crate::storage::{StoreErrorKind, chain};
use crate::web::fairings::cors::RequestClient;
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::authorization::Authorization;
use crate::web::responses::oauth_error::OAuthErrorResponse;
use crate::web::responses::problem::{Problem, STORE_RETRY, retry_after};
use crate::web::responses::problem_type::{self, ProblemType};

/// The scope that a protected resource needs. Name each of your scopes with a type of its own:
///
/// ```
/// use vestibule::web::RequiredScope;
///
/// struct ReadNotes;
///
/// impl RequiredScope for ReadNotes {
///     const SCOPE: &'static str = "notes.read";
/// }
/// ```
pub trait RequiredScope: Send + Sync + 'static {
    /// Scope tokens, separated by spaces (RFC 6749 §3.3). The access token needs all of them.
    const SCOPE: &'static str;

    /// The required scope of this request. By default, [`Self::SCOPE`].
    #[doc(hidden)]
    fn of(_: &Request<'_>) -> Result<Scope, AccessDenied> {
        Self::SCOPE.parse().map_err(|_| AccessDenied::Failure(OAuthError::Flow))
    }
}

/// The scope that the request itself names in its query parameter `scope`.
///
/// Reverse proxies use it, because a proxy asks for many resources.
#[derive(Clone, Copy, Debug)]
pub struct ScopeFromQuery;

impl RequiredScope for ScopeFromQuery {
    const SCOPE: &'static str = "";

    fn of(request: &Request<'_>) -> Result<Scope, AccessDenied> {
        let malformed = || AccessDenied::MalformedScope("the scope that is asked for is malformed");
        let query = request.uri().query().map_or("", |query| query.as_str());
        let mut asked = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if form_decode(name).ok_or_else(malformed)? == "scope" {
                asked.push(form_decode(value).ok_or_else(malformed)?);
            }
        }
        // refused: whichever of two scopes the guard dropped, a caller could pass without it
        match asked.as_slice() {
            [] => Ok(Scope::default()),
            [scope] => scope.parse().map_err(|_| malformed()),
            _ => Err(AccessDenied::MalformedScope("the scope that is asked for is there twice")),
        }
    }
}

/// No particular scope: every valid access token is enough.
#[derive(Clone, Copy, Debug)]
pub struct AnyScope;

impl RequiredScope for AnyScope {
    const SCOPE: &'static str = "";
}

/// A caller with a valid access token that has at least the scope of `S`.
///
/// A route that takes a `Bearer` refuses all other callers. The refusal carries the challenge of
/// RFC 6750 §3.
pub struct Bearer<S: RequiredScope = AnyScope> {
    grant: Arc<Grant>,
    required: PhantomData<S>,
}

impl<S: RequiredScope> Bearer<S> {
    /// The account that the token belongs to.
    pub fn account(&self) -> AccountId {
        self.grant.owner.id
    }

    /// The account with its details, as its owner may see them.
    pub fn owner(&self) -> &Account {
        &self.grant.owner
    }

    /// The session that the token belongs to.
    pub fn session(&self) -> SessionId {
        self.grant.session
    }

    /// The client that the token was issued to.
    pub fn client_id(&self) -> &str {
        &self.grant.client_id
    }

    /// The whole scope of the token.
    pub fn scope(&self) -> &Scope {
        &self.grant.scope
    }
}

impl<S: RequiredScope> fmt::Debug for Bearer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bearer").field(&self.grant).finish()
    }
}

/// The guard's decision, kept in the request's cache for the catchers and for [`BearerChallenges`].
///
/// Rocket drops the headers of a guard that fails, so the headers wait here.
#[derive(Debug, Default)]
enum GuardOutcome {
    /// No bearer guard has run.
    #[default]
    None,
    Admitted,
    Refused(BearerRefusal),
}

#[derive(Debug)]
struct BearerRefusal {
    problem_type: &'static ProblemType,
    challenge: Option<String>,
    /// The scope that the token lacks.
    scope: Option<Box<str>>,
    retry_after: Option<Duration>,
    /// The description of an OAuth error.
    description: String,
}

impl BearerRefusal {
    fn new(denied: &AccessDenied) -> Self {
        let (problem_type, retry_after) = match denied {
            AccessDenied::NoToken => (problem_type::NO_TOKEN, None),
            AccessDenied::Malformed(_) => (problem_type::TOKEN_MISPLACED, None),
            AccessDenied::MalformedScope(_) => (problem_type::INVALID_REQUEST, None),
            AccessDenied::InvalidToken => (problem_type::INVALID_TOKEN, None),
            AccessDenied::InsufficientScope { .. } => (problem_type::INSUFFICIENT_SCOPE, None),
            AccessDenied::Failure(OAuthError::Failure(Failure::Store(error)))
                if error.kind() == StoreErrorKind::Unavailable =>
            {
                (problem_type::UNAVAILABLE, Some(STORE_RETRY))
            }
            AccessDenied::Failure(_) => (problem_type::SERVER_ERROR, None),
        };
        let with_error = || {
            let code = problem_type.oauth_code;
            format!("Bearer error=\"{code}\", error_description=\"{denied}\"")
        };
        let challenge = match denied {
            // a request without a token gets no error code (RFC 6750 §3.1)
            AccessDenied::NoToken => Some("Bearer".to_owned()),
            AccessDenied::InsufficientScope { needed, .. } => {
                Some(format!("{}, scope=\"{needed}\"", with_error()))
            }
            AccessDenied::Failure(_) => None,
            _ => Some(with_error()),
        };
        let scope = match denied {
            AccessDenied::InsufficientScope { needed, .. } => Some(needed.to_string().into()),
            _ => None,
        };
        let description = denied.to_string();
        Self { problem_type, challenge, scope, retry_after, description }
    }

    fn status(&self) -> Status {
        Status::new(self.problem_type.status)
    }
}

/// Reads the token from the request's one `Authorization` header (RFC 6750 §2).
///
/// A token in the query is refused, since queries end up in logs (RFC 9700 §4.3.2).
fn presented_token<'r>(request: &'r Request<'_>) -> Result<Option<&'r str>, AccessDenied> {
    let query = request.uri().query();
    let in_query = query.is_some_and(|query| {
        query.segments().any(|(name, _)| name.eq_ignore_ascii_case("access_token"))
    });
    if in_query {
        return Err(AccessDenied::Malformed("a token in the query is not taken"));
    }
    match Authorization::of(request) {
        Authorization::None => Ok(None),
        Authorization::Several => Err(AccessDenied::Malformed("two Authorization headers")),
        Authorization::One(header) => parse_authorization(header),
    }
}

/// Parses `Bearer` and one token (RFC 6750 §2.1). A header of another scheme presents no token.
fn parse_authorization(header: &str) -> Result<Option<&str>, AccessDenied> {
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.contains(' ') {
        return Err(AccessDenied::Malformed("the header is not Bearer and one token"));
    }
    Ok(Some(token))
}

async fn admit<S: RequiredScope>(request: &Request<'_>) -> Result<Arc<Grant>, AccessDenied> {
    let token = presented_token(request)?;
    let flow = || AccessDenied::Failure(OAuthError::Flow);
    let oauth = request.rocket().state::<OAuth>().ok_or_else(flow)?;
    let needed = S::of(request)?;
    oauth.protect(token.ok_or(AccessDenied::NoToken)?, &needed).await
}

#[rocket::async_trait]
impl<'r, S: RequiredScope> FromRequest<'r> for Bearer<S> {
    type Error = AccessDenied;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, AccessDenied> {
        match admit::<S>(request).await {
            Ok(grant) => {
                RequestClient::of(request).owner_of_token(&grant.client_id);
                set_outcome(request, GuardOutcome::Admitted);
                Outcome::Success(Self { grant, required: PhantomData })
            }
            Err(denied) => {
                if let AccessDenied::InsufficientScope { client_id, .. } = &denied {
                    RequestClient::of(request).owner_of_token(client_id);
                }
                if let AccessDenied::Failure(failure) = &denied {
                    let (id, error) = (RequestId::of(request), chain(failure));
                    tracing::error!(id, error, "a token could not be checked");
                }
                let refusal = BearerRefusal::new(&denied);
                let status = refusal.status();
                set_outcome(request, GuardOutcome::Refused(refusal));
                Err(denied).or_error(status)
            }
        }
    }
}

/// Stores the guard's decision. If a request has several guards, the last decision counts.
fn set_outcome(request: &Request<'_>, decision: GuardOutcome) {
    *outcome_of(request).lock().unwrap_or_else(PoisonError::into_inner) = decision;
}

fn outcome_of<'r>(request: &'r Request<'_>) -> &'r Mutex<GuardOutcome> {
    request.local_cache(Mutex::<GuardOutcome>::default)
}

/// The problem of a refused bearer, for the catchers of `status`.
pub(in crate::web) fn refusal(request: &Request<'_>, status: Status) -> Option<Problem> {
    match &*outcome_of(request).lock().unwrap_or_else(PoisonError::into_inner) {
        GuardOutcome::Refused(refusal) if refusal.status() == status => {
            Some(Problem::of(refusal.problem_type).scope(refusal.scope.clone()))
        }
        _ => None,
    }
}

/// The refusal as an OAuth error, for the catchers under `/oauth`. `None` for server errors (5xx),
/// which the catchers answer themselves.
pub(in crate::web) fn oauth_refusal(
    request: &Request<'_>,
    status: Status,
) -> Option<OAuthErrorResponse> {
    match &*outcome_of(request).lock().unwrap_or_else(PoisonError::into_inner) {
        GuardOutcome::Refused(refusal) if refusal.status() == status && status.code < 500 => {
            Some(OAuthErrorResponse::new(refusal.problem_type, &refusal.description))
        }
        _ => None,
    }
}

/// Fairing that adds the challenge to every refusal, whichever catcher answered, and keeps
/// responses of protected routes out of caches (RFC 6750 §5.3).
#[derive(Debug)]
pub(in crate::web) struct BearerChallenges;

#[rocket::async_trait]
impl Fairing for BearerChallenges {
    fn info(&self) -> Info {
        Info { name: "bearer challenges", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        match &*outcome_of(request).lock().unwrap_or_else(PoisonError::into_inner) {
            GuardOutcome::None => return,
            GuardOutcome::Admitted => {}
            // the route handled the refusal and answered with another status
            GuardOutcome::Refused(refusal) if refusal.status() != response.status() => {}
            GuardOutcome::Refused(refusal) => {
                if let Some(challenge) = &refusal.challenge {
                    response.set_header(Header::new("WWW-Authenticate", challenge.clone()));
                }
                if let Some(after) = refusal.retry_after {
                    response.set_header(retry_after(after));
                }
            }
        }
        if !response.headers().contains("Cache-Control") {
            response.set_header(Header::new("Cache-Control", "no-store"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz_inputs;
    use crate::model::AccessToken;

    #[test]
    fn r29_no_header_shows_two_tokens() {
        fuzz_inputs::each(3_000, fuzz_inputs::text_like(fuzz_inputs::BEARER), |header| {
            let words: Vec<&str> = header.split(' ').filter(|word| !word.is_empty()).collect();
            let is_bearer = header.to_ascii_lowercase().starts_with("bearer");
            match parse_authorization(&header) {
                Ok(Some(token)) => {
                    prop_assert!(is_bearer && words.len() == 2 && words[1] == token, "{}", header);
                    // tokens with another separator between them are not one valid token
                    let tokens = header.matches("vat_").count();
                    prop_assert!(tokens == 1 || AccessToken::parse(token).is_err(), "{}", header);
                }
                Ok(None) => prop_assert!(
                    words.len() < 2
                        || words[0].len() != 6
                        || !words[0].eq_ignore_ascii_case("bearer")
                        || header.starts_with(' ')
                ),
                Err(AccessDenied::Malformed(_)) => prop_assert!(is_bearer && words.len() != 2),
                Err(other) => prop_assert!(false, "{}: {:?}", header, other),
            }
            Ok(())
        });
    }
}
