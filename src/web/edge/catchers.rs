//! What answers when no route does: a catcher for each mount, in the words of that mount.

use rocket::http::{MediaType, Status};
use rocket::response::{self, Responder};
use rocket::{Catcher, Request, catch, catchers};

use super::admission;
use super::bearer;
use super::methods;
use super::oauth::OAuthProblem;
use super::pages::PageProblem;
use super::problem::{Problem, STORE_RETRY};
use super::slug;
use super::spelling::Moved;

/// Under `/oauth`.
pub fn oauth() -> Vec<Catcher> {
    catchers![oauth_error]
}

/// Under `/v1` and the other mounts for programs.
pub fn json() -> Vec<Catcher> {
    catchers![json_error]
}

/// Under the mounts for people.
pub fn pages() -> Vec<Catcher> {
    catchers![page_error]
}

/// Everywhere else: in whichever form the request would rather read.
pub fn anywhere() -> Vec<Catcher> {
    catchers![any_error]
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
    match methods::allowed(request) {
        Some(allow) if status == Status::NotFound => Problem::method_not_allowed(allow),
        _ => Problem::of(slug::for_status(status.code)),
    }
}

#[catch(default)]
fn oauth_error(status: Status, request: &Request<'_>) -> OAuthProblem {
    if admission::refused(request).is_some() {
        return OAuthProblem::for_status(Status::ServiceUnavailable);
    }
    if let Some(refusal) = bearer::oauth_refusal(request, status) {
        return refusal;
    }
    match methods::allowed(request) {
        Some(allow) if status == Status::NotFound => OAuthProblem::method_not_allowed(allow),
        _ => OAuthProblem::for_status(status),
    }
}

#[catch(default)]
fn json_error(status: Status, request: &Request<'_>) -> Result<Moved, Problem> {
    Moved::of(request).ok_or_else(|| problem(status, request))
}

#[catch(default)]
fn page_error(status: Status, request: &Request<'_>) -> Result<Moved, PageProblem> {
    Moved::of(request).ok_or_else(|| PageProblem(problem(status, request)))
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
