//! `/problems/<slug>`: what an error means, and what to do about it.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, routes};

use super::edge::contract::{described, tag};
use super::edge::pages::{PageProblem, PageResult, PageState};
use super::edge::problem::Problem;
use super::edge::slug;
use crate::messages::Language;

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("problems", |rocket| async { rocket.mount("/problems", routes![explain]) })
}

described!(explain);

/// What an error means
///
/// The page behind `type` and `error_uri` of every error: what happened, and what to do about it.
#[utoipa::path(
    context_path = "/problems",
    tag = tag::OPERATIONS,
    operation_id = "explainProblem",
    params(("name" = String, Path, description = "The kind of problem.", example = "link-expired")),
    responses(
        (status = 200, description = "The page."),
    ),
    extensions(("x-problems" = json!([slug::NOT_FOUND]))),
)]
#[get("/<name>")]
fn explain(name: &str, language: Language, pages: &PageState) -> PageResult {
    let kind = slug::find(name).ok_or_else(|| PageProblem(Problem::of(slug::NOT_FOUND)))?;
    Ok(pages.explain(language, Status::Ok, kind, kind.detail, None))
}
