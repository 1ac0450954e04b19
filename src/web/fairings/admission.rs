//! No more requests at once than the service can hold in memory (R51).
//!
//! Hashes are let in by the hasher, and connections by the pool; this bounds what waits before
//! either of them: heads, bodies that trickle in, and answers under way.

use std::sync::{Arc, Mutex, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Method;
use rocket::{Data, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::RequestMetrics;
use crate::web::fairings::method_override::is_own_path;

/// Whether a request was let in, kept with it: its place is free again when the request is dropped,
/// also by a client that goes away.
enum AdmissionState {
    Taken(Mutex<Option<OwnedSemaphorePermit>>),
    /// With the method that the request had.
    Refused(Method),
}

/// Lets so many requests in at once.
#[derive(Debug)]
pub(in crate::web) struct Admission(Arc<Semaphore>);

impl Admission {
    pub(in crate::web) fn of(in_flight: usize) -> Self {
        Self(Arc::new(Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS))))
    }
}

fn admission_state<'r>(request: &'r Request<'_>) -> &'r AdmissionState {
    request.local_cache(|| AdmissionState::Taken(Mutex::default()))
}

/// Gives the place of a request back before it is dropped: its answer is made, and only waits.
pub(in crate::web) fn release_early(request: &Request<'_>) {
    if let AdmissionState::Taken(permit) = admission_state(request) {
        permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whether a request that found no place may be one of a client that is signed in, or of another
/// program that asks about tokens: such a refusal is never delayed.
pub(in crate::web) fn may_be_of_a_session(request: &Request<'_>) -> bool {
    request.uri().path().segments().next() == Some("oauth") || is_of_bearer(request)
}

/// Whether the path is one of those that take an access token and nothing else, `/v1/me`.
pub(in crate::web) fn is_of_bearer(request: &Request<'_>) -> bool {
    let mut segments = request.uri().path().segments();
    segments.next() == Some("v1") && segments.next() == Some("me")
}

/// The method of a request that was refused for want of a place.
pub(in crate::web) fn refused(request: &Request<'_>) -> Option<Method> {
    match admission_state(request) {
        AdmissionState::Taken(_) => None,
        AdmissionState::Refused(method) => Some(*method),
    }
}

#[rocket::async_trait]
impl Fairing for Admission {
    fn info(&self) -> Info {
        Info { name: "admission", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        // health checks have to tell a busy service from a dead one
        let is_watched = request.uri().path().segments().next() == Some("health");
        if is_watched || !is_own_path(request) {
            return;
        }
        let state = match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => AdmissionState::Taken(Mutex::new(Some(permit))),
            Err(_) => {
                if let Some(requests) = request.rocket().state::<RequestMetrics>() {
                    requests.over_capacity();
                }
                let method = request.method();
                // a fairing cannot answer: no route has this method, so the catcher of the mount does
                request.set_method(Method::Trace);
                AdmissionState::Refused(method)
            }
        };
        request.local_cache(|| state);
    }
}
