//! The language that a request would be answered in.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::pages::Pages;
use crate::messages::Language;

/// By `Accept-Language` (RFC 9110 §12.5.4), else the default.
pub fn of(request: &Request<'_>) -> Language {
    let Some(pages) = request.rocket().state::<Pages>() else { return Language::ENGLISH };
    // several headers are one list (RFC 9110 §5.3)
    let ranges: Vec<&str> = request.headers().get("Accept-Language").collect();
    pages.messages().negotiate(None, Some(&ranges.join(",")))
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Language {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(of(request))
    }
}
