//! `GET /oauth/check`: forward authentication for reverse proxies, which ask whether a request may
//! pass (nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rocket::fairing::AdHoc;
use rocket::http::{Header, Status};
use rocket::{Responder, get, routes};

use crate::web::guards::bearer::{Bearer, ScopeFromQuery};
use crate::web::openapi::document::{described, tag};
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("check", |rocket| async { rocket.mount("/oauth", routes![check]) })
}

/// The characters that are percent-encoded in a header (RFC 3986 §2.1): all but visible ASCII, and
/// `%`. Usual client names need no escapes.
const HEADER_ESCAPES: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

described!(check);

/// The response headers that name the account, client and scope. The proxy hands them on.
#[derive(Responder)]
struct ForwardedHeaders {
    nothing: (),
    account: Header<'static>,
    client: Header<'static>,
    scope: Header<'static>,
}

/// Ask whether a request may pass
///
/// For reverse proxies that ask before they let a request through: nginx `auth_request`, Caddy
/// `forward_auth`, Traefik ForwardAuth. Any live token passes, unless `scope` names a scope.
#[utoipa::path(
    context_path = "/oauth",
    tag = tag::OAUTH,
    operation_id = "check",
    security(("bearer" = [])),
    params(("scope" = Option<String>, Query, description = "The scope that the token needs, tokens with spaces between them.", example = "account.read")),
    responses(
        (status = 200, description = "It may pass. The body is empty.", headers(("X-Vestibule-Account" = String, description = "The id of the account."), ("X-Vestibule-Client" = String, description = "The client that the token was issued to."), ("X-Vestibule-Scope" = String, description = "All that the token may be used for."))),
    ),
    extensions(("x-problems" = json!([problem_type::INSUFFICIENT_SCOPE, problem_type::INVALID_REQUEST]))),
)]
#[get("/check")]
fn check(bearer: Bearer<ScopeFromQuery>) -> (Status, ForwardedHeaders) {
    let client = utf8_percent_encode(bearer.client_id(), HEADER_ESCAPES).to_string();
    let passed = ForwardedHeaders {
        nothing: (),
        account: Header::new("X-Vestibule-Account", bearer.account().to_string()),
        client: Header::new("X-Vestibule-Client", client),
        scope: Header::new("X-Vestibule-Scope", bearer.scope().to_string()),
    };
    (Status::Ok, passed)
}
