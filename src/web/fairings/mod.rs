//! Fairings: hooks that run for every request before its route and for every response.

pub mod access_log;
pub mod admission;
pub mod canonical_path;
pub mod cors;
pub mod link_rate_limit;
pub mod method_override;
pub mod no_store;
pub mod refusal_delay;
pub mod request_id;

use std::num::NonZeroUsize;

use rocket::fairing::AdHoc;

use crate::config::Settings;
use crate::web::guards::bearer::BearerChallenges;
use crate::web::guards::client_info::LoggedFaults;
use crate::web::mounts::{MOUNTS, ScriptAccess};

/// Attaches all fairings, and mounts the CORS preflights. Rocket runs the fairings in this order.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("fairings", |rocket| async {
        let in_flight = rocket.state::<Settings>().map(|settings| settings.admission.in_flight);
        let in_flight = in_flight.map_or(usize::MAX, NonZeroUsize::get);
        let called = MOUNTS.iter().filter(|mount| mount.scripts == ScriptAccess::Call);
        called
            .fold(rocket, |rocket, mount| rocket.mount(mount.prefix, cors::preflights()))
            .attach(method_override::UndoMethodOverride)
            .attach(canonical_path::CanonicalPaths)
            .attach(request_id::RequestIds)
            .manage(LoggedFaults::default())
            .attach(admission::Admission::of(in_flight))
            .attach(BearerChallenges)
            .attach(link_rate_limit::LinkRateLimit)
            .attach(no_store::NoStore)
            .attach(cors::Cors)
            .attach(access_log::AccessLog)
            // after the access log, so that the log shows how long the work took
            .attach(refusal_delay::RefusalDelay::of(in_flight))
    })
}
