//! Errors outside `/oauth` and the pages: problem details (RFC 9457).

use std::error::Error as StdError;
use std::time::Duration;

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use serde::Serialize;
use serde_json::json;

use crate::accounts::Failure;
use crate::config::{PublicUrl, Settings};
use crate::storage::{StoreError, StoreErrorKind, chain};
use crate::web::fairings::refusal_delay;
use crate::web::fairings::request_id::RequestId;
use crate::web::guards::content_type::ContentFault;
use crate::web::guards::form::FormError;
use crate::web::guards::json_fields::FieldProblem;
use crate::web::responses::problem_type::{self, ProblemType};

/// What is wrong with one field. The rejected value is never repeated.
#[derive(Clone, Debug, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub code: &'static str,
    pub message: String,
    /// What to do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<&'static str>,
}

/// A problem, ready to be answered; logs its cause, if it has one, when it is.
#[derive(Debug)]
pub struct Problem {
    pub problem_type: &'static ProblemType,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    /// A "not now" that may be delayed where there are many.
    is_refusal: bool,
    /// Headers that tell a program what would be right.
    hints: Vec<(&'static str, String)>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    pub fn of(problem_type: &'static ProblemType) -> Self {
        Self {
            problem_type,
            detail: None,
            errors: vec![],
            retry_after: None,
            is_refusal: false,
            hints: vec![],
            cause: None,
        }
    }

    /// Says more than the kind's own words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With one more header.
    pub(in crate::web) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.hints.push((name, value.into()));
        self
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::of(problem_type::INVALID_FIELDS) }
    }

    /// One field that cannot be taken.
    pub fn field(field: &'static str, problem: &impl FieldProblem) -> Self {
        Self::invalid(vec![problem.of(field)])
    }

    /// The same, in words of its own.
    pub fn field_error(field: &'static str, code: &'static str, message: &str) -> Self {
        let message = message.to_owned();
        Self::invalid(vec![FieldError { field, code, message, suggestion: None }])
    }

    pub(in crate::web) fn method_not_allowed(allow: String) -> Self {
        Self::of(problem_type::METHOD_NOT_ALLOWED).header("Allow", allow)
    }

    /// The connection ends with it: the rest of the body would be taken for another request (RFC 9110
    /// §15.5.9).
    pub(in crate::web) fn late_body() -> Self {
        Self::of(problem_type::REQUEST_TIMEOUT).header("Connection", "close")
    }

    pub fn unavailable(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(problem_type::UNAVAILABLE) }
    }

    pub(in crate::web) fn rate_limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            is_refusal: true,
            ..Self::of(problem_type::RATE_LIMITED)
        }
    }

    /// The service has no room for the request now.
    pub(in crate::web) fn busy(retry_after: Duration) -> Self {
        Self { is_refusal: true, ..Self::unavailable(retry_after) }
    }

    pub fn status(&self) -> Status {
        Status::new(self.problem_type.status)
    }

    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.problem_type.detail)
    }

    pub(in crate::web) fn headers(&self) -> Vec<Header<'static>> {
        let retry = self.retry_after.map(retry_after);
        let hints = self.hints.iter().map(|(name, value)| Header::new(*name, value.clone()));
        // every 401 has one (RFC 9110 §11.6.1); the guard's own is more exact and comes later
        let challenge = (self.problem_type.status == 401)
            .then(|| Header::new("WWW-Authenticate", "Bearer error=\"invalid_token\""));
        retry.into_iter().chain(hints).chain(challenge).collect()
    }

    /// Called once, where it is answered: logs its causes with the request's id, and has it delayed
    /// if it is a refusal.
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

/// In whole seconds, at least one (RFC 9110 §10.2.3).
pub(in crate::web) fn retry_after(after: Duration) -> Header<'static> {
    let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    Header::new("Retry-After", whole.max(1).to_string())
}

/// How soon a database that is away may be back.
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

/// Of a page's form; the OAuth endpoints have answers of their own.
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
