//! Request guard for a form that came from a page of this service, as far as the browser tells.
//!
//! It is for the forms before a sign-in, which have no form token: another site must not sign a
//! user in, either.

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

use crate::config::Settings;
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// A form that does not come from another site. Old browsers send no header that tells.
pub struct SameOriginForm;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SameOriginForm {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        match is_same_origin(request) {
            true => Outcome::Success(Self),
            false => Outcome::Error((Status::Forbidden, Problem::of(problem_type::FOREIGN_FORM))),
        }
    }
}

/// Whether the form certainly came from a page of this service. Only such a form is shown again:
/// another site must not fill in a form of this service.
pub fn is_of_own_page(request: &Request<'_>) -> bool {
    let header = |name| request.headers().get_one(name);
    (header("Sec-Fetch-Site") == Some("same-origin") || header("Origin").is_some())
        && is_same_origin(request)
}

fn is_same_origin(request: &Request<'_>) -> bool {
    let header = |name| request.headers().get_one(name);
    // no page can set this header (https://www.w3.org/TR/fetch-metadata/)
    if let Some(site) = header("Sec-Fetch-Site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = header("Origin") else { return true };
    let settings = request.rocket().state::<Settings>();
    let is_public = settings.is_some_and(|settings| settings.public_url.origin() == origin);
    // in development, the service has several names
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    is_public || authority.is_some() && authority == header("Host")
}
