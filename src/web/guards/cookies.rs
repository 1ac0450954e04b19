//! Sets cookies, and reads cookies by their raw names (RFC 6265 §4.2.1).
//!
//! Rocket's jar percent-decodes names and values. A browser guards the prefix `__Host-` in the raw
//! name only (RFC 6265bis §4.1.3), so a decoded name proves nothing: a sibling domain may set
//! `%5F%5FHost-…`. The jar is for setting cookies only; `clippy.toml` bans reading from it.

use rocket::Request;
use rocket::http::{Cookie, SameSite};
use rocket::time::Duration;

/// A cookie for this host only, which scripts cannot read and other sites cannot send. With a
/// `max_age` of zero, browsers delete the cookie.
pub fn of_this_host(name: &'static str, value: String, max_age: Duration) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(max_age)
        .build()
}

/// The raw value of the cookie with exactly this name; `None` if two cookies have the name.
///
/// A browser stores one cookie of a `__Host-` name, so the other is planted, and the service cannot
/// tell which.
pub fn find<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    only(request.headers().get("Cookie"), name)
}

/// Searches every header, since HTTP/2 may split the list (RFC 9113 §8.2.3).
///
/// The comparison is strict, as in browsers: a blank before the `=` is part of the name, case
/// matters, and quotes are part of the value.
fn only<'h>(headers: impl Iterator<Item = &'h str>, name: &str) -> Option<&'h str> {
    let pairs = headers.flat_map(|header| header.split(';'));
    let pairs = pairs.filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='));
    let mut values = pairs.filter(|(given, _)| *given == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "__Host-vestibule-account";

    fn value<'h>(headers: &[&'h str]) -> Option<&'h str> {
        only(headers.iter().copied(), NAME)
    }

    #[test]
    fn s6_cookie_is_found_by_its_raw_name() {
        for header in [
            "__Host-vestibule-account=v",
            "a=b; __Host-vestibule-account=v; c=d",
            "a=b;__Host-vestibule-account=v",
            "a;\t__Host-vestibule-account=v \t;",
            "__Host-vestibule-account=v; %5F%5FHost-vestibule-account=w",
            "__Host-vestibule-account=v; __host-vestibule-account=w",
        ] {
            assert_eq!(value(&[header]), Some("v"), "{header}");
        }
        assert_eq!(value(&["a=b", "__Host-vestibule-account=v"]), Some("v"));
        // values are returned as they were sent
        for sent in ["%76", "\"v\"", "v=w", "", "v w"] {
            assert_eq!(value(&[&format!("{NAME}={sent}")]), Some(sent));
        }
    }

    #[test]
    fn s6_cookie_name_in_another_spelling_is_not_found() {
        for header in [
            "%5F%5FHost-vestibule-account=v",
            "%5f_Host-vestibule-account=v",
            "__Host%2Dvestibule-account=v",
            "__Host-vestibule%2daccount=v",
            "__Host-vestibule-accoun%74=v",
            "__host-vestibule-account=v",
            "__HOST-VESTIBULE-ACCOUNT=v",
            "__Host-vestibule-account =v",
            "__Host-vestibule-account\t=v",
            "__Host-vestibule-account\u{a0}=v",
            "\u{a0}__Host-vestibule-account=v",
            "\u{b}__Host-vestibule-account=v",
            "\"__Host-vestibule-account\"=v",
            "a __Host-vestibule-account=v",
            "a=b, __Host-vestibule-account=v",
            "=__Host-vestibule-account=v",
            "__Host-vestibule-account",
            "__Host-vestibule-account%3Dv",
            "+_Host-vestibule-account=v",
            "",
        ] {
            assert_eq!(value(&[header]), None, "{header:?}");
        }
    }

    #[test]
    fn s6_repeated_cookie_is_ignored() {
        for header in [
            "__Host-vestibule-account=v; __Host-vestibule-account=w",
            "__Host-vestibule-account=v; __Host-vestibule-account=v",
            "__Host-vestibule-account=; a=b; __Host-vestibule-account=v",
            "__Host-vestibule-account=v; __Host-vestibule-account=",
        ] {
            assert_eq!(value(&[header]), None, "{header}");
        }
        assert_eq!(value(&[&format!("{NAME}=v"), &format!("{NAME}=w")]), None);
    }
}
