//! One line for each request.
//!
//! The route is logged as it is written in the code, never the path or the query of the request:
//! there are tokens in links.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Request, Response};

use super::request::{Arrival, RequestId};
use crate::clock::Clock;

#[derive(Debug)]
pub(super) struct AccessLog;

#[rocket::async_trait]
impl Fairing for AccessLog {
    fn info(&self) -> Info {
        Info { name: "access log", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let clock = request.rocket().state::<Clock>();
        let arrival = request.local_cache(|| Arrival(None)).0;
        let took = clock.zip(arrival).map(|(clock, at)| clock.instant().duration_since(at));
        let route = request.route().map(|route| route.uri.path());
        tracing::info!(
            target: "vestibule::request",
            method = %request.method(),
            route = route.unwrap_or("-"),
            status = response.status().code,
            duration_ms = took.map_or(0.0, |took| took.as_secs_f64() * 1_000.0),
            id = RequestId::of(request),
            "answered"
        );
    }
}
