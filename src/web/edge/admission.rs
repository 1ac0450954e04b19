//! No more requests at once than the service can hold in memory (R51).
//!
//! Hashes are let in by the hasher, and connections by the pool; this bounds what waits before
//! either of them: heads, bodies that trickle in, and answers under way.

use std::sync::{Arc, Mutex, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Method;
use rocket::{Data, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::methods::is_ours;
use crate::metrics::Requests;

/// Whether a request was let in, kept with it: its place is free again when the request is dropped,
/// also by a client that goes away.
enum Place {
    Taken(Mutex<Option<OwnedSemaphorePermit>>),
    /// With the method that the request had.
    Refused(Method),
}

/// Lets so many requests in at once.
#[derive(Debug)]
pub(super) struct Admission(Arc<Semaphore>);

impl Admission {
    pub(super) fn of(in_flight: usize) -> Self {
        Self(Arc::new(Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS))))
    }
}

fn place<'r>(request: &'r Request<'_>) -> &'r Place {
    request.local_cache(|| Place::Taken(Mutex::default()))
}

/// Gives the place of a request back before it is dropped: its answer is made, and only waits.
pub(super) fn give_back(request: &Request<'_>) {
    if let Place::Taken(permit) = place(request) {
        permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whether a request that found no place may be one of a client that is signed in, or of another
/// program that asks about tokens: such a refusal is never delayed.
pub(super) fn may_be_of_a_session(request: &Request<'_>) -> bool {
    request.uri().path().segments().next() == Some("oauth") || is_of_bearer(request)
}

/// Whether the path is one of those that take an access token and nothing else, `/v1/me`.
pub(super) fn is_of_bearer(request: &Request<'_>) -> bool {
    let mut segments = request.uri().path().segments();
    segments.next() == Some("v1") && segments.next() == Some("me")
}

/// The method of a request that was refused for want of a place.
pub(super) fn refused(request: &Request<'_>) -> Option<Method> {
    match place(request) {
        Place::Taken(_) => None,
        Place::Refused(method) => Some(*method),
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
        if is_watched || !is_ours(request) {
            return;
        }
        let place = match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => Place::Taken(Mutex::new(Some(permit))),
            Err(_) => {
                if let Some(requests) = request.rocket().state::<Requests>() {
                    requests.crowded_out();
                }
                let method = request.method();
                // a fairing cannot answer: no route has this method, so the catcher of the mount does
                request.set_method(Method::Trace);
                Place::Refused(method)
            }
        };
        request.local_cache(|| place);
    }
}
