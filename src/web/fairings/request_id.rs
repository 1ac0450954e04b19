//! Fairing that gives each request an id, sent in `X-Request-Id` and written to the log.

use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::{Data, Request, Response};

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;

/// The id of a request, sent in `X-Request-Id` and written to every log line about the request.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// The id of a request; empty if the request bypassed the fairings.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
        &request.local_cache(|| Self(String::new())).0
    }

    /// Makes an id and a log line for a request that bypassed the fairings; `None` if it has an id.
    ///
    /// Rocket answers an unknown method without running any fairing.
    pub(in crate::web) fn salvage(
        request: &Request<'_>,
        status: Status,
    ) -> Option<Header<'static>> {
        if !Self::of(request).is_empty() {
            return None;
        }
        let clock = request.rocket().state::<Clock>().cloned().unwrap_or_else(Clock::system);
        let id = Entropy.uuid_v7(clock.now()).simple().to_string();
        tracing::info!(target: "vestibule::request", status = status.code, id, "answered");
        Some(Header::new("X-Request-Id", id))
    }

    /// Keeps a well-formed id from the request, so that logs of several services can be joined.
    fn from_header(header: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_well_formed = (1..=128).contains(&header.len()) && header.bytes().all(is_plain);
        is_well_formed.then(|| Self(header.to_owned()))
    }
}

/// When the request arrived.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Arrival(pub Option<Instant>);

/// Gives each request an id, and sets the same id on its response.
#[derive(Debug)]
pub(in crate::web) struct RequestIds;

#[rocket::async_trait]
impl Fairing for RequestIds {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_id_of_the_client_is_kept_only_if_harmless() {
        assert!(RequestId::from_header("0af7651916cd43dd-8448_eb.1").is_some());
        for header in ["", "a b", "a\nb", "é", "<b>", &"x".repeat(129)] {
            assert!(RequestId::from_header(header).is_none(), "{header:?}");
        }
    }
}
