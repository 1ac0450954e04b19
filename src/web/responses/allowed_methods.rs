//! The methods that a path allows (RFC 9110 §10.2.1).

use std::collections::BTreeSet;

use rocket::Request;
use rocket::http::Method;

/// All methods of the request's path, except `OPTIONS`.
pub(in crate::web) fn methods_of_path<'r>(request: &'r Request<'_>) -> BTreeSet<&'r str> {
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
    // every path answers OPTIONS for CORS preflights, so OPTIONS says nothing about the path
    let matching = matching.filter(|route| route.method != Method::Options);
    let mut methods: BTreeSet<&str> = matching.map(|route| route.method.as_str()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    methods
}

/// The value of `Allow` (RFC 9110 §10.2.1), if the path exists but not with the request's method.
/// Rocket answers 404 in that case.
pub(in crate::web) fn allow_header(request: &Request<'_>) -> Option<String> {
    let methods = methods_of_path(request);
    let is_answered = methods.is_empty() || methods.contains(request.method().as_str());
    (!is_answered).then(|| methods.into_iter().collect::<Vec<_>>().join(", "))
}
