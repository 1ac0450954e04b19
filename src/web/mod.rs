//! The HTTP layer: routes, request guards, responses, fairings and pages. Each resource has one
//! file.
//!
//! A route reads its request, calls a use case of [`crate::accounts`] or [`crate::oauth`], and
//! turns the result into a response. It makes no decisions, and knows nothing of SQL, hashing or
//! mail.

mod account;
mod activate;
mod dev_mail;
mod docs;
mod email_change;
mod fairings;
mod forward_auth;
mod guards;
mod health;
mod history;
mod introspect;
mod me;
mod metadata;
pub mod metrics;
mod mounts;
mod openapi;
mod password_reset;
mod problems;
mod responses;
mod revoke;
mod sessions;
mod sign_up;
mod token;
pub mod views;

use rocket::fairing::AdHoc;
use utoipa::openapi::OpenApi;

use mounts::{ErrorFormat, MOUNTS};
use responses::catchers;
use responses::problem_type::ProblemType;

pub use account::front_door;
pub use guards::bearer::{AnyScope, Bearer, RequiredScope};
pub use health::Readiness;
pub use responses::page::Pages;

/// Parses the form of a token request. For `benches/pieces.rs`, which measures the parser without a
/// request.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub fn parses_as_token_form(body: &[u8]) -> bool {
    guards::form::Form::<openapi::schemas::TokenForm>::parse(body).is_ok()
}

/// The catalogue of problem types, which `/problems/<slug>` explains.
pub(crate) fn problem_types() -> impl Iterator<Item = &'static ProblemType> {
    responses::problem_type::ALL.iter().copied()
}

/// The OpenAPI document of all routes, except for the developers' routes.
fn described() -> OpenApi {
    let mut all = token::described();
    for one in [
        revoke::described(),
        introspect::described(),
        forward_auth::described(),
        metadata::described(),
        sign_up::described(),
        activate::described(),
        me::described(),
        sessions::described(),
        history::described(),
        password_reset::described(),
        email_change::described(),
        account::all_described(),
        problems::described(),
        health::described(),
        docs::described(),
    ] {
        all.merge(one);
    }
    all
}

/// Stage that mounts all routes, and registers the catchers of their mounts.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("web", |rocket| async {
        let rocket = rocket
            .attach(fairings::stage())
            .attach(token::stage())
            .attach(revoke::stage())
            .attach(introspect::stage())
            .attach(forward_auth::stage())
            .attach(metadata::stage())
            .attach(sign_up::stage())
            .attach(activate::stage())
            .attach(me::stage())
            .attach(sessions::stage())
            .attach(history::stage())
            .attach(password_reset::stage())
            .attach(email_change::stage())
            .attach(account::stage())
            .attach(problems::stage())
            .attach(health::stage())
            .attach(docs::stage(described))
            .attach(dev_mail::stage());
        MOUNTS
            .iter()
            .fold(rocket, |rocket, mount| rocket.register(mount.prefix, catchers::of(mount.errors)))
    })
}

/// Stage that registers the catcher for all other paths. It is for the service itself: an
/// application around the service has its own catchers.
pub fn catch_all() -> AdHoc {
    AdHoc::on_ignite("catchers", |rocket| async {
        rocket.register("/", catchers::of(ErrorFormat::Either))
    })
}
