//! `/problems/<slug>`: what an error means, and what to do about it.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, routes};

use super::edge::pages::{PageProblem, PageResult, PageState};
use super::edge::problem::Problem;
use super::edge::slug;
use crate::messages::Language;

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("problems", |rocket| async { rocket.mount("/problems", routes![explain]) })
}

#[get("/<name>")]
fn explain(name: &str, language: Language, pages: &PageState) -> PageResult {
    let kind = slug::find(name).ok_or_else(|| PageProblem(Problem::of(slug::NOT_FOUND)))?;
    Ok(pages.explain(language, Status::Ok, kind, kind.detail, None))
}
