//! What the routes share: reading requests strictly, answering in the wire's words.
//!
//! The routes in the folder above import from here and not from each other.

pub mod access_log;
pub mod account_views;
mod admission;
pub mod bearer;
pub mod bodies;
pub mod body;
pub mod catchers;
pub mod components;
pub mod content;
pub mod contract;
pub mod cookies;
pub mod cors;
pub mod docs_views;
pub mod export;
pub mod fields;
pub mod form;
pub mod headers;
pub mod json;
pub mod language;
pub mod link_tries;
pub mod methods;
pub mod oauth;
pub mod pages;
pub mod problem;
mod refusal_delay;
pub mod request;
pub mod slug;
mod spelling;
pub mod views;

use std::num::NonZeroUsize;

use rocket::fairing::AdHoc;

use crate::config::Settings;

/// Request ids, the log of requests, one spelling of each path, challenges, and the headers that a whole path needs.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("web edge", |rocket| async {
        let in_flight = rocket.state::<Settings>().map(|settings| settings.admission.in_flight);
        let in_flight = in_flight.map_or(usize::MAX, NonZeroUsize::get);
        rocket
            .attach(methods::OverrideUndone)
            .attach(spelling::OneSpelling)
            .attach(request::Identified)
            .manage(request::LoggedFaults::default())
            .attach(admission::Admission::of(in_flight))
            .attach(bearer::Challenges)
            .attach(link_tries::UnknownLinks)
            .attach(headers::NoStore)
            .attach(cors::Cors)
            .mount("/oauth", cors::preflights())
            .mount("/v1", cors::preflights())
            .mount("/.well-known", cors::preflights())
            .attach(access_log::AccessLog)
            // after the log, which says how long the work took
            .attach(refusal_delay::RefusalDelay::of(in_flight))
    })
}
