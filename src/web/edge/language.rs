//! The language that a request would be answered in.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::pages::Pages;
use crate::messages::Language;
use crate::model::Locale;

/// By `Accept-Language` (RFC 9110 §12.5.4), else the default.
pub fn of(request: &Request<'_>) -> Language {
    let Some(pages) = request.rocket().state::<Pages>() else { return Language::ENGLISH };
    pages.messages().negotiate(None, Some(&header(request)))
}

/// Several headers are one list (RFC 9110 §5.3).
fn header(request: &Request<'_>) -> String {
    request.headers().get("Accept-Language").collect::<Vec<_>>().join(",")
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Language {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(of(request))
    }
}

/// What a request asks for, of the languages that there are: for letters to people who have not said
/// which language they read.
#[derive(Clone, Debug)]
pub struct Accepted(pub Option<Locale>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Accepted {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let messages = request.rocket().state::<Pages>().map(Pages::messages);
        let tag = messages.and_then(|messages| {
            messages.accepted(&header(request)).map(|language| messages.tag(language))
        });
        Outcome::Success(Self(tag.and_then(|tag| Locale::parse(tag).ok())))
    }
}
