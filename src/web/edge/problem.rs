//! Errors outside `/oauth` and the pages: problem details (RFC 9457).

use std::error::Error as StdError;
use std::time::Duration;

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use serde_json::json;

use super::fields::FieldError;
use super::form::FormError;
use super::pages::Pages;
use super::request::RequestId;
use crate::accounts::Failure;
use crate::storage::{StoreError, StoreErrorKind, chain};

/// A kind of problem: what `/problems/<slug>` explains.
#[derive(Debug)]
pub struct Slug {
    pub name: &'static str,
    pub status: u16,
    pub title: &'static str,
    /// What happened.
    pub detail: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// All kinds of problems there are.
pub mod slug {
    use super::Slug;

    macro_rules! slugs {
        ($($constant:ident = $name:literal, $status:literal, $title:literal, $detail:literal, $advice:literal;)+) => {
            $(pub const $constant: &Slug = &Slug {
                name: $name, status: $status, title: $title, detail: $detail, advice: $advice,
            };)+
            pub const ALL: &[&Slug] = &[$($constant),+];
        };
    }

    slugs! {
        MALFORMED_JSON = "malformed-json", 400, "Malformed JSON",
            "The body is not JSON.",
            "Send one JSON object in UTF-8.";
        BAD_REQUEST = "bad-request", 400, "Bad request",
            "The request could not be understood.",
            "Look at what was sent; it breaks a rule of HTTP.";
        NO_TOKEN = "no-token", 401, "Access token needed",
            "This is a protected resource, and no access token was sent.",
            "Send an access token as Authorization: Bearer vat_…";
        INVALID_TOKEN = "invalid-token", 401, "Access token not valid",
            "The access token is expired, revoked, damaged, or none of this service.",
            "Refresh the session and try again with the new access token; if that fails, sign in again.";
        TOKEN_MISPLACED = "token-misplaced", 400, "Access token not sent as it should be",
            "An access token belongs into one Authorization header, alone.",
            "Send it once, as Authorization: Bearer vat_…, and never in the query: queries end up in logs.";
        INSUFFICIENT_SCOPE = "insufficient-scope", 403, "More scope needed",
            "The access token is live, but it was not granted the scope that this needs.",
            "Sign in asking for that scope; WWW-Authenticate names it.";
        NOT_FOUND = "not-found", 404, "Not found",
            "There is nothing here.",
            "Look at the address: a letter may be missing or too many.";
        METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed",
            "This exists, but not for this method.",
            "Use one of the methods in Allow.";
        LINK_UNKNOWN = "link-unknown", 404, "Link unknown",
            "No sign-up is waiting behind this link.",
            "Use the whole link from the latest letter, or sign up again.";
        PASSWORD_NEEDED = "password-needed", 409, "Password needed",
            "More than one sign-up was made for this address, with different passwords. So whoever has the letter chooses the password.",
            "Send the same request with a password.";
        ADDRESS_TAKEN = "address-taken", 409, "Address has an account",
            "The address became an account in the meantime.",
            "Sign in with it.";
        ALREADY_ACTIVE = "already-active", 409, "Account already active",
            "The link was used: the account exists, and this sign-up cannot be dropped any more.",
            "If it was not you who used it, change the password.";
        LINK_EXPIRED = "link-expired", 410, "Link expired",
            "The link worked for a limited time, and that is over.",
            "Ask for a new letter.";
        CONTENT_TOO_LARGE = "content-too-large", 413, "Content too large",
            "The body is longer than 32 KiB.",
            "Send less.";
        UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Unsupported media type",
            "The body is not of the content type that is taken here.",
            "Send application/json, and say so in Content-Type.";
        INVALID_FIELDS = "invalid-fields", 422, "Fields not acceptable",
            "The JSON is well-formed, but some of its fields cannot be taken.",
            "Look at errors: each names its field and says what would be right.";
        RATE_LIMITED = "rate-limited", 429, "Too many requests",
            "There were too many requests of this kind.",
            "Wait as long as Retry-After says.";
        SERVER_ERROR = "server-error", 500, "Internal error",
            "Something went wrong here.",
            "Try again; if it stays, tell the operator the request id.";
        UNAVAILABLE = "unavailable", 503, "Unavailable for now",
            "The service cannot do this now.",
            "Try again after as many seconds as Retry-After says.";
        // of the OAuth endpoints: `error_uri` leads here
        INVALID_REQUEST = "invalid-request", 400, "invalid_request",
            "A parameter is missing, empty or there twice, or the body is not the form that it should be.",
            "Send application/x-www-form-urlencoded with each parameter once.";
        INVALID_CLIENT = "invalid-client", 401, "invalid_client",
            "The client is not registered, or its secret is wrong, missing, or sent although it has none.",
            "Send client id and secret by HTTP Basic or in the body; a public client sends its id alone.";
        INVALID_GRANT = "invalid-grant", 400, "invalid_grant",
            "The username and password do not belong together, or the refresh token is expired, revoked, used up, or of another client.",
            "Ask the person to sign in again.";
        ADDRESS_UNCONFIRMED = "address-unconfirmed", 400, "invalid_grant: address not confirmed",
            "The password is right, but the address has yet to be confirmed.",
            "Ask the person to open the link in the letter.";
        UNAUTHORIZED_CLIENT = "unauthorized-client", 400, "unauthorized_client",
            "The client is not registered for this grant.",
            "Add the grant to the client's registration, or use another.";
        UNSUPPORTED_GRANT_TYPE = "unsupported-grant-type", 400, "unsupported_grant_type",
            "The grant type is not one that this service knows.",
            "Use password or refresh_token.";
        INVALID_SCOPE = "invalid-scope", 400, "invalid_scope",
            "The scope is malformed, or more than the client or the session may have.",
            "Ask for less, or for nothing: then all that may be had is granted.";
    }

    /// The kind with this name.
    pub fn find(name: &str) -> Option<&'static Slug> {
        ALL.iter().copied().find(|slug| slug.name == name)
    }

    /// For a status that a catcher has to answer.
    pub fn for_status(status: u16) -> &'static Slug {
        match status {
            401 => NO_TOKEN,
            403 => INSUFFICIENT_SCOPE,
            404 => NOT_FOUND,
            405 => METHOD_NOT_ALLOWED,
            413 => CONTENT_TOO_LARGE,
            415 => UNSUPPORTED_MEDIA_TYPE,
            422 => INVALID_FIELDS,
            429 => RATE_LIMITED,
            503 => UNAVAILABLE,
            400..=499 => BAD_REQUEST,
            _ => SERVER_ERROR,
        }
    }
}

/// A problem, ready to be answered; logs its cause, if it has one, when it is.
#[derive(Debug)]
pub struct Problem {
    pub slug: &'static Slug,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    pub fn of(slug: &'static Slug) -> Self {
        Self { slug, detail: None, errors: vec![], retry_after: None, allow: None, cause: None }
    }

    /// Says more than the kind's own words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::of(slug::INVALID_FIELDS) }
    }

    pub(super) fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::of(slug::METHOD_NOT_ALLOWED) }
    }

    pub fn unavailable(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::of(slug::UNAVAILABLE) }
    }

    pub fn status(&self) -> Status {
        Status::new(self.slug.status)
    }

    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.slug.detail)
    }

    pub(super) fn headers(&self) -> Vec<Header<'static>> {
        let retry = self.retry_after.map(retry_after);
        let allow = self.allow.clone().map(|methods| Header::new("Allow", methods));
        // every 401 has one (RFC 9110 §11.6.1); the guard's own is more exact and comes later
        let challenge = (self.slug.status == 401)
            .then(|| Header::new("WWW-Authenticate", "Bearer error=\"invalid_token\""));
        retry.into_iter().chain(allow).chain(challenge).collect()
    }

    /// Once, where it is answered, with its causes and the request's id.
    pub(super) fn log(&self, request: &Request<'_>) {
        if let Some(cause) = &self.cause {
            let error = chain(&**cause);
            tracing::error!(
                id = RequestId::of(request),
                status = self.slug.status,
                error,
                "failed"
            );
        }
    }
}

/// In whole seconds, at least one (RFC 9110 §10.2.3).
pub(super) fn retry_after(after: Duration) -> Header<'static> {
    Header::new("Retry-After", after.as_secs().max(1).to_string())
}

/// How soon a database that is away may be back.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(1);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match error.kind() {
            StoreErrorKind::Unavailable => Self::unavailable(STORE_RETRY),
            StoreErrorKind::Conflict | StoreErrorKind::Internal => Self::of(slug::SERVER_ERROR),
        };
        Self { cause: Some(Box::new(error)), ..problem }
    }
}

/// Of a page's form; the OAuth endpoints have answers of their own.
impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        match error {
            FormError::ContentType => Self::of(slug::UNSUPPORTED_MEDIA_TYPE)
                .detail("A form is sent as application/x-www-form-urlencoded."),
            FormError::TooLarge => Self::of(slug::CONTENT_TOO_LARGE),
            FormError::Malformed(_) => Self::of(slug::BAD_REQUEST),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy { retry_after } => Self::unavailable(retry_after),
            Failure::Store(error) => error.into(),
            Failure::Hash(error) => {
                Self { cause: Some(Box::new(error)), ..Self::of(slug::SERVER_ERROR) }
            }
        }
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.log(request);
        let base = request.rocket().state::<Pages>().map_or("", Pages::base_path);
        let mut members = json!({
            "type": format!("{base}/problems/{}", self.slug.name),
            "title": self.slug.title,
            "status": self.slug.status,
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
        for header in self.headers() {
            response.header(header);
        }
        response.ok()
    }
}
