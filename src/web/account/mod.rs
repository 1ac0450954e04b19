//! The account page: everything that people can do with their account, for those who have no front
//! end, in a browser without script.
//!
//! Somebody is signed in here by a cookie of its own, which opens nothing else, and every form carries
//! a token that only a page of that very sign-in can know. Nothing here decides anything: it is the
//! same use cases that programs reach by `/v1`.

mod changes;
mod entry;
mod guard;
mod overview;
mod records;
mod resuming;

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, routes};
use utoipa::openapi::OpenApi;

use crate::config::Settings;
use crate::web::edge::contract::{FrontDoor, described, tag};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account page", |rocket| async {
        rocket
            .mount("/account", entry::routes())
            .mount("/account", overview::routes())
            .mount("/account", changes::routes())
            .mount("/account", records::routes())
            .mount("/.well-known", routes![change_password])
    })
}

described!(home, change_password);

/// What these pages are, with the ways to them.
pub fn all_described() -> OpenApi {
    let mut all = described();
    for one in
        [entry::described(), overview::described(), changes::described(), records::described()]
    {
        all.merge(one);
    }
    all
}

/// Where a browser begins that knows no more than the host.
pub fn front_door() -> AdHoc {
    AdHoc::on_ignite("front door", |rocket| async {
        rocket.mount("/", routes![home]).manage(FrontDoor)
    })
}

/// The front door
#[utoipa::path(
    tag = tag::ACCOUNT_PAGE,
    operation_id = "home",
    responses(
        (status = 303, description = "To the account."),
    ),
)]
#[get("/")]
fn home(settings: &State<Settings>) -> Redirect {
    guard::to(settings, "/account")
}

/// The way to change a password
///
/// For password managers: "A Well-Known URL for Changing Passwords" (W3C).
#[utoipa::path(
    context_path = "/.well-known",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "changePasswordUrl",
    responses(
        (status = 303, description = "To the page where a password is changed."),
    ),
)]
#[get("/change-password")]
fn change_password(settings: &State<Settings>) -> Redirect {
    guard::to(settings, "/account/password")
}
