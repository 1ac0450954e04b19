//! Tests of forms that are refused for now, with 429 or 503: the page shows the form again with the
//! typed text, says in minutes when to try again, and links to a way that works at once.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use rocket::http::{Header, Method};
use rocket::tokio::task::yield_now;
use vestibule::testing::{PASSWORD, TestApp};

use crate::openapi::{document, fields, operations};
use crate::support::{self, ADA, form, from};
use crate::support_accounts::{BOB, Browser, hidden_field};
use crate::support_pages::{Answer, OTHER, get, unescape};

/// A well-formed token of a link that was never sent.
const LINK: &str = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M";
/// The text of each field but the passwords.
const TYPED: [(&str, &str); 10] = [
    ("form_token", "the token of the form"),
    ("token", LINK),
    ("email", "typed@example.org"),
    ("name", "Ada \"<Lovelace>"),
    ("locale", "de"),
    ("id", "01890000-0000-7000-8000-000000000002"),
    ("resume", "email"),
    ("typed_email", "carried@example.org"),
    ("typed_name", "Carried"),
    ("typed_locale", "en"),
];
const SECRET: &str = "a secret long passphrase";
const SECRETS: [&str; 3] = ["password", "current_password", "new_password"];

/// The `Origin` header that a browser sends with a form of the service's own page.
fn own_origin() -> Vec<Header<'static>> {
    vec![Header::new("Origin", "https://accounts.example.org")]
}

/// The path and the fields of every form.
async fn forms(app: &TestApp) -> Vec<(String, BTreeSet<String>)> {
    let document = document(app).await;
    let mut forms = vec![];
    for (path, method, operation) in operations(&document) {
        let content = &operation["requestBody"]["content"];
        let is_form = content.get("application/x-www-form-urlencoded").is_some();
        if method == Method::Post && is_form && !path.starts_with("/oauth") {
            forms.push((path, fields(&document, &operation)));
        }
    }
    assert_eq!(forms.len(), 21, "{forms:?}");
    forms
}

/// Checks that the page has the form of `path`, and passwords nowhere.
fn assert_form(page: &Answer, path: &str, wait: &str) {
    assert_eq!(page.body.matches("<form ").count(), 1, "{path}: {}", page.body);
    assert!(page.body.contains(&format!("action=\"{path}\"")), "{path}: {}", page.body);
    assert!(unescape(&page.body).contains(wait), "{path}: {}", page.body);
    assert!(!page.body.contains("Retry-After") && page.has("retry-after"), "{path}");
    for secret in [SECRET, PASSWORD, OTHER] {
        assert!(!page.body.contains(secret), "{path}: {}", page.body);
    }
}

/// Whether the page links to `path` below its header, which always links to the account.
fn is_offered(page: &Answer, path: &str) -> bool {
    let (_, content) = page.body.split_once("<main>").unwrap();
    content.contains(&format!("<a href=\"{path}\">"))
}

#[rocket::async_test]
async fn a14_every_form_refused_without_a_database_keeps_the_typed_text() {
    let app = support::app().await;
    app.account(ADA).await;
    let forms = forms(&app).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    app.store().close().await;
    let typed = [&TYPED[..], &SECRETS.map(|name| (name, SECRET))].concat();
    for (path, fields) in forms {
        for (language, wait) in [("en", "Wait a moment"), ("de", "Warten Sie einen Moment")] {
            browser.languages = Some(language);
            let page = browser.submit_with(&path, &typed, own_origin()).await.page(503, "");
            assert_form(&page, &path, wait);
            assert_eq!(page.header("content-language"), language);
            for (name, value) in TYPED {
                let field = format!("name=\"{name}\" value=\"");
                let found = page.body.split(&field).nth(1).and_then(|rest| rest.split('"').next());
                let wanted = fields.contains(name).then_some(value);
                assert_eq!(found.map(unescape).as_deref(), wanted, "{path}: {}", page.body);
            }
            for secret in SECRETS {
                let field = format!("type=\"password\" id=\"{secret}\" name=\"{secret}\"");
                assert_eq!(page.body.contains(&field), fields.contains(secret), "{path} {secret}");
            }
        }
        // another site's form is not shown
        for headers in [vec![], vec![Header::new("Origin", "https://evil.example")]] {
            let page = browser.submit_with(&path, &typed, headers).await;
            assert!([403, 503].contains(&page.status.code), "{path}: {page:?}");
            assert!(!page.body.contains("typed@"), "{path}: {page:?}");
        }
    }
    // a page without a form says when to try again, too
    browser.languages = None;
    let page = browser.open("/account").await.page(503, "Unavailable");
    assert!(page.body.contains("Wait a moment") && !page.body.contains("Retry-After"));
}

const FEW: &str = "[default.vestibule.limits]\nsign_ups_per_address = 1\n\
    requests_per_address = 1\nunknown_links_per_address = 1\nrequests_per_account = 1";

#[rocket::async_test]
async fn a14_form_refused_by_a_limit_says_the_minutes_and_links_to_the_cure() {
    let app = support::configured(FEW).await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    let forgotten = "/account/forgotten-password";
    let link = [("token", LINK), ("password", SECRET)];
    let sign_up = [("email", BOB), ("name", "Bob"), ("password", SECRET)];
    for (path, fields, cure) in [
        ("/account/sign-up", &sign_up[..], Some(forgotten)),
        (forgotten, &[("email", BOB)], None),
        ("/account/sign-up/new-link", &[("email", BOB)], None),
        ("/activate", &link, Some(forgotten)),
        ("/reset-password", &link, Some(forgotten)),
        ("/confirm-email", &link[..1], Some("/account")),
        ("/confirm-email/stop", &link[..1], Some("/account")),
    ] {
        browser.submit_with(path, fields, own_origin()).await;
        let page = browser.submit_with(path, fields, own_origin()).await.page(429, "");
        assert_form(&page, path, "Wait 60 minutes, and then try again.");
        for (name, value) in fields.iter().filter(|(name, _)| *name != "password") {
            assert!(page.body.contains(&format!("name=\"{name}\" value=\"{value}\"")), "{path}");
        }
        for place in [forgotten, "/account"] {
            assert_eq!(is_offered(&page, place), cure == Some(place), "{path} {place}");
        }
        // the page of an unknown link has no form, but the same way out
        if fields[0].0 == "token" {
            let page = get(&app, &format!("{path}?token={LINK}")).await.page(429, "Too many");
            assert!(page.body.contains("Wait 60 minutes") && !page.body.contains("Retry-After"));
            assert!(is_offered(&page, cure.unwrap()), "{path}: {}", page.body);
        }
    }
    // half an hour later, half of the wait is left
    app.advance(std::time::Duration::from_secs(1_801));
    let page = browser.submit_with(forgotten, &[("email", BOB)], own_origin()).await;
    assert_form(&page.page(429, ""), forgotten, "Wait 30 minutes");
}

#[rocket::async_test]
async fn a14_form_refused_after_wrong_passwords_leads_to_a_new_password() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let mut stranger = Browser::new(&app);
    let token = browser.form_token().await;
    for (path, name) in
        [("/account/sign-in", "password"), ("/account/deletion", "current_password")]
    {
        let fields = [("form_token", token.as_str()), ("email", ADA), (name, SECRET)];
        let browser = if name == "password" { &mut stranger } else { &mut browser };
        let mut page = browser.submit_with(path, &fields, own_origin()).await;
        for _ in 0..10 {
            page = browser.submit_with(path, &fields, own_origin()).await;
        }
        let page = page.page(429, "");
        assert_form(&page, path, "Wait a moment");
        assert!(is_offered(&page, "/account/forgotten-password"), "{path}: {}", page.body);
        assert!(page.body.contains("works at once"), "{path}: {}", page.body);
    }
    for path in ["/account/password", "/account/email"] {
        let fields = [
            ("form_token", token.as_str()),
            ("email", BOB),
            ("current_password", SECRET),
            ("new_password", OTHER),
        ];
        let page = browser.submit_with(path, &fields, own_origin()).await.page(429, "");
        assert_form(&page, path, "Wait a moment");
        assert!(is_offered(&page, "/account/forgotten-password"), "{path}: {}", page.body);
        assert_eq!(hidden_field(&page.body, "form_token"), token, "{path}");
    }
}

#[rocket::async_test]
async fn a14_form_refused_unread_says_how_the_browser_sends_it_again() {
    let app = support::configured("[default.vestibule.admission]\nin_flight = 1\n").await;
    app.account(ADA).await;
    // a sign-in that waits for its hash has the only place
    let full = app.fill_hash_queue("192.0.2.1");
    let fields = form(&support::sign_in_fields());
    let request = app.client.post("/oauth/token").header(rocket::http::ContentType::Form);
    let mut waiting = Box::pin(from(request, "198.51.100.7").body(fields).dispatch());
    let queued = app.queued_hashes();
    while app.queued_hashes() == queued {
        assert!(waiting.as_mut().now_or_never().is_none());
        yield_now().await;
    }
    let mut browser = Browser::new(&app);
    for path in ["/account/sign-up", "/account/email", "/activate", "/reset-password"] {
        let typed = [("email", BOB), ("password", SECRET)];
        let page = browser.submit_with(path, &typed, own_origin()).await.page(503, "Unavailable");
        assert!(page.body.contains("Wait a moment") && page.body.contains("reload this page"));
        assert!(!page.body.contains("Retry-After") && page.has("retry-after"), "{path}");
        let page = browser.open(path).await.page(503, "Unavailable");
        assert!(page.body.contains("Wait a moment") && !page.body.contains("reload"), "{path}");
    }
    drop(full);
    waiting.await;
}
