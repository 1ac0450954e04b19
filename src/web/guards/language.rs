//! The language that a request would be answered in.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use crate::messages::Language;
use crate::model::Locale;
use crate::web::responses::page::Pages;

/// By `Accept-Language` (RFC 9110 §12.5.4), else the default.
pub fn of(request: &Request<'_>) -> Language {
    let Some(pages) = request.rocket().state::<Pages>() else { return Language::ENGLISH };
    pages.messages().negotiate(None, Some(&header(request)))
}

/// Several headers are one list (RFC 9110 §5.3).
fn header(request: &Request<'_>) -> String {
    request.headers().get("Accept-Language").collect::<Vec<_>>().join(",")
}

/// What the request asks for, of the languages that there are: for letters to people who have not
/// said which language they read.
pub fn accepted(request: &Request<'_>) -> Option<Locale> {
    let messages = request.rocket().state::<Pages>()?.messages();
    let language = messages.accepted(&header(request))?;
    Locale::parse(messages.tag(language)).ok()
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Language {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(of(request))
    }
}
