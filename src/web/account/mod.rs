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

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, routes};

use crate::config::Settings;

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account page", |rocket| async {
        rocket
            .mount("/account", entry::routes())
            .mount("/account", overview::routes())
            .mount("/account", changes::routes())
            .mount("/account", records::routes())
    })
}

/// Where a browser begins that knows no more than the host.
pub fn front_door() -> AdHoc {
    AdHoc::on_ignite("front door", |rocket| async { rocket.mount("/", routes![home]) })
}

#[get("/")]
fn home(settings: &State<Settings>) -> Redirect {
    guard::to(settings, "/account")
}
