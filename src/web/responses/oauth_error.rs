//! Error responses under `/oauth` (RFC 6749 §5.2).

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde_json::json;

use crate::accounts::Failure;
use crate::config::Settings;
use crate::oauth::{ClientRefusal, OAuthError, ScopeRefusal};
use crate::storage::{StoreErrorKind, chain};
use crate::web::fairings::refusal_delay;
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::form::FormError;
use crate::web::responses::problem::{STORE_RETRY, retry_after};
use crate::web::responses::problem_type::{self, ProblemType};

/// The hint for a `+` that was read as a blank. It may follow from the request alone, so it reveals
/// nothing about accounts and clients.
pub(in crate::web) const PLUS_HINT: &str = "a + in a form is a blank: a plus sign is sent as %2B";

/// An error response of an OAuth endpoint.
#[derive(Debug)]
pub struct OAuthErrorResponse {
    /// The type's status, but for a catcher's.
    status: Status,
    /// The `error_description` member: ASCII without `"` and `\`.
    description: String,
    problem_type: &'static ProblemType,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// A "not now" that [`refusal_delay`] may delay if there are many of them.
    is_refusal: bool,
    /// A header that names the accepted input for programs.
    hint: Option<(&'static str, &'static str)>,
    cause: Option<OAuthError>,
}

impl OAuthErrorResponse {
    /// An error of this type with a description.
    pub(in crate::web) fn new(problem_type: &'static ProblemType, description: &str) -> Self {
        Self {
            status: Status::new(problem_type.status),
            description: description.to_owned(),
            problem_type,
            retry_after: None,
            allow: None,
            is_refusal: false,
            hint: None,
            cause: None,
        }
    }

    /// A malformed request: 400 `invalid_request`.
    pub fn invalid_request(description: &str) -> Self {
        Self::new(problem_type::INVALID_REQUEST, description)
    }

    /// Appends a hint to the description.
    pub fn hint(mut self, hint: &str) -> Self {
        self.description = format!("{}; {hint}", self.description);
        self
    }

    fn unavailable(after: Duration) -> Self {
        let description = "the service cannot do this now; try again later";
        Self { retry_after: Some(after), ..Self::new(problem_type::UNAVAILABLE, description) }
    }

    fn rate_limited(after: Duration) -> Self {
        let description = "too many requests of this kind; try again later";
        let problem = Self::new(problem_type::RATE_LIMITED, description);
        Self { retry_after: Some(after), is_refusal: true, ..problem }
    }

    fn server_error() -> Self {
        Self::new(problem_type::SERVER_ERROR, "something went wrong here")
    }

    /// The path has other methods only, which `allow` lists.
    pub(in crate::web) fn method_not_allowed(allow: String) -> Self {
        let problem = Self::new(problem_type::METHOD_NOT_ALLOWED, "this takes another method");
        Self { allow: Some(allow), ..problem }
    }

    /// The response for a status that a catcher has to answer.
    pub(in crate::web) fn for_status(status: Status) -> Self {
        match status.code {
            503 => Self::unavailable(STORE_RETRY),
            429 => Self::rate_limited(STORE_RETRY),
            404 => Self::new(problem_type::NOT_FOUND, "there is no such endpoint"),
            400..=499 => Self { status, ..Self::invalid_request("the request is malformed") },
            _ => Self::server_error(),
        }
    }
}

impl From<FormError> for OAuthErrorResponse {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Content(fault) => {
                let hint = fault.header();
                Self { hint: Some(hint), ..Self::invalid_request(fault.explanation()) }
            }
            FormError::Twice(name) => {
                Self::invalid_request(&format!("the parameter {name} is there twice"))
            }
            FormError::TooLarge => {
                Self::new(problem_type::CONTENT_TOO_LARGE, "the body is longer than 32 KiB")
            }
            FormError::Late => Self {
                hint: Some(("Connection", "close")),
                ..Self::new(problem_type::REQUEST_TIMEOUT, "the body did not arrive in time")
            },
            FormError::Malformed(description) => Self::invalid_request(description),
        }
    }
}

/// Describes an error in a scope. Scope tokens contain only characters that the description may
/// contain.
fn in_words(refusal: &ScopeRefusal) -> String {
    match refusal {
        ScopeRefusal::Malformed => {
            "the scope is malformed: scope tokens are printable ASCII without \
             quotes and backslashes, with one blank between them"
                .to_owned()
        }
        ScopeRefusal::Excess(scope) if scope.is_empty() => {
            "the scope is more than may be had".to_owned()
        }
        ScopeRefusal::Excess(scope) => {
            let named = scope.to_string();
            let (shown, more) = match named.get(..MAX_NAMED) {
                Some(shown) => (shown, "..."),
                None => (named.as_str(), ""),
            };
            format!("the client or the session may not have the scope {shown}{more}")
        }
    }
}

/// The maximum length of a scope that the description repeats, in bytes.
const MAX_NAMED: usize = 200;

/// The one place that maps internal errors to problem types, which have the OAuth error codes.
impl From<OAuthError> for OAuthErrorResponse {
    fn from(error: OAuthError) -> Self {
        match error {
            OAuthError::Malformed(description) => Self::invalid_request(description),
            OAuthError::UnknownGrantType => Self::new(
                problem_type::UNSUPPORTED_GRANT_TYPE,
                "grant_type has to be password or refresh_token",
            ),
            // the answer depends on the request alone and not on the registered clients (R11, R16)
            OAuthError::Client(refusal) if !refusal.is_challenged() => Self::new(
                problem_type::CLIENT_WITHOUT_SECRET,
                "client authentication failed: the request names no public client and holds no secret",
            ),
            OAuthError::Client(refusal) => {
                let refused =
                    Self::new(problem_type::INVALID_CLIENT, "client authentication failed");
                match refusal {
                    ClientRefusal::WrongWithPlus => refused.hint(PLUS_HINT),
                    _ => refused,
                }
            }
            OAuthError::GrantNotAllowed(_) => Self::new(
                problem_type::UNAUTHORIZED_CLIENT,
                "the client is not registered for this grant",
            ),
            OAuthError::Scope(refusal) => {
                Self::new(problem_type::INVALID_SCOPE, &in_words(&refusal))
            }
            OAuthError::WrongPassword => Self::new(
                problem_type::INVALID_GRANT,
                "the username and the password do not belong together, or the address has yet to be \
                 confirmed",
            ),
            OAuthError::RefreshToken => Self::new(
                problem_type::INVALID_GRANT,
                "the refresh token is expired, revoked, spent, or not this client's",
            ),
            OAuthError::ForeignToken => {
                Self::new(problem_type::INVALID_GRANT, "the token was issued to another client")
            }
            OAuthError::Failure(Failure::Busy { retry_after }) => {
                Self { is_refusal: true, ..Self::unavailable(retry_after) }
            }
            OAuthError::Failure(Failure::Limited { retry_after }) => {
                Self::rate_limited(retry_after)
            }
            OAuthError::Failure(Failure::Store(ref store))
                if store.kind() == StoreErrorKind::Unavailable =>
            {
                Self { cause: Some(error), ..Self::unavailable(STORE_RETRY) }
            }
            OAuthError::Failure(_) | OAuthError::Flow => {
                Self { cause: Some(error), ..Self::server_error() }
            }
        }
    }
}

impl<'r> Responder<'r, 'static> for OAuthErrorResponse {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(cause) = &self.cause {
            let (id, error) = (RequestId::of(request), chain(cause));
            tracing::error!(id, status = self.status.code, error, "failed");
        }
        if self.is_refusal {
            refusal_delay::mark(request);
        }
        let settings = request.rocket().state::<Settings>();
        let public_url = settings.map_or("", |settings| settings.public_url.as_str());
        let body = json!({
            "error": self.problem_type.oauth_code,
            "error_description": self.description,
            "error_uri": format!("{public_url}/problems/{}", self.problem_type.name),
        })
        .to_string();
        let mut response = Response::build();
        response
            .status(self.status)
            .header(ContentType::JSON)
            .sized_body(body.len(), std::io::Cursor::new(body));
        if self.status == Status::Unauthorized {
            response.header(Header::new("WWW-Authenticate", "Basic realm=\"oauth\""));
        }
        if let Some(id) = RequestId::salvage(request, self.status) {
            // Rocket skips the `NoStore` fairing in this case, too
            response
                .header(id)
                .header(Header::new("Cache-Control", "no-store"))
                .header(Header::new("Pragma", "no-cache"));
        }
        if let Some(after) = self.retry_after {
            response.header(retry_after(after));
        }
        if let Some(allow) = self.allow {
            response.header(Header::new("Allow", allow));
        }
        if let Some((name, value)) = self.hint {
            response.header(Header::new(name, value));
        }
        response.ok()
    }
}
