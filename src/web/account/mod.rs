//! The account page: users manage their account in a browser without scripts.
//!
//! It is for services without a front end of their own. It calls the same use cases as `/v1`, and
//! decides nothing itself.
//!
//! - A separate cookie signs the user in, and gives access to nothing else.
//! - Every form carries a token that only a page of the same sign-in can know.

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
use crate::web::guards::page_context::redirect_to;
use crate::web::openapi::document::{FrontDoor, described, tag};

/// Stage that mounts the routes of this resource.
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

/// The OpenAPI document of these pages and of the redirects to them.
pub fn all_described() -> OpenApi {
    let mut all = described();
    for one in
        [sign_in::described(), home::described(), credentials::described(), events::described()]
    {
        all.merge(one);
    }
    all
}

/// Serves `/`, where a browser begins if it knows the host only.
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
    redirect_to(settings, "/account")
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
    redirect_to(settings, "/account/password")
}
