//! Fairing that accepts only the canonical spelling of each path.
//!
//! Rocket treats `/oauth//token`, `/oauth/token/` and `/oauth/%74oken` as `/oauth/token`. A proxy
//! that limits or protects `/oauth/token` may treat them as other paths, and let them through. So:
//!
//! - Other spellings are answered 404.
//! - A page or document with one trailing slash too many is answered 308 to its path, since people
//!   and programs add one.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::uri::Origin;
use rocket::http::{Header, Method};
use rocket::{Data, Request, Responder};

use crate::config::Settings;
use crate::web::mounts::Mount;
use crate::web::openapi::document::FrontDoor;
use crate::web::responses::allowed_methods;

/// Below this prefix, the issuer's path is compared as sent, and may need escapes.
const ISSUER_METADATA_PREFIX: &str = "/.well-known/oauth-authorization-server/";

/// The redirect target of a request with one trailing slash too many.
#[derive(Debug)]
struct CanonicalLocation(Option<String>);

/// A redirect to the canonical spelling (RFC 9110 §15.4.9).
#[derive(Debug, Responder)]
#[response(status = 308)]
pub struct RedirectToCanonicalPath {
    body: (),
    location: Header<'static>,
    // the query of a link contains a secret
    caching: Header<'static>,
}

impl RedirectToCanonicalPath {
    /// The redirect for a request, if the fairing found one.
    pub(in crate::web) fn of(request: &Request<'_>) -> Option<Self> {
        let canonical_location = request.local_cache(|| CanonicalLocation(None)).0.clone()?;
        Some(Self {
            body: (),
            location: Header::new("Location", canonical_location),
            caching: Header::new("Cache-Control", "no-store"),
        })
    }
}

/// Rewrites a misspelled path to a path that no route has.
#[derive(Debug)]
pub(in crate::web) struct CanonicalPaths;

#[rocket::async_trait]
impl Fairing for CanonicalPaths {
    fn info(&self) -> Info {
        Info { name: "one spelling of each path", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let path = request.uri().path();
        let mount = Mount::of(request);
        let is_front_door = path.segments().next().is_none_or(str::is_empty)
            && request.rocket().state::<FrontDoor>().is_some();
        if is_canonical(path.as_str()) || !(mount.is_some() || is_front_door) {
            return;
        }
        let redirects = mount.is_none_or(|mount| mount.redirects);
        let canonical_location = redirects.then(|| canonical_location(request)).flatten();
        // a fairing cannot answer, so the mount's catcher does
        let nowhere = format!("{}/-/-", mount.map_or("", |mount| mount.prefix));
        request.local_cache(|| CanonicalLocation(canonical_location));
        if let Ok(nowhere) = Origin::parse_owned(nowhere) {
            request.set_uri(nowhere);
        }
    }
}

/// Whether a path has no escape, no empty segment and no dot segment, as the path of every route.
fn is_canonical(path: &str) -> bool {
    let escaped =
        if path.starts_with(ISSUER_METADATA_PREFIX) { ISSUER_METADATA_PREFIX } else { path };
    let is_plain = |segment| !matches!(segment, "" | "." | "..");
    path == "/" || !escaped.contains('%') && path.split('/').skip(1).all(is_plain)
}

/// The canonical spelling, with the query, of a `GET` path with one trailing slash too many.
fn canonical_location(request: &Request<'_>) -> Option<String> {
    let is_read = matches!(request.method(), Method::Get | Method::Head);
    let path = request.uri().path().as_str().strip_suffix('/')?;
    let is_moved = is_read && !path.is_empty() && is_canonical(path);
    if !is_moved || !allowed_methods::methods_of_path(request).contains("GET") {
        return None;
    }
    let base = request.rocket().state::<Settings>().map_or("", |s| s.public_url.base_path());
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{base}{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::is_canonical;

    #[test]
    fn s12_only_the_spelling_of_a_route_is_canonical() {
        for path in ["/", "/oauth/token", "/.well-known/oauth-authorization-server/b%C3%BC"] {
            assert!(is_canonical(path), "{path}");
        }
        for path in [
            "//",
            "/oauth/token/",
            "/oauth/./token",
            "/oauth/x/../token",
            "/oauth/token/.",
            "//oauth/token",
            "/oauth//token",
            "/oauth/%74oken",
            "/%6fauth/token",
            "/oauth/token%2f",
            "/.well-known%2foauth-authorization-server",
            "/.well-known/%6fauth-authorization-server",
            "/.well-known/oauth-authorization-server/",
            "/.well-known/oauth-authorization-server//a",
        ] {
            assert!(!is_canonical(path), "{path}");
        }
    }
}
