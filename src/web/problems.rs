//! `/problems/<slug>`: the explanation of a problem type.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, routes};

use crate::messages::Language;
use crate::web::openapi::document::{described, tag};
use crate::web::responses::page::{Outcome, PageProblem, PageResult, PageState};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
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
    extensions(("x-problems" = json!([problem_type::NOT_FOUND]))),
)]
#[get("/<name>")]
fn explain(name: &str, language: Language, pages: &PageState) -> PageResult {
    let kind = problem_type::find(name)
        .ok_or_else(|| PageProblem(Problem::of(problem_type::NOT_FOUND)))?;
    Ok(pages.explain(language, (Status::Ok, kind), kind.detail, Outcome::default()))
}
