//! The account page: everything that people can do with their account, for those who have no front
//! end, in a browser without script.
//!
//! Somebody is signed in here by a cookie of its own, which opens nothing else, and every form carries
//! a token that only a page of that very sign-in can know. Nothing here decides anything: it is the
//! same use cases that programs reach by `/v1`.

mod credentials;
mod events;
mod guard;
mod home;
mod sign_in;
mod unsaved_form;

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, routes};
use utoipa::openapi::OpenApi;

use crate::config::Settings;
use crate::web::openapi::document::{FrontDoor, described, tag};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account page", |rocket| async {
        rocket
            .mount("/account", sign_in::routes())
            .mount("/account", home::routes())
            .mount("/account", credentials::routes())
            .mount("/account", events::routes())
            .mount("/.well-known", routes![change_password])
    })
}

described!(front_page, change_password);

/// What these pages are, with the ways to them.
pub fn all_described() -> OpenApi {
    let mut all = described();
    for one in
        [sign_in::described(), home::described(), credentials::described(), events::described()]
    {
        all.merge(one);
    }
    all
}

/// Where a browser begins that knows no more than the host.
pub fn front_door() -> AdHoc {
    AdHoc::on_ignite("front door", |rocket| async {
        rocket.mount("/", routes![front_page]).manage(FrontDoor)
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
fn front_page(settings: &State<Settings>) -> Redirect {
    guard::redirect_to(settings, "/account")
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
    guard::redirect_to(settings, "/account/password")
}
