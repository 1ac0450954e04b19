//! Methods as HTTP means them, where Rocket means something else.

use std::collections::BTreeSet;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::Method;
use rocket::{Data, Request};

/// The methods that the path of a request has.
pub(super) fn of<'r>(request: &'r Request<'_>) -> BTreeSet<&'r str> {
    let path: Vec<&str> = request.uri().path().segments().collect();
    let matching = request.rocket().routes().filter(|route| {
        let pattern = route.uri.path();
        let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        let takes_the_rest = pattern.last().is_some_and(|part| part.ends_with("..>"));
        let fixed = pattern.len() - usize::from(takes_the_rest);
        let same_length = pattern.len() == path.len() || takes_the_rest && path.len() >= fixed;
        let is_same = |(part, given): (&&str, &&str)| part.starts_with('<') || part == given;
        same_length && pattern[..fixed].iter().zip(&path).all(is_same)
    });
    // every path answers OPTIONS to browsers that ask for a script, and that says nothing of the path
    let matching = matching.filter(|route| route.method != Method::Options);
    let mut methods: BTreeSet<&str> = matching.map(|route| route.method.as_str()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    methods
}

/// The methods that the path of a request has, if it has any but the request's: for `Allow` (RFC 9110 §10.2.1).
/// Rocket answers 404 to a path that exists with another method.
pub(super) fn allowed(request: &Request<'_>) -> Option<String> {
    let methods = of(request);
    let is_answered = methods.is_empty() || methods.contains(request.method().as_str());
    (!is_answered).then(|| methods.into_iter().collect::<Vec<_>>().join(", "))
}

/// Rocket lets a first form field `_method=PUT` turn a POST into a PUT (R2): this turns it back.
///
/// What was rewritten has the method that the field names, and Rocket rewrites nothing but POST. So
/// the one request that is taken for another is one that carries a form which names the request's own
/// method: it is answered as the POST that it might be, and can do no more than that POST. No page and
/// no library sends one (docs/decisions/0015-strict-forms.md).
#[derive(Debug)]
pub(super) struct OverrideUndone;

/// The mounts of this crate.
const OURS: [&str; 13] = [
    "oauth",
    "v1",
    "activate",
    "reset-password",
    "confirm-email",
    "account",
    "schemas",
    ".well-known",
    "problems",
    "health",
    "openapi.json",
    "docs",
    "dev",
];

pub(super) fn is_ours(request: &Request<'_>) -> bool {
    request.uri().path().segments().next().is_some_and(|first| OURS.contains(&first))
}

#[rocket::async_trait]
impl Fairing for OverrideUndone {
    fn info(&self) -> Info {
        Info { name: "method override undone", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let is_form = request.content_type().is_some_and(|kind| kind.is_form());
        // an application around this one may count on Rocket's ways
        if !is_form || !is_ours(request) || request.method() == Method::Post {
            return;
        }
        // what Rocket looks at, and how
        let start = data.peek("_method=delete".len()).await;
        let first = std::str::from_utf8(start).ok().and_then(|raw| Form::values(raw).next());
        let field = first.filter(|field| field.name == "_method");
        let named = field.and_then(|field| field.value.parse::<Method>().ok());
        if named == Some(request.method()) {
            request.set_method(Method::Post);
        }
    }
}
