//! Table of mounts: the first segments of all paths of this service, with the rules that hold
//! below each of them.
//!
//! The front door at `/` is not in the table: an application around this one may serve `/` itself.

use rocket::Request;

/// The format of error responses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::web) enum ErrorFormat {
    /// RFC 6749 §5.2.
    OAuth,
    /// Problem details (RFC 9457).
    Problem,
    Page,
    /// Problem details or a page, as the request prefers.
    Either,
}

/// What scripts of registered origins may do (CORS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::web) enum ScriptAccess {
    Denied,
    /// Scripts may read answers, and browsers ask nothing first.
    Read,
    /// Scripts may also send requests for which browsers ask first (preflights).
    Call,
}

/// A mount, with the rules for all paths below it.
#[derive(Debug)]
pub(in crate::web) struct Mount {
    /// A slash and the first segment.
    pub prefix: &'static str,
    pub errors: ErrorFormat,
    pub scripts: ScriptAccess,
    /// Whether every answer says `Cache-Control: no-store` (RFC 6749 §5.1, §5.2).
    pub no_store: bool,
    /// Whether a path with a trailing slash redirects to the path without it. API clients send the
    /// path that they were given, and some would drop the token or the body on a redirect.
    pub redirects: bool,
    /// Whether `admission.in_flight` limits the requests. A health check has to tell a busy service
    /// from a dead one.
    pub is_limited: bool,
}

/// The rules of pages, from which the other rows differ. Each row replaces the empty prefix.
const PAGE: Mount = Mount {
    prefix: "",
    errors: ErrorFormat::Page,
    scripts: ScriptAccess::Denied,
    no_store: false,
    redirects: true,
    is_limited: true,
};

/// The rules of documents for programs.
const DOCUMENT: Mount = Mount { errors: ErrorFormat::Problem, ..PAGE };

/// All mounts.
#[rustfmt::skip]
pub(in crate::web) static MOUNTS: [Mount; 13] = [
    Mount { prefix: "/oauth", errors: ErrorFormat::OAuth, scripts: ScriptAccess::Call, no_store: true, redirects: false, ..PAGE },
    Mount { prefix: "/v1", scripts: ScriptAccess::Call, redirects: false, ..DOCUMENT },
    Mount { prefix: "/health", redirects: false, is_limited: false, ..DOCUMENT },
    Mount { prefix: "/.well-known", scripts: ScriptAccess::Call, ..DOCUMENT },
    Mount { prefix: "/openapi.json", scripts: ScriptAccess::Read, ..DOCUMENT },
    Mount { prefix: "/schemas", ..DOCUMENT },
    Mount { prefix: "/activate", ..PAGE },
    Mount { prefix: "/reset-password", ..PAGE },
    Mount { prefix: "/confirm-email", ..PAGE },
    Mount { prefix: "/account", ..PAGE },
    Mount { prefix: "/problems", ..PAGE },
    Mount { prefix: "/docs", ..PAGE },
    Mount { prefix: "/dev", ..PAGE },
];

impl Mount {
    /// The mount of a request; `None` if the path is not this service's, or is `/`.
    pub(in crate::web) fn of(request: &Request<'_>) -> Option<&'static Self> {
        request.uri().path().segments().next().and_then(Self::find)
    }

    /// The mount with this first segment.
    pub(in crate::web) fn find(segment: &str) -> Option<&'static Self> {
        MOUNTS.iter().find(|mount| mount.prefix.strip_prefix('/') == Some(segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_path_is_in_a_mount() {
        let document = crate::web::described();
        assert!(document.paths.paths.len() > 30);
        for path in document.paths.paths.keys().filter(|path| *path != "/") {
            let segment = path.split('/').nth(1).unwrap();
            assert!(Mount::find(segment).is_some(), "{path}");
        }
    }
}
