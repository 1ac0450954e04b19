//! CORS: lets scripts of registered origins read answers (Fetch §3.2).
//!
//! - Each client registers the origins of its scripts; scripts of other origins cannot read
//!   answers.
//! - The answer repeats the registered origin, never the origin that the request sent.
//! - Credentials of the browser are never allowed: scripts send tokens themselves, and the account
//!   page's cookie is not for scripts.

use std::sync::{Mutex, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Response, Route, options, routes};

use crate::oauth::{Credentials, OAuth};
use crate::storage::chain;
use crate::web::mounts::{Mount, ScriptAccess};
use crate::web::responses::allowed_methods;

/// The response headers that scripts may read, in addition to the headers that CORS always exposes.
const EXPOSED_HEADERS: &str = "WWW-Authenticate, Retry-After, X-Request-Id";

/// The request headers that scripts may send (Fetch §4.8).
///
/// They are the headers that the service reads, and the headers that tracing and HTTP libraries add
/// to every request of a page. The service ignores the latter, but without them in this list the
/// browser would not send the request.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, X-Request-Id, X-Requested-With, X-Correlation-Id, \
    traceparent, tracestate, baggage, sentry-trace, b3, X-B3-TraceId, X-B3-SpanId, X-B3-ParentSpanId, X-B3-Sampled, \
    X-B3-Flags, uber-trace-id, newrelic, elastic-apm-traceparent, Request-Id, Request-Context, X-Datadog-Trace-Id, \
    X-Datadog-Parent-Id, X-Datadog-Sampling-Priority, X-Datadog-Origin, X-Datadog-Tags, X-Amzn-Trace-Id, \
    X-Cloud-Trace-Context, Cache-Control, Pragma";

/// How long a browser may cache a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

/// The client that the request concerns, as far as known; kept in the request's cache.
#[derive(Debug, Default)]
struct CachedClient(Mutex<Option<(String, ClientSource)>>);

/// How the service knows which client a request concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ClientSource {
    /// The request names the client, which need not exist.
    Named,
    /// The request's token was issued to the client.
    ByToken,
}

/// Records which client a request concerns, if the request has an `Origin`.
#[derive(Clone, Copy)]
pub struct RequestClient<'r>(Option<&'r CachedClient>);

impl<'r> RequestClient<'r> {
    /// The record of a request. It is empty and ignores entries if the request has no `Origin`.
    pub(in crate::web) fn of(request: &'r Request<'_>) -> Self {
        let is_of_script = request.headers().contains("Origin");
        Self(is_of_script.then(|| request.local_cache(CachedClient::default)))
    }

    /// Records the client that the request's token was issued to.
    pub(in crate::web) fn owner_of_token(self, id: &str) {
        self.set(id, ClientSource::ByToken);
    }

    fn set(self, id: &str, known: ClientSource) {
        if let Some(CachedClient(noted)) = self.0 {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), known));
        }
    }

    /// Records the client that the credentials name, else the default client.
    pub fn credentials(self, credentials: Option<&Credentials>, oauth: &OAuth) {
        let named = credentials.map(|credentials| credentials.client_id.as_str());
        if let Some(client) = named.or_else(|| oauth.default_client()) {
            self.set(client, ClientSource::Named);
        }
    }

    fn get(self) -> Option<(String, ClientSource)> {
        self.0?.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RequestClient<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self::of(request))
    }
}

/// Guard for a CORS preflight: a browser asks whether a script may send a request (Fetch §4.8).
struct Preflight;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Preflight {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let header = |name| request.headers().get_one(name);
        let asks = header("Origin").is_some() && header("Access-Control-Request-Method").is_some();
        // only for paths that exist; other paths are answered 404, as without CORS
        match asks && allowed_methods::allow_header(request).is_some() {
            true => Outcome::Success(Self),
            false => Outcome::Forward(Status::NotFound),
        }
    }
}

/// The preflight routes, mounted where scripts may call.
pub fn preflights() -> Vec<Route> {
    routes![preflight]
}

#[options("/<_..>")]
fn preflight(_asked: Preflight) -> Status {
    Status::NoContent
}

/// Fairing that adds the CORS headers to every answer.
#[derive(Debug)]
pub(in crate::web) struct Cors;

impl Cors {
    /// The registered origin, if the script may read the answer.
    async fn allowed(request: &Request<'_>, origin: &str) -> Option<String> {
        let oauth = request.rocket().state::<OAuth>()?;
        let found = match RequestClient::of(request).get() {
            Some((client, ClientSource::ByToken)) => oauth.find_origin_of(&client, origin).await,
            Some((client, ClientSource::Named)) => oauth.find_origin(Some(&client), origin).await,
            None => oauth.find_origin(None, origin).await,
        };
        match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = chain(&error), "allowed origins cannot be read");
                None
            }
        }
    }
}

#[rocket::async_trait]
impl Fairing for Cors {
    fn info(&self) -> Info {
        Info { name: "cross-origin requests", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if Mount::of(request).is_none_or(|mount| mount.scripts == ScriptAccess::Denied) {
            return;
        }
        // caches must not hand the answer for one origin to another origin
        response.adjoin_header(Header::new("Vary", "Origin"));
        let Some(origin) = request.headers().get_one("Origin") else { return };
        // boxed: this future is large, and most requests come from no script
        let Some(allowed) = Box::pin(Self::allowed(request, origin)).await else { return };
        response.set_header(Header::new("Access-Control-Allow-Origin", allowed));
        let is_preflight = request.method() == rocket::http::Method::Options;
        if !is_preflight {
            response.set_header(Header::new("Access-Control-Expose-Headers", EXPOSED_HEADERS));
            return;
        }
        if let Some(allow) = allowed_methods::allow_header(request) {
            response.set_header(Header::new("Access-Control-Allow-Methods", allow));
            response.set_header(Header::new("Access-Control-Allow-Headers", ALLOWED_HEADERS));
            response.set_header(Header::new("Access-Control-Max-Age", PREFLIGHT_MAX_AGE));
        }
    }
}
