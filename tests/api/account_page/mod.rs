//! Tests of the account page in a browser without scripts (R27, R34, R37, R43, R46), one file for
//! each page.

mod credentials;
mod events;
mod every_page;
mod form_tokens;
mod overview;
mod sign_in;
mod sign_up;
mod unsaved_form;

use std::time::Duration;

use rocket::http::Header;
use vestibule::testing::PASSWORD;

use crate::support_accounts::NEW;
use crate::support_pages::{Answer, OTHER};

const MINUTE: Duration = Duration::from_secs(60);
const PAGES: [&str; 5] =
    ["/account", "/account/password", "/account/email", "/account/deletion", "/account/events"];
/// The forms that need a sign-in, each with fields that would change something.
const FORMS: [(&str, &[(&str, &str)]); 9] = [
    ("/account/profile", &[("name", "Mallory"), ("locale", "de")]),
    ("/account/password", &[("current_password", PASSWORD), ("new_password", OTHER)]),
    ("/account/email", &[("current_password", PASSWORD), ("email", NEW)]),
    ("/account/email/withdrawal", &[]),
    ("/account/deletion", &[("current_password", PASSWORD)]),
    ("/account/sessions/end", &[]),
    ("/account/page-sessions/end", &[]),
    ("/account/sessions/end-all", &[]),
    ("/account/sign-out", &[]),
];

fn cookies(answer: &Answer) -> Vec<&str> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    cookies.map(|(_, value)| value.as_str()).collect()
}

/// Checks the rules that every page keeps (R46).
fn assert_page_rules(page: &Answer) {
    let policy = page.header("content-security-policy");
    for rule in
        ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store, no-transform"),
    ] {
        assert_eq!(page.header(name), value, "{page:?}");
    }
    let html = page.body.to_lowercase();
    for banned in ["<script", "javascript:", " style=\"", " onclick", " onload", "url("] {
        assert!(!html.contains(banned), "{banned} in {html}");
    }
    assert_eq!(html.matches("<h1>").count(), 1);
}

/// The `Origin` header that a browser sends with a form of the service's own page.
fn own_origin() -> Vec<Header<'static>> {
    vec![Header::new("Origin", "https://accounts.example.org")]
}
