//! One spelling for each path: a route is answered only as its path is written.
//!
//! Rocket takes `/oauth//token`, `/oauth/token/` and `/oauth/%74oken` for `/oauth/token`. A proxy that limits or
//! protects `/oauth/token` may take them for other paths, and let them through. Other spellings are therefore 404. A page or
//! document that is asked for with one slash too many is 308 to its path, since people and programs add one.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::uri::Origin;
use rocket::http::{Header, Method};
use rocket::{Data, Request, Responder};

use crate::config::Settings;
use crate::web::fairings::method_override::is_own_path;
use crate::web::openapi::document::FrontDoor;
use crate::web::responses::allowed_methods;

/// The mounts for programs. Clients of an API send the path that they were given, and a redirection would drop the
/// token or the body of some.
const API_MOUNTS: [&str; 3] = ["oauth", "v1", "health"];

/// Below this, the path of the issuer is compared as it was sent, and may need escapes.
const ISSUER_METADATA_PREFIX: &str = "/.well-known/oauth-authorization-server/";

/// Where the page or document is that a request misspelled with one slash too many.
#[derive(Debug)]
struct CanonicalLocation(Option<String>);

/// A redirection to the right spelling (RFC 9110 §15.4.9).
#[derive(Debug, Responder)]
#[response(status = 308)]
pub struct RedirectToCanonicalPath {
    body: (),
    location: Header<'static>,
    // the query of a link is a secret
    caching: Header<'static>,
}

impl RedirectToCanonicalPath {
    /// The redirection of a request, if its spelling calls for one.
    pub(in crate::web) fn of(request: &Request<'_>) -> Option<Self> {
        let canonical_location = request.local_cache(|| CanonicalLocation(None)).0.clone()?;
        Some(Self {
            body: (),
            location: Header::new("Location", canonical_location),
            caching: Header::new("Cache-Control", "no-store"),
        })
    }
}

/// Takes requests with a misspelled path to a path that no route has.
#[derive(Debug)]
pub(in crate::web) struct CanonicalPaths;

#[rocket::async_trait]
impl Fairing for CanonicalPaths {
    fn info(&self) -> Info {
        Info { name: "one spelling of each path", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let path = request.uri().path();
        let mount = path.segments().next().unwrap_or_default();
        let is_front_door = mount.is_empty() && request.rocket().state::<FrontDoor>().is_some();
        if is_canonical(path.as_str()) || !(is_own_path(request) || is_front_door) {
            return;
        }
        let canonical_location = canonical_location(request, mount);
        // a fairing cannot answer: the catcher of the mount does
        let nowhere =
            format!("{}/-/-", if mount.is_empty() { String::new() } else { format!("/{mount}") });
        request.local_cache(|| CanonicalLocation(canonical_location));
        if let Ok(nowhere) = Origin::parse_owned(nowhere) {
            request.set_uri(nowhere);
        }
    }
}

/// Whether a path has no escape, and no segment that is empty or a dot segment: no route has any.
fn is_canonical(path: &str) -> bool {
    let escaped =
        if path.starts_with(ISSUER_METADATA_PREFIX) { ISSUER_METADATA_PREFIX } else { path };
    let is_plain = |segment| !matches!(segment, "" | "." | "..");
    path == "/" || !escaped.contains('%') && path.split('/').skip(1).all(is_plain)
}

/// The right spelling of the path of a `GET` that has one slash too many, with its query.
fn canonical_location(request: &Request<'_>, mount: &str) -> Option<String> {
    let is_read = matches!(request.method(), Method::Get | Method::Head);
    let path = request.uri().path().as_str().strip_suffix('/')?;
    let is_moved =
        is_read && !API_MOUNTS.contains(&mount) && !path.is_empty() && is_canonical(path);
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
