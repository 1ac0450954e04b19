//! Request guard for the language of a request's answer.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use crate::messages::{Language, Messages};
use crate::model::Locale;

/// Negotiates the language by `Accept-Language` (RFC 9110 §12.5.4), else the default language.
pub fn of(request: &Request<'_>) -> Language {
    let Some(messages) = request.rocket().state::<Messages>() else { return Language::ENGLISH };
    messages.negotiate(None, Some(&header(request)))
}

/// Joins several headers, which form one list (RFC 9110 §5.3).
fn header(request: &Request<'_>) -> String {
    request.headers().get("Accept-Language").collect::<Vec<_>>().join(",")
}

/// The available language that the request prefers, or `None`. It is used for letters to people who
/// have not chosen a language.
pub fn accepted(request: &Request<'_>) -> Option<Locale> {
    let messages = request.rocket().state::<Messages>()?;
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
