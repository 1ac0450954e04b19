//! Admission control: limits how many requests are in flight, to bound memory (R51).
//!
//! The hasher admits hashes, and the pool limits connections. This fairing bounds the requests that
//! wait before either: request heads, slow bodies, and answers under way. The limit is
//! `admission.in_flight`.

use std::sync::{Arc, Mutex, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Method;
use rocket::{Data, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::RequestMetrics;
use crate::web::mounts::{ErrorFormat, Mount};

/// Whether a request was admitted, kept in the request's cache. Dropping the request frees its
/// place, even if the client has gone away.
enum AdmissionState {
    Taken(Mutex<Option<OwnedSemaphorePermit>>),
    /// With the original method of the request.
    Refused(Method),
}

/// Admits a limited number of requests at a time.
#[derive(Debug)]
pub(in crate::web) struct Admission(Arc<Semaphore>);

impl Admission {
    /// Admits at most `in_flight` requests at a time.
    pub(in crate::web) fn of(in_flight: usize) -> Self {
        Self(Arc::new(Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS))))
    }
}

fn admission_state<'r>(request: &'r Request<'_>) -> &'r AdmissionState {
    request.local_cache(|| AdmissionState::Taken(Mutex::default()))
}

/// Frees the place of a request whose answer is ready and only waits.
pub(in crate::web) fn release_early(request: &Request<'_>) {
    if let AdmissionState::Taken(permit) = admission_state(request) {
        permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whether a refused request may come from a signed-in client, or from another program that asks
/// about tokens. Such a refusal is never delayed.
pub(in crate::web) fn may_be_of_a_session(request: &Request<'_>) -> bool {
    Mount::of(request).is_some_and(|mount| mount.errors == ErrorFormat::OAuth)
        || is_of_bearer(request)
}

/// Whether the path takes an access token and nothing else: `/v1/me` and the paths below it.
pub(in crate::web) fn is_of_bearer(request: &Request<'_>) -> bool {
    let mut segments = request.uri().path().segments();
    segments.next() == Some("v1") && segments.next() == Some("me")
}

/// The original method of a request that was refused for lack of a place.
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
        if Mount::of(request).is_none_or(|mount| !mount.is_limited) {
            return;
        }
        let state = match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => AdmissionState::Taken(Mutex::new(Some(permit))),
            Err(_) => {
                if let Some(requests) = request.rocket().state::<RequestMetrics>() {
                    requests.over_capacity();
                }
                let method = request.method();
                // a fairing cannot answer; no route has this method, so the mount's catcher answers
                request.set_method(Method::Trace);
                AdmissionState::Refused(method)
            }
        };
        request.local_cache(|| state);
    }
}
