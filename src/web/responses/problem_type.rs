//! The catalogue of problem types, which `/problems/<slug>` explains.

use serde::{Serialize, Serializer};

/// A problem type: an entry of the catalogue.
#[derive(Debug)]
pub struct ProblemType {
    /// The slug, and the last segment of the problem's `type`.
    pub name: &'static str,
    pub status: u16,
    /// The `error` code at OAuth endpoints (RFC 6749 §5.2, RFC 6750 §3.1). `invalid_request`, if
    /// the catalogue says nothing else.
    pub oauth_code: &'static str,
    pub title: &'static str,
    /// What happened, in a sentence.
    pub detail: &'static str,
    /// Advice to the client.
    pub advice: &'static str,
}

/// Serializes the name. The OpenAPI annotations of routes list problem types this way
/// (`x-problems`).
impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

macro_rules! problem_types {
    ($($constant:ident = $name:literal, $status:literal $($code:literal)?, $title:literal, $detail:literal, $advice:literal;)+) => {
        $(pub const $constant: &ProblemType = &ProblemType {
            name: $name, status: $status, oauth_code: problem_types!(@code $($code)?),
            title: $title, detail: $detail, advice: $advice,
        };)+
        pub const ALL: &[&ProblemType] = &[$($constant),+];
    };
    (@code) => { "invalid_request" };
    (@code $code:literal) => { $code };
}

problem_types! {
    MALFORMED_JSON = "malformed-json", 400, "Malformed JSON",
        "The body is not JSON.",
        "Send one JSON object in UTF-8.";
    BAD_REQUEST = "bad-request", 400, "Bad request",
        "The request could not be understood.",
        "Look at what was sent; it breaks a rule of HTTP.";
    NO_TOKEN = "no-token", 401 "invalid_token", "Access token needed",
        "This is a protected resource, and no access token was sent.",
        "Send an access token as Authorization: Bearer vat_…";
    INVALID_TOKEN = "invalid-token", 401 "invalid_token", "Access token not valid",
        "The access token is expired, revoked, damaged, or none of this service.",
        "Refresh the session and try again with the new access token; if that fails, sign in again.";
    TOKEN_MISPLACED = "token-misplaced", 400, "Access token not sent as it should be",
        "An access token belongs into one Authorization header, alone.",
        "Send it once, as Authorization: Bearer vat_…, and never in the query: queries end up in logs.";
    INSUFFICIENT_SCOPE = "insufficient-scope", 403 "insufficient_scope", "More scope needed",
        "The access token is live, but it was not granted the scope that this needs.",
        "Sign in asking for that scope. WWW-Authenticate names it, and so does a problem document's scope.";
    FOREIGN_FORM = "foreign-form", 403, "Form not accepted",
        "The form did not come from a page of this sign-in, so nothing was done.",
        "Open the page anew and fill in the form there.";
    NOT_FOUND = "not-found", 404, "Not found",
        "There is nothing here.",
        "Look at the address: a letter may be missing or too many.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed",
        "This exists, but not for this method.",
        "Use one of the methods in Allow.";
    LINK_UNKNOWN = "link-unknown", 404, "Link unknown",
        "Nothing is waiting behind this link.",
        "Use the whole link from the latest email, or begin again.";
    PASSWORD_NEEDED = "password-needed", 409, "Password needed",
        "Another sign-up was made for this email address, or a new password was asked for, so the owner of the address is to choose the password now.",
        "Send the same request with a password.";
    ADDRESS_TAKEN = "address-taken", 409, "Address has an account",
        "The address became an account in the meantime.",
        "Sign in with it.";
    ALREADY_ACTIVE = "already-active", 409, "Account already active",
        "The link was used: the account exists, and this sign-up cannot be dropped any more.",
        "If it was not you who used it, tell the people who run the service.";
    LINK_USED = "link-used", 410, "Link used",
        "The link worked once, and it, or a later one, was used.",
        "If that was you, sign in. If not, ask for a new email.";
    LINK_EXPIRED = "link-expired", 410, "Link expired",
        "The link worked for a limited time, and that is over.",
        "Ask for a new email.";
    REQUEST_TIMEOUT = "request-timeout", 408, "Request timeout",
        "The body did not arrive in time.",
        "Send the request again, all of it at once.";
    CONTENT_TOO_LARGE = "content-too-large", 413, "Content too large",
        "The body is longer than 32 KiB.",
        "Send less.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Unsupported media type",
        "The body is not of the content type that is taken here, or it is compressed.",
        "Send what the header Accept of the answer names, in UTF-8 and without Content-Encoding, and say so in Content-Type.";
    INVALID_FIELDS = "invalid-fields", 422, "Fields not acceptable",
        "The JSON is well-formed, but some of its fields cannot be taken.",
        "Look at errors: each names its field and says what would be right.";
    RATE_LIMITED = "rate-limited", 429 "temporarily_unavailable", "Too many requests",
        "There were too many requests of this kind.",
        "Wait as long as Retry-After says. If you cannot sign in: a new password, asked for as a forgotten one, works at once.";
    SERVER_ERROR = "server-error", 500 "server_error", "Internal error",
        "Something went wrong here.",
        "Try again; if it stays, tell the operator the request id.";
    UNAVAILABLE = "unavailable", 503 "temporarily_unavailable", "Unavailable for now",
        "The service cannot do this now.",
        "Try again after as many seconds as Retry-After says.";
    // of the OAuth endpoints: their `error_uri` leads here
    INVALID_REQUEST = "invalid-request", 400, "invalid_request",
        "A parameter is missing, empty or there twice, or the body is not the form that it should be.",
        "Send application/x-www-form-urlencoded with each parameter once.";
    INVALID_CLIENT = "invalid-client", 401 "invalid_client", "invalid_client",
        "The client is not registered, or its secret is wrong, missing, or sent although it has none.",
        "Send client id and secret by HTTP Basic or in the body; a public client sends its id alone.";
    CLIENT_WITHOUT_SECRET = "client-without-secret", 400 "invalid_client", "invalid_client: no secret",
        "The request holds no client secret, and names no client that is known as a public one.",
        "A public client sends its id alone: check that it is registered and enabled. A confidential client sends its secret, too.";
    INVALID_GRANT = "invalid-grant", 400 "invalid_grant", "invalid_grant",
        "The username and password do not belong together, or the address has yet to be confirmed. Or the refresh token is expired, revoked, used up, or of another client.",
        "Ask the person to sign in again, or, after a sign-up, to open the link in the email first.";
    UNAUTHORIZED_CLIENT = "unauthorized-client", 400 "unauthorized_client", "unauthorized_client",
        "The client is not registered for this grant.",
        "Add the grant to the client's registration, or use another.";
    UNSUPPORTED_GRANT_TYPE = "unsupported-grant-type", 400 "unsupported_grant_type", "unsupported_grant_type",
        "The grant type is not one that this service knows.",
        "Use password or refresh_token.";
    INVALID_SCOPE = "invalid-scope", 400 "invalid_scope", "invalid_scope",
        "The scope is malformed, or more than the client or the session may have.",
        "Ask for less, or for nothing: then all that may be had is granted.";
}

/// The problem type with this name.
pub fn find(name: &str) -> Option<&'static ProblemType> {
    ALL.iter().copied().find(|problem_type| problem_type.name == name)
}

/// The problem type for a status that a catcher has to answer.
pub fn for_status(status: u16) -> &'static ProblemType {
    match status {
        401 => NO_TOKEN,
        403 => INSUFFICIENT_SCOPE,
        404 => NOT_FOUND,
        405 => METHOD_NOT_ALLOWED,
        408 => REQUEST_TIMEOUT,
        413 => CONTENT_TOO_LARGE,
        415 => UNSUPPORTED_MEDIA_TYPE,
        422 => INVALID_FIELDS,
        429 => RATE_LIMITED,
        503 => UNAVAILABLE,
        400..=499 => BAD_REQUEST,
        _ => SERVER_ERROR,
    }
}
