//! Request guard for the `Authorization` header (RFC 9110 §11.6.2).

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::form::{Form, FormFields};
use crate::oauth::{Credentials, OAuthError};

/// The `Authorization` header of a request: absent, present once, or present several times.
#[derive(Clone, Copy, Debug)]
pub enum Authorization<'r> {
    None,
    One(&'r str),
    /// Always an error: RFC 9110 §11.6.2 allows one.
    Several,
}

impl<'r> Authorization<'r> {
    /// Reads the header of a request.
    pub fn of(request: &'r Request<'_>) -> Self {
        let mut headers = request.headers().get("Authorization");
        match (headers.next(), headers.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// The client's credentials, from this header or from the form (RFC 6749 §2.3.1).
    ///
    /// Fails if the request has several headers, or if [`Credentials::read`] refuses the
    /// credentials.
    pub fn credentials<F: FormFields>(
        self,
        form: &Form<F>,
    ) -> Result<Option<Credentials>, OAuthError> {
        let header = match self {
            Self::None => None,
            Self::One(header) => Some(header),
            Self::Several => return Err(OAuthError::Malformed("two Authorization headers")),
        };
        let secret = (form.get("client_secret"), form.had_plus("client_secret"));
        Credentials::read(header, form.get("client_id"), secret)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Authorization<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self::of(request))
    }
}
