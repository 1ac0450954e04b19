//! `GET /oauth/check`: whether a request may pass, for reverse proxies that ask before they let it
//! through (nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rocket::fairing::AdHoc;
use rocket::http::{Header, Status};
use rocket::{Responder, get, routes};

use super::edge::bearer::{Asked, Bearer};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("check", |rocket| async { rocket.mount("/oauth", routes![check]) })
}

/// What a header can hold of a name: visible ASCII, as it is but for `%`. The rest is percent-encoded
/// (RFC 3986 §2.1), which clients named as usual have no use for.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Who it is, for the proxy to hand on.
#[derive(Responder)]
struct Passed {
    nothing: (),
    account: Header<'static>,
    client: Header<'static>,
    scope: Header<'static>,
}

/// `?scope=` asks for scope; any live token passes without it.
#[get("/check")]
fn check(bearer: Bearer<Asked>) -> (Status, Passed) {
    let client = utf8_percent_encode(bearer.client_id(), ENCODED).to_string();
    let passed = Passed {
        nothing: (),
        account: Header::new("X-Vestibule-Account", bearer.account().to_string()),
        client: Header::new("X-Vestibule-Client", client),
        scope: Header::new("X-Vestibule-Scope", bearer.scope().to_string()),
    };
    (Status::Ok, passed)
}
