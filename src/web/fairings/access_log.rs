//! Fairing that logs one line per request and counts the request in the metrics.
//!
//! The line contains the route as the code spells it, never the path or the query of the request,
//! since links contain tokens.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Request, Response};

use crate::clock::Clock;
use crate::metrics::RequestMetrics;
use crate::web::fairings::admission;
use crate::web::fairings::request_id::{Arrival, RequestId};

/// Logs and counts each request when its response is ready.
#[derive(Debug)]
pub(in crate::web) struct AccessLog;

#[rocket::async_trait]
impl Fairing for AccessLog {
    fn info(&self) -> Info {
        Info { name: "access log", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let clock = request.rocket().state::<Clock>();
        let arrival = request.local_cache(|| Arrival(None)).0;
        let took = clock.zip(arrival).map(|(clock, at)| clock.instant().duration_since(at));
        let route = request.route().map_or("-", |route| route.uri.path());
        let method = admission::refused(request).unwrap_or(request.method());
        let status = response.status().code;
        if let Some(requests) = request.rocket().state::<RequestMetrics>() {
            requests.answered(route, method.as_str(), status, took);
        }
        tracing::info!(
            target: "vestibule::request",
            %method,
            route,
            status,
            duration_ms = took.map_or(0.0, |took| took.as_secs_f64() * 1_000.0),
            id = RequestId::of(request),
            "answered"
        );
    }
}
