//! HTTP: routes, request guards, catchers, pages. One file for each resource.
//!
//! A route reads its request, asks a use case of [`crate::accounts`] or [`crate::oauth`], and turns
//! what that says into an answer. It decides nothing, and knows nothing of SQL, hashing or mail.

mod account;
mod activate;
mod check;
mod dev_mail;
mod edge;
mod email_change;
mod health;
mod history;
mod introspect;
mod me;
mod metadata;
pub mod metrics;
mod openapi;
mod password_reset;
mod problems;
mod revoke;
mod sessions;
mod sign_up;
mod token;

use rocket::fairing::AdHoc;
use utoipa::openapi::OpenApi;

use edge::slug::Slug;

pub use account::front_door;
pub use edge::bearer::{Bearer, Need, SignedIn};
// For benches/pieces.rs, which measures the parser without a request around it.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use edge::form::{Form, FormError, OF_OAUTH};
pub use edge::pages::Pages;
pub use edge::views;
pub use health::Readiness;

/// Everything that `/problems/<slug>` explains.
pub(crate) fn problem_kinds() -> impl Iterator<Item = &'static Slug> {
    edge::slug::ALL.iter().copied()
}

/// What every route says of itself, but for those of developers.
fn described() -> OpenApi {
    let mut all = token::described();
    for one in [
        revoke::described(),
        introspect::described(),
        check::described(),
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
        openapi::described(),
    ] {
        all.merge(one);
    }
    all
}

/// All routes, with the catchers of their mounts.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("web", |rocket| async {
        rocket
            .attach(edge::stage())
            .attach(token::stage())
            .attach(revoke::stage())
            .attach(introspect::stage())
            .attach(check::stage())
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
            .attach(openapi::stage(described))
            .attach(dev_mail::stage())
            .register("/oauth", edge::catchers::oauth())
            .register("/v1", edge::catchers::json())
            .register("/health", edge::catchers::json())
            .register("/schemas", edge::catchers::json())
            .register("/.well-known", edge::catchers::json())
            .register("/openapi.json", edge::catchers::json())
            .register("/docs", edge::catchers::pages())
            .register("/activate", edge::catchers::pages())
            .register("/reset-password", edge::catchers::pages())
            .register("/confirm-email", edge::catchers::pages())
            .register("/account", edge::catchers::pages())
            .register("/problems", edge::catchers::pages())
            .register("/dev", edge::catchers::pages())
    })
}

/// Catches what happens outside of all mounts. For the service itself: an application around it has
/// catchers of its own.
pub fn catch_all() -> AdHoc {
    AdHoc::on_ignite("catchers", |rocket| async {
        rocket.register("/", edge::catchers::anywhere())
    })
}
