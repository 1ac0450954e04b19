//! What is known of a request beside its content: its id, when it came, from what browser.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Data, Request, Response};

use super::form::Form;
use super::language;
use crate::clock::Clock;
use crate::config::{ForwardedFault, Settings};
use crate::crypto::secret::Entropy;
use crate::metrics::Requests;
use crate::model::{Caller, UserAgent};
use crate::oauth::{Credentials, OAuthError};

/// The id of a request, in `X-Request-Id` and in every line that is logged about it.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
        &request.local_cache(|| Self(String::new())).0
    }

    /// Rocket answers a method that it does not know without asking any fairing: the id that such an
    /// answer should have, and its line in the log.
    pub(super) fn salvage(request: &Request<'_>, status: Status) -> Option<Header<'static>> {
        if !Self::of(request).is_empty() {
            return None;
        }
        let clock = request.rocket().state::<Clock>().cloned().unwrap_or_else(Clock::system);
        let id = Entropy.uuid_v7(clock.now()).simple().to_string();
        tracing::info!(target: "vestibule::request", status = status.code, id, "answered");
        Some(Header::new("X-Request-Id", id))
    }

    /// A well-formed id that came along is kept, so that logs of several services can be joined.
    fn from_header(header: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_well_formed = (1..=128).contains(&header.len()) && header.bytes().all(is_plain);
        is_well_formed.then(|| Self(header.to_owned()))
    }
}

/// When the request arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival(pub Option<Instant>);

/// Gives every request its id, and every response the same.
#[derive(Debug)]
pub(super) struct Identified;

#[rocket::async_trait]
impl Fairing for Identified {
    fn info(&self) -> Info {
        Info { name: "request ids", kind: Kind::Request | Kind::Response }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let rocket = request.rocket();
        let clock = rocket.state::<Clock>().cloned().unwrap_or_else(Clock::system);
        let given = request.headers().get_one("X-Request-Id").and_then(RequestId::from_header);
        let id =
            given.unwrap_or_else(|| RequestId(Entropy.uuid_v7(clock.now()).simple().to_string()));
        request.local_cache(|| id);
        request.local_cache(|| Arrival(Some(clock.instant())));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        response.set_header(Header::new("X-Request-Id", RequestId::of(request)));
    }
}

/// Of the connection, or of the client behind proxies that the settings trust. Read once.
#[derive(Clone, Copy, Debug)]
struct Address(Option<IpAddr>);

fn address_of(request: &Request<'_>) -> Option<IpAddr> {
    request.local_cache(|| Address(read_address(request))).0
}

fn read_address(request: &Request<'_>) -> Option<IpAddr> {
    // not `client_ip`: an application around this one may have left Rocket to believe `X-Real-IP`
    let peer = request.remote()?.ip();
    let Some(settings) = request.rocket().state::<Settings>() else { return Some(peer) };
    // several headers are one list (RFC 9110 §5.3)
    let hops: Vec<&str> =
        request.headers().get("X-Forwarded-For").flat_map(|list| list.split(',')).collect();
    let (address, fault) = settings.trusted_proxies.client(peer, hops.into_iter());
    let has_other = ["Forwarded", "X-Real-IP"].iter().any(|name| request.headers().contains(name));
    match fault {
        Some(ForwardedFault::Missing) if has_other => tell(request, ForwardedFault::OtherHeader),
        Some(fault) => tell(request, fault),
        None => {}
    }
    Some(address)
}

/// Which kinds of faults have been logged. Managed by Rocket.
#[derive(Debug, Default)]
pub(super) struct LoggedFaults(Mutex<Vec<ForwardedFault>>);

impl LoggedFaults {
    /// Whether the fault is the first of its kind.
    fn is_news(&self, fault: ForwardedFault) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = !logged.contains(&fault);
        if is_news {
            logged.push(fault);
        }
        is_news
    }
}

/// Counts the fault, and logs the first of its kind: without it, all clients of a proxy would share
/// one limit and nothing would say why. The header itself is left out.
fn tell(request: &Request<'_>, fault: ForwardedFault) {
    if let Some(requests) = request.rocket().state::<Requests>() {
        requests.not_forwarded(fault.as_str());
    }
    let logged = request.rocket().state::<LoggedFaults>();
    if logged.is_some_and(|logged| logged.is_news(fault)) {
        tracing::warn!(
            id = RequestId::of(request),
            kind = fault.as_str(),
            "{}: such requests count as the proxy's own and share its limits (said once)",
            fault.explanation()
        );
    }
}

/// Never fails: what is not known of a request is left out.
#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let id = RequestId::of(request);
        Outcome::Success(Self {
            address: address_of(request),
            user_agent: request.headers().get_one("User-Agent").and_then(UserAgent::parse),
            locale: language::accepted(request),
            request_id: (!id.is_empty()).then(|| id.to_owned()),
        })
    }
}

/// The `Authorization` header: none, one, or more than is allowed.
#[derive(Clone, Copy, Debug)]
pub enum Authorization<'r> {
    None,
    One(&'r str),
    /// RFC 9110 §11.6.2 has one.
    Several,
}

impl<'r> Authorization<'r> {
    pub fn of(request: &'r Request<'_>) -> Self {
        let mut headers = request.headers().get("Authorization");
        match (headers.next(), headers.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// Who the client says it is, here or in the form (RFC 6749 §2.3.1).
    pub fn credentials(self, form: &Form) -> Result<Option<Credentials>, OAuthError> {
        let header = match self {
            Self::None => None,
            Self::One(header) => Some(header),
            Self::Several => return Err(OAuthError::Malformed("two Authorization headers")),
        };
        Credentials::read(header, form.get("client_id"), form.get("client_secret"))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Authorization<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_kept_only_if_it_is_harmless() {
        assert!(RequestId::from_header("0af7651916cd43dd-8448_eb.1").is_some());
        for header in ["", "a b", "a\nb", "é", "<b>", &"x".repeat(129)] {
            assert!(RequestId::from_header(header).is_none(), "{header:?}");
        }
    }
}
