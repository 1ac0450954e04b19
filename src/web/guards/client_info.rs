//! Request guard for [`ClientInfo`]: the client's address, browser and language, and the request
//! id.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use crate::config::{ForwardedFault, Settings};
use crate::metrics::RequestMetrics;
use crate::model::{ClientInfo, UserAgent};
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::language;

/// The address of the connection, or of the client behind trusted proxies. Cached per request.
#[derive(Clone, Copy, Debug)]
struct Address(Option<IpAddr>);

fn address_of(request: &Request<'_>) -> Option<IpAddr> {
    request.local_cache(|| Address(read_address(request))).0
}

fn read_address(request: &Request<'_>) -> Option<IpAddr> {
    // Rocket's `client_ip` may trust `X-Real-IP`, as the application around this one configured it
    let peer = request.remote()?.ip();
    let Some(settings) = request.rocket().state::<Settings>() else { return Some(peer) };
    // several headers form one list (RFC 9110 §5.3)
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

/// The kinds of faults that have been logged. Managed by Rocket.
#[derive(Debug, Default)]
pub(in crate::web) struct LoggedFaults(Mutex<Vec<ForwardedFault>>);

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

/// Counts the fault, and logs the first fault of each kind, without the header's content.
///
/// Without the log line, all clients of a proxy would share one limit for no visible reason.
fn tell(request: &Request<'_>, fault: ForwardedFault) {
    if let Some(requests) = request.rocket().state::<RequestMetrics>() {
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

/// Never fails: unknown parts stay empty.
#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientInfo {
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
