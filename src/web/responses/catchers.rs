//! Error catchers: one for each error format.

use rocket::http::{MediaType, Status};
use rocket::response::{self, Responder};
use rocket::{Catcher, Request, catch, catchers};

use crate::web::fairings::admission;
use crate::web::fairings::canonical_path::RedirectToCanonicalPath;
use crate::web::guards::bearer;
use crate::web::mounts::ErrorFormat;
use crate::web::responses::allowed_methods;
use crate::web::responses::oauth_error::OAuthErrorResponse;
use crate::web::responses::page::PageProblem;
use crate::web::responses::problem::{Problem, STORE_RETRY};
use crate::web::responses::problem_type;

/// The catcher that answers in this format.
pub(in crate::web) fn of(format: ErrorFormat) -> Vec<Catcher> {
    match format {
        ErrorFormat::OAuth => catchers![oauth_error],
        ErrorFormat::Problem => catchers![json_error],
        ErrorFormat::Page => catchers![page_error],
        ErrorFormat::Either => catchers![any_error],
    }
}

fn problem(status: Status, request: &Request<'_>) -> Problem {
    if admission::refused(request).is_some() {
        return match admission::may_be_of_a_session(request) {
            true => Problem::unavailable(STORE_RETRY),
            false => Problem::busy(STORE_RETRY),
        };
    }
    if let Some(refusal) = bearer::refusal(request, status) {
        return refusal;
    }
    match allowed_methods::allow_header(request) {
        Some(allow) if status == Status::NotFound => Problem::method_not_allowed(allow),
        _ => Problem::of(problem_type::for_status(status.code)),
    }
}

#[catch(default)]
fn oauth_error(status: Status, request: &Request<'_>) -> OAuthErrorResponse {
    if admission::refused(request).is_some() {
        return OAuthErrorResponse::for_status(Status::ServiceUnavailable);
    }
    if let Some(refusal) = bearer::oauth_refusal(request, status) {
        return refusal;
    }
    match allowed_methods::allow_header(request) {
        Some(allow) if status == Status::NotFound => OAuthErrorResponse::method_not_allowed(allow),
        _ => OAuthErrorResponse::for_status(status),
    }
}

#[catch(default)]
fn json_error(status: Status, request: &Request<'_>) -> Result<RedirectToCanonicalPath, Problem> {
    RedirectToCanonicalPath::of(request).ok_or_else(|| problem(status, request))
}

#[catch(default)]
fn page_error(
    status: Status,
    request: &Request<'_>,
) -> Result<RedirectToCanonicalPath, PageProblem> {
    RedirectToCanonicalPath::of(request).ok_or_else(|| PageProblem(problem(status, request)))
}

struct Either(Problem);

impl<'r> Responder<'r, 'static> for Either {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let html = MediaType::HTML;
        let wants_page = request.accept().is_some_and(|accept| {
            accept.iter().any(|kind| kind.top() == html.top() && kind.sub() == html.sub())
        });
        if wants_page {
            PageProblem(self.0).respond_to(request)
        } else {
            self.0.respond_to(request)
        }
    }
}

#[catch(default)]
fn any_error(status: Status, request: &Request<'_>) -> Either {
    Either(problem(status, request))
}
