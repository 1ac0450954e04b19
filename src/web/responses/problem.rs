//! Problem details (RFC 9457): the error responses outside `/oauth` and the pages.

use std::error::Error as StdError;
use std::time::Duration;

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use serde_json::json;

use crate::accounts::Failure;
use crate::config::{PublicUrl, Settings};
use crate::storage::{StoreError, StoreErrorKind, chain};
use crate::web::fairings::refusal_delay;
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::content_type::ContentFault;
use crate::web::guards::form::FormError;
use crate::web::responses::field_error::{FieldError, FieldProblem};
use crate::web::responses::problem_type::{self, ProblemType};

/// An error response of a problem type. It logs its cause, if it has one, when it is sent.
#[derive(Debug)]
pub struct Problem {
    pub problem_type: &'static ProblemType,
    detail: Option<Box<str>>,
    errors: Box<[FieldError]>,
    /// The scope that the access token lacks, as in the challenge (RFC 6750 §3).
    scope: Option<Box<str>>,
    retry_after: Option<Duration>,
    /// A "not now" that [`refusal_delay`] may delay if there are many of them.
    is_refusal: bool,
    /// Headers that name the accepted input for programs.
    hints: Vec<(&'static str, String)>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// A problem of this type, with the texts of the type.
    pub fn of(problem_type: &'static ProblemType) -> Self {
        Self {
            problem_type,
            detail: None,
            errors: Box::default(),
            scope: None,
            retry_after: None,
            is_refusal: false,
            hints: vec![],
            cause: None,
        }
    }

    /// Replaces the problem type's text with a more specific text.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Names the scope that the access token lacks.
    pub(in crate::web) fn scope(self, scope: Option<Box<str>>) -> Self {
        Self { scope, ..self }
    }

    /// Adds a header.
    pub(in crate::web) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.hints.push((name, value.into()));
        self
    }

    /// Errors in fields of the body.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors: errors.into_boxed_slice(), ..Self::of(problem_type::INVALID_FIELDS) }
    }

    /// An error in one field.
    pub fn field(field: &'static str, problem: &impl FieldProblem) -> Self {
        Self::invalid(vec![problem.of(field)])
    }

    /// An error in one field, with a code and message of the caller's.
    pub fn field_error(field: &'static str, code: &'static str, message: &str) -> Self {
        let message = message.to_owned();
        Self::invalid(vec![FieldError { field, code, message, suggestion: None }])
    }

    /// The path has other methods only, which `allow` lists.
    pub(in crate::web) fn method_not_allowed(allow: String) -> Self {
        Self::of(problem_type::METHOD_NOT_ALLOWED).header("Allow", allow)
    }

    /// The body was not complete in time. The response closes the connection, since the server
    /// would read the rest of the body as another request (RFC 9110 §15.5.9).
    pub(in crate::web) fn late_body() -> Self {
        Self::of(problem_type::REQUEST_TIMEOUT).header("Connection", "close")
    }

    /// The service is unavailable for now.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(problem_type::UNAVAILABLE) }
    }

    /// A rate limit refused the request.
    pub(in crate::web) fn rate_limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            is_refusal: true,
            ..Self::of(problem_type::RATE_LIMITED)
        }
    }

    /// The service has no capacity for the request now.
    pub(in crate::web) fn busy(retry_after: Duration) -> Self {
        Self { is_refusal: true, ..Self::unavailable(retry_after) }
    }

    /// The HTTP status.
    pub fn status(&self) -> Status {
        Status::new(self.problem_type.status)
    }

    /// The detail of this problem, else the text of its type.
    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.problem_type.detail)
    }

    /// When to try again, in whole seconds and at least one; `None` unless the problem is a "not
    /// now".
    pub(in crate::web) fn wait(&self) -> Option<u64> {
        self.retry_after.map(whole_seconds)
    }

    /// The headers that belong to the problem.
    pub(in crate::web) fn headers(&self) -> Vec<Header<'static>> {
        let retry = self.retry_after.map(retry_after);
        let hints = self.hints.iter().map(|(name, value)| Header::new(*name, value.clone()));
        // every 401 has a challenge (RFC 9110 §11.6.1); the guard replaces it later by a more exact
        // one
        let challenge = (self.problem_type.status == 401)
            .then(|| Header::new("WWW-Authenticate", "Bearer error=\"invalid_token\""));
        retry.into_iter().chain(hints).chain(challenge).collect()
    }

    /// Logs the cause with the request's id, and marks a refusal for [`refusal_delay`]. Called
    /// once, when the problem is sent.
    pub(in crate::web) fn answered(&self, request: &Request<'_>) {
        if self.is_refusal {
            refusal_delay::mark(request);
        }
        if let Some(cause) = &self.cause {
            let error = chain(&**cause);
            tracing::error!(
                id = RequestId::of(request),
                status = self.problem_type.status,
                error,
                "failed"
            );
        }
    }
}

/// The `Retry-After` header, in whole seconds and at least one (RFC 9110 §10.2.3).
pub(in crate::web) fn retry_after(after: Duration) -> Header<'static> {
    Header::new("Retry-After", whole_seconds(after).to_string())
}

fn whole_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

/// When clients may try again while the database is unavailable.
pub(in crate::web) const STORE_RETRY: Duration = Duration::from_secs(1);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match error.kind() {
            StoreErrorKind::Unavailable => Self::unavailable(STORE_RETRY),
            StoreErrorKind::Conflict | StoreErrorKind::Internal => {
                Self::of(problem_type::SERVER_ERROR)
            }
        };
        Self { cause: Some(Box::new(error)), ..problem }
    }
}

impl From<ContentFault> for Problem {
    fn from(fault: ContentFault) -> Self {
        let (name, value) = fault.header();
        Self::of(problem_type::UNSUPPORTED_MEDIA_TYPE)
            .detail(fault.explanation())
            .header(name, value)
    }
}

/// An error in a page's form. The OAuth endpoints have their own mapping.
impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Content(fault) => fault.into(),
            FormError::TooLarge => Self::of(problem_type::CONTENT_TOO_LARGE),
            FormError::Late => Self::late_body(),
            FormError::Malformed(_) | FormError::Twice(_) => Self::of(problem_type::BAD_REQUEST),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy { retry_after } => Self::busy(retry_after),
            Failure::Limited { retry_after } => Self::rate_limited(retry_after),
            Failure::Store(error) => error.into(),
            Failure::Hash(error) => {
                Self { cause: Some(Box::new(error)), ..Self::of(problem_type::SERVER_ERROR) }
            }
        }
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.answered(request);
        let settings = request.rocket().state::<Settings>();
        let base = settings.map_or("", |settings| PublicUrl::base_path(&settings.public_url));
        let mut members = json!({
            "type": format!("{base}/problems/{}", self.problem_type.name),
            "title": self.problem_type.title,
            "status": self.problem_type.status,
            "detail": self.text(),
        });
        if !self.errors.is_empty() {
            members["errors"] = json!(self.errors);
        }
        if let Some(scope) = &self.scope {
            members["scope"] = json!(scope);
        }
        let body = members.to_string();
        let mut response = Response::build();
        response
            .status(self.status())
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), std::io::Cursor::new(body));
        for header in self.headers().into_iter().chain(RequestId::salvage(request, self.status())) {
            response.header(header);
        }
        response.ok()
    }
}
