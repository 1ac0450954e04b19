//! `/problems/<slug>`: what an error means, and what to do about it.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, routes};
use serde_json::json;

use super::edge::pages::{PageProblem, PageResult, PageState};
use super::edge::problem::Problem;
use super::edge::slug;

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("problems", |rocket| async { rocket.mount("/problems", routes![explain]) })
}

#[get("/<name>")]
fn explain(name: &str, pages: &PageState) -> PageResult {
    let kind = slug::find(name).ok_or_else(|| PageProblem(Problem::of(slug::NOT_FOUND)))?;
    let context = json!({
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "advice": kind.advice,
        "request_id": null,
    });
    Ok(pages.page(Status::Ok, "problem", &context))
}
