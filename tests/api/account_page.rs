//! Tests of the account page in a browser without scripts (R27, R34, R37, R43, R46).

use std::time::Duration;

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, bearer, opens, refused, sign_in};
use crate::support_accounts::{
    BOB, Browser, FIREFOX, NEW, accounts, hidden, letters, put_as, token_in,
};
use crate::support_pages::{Answer, OTHER, dump, dump_of, get, rows, signs_in, texts, unescape};

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
fn keeps_to_the_rules(page: &Answer) {
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

#[rocket::async_test]
async fn r46_a_sign_in_sets_one_cookie_that_is_guarded_as_well_as_can_be() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    let page = browser.open("/account/sign-in").await.page(200, "Sign in");
    assert!(cookies(&page).is_empty());
    let fields = [("email", ADA), ("password", PASSWORD)];
    let answer = browser.submit("/account/sign-in", &fields).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account"));
    let cookies = cookies(&answer);
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    let mut attributes: Vec<&str> = cookies[0].split("; ").collect();
    let (name, value) = attributes.remove(0).split_once('=').unwrap();
    assert_eq!((name, value.len()), ("__Host-vestibule-account", 43));
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=7200", "Path=/", "SameSite=Strict", "Secure"]);
    assert!(!dump(&app).await.join("\n").contains(value), "the secret is not stored");

    browser.open("/account").await.page(200, "Your account");
    // another sign-in has another cookie and another form token
    let second = Browser::signed_in(&app, ADA, PASSWORD).await;
    assert_ne!(browser.cookie, second.cookie);
    assert_ne!(browser.form_token().await, second.form_token().await);
    // a browser that is signed in need not sign in
    let answer = browser.open("/account/sign-in").await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account"));
}

#[rocket::async_test]
async fn the_cookie_opens_the_account_page_and_a_token_the_api_and_neither_the_other() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for path in ["/v1/me", "/v1/me/sessions", "/v1/me/events", "/v1/me/export"] {
        browser.open(path).await.problem(401, "no-token");
    }
    let cookie = browser.cookie.clone().unwrap();
    let secret = cookie.split_once('=').unwrap().1;
    for token in [secret.to_owned(), format!("vat_{secret}"), format!("vrt_{secret}")] {
        assert!(!opens(&app, &token).await);
        refused(&app, &token).await;
    }
    let ada = app.sign_in(ADA).await;
    for path in PAGES {
        let answer = Answer::of(ada.get(path).dispatch().await).await;
        assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
        for token in [&ada.access_token[4..], &ada.access_token, "", "x", &secret[1..]] {
            let mut other = Browser::new(&app);
            other.cookie = Some(format!("__Host-vestibule-account={token}"));
            let answer = other.open(path).await;
            assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
        }
    }
    let mut other = Browser::new(&app);
    other.cookie = Some(format!("vestibule-account={secret}"));
    assert!(!other.is_signed_in().await, "under that name only");
}

#[rocket::async_test]
async fn r46_s6_planted_cookie_signs_nobody_in() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let cookie = browser.cookie.clone().unwrap();
    let secret = cookie.split_once('=').unwrap().1;
    let opens = async |lines: &[String]| {
        let mut request = app.client.get("/account");
        for line in lines {
            request = request.header(Header::new("Cookie", line.clone()));
        }
        let answer = Answer::of(request.dispatch().await).await;
        assert!([200, 303].contains(&answer.status.code), "{answer:?}");
        answer.status.code == 200
    };
    for planted in [
        "%5F%5FHost-vestibule-account",
        "%5f%5fHost-vestibule-account",
        "__Host%2Dvestibule-account",
        "__Host-vestibule%2Daccount",
        "__Hos%74-vestibule-account",
        "__host-vestibule-account",
        "__HOST-vestibule-account",
        "__Host-vestibule-account ",
        "\"__Host-vestibule-account\"",
    ] {
        assert!(!opens(&[format!("{planted}={secret}")]).await, "{planted}");
        // a planted cookie beside the right one changes nothing
        assert!(opens(&[cookie.clone(), format!("{planted}=x")]).await, "{planted}");
        assert!(opens(&[format!("{planted}=x; {cookie}")]).await, "{planted}");
    }
    // when the cookie is sent twice, neither value counts
    for other in [secret, "x", ""] {
        let other = format!("__Host-vestibule-account={other}");
        assert!(!opens(&[format!("{cookie}; {other}")]).await, "{other}");
        assert!(!opens(&[format!("{other};{cookie}")]).await, "{other}");
        assert!(!opens(&[cookie.clone(), other.clone()]).await, "{other}");
        assert!(!opens(&[other.clone(), cookie.clone()]).await, "{other}");
    }
    // the service compares the value as the browser sent it, without unquoting or decoding
    for value in [format!("\"{secret}\""), format!("%{:02X}{}", secret.as_bytes()[0], &secret[1..])]
    {
        assert!(!opens(&[format!("__Host-vestibule-account={value}")]).await, "{value}");
    }
    assert!(opens(&[format!("a=b; {cookie} ;c=d")]).await);
}

#[rocket::async_test]
async fn a_failed_sign_in_keeps_the_address_and_never_the_password() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    let mut browser = Browser::new(&app);
    let mut pages = vec![];
    for email in [ADA, BOB, "nobody@example.org"] {
        let fields = [("email", email), ("password", "a wrong long passphrase")];
        let page = browser.submit("/account/sign-in", &fields).await.page(422, "Sign in");
        keeps_to_the_rules(&page);
        assert!(cookies(&page).is_empty());
        assert!(page.body.contains(&format!("value=\"{email}\"")));
        assert!(!page.body.contains("a wrong long passphrase"));
        pages.push(page.body.replace(email, "…"));
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "{pages:?}");
    // the right password of a waiting sign-up is refused like a wrong one (S1)
    let fields = [("email", BOB), ("password", PASSWORD)];
    let page = browser.submit("/account/sign-in", &fields).await.page(422, "Sign in");
    assert!(unescape(&page.body).contains("has yet to be confirmed") && !page.has("set-cookie"));
    assert_eq!(page.body.replace(BOB, "…"), pages[0]);
    // the page escapes typed markup
    let markup = "\"><script>alert(1)</script>{{7*7}}";
    for path in ["/account/sign-in", "/account/forgotten-password", "/account/sign-up"] {
        let fields = [("email", markup), ("password", OTHER), ("name", markup)];
        let page = browser.submit(path, &fields).await;
        assert_eq!(page.status.code, 422, "{path}");
        keeps_to_the_rules(&page);
        assert!(unescape(&page.body).contains(markup), "{path}");
        assert!(!page.body.contains(OTHER) && !page.body.contains("49"), "{path}");
    }
    let page = browser.submit("/account/sign-in", &[]).await.page(422, "Sign in");
    assert!(!page.has("set-cookie"));
}

#[rocket::async_test]
async fn r46_every_form_needs_the_token_of_this_very_sign_in() {
    let app = support::app().await;
    app.account(ADA).await;
    app.account(BOB).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let second = Browser::signed_in(&app, ADA, PASSWORD).await;
    let bob = Browser::signed_in(&app, BOB, PASSWORD).await;
    let pair = sign_in(&app).await;
    let own = browser.form_token().await;
    let cookie = browser.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned();
    let before = dump(&app).await;
    for (path, fields) in FORMS {
        for wrong in [
            None,
            Some(String::new()),
            Some("x".to_owned()),
            Some(own[1..].to_owned()),
            Some(second.form_token().await),
            Some(bob.form_token().await),
            Some(cookie.clone()),
        ] {
            let token = wrong.iter().map(|wrong| ("form_token", wrong.as_str()));
            let fields: Vec<(&str, &str)> = token.chain(fields.iter().copied()).collect();
            let page = browser.submit(path, &fields).await;
            let page = page.page(403, "Form not accepted");
            keeps_to_the_rules(&page);
            assert!(cookies(&page).is_empty());
        }
        // a token in the query does not count
        let query = format!("{path}?form_token={own}");
        assert_eq!(browser.submit(&query, fields).await.status, Status::Forbidden, "{path}");
        // a form with two tokens is malformed
        let twice = [&[("form_token", own.as_str()); 2][..], fields].concat();
        assert_eq!(browser.submit(path, &twice).await.status, Status::BadRequest, "{path}");
        // a JSON body is no form
        let request = app.client.post(path).header(ContentType::JSON);
        let request = request.header(browser.cookie_header().unwrap());
        let body = json!({ "form_token": own, "current_password": PASSWORD }).to_string();
        let status = request.body(body).dispatch().await.status().code;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(dump(&app).await, before, "nothing was done");
    assert!(opens(&app, &pair.access).await);
}

#[rocket::async_test]
async fn without_a_sign_in_every_form_leads_to_it() {
    let app = support::app().await;
    let mut browser = Browser::new(&app);
    for (path, fields) in FORMS {
        let answer = browser.submit(path, fields).await;
        let location = (answer.status.code, answer.header("location"));
        assert_eq!(location, (303, "/account/sign-in"), "{path}");
    }
}

/// The `Origin` header that a browser sends with a form of the service's own page.
fn own_origin() -> Vec<Header<'static>> {
    vec![Header::new("Origin", "https://accounts.example.org")]
}

/// All hidden fields of the sign-in form on the page, and the credentials.
fn signing_in_again(page: &Answer) -> Vec<(String, String)> {
    let mut fields =
        vec![("email".to_owned(), ADA.to_owned()), ("password".to_owned(), PASSWORD.to_owned())];
    for name in ["resume", "typed_email", "typed_name", "typed_locale"] {
        fields.push((name.to_owned(), unescape(&hidden(&page.body, name))));
    }
    fields
}

/// A form, the typed fields, the page that the sign-in leads to, and the values that it shows
/// again.
type Sent<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[rocket::async_test]
async fn f14_form_whose_sign_in_ended_says_so_and_keeps_what_was_typed() {
    let app = support::app().await;
    app.account(ADA).await;
    let secret = "a secret long passphrase";
    let says_so =
        |page: &str| page.contains("Nothing was saved yet") || page.contains("Noch wurde nichts");
    let name = "Ada \"<Lovelace>";
    let forms: [Sent<'_>; 8] = [
        ("/account/profile", &[("name", name), ("locale", "de")], "/account", &[name]),
        (
            "/account/email",
            &[("email", BOB), ("current_password", secret)],
            "/account/email",
            &[BOB],
        ),
        (
            "/account/password",
            &[("current_password", secret), ("new_password", secret)],
            "/account/password",
            &[],
        ),
        ("/account/deletion", &[("current_password", secret)], "/account/deletion", &[]),
        ("/account/email/withdrawal", &[], "/account", &[]),
        ("/account/sessions/end", &[("id", "x")], "/account", &[]),
        ("/account/page-sessions/end", &[("id", "x")], "/account", &[]),
        ("/account/sessions/end-all", &[], "/account", &[]),
    ];
    for (path, typed, leads_to, kept) in forms {
        for has_cookie in [true, false] {
            let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
            let token = browser.form_token().await;
            app.advance(MINUTE * 21);
            if !has_cookie {
                browser.cookie = None;
            }
            let fields = [&[("form_token", token.as_str())], typed].concat();
            let before = dump(&app).await;
            let page = browser.submit_with(path, &fields, own_origin()).await.page(403, "Sign in");
            keeps_to_the_rules(&page);
            assert_eq!(dump(&app).await, before, "{path}: nothing was done");
            assert!(page.body.contains("nothing was saved or changed"), "{path}: {}", page.body);
            assert!(!page.body.contains(secret) && !page.body.contains(&token), "{path}");
            for text in kept {
                assert!(unescape(&page.body).contains(text), "{path}: {}", page.body);
            }
            let fields = signing_in_again(&page);
            let mut fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            // a wrong password in between loses nothing
            fields[1].1 = "a wrong long passphrase";
            let page = browser.submit_with("/account/sign-in", &fields, own_origin()).await;
            let page = page.page(422, "Sign in");
            let again = signing_in_again(&page);
            assert_eq!(
                again[2..].iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>(),
                &fields[2..]
            );
            fields[1].1 = PASSWORD;
            let answer = browser.submit_with("/account/sign-in", &fields, own_origin()).await;
            assert!(browser.cookie.is_some(), "{path}: {answer:?}");
            // the answer is a redirect, so that reloading the page does not send the password again
            let found = (answer.status.code, answer.header("location"));
            assert_eq!(found, (303, leads_to), "{path}");
            assert_eq!(browser.unsaved.is_some(), !kept.is_empty(), "{path}: {answer:?}");
            if kept.is_empty() {
                continue;
            }
            let cookie = cookies(&answer);
            let cookie = cookie.iter().find(|one| one.starts_with("__Host-vestibule-unsaved="));
            for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=60"] {
                let has_part = cookie.is_some_and(|one| one.split("; ").any(|p| p == part));
                assert!(has_part, "{path}: {part}: {cookie:?}");
            }
            // another sign-in does not get the typed text, not even one of the same account
            let mut other = Browser::signed_in(&app, ADA, PASSWORD).await;
            other.unsaved = browser.unsaved.clone();
            assert!(!says_so(&other.open(leads_to).await.body), "{path}");
            let answer = browser.open(leads_to).await;
            assert_eq!(answer.status, Status::Ok, "{path}: {answer:?}");
            // the page shows the typed text once
            let ends = cookies(&answer).iter().any(|one| {
                one.starts_with("__Host-vestibule-unsaved=;") && one.contains("Max-Age=0")
            });
            assert!(ends, "{path}: {answer:?}");
            browser.unsaved = None;
            assert!(!says_so(&browser.open(leads_to).await.body), "{path}");
            keeps_to_the_rules(&answer);
            let page = unescape(&answer.body);
            assert!(says_so(&page), "{path}: {page}");
            for text in kept {
                assert!(page.contains(text), "{path}: {page}");
            }
            // the browser can send the form as it stands
            let token = hidden(&answer.body, "form_token");
            let mut fields = [&[("form_token", token.as_str())], typed].concat();
            for field in &mut fields {
                if field.0 == "current_password" {
                    field.1 = PASSWORD;
                }
            }
            let answer = browser.submit_with(path, &fields, own_origin()).await;
            assert_eq!(answer.status.code, 303, "{path}: {answer:?}");
            assert!(answer.header("location").starts_with("/account?done="), "{path}");
        }
    }
}

#[rocket::async_test]
async fn f14_sign_in_that_is_refused_for_now_keeps_what_was_typed() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    let fields = [("email", BOB), ("current_password", PASSWORD)];
    let page = browser.submit_with("/account/email", &fields, own_origin()).await;
    let fields = signing_in_again(&page.page(403, "Sign in"));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    let full = app.fill_hash_queue("");
    let page = browser.submit_with("/account/sign-in", &fields, own_origin()).await;
    let page = page.page(503, "Sign in");
    keeps_to_the_rules(&page);
    assert!(page.has("retry-after") && !page.body.contains(PASSWORD), "{page:?}");
    let again = signing_in_again(&page);
    assert_eq!(again.iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>(), fields);
    // a form without kept fields gets none back
    let page = browser.submit_with("/account/sign-in", &fields[..2], own_origin()).await;
    assert!(page.status.code == 503 && !page.body.contains("typed_email"), "{page:?}");
    drop(full);
}

#[rocket::async_test]
async fn f14_form_of_an_older_sign_in_comes_back_with_what_was_typed() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = Browser::signed_in(&app, ADA, PASSWORD).await.form_token().await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let name = "Ada \"<Lovelace>";
    let forms: [Sent<'_>; 2] = [
        ("/account/profile", &[("name", name), ("locale", "de")], "/account", &[name]),
        (
            "/account/email",
            &[("email", BOB), ("current_password", PASSWORD)],
            "/account/email",
            &[BOB],
        ),
    ];
    for (path, typed, leads_to, kept) in forms {
        let fields = [&[("form_token", token.as_str())], typed].concat();
        let before = dump(&app).await;
        // another site's form is refused, and so is a form without an `Origin`
        for headers in [vec![], vec![Header::new("Origin", "https://evil.example")]] {
            let page = browser.submit_with(path, &fields, headers).await;
            assert!(cookies(&page.page(403, "Form not accepted")).is_empty(), "{path}");
        }
        let answer = browser.submit_with(path, &fields, own_origin()).await;
        let found = (answer.status.code, answer.header("location"));
        assert_eq!(found, (303, leads_to), "{path}");
        assert_eq!(dump(&app).await, before, "{path}: nothing was done");
        let page = browser.open(leads_to).await;
        browser.unsaved = None;
        keeps_to_the_rules(&page);
        let page = unescape(&page.body);
        assert!(page.contains(kept[0]) && page.contains("Nothing was saved yet"), "{path}: {page}");
        assert!(!page.contains(PASSWORD), "{path}");
    }
    // a form with secrets alone keeps nothing
    for path in ["/account/password", "/account/deletion"] {
        let fields = [("form_token", token.as_str()), ("current_password", PASSWORD)];
        browser.submit_with(path, &fields, own_origin()).await.page(403, "Form not accepted");
    }
}

#[rocket::async_test]
async fn r46_f14_another_site_puts_nothing_into_a_form_that_comes_after_the_sign_in() {
    let app = support::app().await;
    app.account(ADA).await;
    let fields = [("email", "eve@example.org"), ("current_password", "x")];
    for headers in [
        &[][..],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://accounts.example.org")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
    ] {
        let headers = headers.iter().map(|(name, value)| Header::new(*name, *value)).collect();
        let answer = Browser::new(&app).submit_with("/account/email", &fields, headers).await;
        assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
        assert!(!answer.body.contains("eve@"), "{answer:?}");
    }
    // a sign-in form from another site is refused, with or without kept fields
    let fields = [
        ("email", ADA),
        ("password", PASSWORD),
        ("resume", "email"),
        ("typed_email", "eve@example.org"),
    ];
    let evil = vec![Header::new("Origin", "https://evil.example")];
    let page = Browser::new(&app).submit_with("/account/sign-in", &fields, evil).await;
    assert!(!page.page(403, "Form not accepted").body.contains("eve@"));
    // the service keeps nothing of an unknown form
    let mut unknown = fields;
    unknown[2].1 = "//evil.example";
    let answer = Browser::new(&app).submit_with("/account/sign-in", &unknown, own_origin()).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account"));
}

#[rocket::async_test]
async fn r46_another_site_can_send_none_of_the_forms_that_come_before_a_sign_in() {
    let app = support::app().await;
    app.account(ADA).await;
    let forms: [(&str, &[(&str, &str)]); 4] = [
        ("/account/sign-in", &[("email", ADA), ("password", PASSWORD)]),
        ("/account/sign-up", &[("email", BOB), ("password", PASSWORD)]),
        ("/account/sign-up/new-link", &[("email", BOB)]),
        ("/account/forgotten-password", &[("email", ADA)]),
    ];
    let own = "https://accounts.example.org";
    for (path, fields) in forms {
        let before = dump(&app).await;
        for headers in [
            &[("Origin", "https://evil.example")][..],
            &[("Origin", "null")],
            &[("Origin", "http://accounts.example.org")],
            &[("Origin", "https://accounts.example.org.evil.example")],
            &[("Origin", "")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", own)],
            &[("Sec-Fetch-Site", "nonsense")],
        ] {
            let more = headers.iter().map(|(name, value)| Header::new(*name, *value)).collect();
            let page = Browser::new(&app).submit_with(path, fields, more).await;
            let page = page.page(403, "Form not accepted");
            assert!(cookies(&page).is_empty(), "{path} {headers:?}");
        }
        assert_eq!(dump(&app).await, before, "{path}: nothing was done");
        for headers in [
            &[("Origin", own)][..],
            &[("Sec-Fetch-Site", "same-origin"), ("Origin", own)],
            &[("Sec-Fetch-Site", "none")],
            &[],
        ] {
            let more = headers.iter().map(|(name, value)| Header::new(*name, *value)).collect();
            let answer = Browser::new(&app).submit_with(path, fields, more).await;
            assert!([202, 303].contains(&answer.status.code), "{path} {headers:?}: {answer:?}");
        }
    }
}

#[rocket::async_test]
async fn a_sign_in_ends_after_twenty_idle_minutes_and_after_two_hours() {
    let app = support::app().await;
    app.account(ADA).await;
    let idle = Browser::signed_in(&app, ADA, PASSWORD).await;
    app.advance(MINUTE * 20 - Duration::from_secs(1));
    assert!(idle.is_signed_in().await);
    app.advance(MINUTE * 20);
    assert!(!idle.is_signed_in().await, "idle");
    app.step_back(MINUTE * 20);
    let busy = Browser::signed_in(&app, ADA, PASSWORD).await;
    for minutes in (10..120).step_by(10) {
        app.advance(MINUTE * 10);
        assert!(busy.is_signed_in().await, "{minutes}");
    }
    app.advance(MINUTE * 10);
    assert!(!busy.is_signed_in().await, "two hours in all");
    app.purge().await;
    assert_eq!(rows(&app, "page_sessions").await, 0);
    app.step_back(MINUTE * 30);
    assert!(!busy.is_signed_in().await, "what was purged comes back with no clock");
}

#[rocket::async_test]
async fn signing_out_ends_this_sign_in_and_no_other() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let two = Browser::signed_in(&app, ADA, PASSWORD).await;
    let old = one.clone();
    let answer = one.send("/account/sign-out", &[]).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in?done=out"));
    let cookies = cookies(&answer);
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].starts_with("__Host-vestibule-account=;"), "{cookies:?}");
    for attribute in ["Max-Age=0", "Secure", "HttpOnly", "Path=/", "SameSite=Strict"] {
        assert!(cookies[0].contains(attribute), "{cookies:?}");
    }
    assert_eq!(one.cookie, None);
    assert!(!old.is_signed_in().await, "the secret itself is dead");
    assert!(two.is_signed_in().await && opens(&app, &pair.access).await);
}

#[rocket::async_test]
async fn whoever_was_signed_out_is_told_so_in_one_of_three_sentences() {
    let app = support::app().await;
    app.account(ADA).await;
    let notice = async |browser: &Browser<'_>, path: &str| {
        let page = browser.open(path).await.page(200, "Sign in");
        keeps_to_the_rules(&page);
        let notice = page.body.split("role=\"status\">").nth(1);
        notice.map(|rest| unescape(rest.split("</p>").next().unwrap()))
    };
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let answer = browser.send("/account/sign-out", &[]).await;
    let said = notice(&browser, answer.header("location")).await;
    assert_eq!(said.unwrap(), "You are signed out.");
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let answer = browser.send("/account/sessions/end-all", &[]).await;
    let said = notice(&browser, answer.header("location")).await;
    assert!(said.unwrap().starts_with("You are signed out everywhere"));

    // the session has expired, for a link as for a form
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let token = browser.form_token().await;
    app.advance(MINUTE * 20);
    let form = browser.submit("/account/profile", &[("form_token", &token)]).await;
    for answer in [browser.open("/account/email").await, form] {
        assert_eq!(
            (answer.status.code, answer.header("location")),
            (303, "/account/sign-in?done=ended")
        );
        let said = notice(&browser, answer.header("location")).await;
        assert!(said.unwrap().starts_with("You are not signed in here any more"));
    }
    // a caller who was not signed in is told nothing, and the page shows no text from the query
    let stranger = Browser::new(&app);
    assert_eq!(stranger.open("/account").await.header("location"), "/account/sign-in");
    for done in ["", "?done=", "?done=saved", "?done=x", "?done=%3Cb%3E", "?done=out%00"] {
        assert_eq!(notice(&stranger, &format!("/account/sign-in{done}")).await, None, "{done}");
    }
}

#[rocket::async_test]
async fn r27_signing_out_everywhere_means_everywhere() {
    let app = support::app().await;
    app.account(ADA).await;
    let bob = app.signed_in(BOB).await;
    let pair = sign_in(&app).await;
    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let two = Browser::signed_in(&app, ADA, PASSWORD).await;
    let old = one.clone();
    let answer = one.send("/account/sessions/end-all", &[]).await;
    assert_eq!(
        (answer.status.code, answer.header("location")),
        (303, "/account/sign-in?done=everywhere")
    );
    assert!(one.cookie.is_none());
    assert!(!old.is_signed_in().await && !two.is_signed_in().await);
    assert!(!opens(&app, &pair.access).await);
    refused(&app, &pair.refresh).await;
    assert!(opens(&app, &bob.access_token).await);
}

#[rocket::async_test]
async fn r27_an_app_is_signed_out_from_the_page_and_only_ones_own() {
    let app = support::app().await;
    app.account(ADA).await;
    let bob = app.signed_in(BOB).await;
    let listed = Answer::of(bob.get("/v1/me/sessions").dispatch().await).await.json();
    let theirs = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    let pair = sign_in(&app).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for id in [theirs.as_str(), "x", ""] {
        let answer = browser.send("/account/sessions/end", &[("id", id)]).await;
        assert_eq!(answer.status.code, 303, "{id}");
    }
    assert!(opens(&app, &bob.access_token).await && opens(&app, &pair.access).await);
    let page = browser.open("/account").await.page(200, "Your account");
    let id = hidden(&page.body, "id");
    let answer = browser.send("/account/sessions/end", &[("id", &id)]).await;
    assert_eq!(answer.header("location"), "/account?done=session");
    assert!(!opens(&app, &pair.access).await);
    refused(&app, &pair.refresh).await;
    let page = browser.open("/account?done=session").await.page(200, "Your account");
    assert!(
        page.body.contains("You are signed out there.")
            && page.body.contains("No app is signed in")
    );
}

#[rocket::async_test]
async fn r27_sign_ins_at_the_page_are_listed_and_ended_one_by_one_and_only_ones_own() {
    let app = support::app().await;
    app.account(ADA).await;
    app.account(BOB).await;
    let mut bob = Browser::signed_in(&app, BOB, PASSWORD).await;
    Browser::signed_in(&app, BOB, PASSWORD).await;
    let bobs = bob.open("/account").await.page(200, "Your account");
    let theirs = hidden(&bobs.body, "id");

    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let page = one.open("/account").await.page(200, "Your account");
    assert_eq!(page.body.matches("This account page").count(), 1);
    assert_eq!(page.body.matches("This browser").count(), 1);
    assert!(!page.body.contains("/account/page-sessions/end"), "it has the button to sign out");
    let mut two = Browser::new(&app);
    let fields = [("email", ADA), ("password", PASSWORD)];
    let firefox = vec![Header::new("User-Agent", FIREFOX)];
    two.submit_with("/account/sign-in", &fields, firefox).await;
    for (browser, first) in [(&one, "This browser"), (&two, "Firefox (Linux)")] {
        let page = browser.open("/account").await.page(200, "Your account");
        let list = page.body.split("<ul class=\"rows sessions\">").nth(1).unwrap();
        let list: Vec<_> = list.split("</ul>").next().unwrap().split("<li>").skip(1).collect();
        assert_eq!(list.len(), 2, "{list:?}");
        assert!(list[0].contains(first) && list[0].contains("This browser"), "{list:?}");
        assert!(!list[0].contains("<button") && list[1].contains("<button"), "{list:?}");
        assert!(list.iter().all(|item| item.contains("1 January 2026")), "{list:?}");
    }
    for id in [theirs.as_str(), "x", ""] {
        let answer = one.send("/account/page-sessions/end", &[("id", id)]).await;
        assert_eq!(answer.header("location"), "/account?done=session", "{id}");
    }
    assert!(two.is_signed_in().await);
    let both = bob.send("/account/profile", &[("name", "Bob")]).await;
    assert_eq!(both.status.code, 303, "of theirs none has ended");
    assert!(bob.open("/account").await.body.contains("/account/page-sessions/end"));

    let id = hidden(&one.open("/account").await.body, "id");
    let answer = one.send("/account/page-sessions/end", &[("id", &id)]).await;
    assert_eq!(answer.header("location"), "/account?done=session");
    assert!(!two.is_signed_in().await && one.is_signed_in().await);
    let page = one.open("/account?done=session").await.page(200, "Your account");
    assert!(page.body.contains("You are signed out there."));
    assert_eq!(page.body.matches("This account page").count(), 1);
    let page = one.open("/account/events").await.page(200, "What happened");
    assert_eq!(page.body.matches("Signed out").count(), 1);
}

#[rocket::async_test]
async fn r42_a_change_of_password_keeps_this_sign_in_and_ends_all_others() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let two = Browser::signed_in(&app, ADA, PASSWORD).await;
    for (current, new, says) in [
        (OTHER, OTHER, "not your current password"),
        ("", OTHER, "not your current password"),
        (PASSWORD, "short-secret", "at least 15 characters"),
        (PASSWORD, ADA, "would be the first guess"),
        (PASSWORD, "", "at least 15 characters"),
    ] {
        let fields = [("current_password", current), ("new_password", new)];
        let page = one.send("/account/password", &fields).await.page(422, "Change password");
        keeps_to_the_rules(&page);
        assert!(unescape(&page.body).contains(says), "{says}: {}", page.body);
        assert!(!page.body.contains(PASSWORD) && !page.body.contains("short-secret"));
    }
    assert!(opens(&app, &pair.access).await);
    let fields = [("current_password", PASSWORD), ("new_password", OTHER)];
    let answer = one.send("/account/password", &fields).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account?done=password"));
    let page = one.open("/account?done=password").await.page(200, "Your account");
    assert!(page.body.contains("Your password is changed"));
    assert!(!two.is_signed_in().await);
    assert!(!opens(&app, &pair.access).await);
    refused(&app, &pair.refresh).await;
    assert!(signs_in(&app, ADA, OTHER).await && !signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(letters(&app, ADA).await, ["activation", "password-changed"]);
}

#[rocket::async_test]
async fn each_form_that_asks_for_the_password_says_whose_it_is() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for path in ["/account/password", "/account/email", "/account/deletion"] {
        let page = browser.open(path).await;
        assert_eq!(page.body.matches("autocomplete=\"current-password\"").count(), 1, "{path}");
        let field = page.body.split("<input ").find(|input| input.contains("name=\"username\""));
        let field = field.unwrap_or_else(|| panic!("password managers are lost on {path}"));
        let field = field.split('>').next().unwrap();
        for attribute in ["autocomplete=\"username\"", "readonly", &format!("value=\"{ADA}\"")] {
            assert!(field.contains(attribute), "{path}: {field}");
        }
    }
}

#[rocket::async_test]
async fn the_first_of_several_wrong_fields_has_the_focus() {
    let app = support::app().await;
    let fields = [("email", "ada@@x"), ("password", "short"), ("name", "Ada")];
    let page = Browser::new(&app).submit("/account/sign-up", &fields).await.page(422, "Sign up");
    assert_eq!(page.body.matches("aria-invalid=\"true\"").count(), 2);
    let focused: Vec<_> = page.body.split("<input ").filter(|i| i.contains("autofocus")).collect();
    assert!(focused.len() == 1 && focused[0].contains("id=\"email\""), "{}", page.body);
}

#[rocket::async_test]
async fn a_change_of_address_begins_on_the_page() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for (email, password, says) in [
        (NEW, OTHER, "not your current password"),
        ("ada@@x", PASSWORD, "one @"),
        (ADA, PASSWORD, "has already"),
        ("", PASSWORD, "one @"),
    ] {
        let fields = [("email", email), ("current_password", password)];
        let page = browser.send("/account/email", &fields).await.page(422, "Change email address");
        assert!(unescape(&page.body).contains(says), "{says}: {}", page.body);
        assert!(page.body.contains(&format!("value=\"{email}\"")), "what was typed stays");
        assert!(!page.body.contains(OTHER) && !page.body.contains(PASSWORD));
    }
    let fields = [("email", NEW), ("current_password", PASSWORD)];
    let answer = browser.send("/account/email", &fields).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account?done=email"));
    let page = browser.open("/account?done=email").await.page(200, "Your account");
    assert!(page.body.contains(NEW) && page.body.contains("Not confirmed yet"));
    let token = token_in(&app, "email-change", NEW).await;
    let mut elsewhere = Browser::new(&app);
    let pressed = elsewhere.submit("/confirm-email", &[("token", &token)]).await;
    assert!(cookies(&pressed.page(200, "confirmed")).is_empty(), "no link signs anybody in");
    let page = browser.open("/account").await.page(200, "Your account");
    assert!(page.body.contains(NEW) && !page.body.contains("Not confirmed yet"));
}

#[rocket::async_test]
async fn a_change_of_address_is_withdrawn_on_the_page() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let is_offered = async |browser: &Browser<'_>| {
        let page = browser.open("/account").await.page(200, "Your account");
        assert_eq!(page.body.contains("Withdraw"), page.body.contains("Not confirmed yet"));
        page.body.contains("action=\"/account/email/withdrawal\"")
    };
    assert!(!is_offered(&browser).await);
    let fields = [("email", NEW), ("current_password", PASSWORD)];
    browser.send("/account/email", &fields).await;
    assert!(is_offered(&browser).await);
    let token = token_in(&app, "email-change", NEW).await;
    let answer = browser.send("/account/email/withdrawal", &[]).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account?done=withdrawn"));
    let page = browser.open("/account?done=withdrawn").await.page(200, "Your account");
    assert!(page.body.contains("Your email address stays as it is.") && !page.body.contains(NEW));
    assert!(!is_offered(&browser).await);
    let pressed = Browser::new(&app).submit("/confirm-email", &[("token", &token)]).await;
    pressed.page(410, "already stopped");
    // a second withdrawal does no harm, and the account can ask for a new change
    let answer = browser.send("/account/email/withdrawal", &[]).await;
    assert_eq!(answer.status.code, 303);
    browser.send("/account/email", &fields).await;
    assert!(is_offered(&browser).await);
}

#[rocket::async_test]
async fn leaving_on_the_page_needs_the_password() {
    let app = support::app().await;
    app.account(ADA).await;
    let pair = sign_in(&app).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for password in [OTHER, ""] {
        let fields = [("current_password", password)];
        let page = browser.send("/account/deletion", &fields).await.page(422, "Delete account");
        assert!(page.body.contains("not your current password") && !page.body.contains(OTHER));
    }
    let old = browser.clone();
    let fields = [("current_password", PASSWORD)];
    let page = browser.send("/account/deletion", &fields).await;
    let page = page.page(200, "Your account is deleted");
    keeps_to_the_rules(&page);
    assert!(browser.cookie.is_none() && !old.is_signed_in().await);
    assert!(!opens(&app, &pair.access).await);
    assert_eq!(app.last_letter_to(ADA).await.name, "account-deleted");
    assert_eq!(rows(&app, "accounts").await, 0);
}

#[rocket::async_test]
async fn r46_every_page_keeps_to_the_rules_and_r43_opening_it_changes_nothing() {
    let app = support::app().await;
    app.account(ADA).await;
    sign_in(&app).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    // all rows but for one instant that opening a page may move: `idle_expires_at` of this sign-in
    let all_else = async || {
        let idle = texts(&app, "SELECT CAST(idle_expires_at AS TEXT) FROM page_sessions").await;
        let before = dump(&app).await;
        assert_eq!(idle.len(), 1);
        let without: Vec<_> = before.iter().map(|row| row.replace(&idle[0], "…")).collect();
        assert_eq!(before.iter().zip(&without).filter(|(a, b)| a != b).count(), 1);
        (idle, without)
    };
    let (first_idle, before) = all_else().await;
    for _ in 0..3 {
        app.advance(MINUTE);
        for path in PAGES {
            keeps_to_the_rules(&browser.open(path).await);
            let head = browser.ask(Method::Head, path).await;
            assert_eq!((head.status, head.body.as_str()), (Status::Ok, ""), "{path}");
            assert_eq!(head.header("cache-control"), "no-store, no-transform");
        }
        for path in ["/account/sign-in", "/account/sign-up", "/account/forgotten-password"] {
            keeps_to_the_rules(&Browser::new(&app).open(path).await);
        }
        browser.open("/account/sign-out").await.page(405, "Method not allowed");
        browser.open("/account/sessions/end-all").await.page(405, "Method not allowed");
    }
    let (idle, after) = all_else().await;
    assert_eq!(after, before);
    assert_ne!(idle, first_idle, "it may idle anew");
    let answer = browser.open("/").await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account"));
}

#[rocket::async_test]
async fn other_methods_are_answered_405_with_allow() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for (path, allow) in [
        ("/account", "GET, HEAD"),
        ("/account/password", "GET, HEAD, POST"),
        ("/account/sign-in", "GET, HEAD, POST"),
        ("/account/sign-out", "POST"),
        ("/account/sign-up/new-link", "POST"),
        ("/account/export", "GET, HEAD"),
        ("/reset-password", "GET, HEAD, POST"),
        ("/confirm-email", "GET, HEAD, POST"),
        ("/confirm-email/stop", "GET, HEAD, POST"),
        ("/reset-password/new-link", "POST"),
    ] {
        for method in [Method::Put, Method::Delete, Method::Patch] {
            let answer = browser.ask(method, path).await;
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
            answer.page(405, "Method not allowed");
        }
    }
    // a `_method` field changes nothing (R2)
    let mut browser = browser;
    let fields = [("_method", "DELETE"), ("current_password", PASSWORD)];
    let answer = browser.submit("/account/deletion", &fields).await;
    assert_eq!(answer.status, Status::Forbidden);
    browser.open("/account/nothing").await.page(404, "Not found");
}

#[rocket::async_test]
async fn r46_nothing_in_the_query_leads_anywhere_else() {
    let app = support::app().await;
    app.account(ADA).await;
    let evil = "next=//evil.example&return_to=https://evil.example&done=//evil.example&url=//e";
    let mut browser = Browser::new(&app);
    let fields = [("email", ADA), ("password", PASSWORD), ("next", "//evil.example")];
    let page = browser.open(&format!("/account/sign-in?{evil}")).await.page(200, "Sign in");
    assert!(!page.body.contains("evil"));
    let answer = browser.submit(&format!("/account/sign-in?{evil}"), &fields).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account"));
    let page = browser.open(&format!("/account?{evil}")).await.page(200, "Your account");
    assert!(!page.body.contains("evil"), "{}", page.body);
    let answer = browser.open(&format!("/account/sign-in?{evil}")).await;
    assert_eq!(answer.header("location"), "/account");
    for done in ["x", "%3Cscript%3E", "saved%00", ""] {
        let page = browser.open(&format!("/account?done={done}")).await.page(200, "Your account");
        assert!(!page.body.contains("role=\"status\""), "{done}");
    }
    let mut evil = Browser::new(&app);
    let answer = evil.open("/account?next=//evil.example").await;
    assert_eq!(answer.header("location"), "/account/sign-in");
    let more = vec![Header::new("Host", "evil.example")];
    let answer = evil.submit_with("/account/sign-in", &fields, more).await;
    assert_eq!(answer.header("location"), "/account", "a path, whatever Host says");
}

#[rocket::async_test]
async fn r37_names_that_somebody_made_up_are_inert() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{7*7}}{% raw %}",
        "https://evil.example/",
        "Ada 'Quote' & \"Quote\"",
        "שרה",
    ] {
        let answer = browser.send("/account/profile", &[("name", name)]).await;
        assert_eq!(answer.header("location"), "/account?done=saved", "{name}");
        let page = browser.open("/account").await;
        keeps_to_the_rules(&page);
        assert!(!page.body.contains(name) || !name.contains(['<', '&', '"']), "{name}");
        assert!(!page.body.contains("\"49\""), "{}", page.body);
        let field = page.body.split("name=\"name\"").nth(1).unwrap();
        let value = field.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(unescape(value), name);
        assert!(!page.body.contains("href=\"https://evil"));
    }
    for name in ["\u{202e}adA", "a\nb", "a\u{0}b", &"x".repeat(101)] {
        let page = browser.send("/account/profile", &[("name", name)]).await;
        let expected = if name.contains('\0') { 400 } else { 422 };
        assert_eq!(page.status.code, expected, "{name:?}");
        // the form shows a name again that is too long, and never a name with forbidden characters
        assert_eq!(page.body.contains(name), name.len() > 100);
    }
    let page = browser.open("/account").await;
    assert!(page.body.contains("שרה"), "what is refused changes nothing");
    let answer = browser.send("/account/profile", &[]).await;
    assert_eq!(answer.status.code, 303, "an empty name is none");

    // the page describes a browser in the service's own words or not at all
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let request = request.header(Header::new("User-Agent", "<b>Firefox/140.0</b> {{7*7}} Linux"));
    request.body(support::form(&support::sign_in_fields())).dispatch().await;
    for path in ["/account", "/account/events"] {
        let page = browser.open(path).await;
        assert!(!page.body.contains("<b>Firefox") && !page.body.contains("7*7"), "{}", page.body);
    }
}

#[rocket::async_test]
async fn pages_are_in_the_language_of_the_account_and_before_that_of_the_browser() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    browser.languages = Some("de-AT,de;q=0.9,en;q=0.5");
    let german = |page: &Answer| {
        assert_eq!(page.header("content-language"), "de");
        assert!(page.body.contains("<html lang=\"de\">"));
    };
    for (path, heading) in [
        ("/account/sign-in", "Anmelden"),
        ("/account/sign-up", ""),
        ("/account/forgotten-password", ""),
    ] {
        german(&browser.open(path).await.page(200, heading));
    }
    let fields = [("email", ADA), ("password", OTHER)];
    german(&browser.submit("/account/sign-in", &fields).await.page(422, "Anmelden"));
    let fields = [("email", ADA), ("password", PASSWORD)];
    browser.submit("/account/sign-in", &fields).await;
    for path in PAGES {
        german(&browser.open(path).await);
    }
    // the account's language goes before the browser's
    browser.send("/account/profile", &[("locale", "en")]).await;
    for path in PAGES {
        assert_eq!(browser.open(path).await.header("content-language"), "en", "{path}");
    }
    browser.send("/account/profile", &[("locale", "de")]).await;
    browser.languages = Some("en");
    for path in PAGES {
        german(&browser.open(path).await);
    }
    let fields = [("current_password", OTHER), ("new_password", OTHER)];
    german(&browser.send("/account/password", &fields).await);
    // without a language in the account, the browser's counts again
    browser.send("/account/profile", &[("locale", "")]).await;
    assert_eq!(browser.open("/account").await.header("content-language"), "en");
    for odd in ["xx-nonsense", "../../etc", "<b>"] {
        browser.send("/account/profile", &[("locale", odd)]).await;
        assert_eq!(browser.open("/account").await.header("content-language"), "en", "{odd}");
    }
}

#[rocket::async_test]
async fn saving_the_name_leaves_a_language_alone_that_the_page_cannot_show_in_full() {
    let app = support::app().await;
    app.account(ADA).await;
    let ada = app.sign_in(ADA).await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let locale =
        async || Answer::of(ada.get("/v1/me").dispatch().await).await.json()["locale"].clone();
    for (own, chosen) in [("fr", ""), ("de-AT", "de"), ("en-GB", "en")] {
        let body = json!({ "locale": own });
        let answer = ada.patch("/v1/me", &body).dispatch().await;
        assert_eq!(answer.status(), Status::Ok);
        let page = browser.open("/account").await;
        let selected = format!("<option value=\"{chosen}\" lang=\"{chosen}\" selected>");
        assert_eq!(page.body.contains(" selected>"), !chosen.is_empty());
        assert!(chosen.is_empty() || page.body.contains(&selected), "{}", page.body);
        browser.send("/account/profile", &[("name", "Ada"), ("locale", chosen)]).await;
        assert_eq!(locale().await, own);
    }
    // the account can choose another language, or leave the language to the browser
    for (chosen, stored) in [("de", json!("de")), ("", json!(null)), ("en", json!("en"))] {
        browser.send("/account/profile", &[("name", "Ada"), ("locale", chosen)]).await;
        assert_eq!(locale().await, stored);
    }
    browser.send("/account/profile", &[("locale", "fr")]).await;
    assert_eq!(locale().await, json!(null), "the page does not offer it");
}

#[rocket::async_test]
async fn the_page_tells_where_one_is_signed_in_and_what_happened() {
    let app = support::app().await;
    app.account(ADA).await;
    let request = app.client.post("/oauth/token").header(ContentType::Form);
    let request = request.header(Header::new("User-Agent", FIREFOX));
    let answer = request.body(support::form(&support::sign_in_fields())).dispatch().await;
    assert_eq!(answer.status(), Status::Ok);
    app.account(BOB).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let page = browser.open("/account").await.page(200, "Your account");
    assert!(page.body.contains("Firefox (Linux)") && page.body.contains("web"));
    assert!(page.body.contains(ADA) && !page.body.contains(BOB));
    let page = browser.open("/account/events").await.page(200, "What happened");
    for words in ["Sign-up", "Email address confirmed", "Signed in", "Firefox (Linux)", "App web"] {
        assert!(unescape(&page.body).contains(words), "{words}: {}", page.body);
    }
    // more sign-ins than fit on one page
    for _ in 0..60 {
        let answer = Browser::signed_in(&app, ADA, PASSWORD).await;
        assert!(answer.cookie.is_some());
        app.advance(Duration::from_secs(1));
    }
    let page = browser.open("/account/events").await;
    let link = page.body.split("href=\"/account/events?before=").nth(1).unwrap();
    let id = link.split('"').next().unwrap();
    let earlier = browser.open(&format!("/account/events?before={id}")).await;
    let earlier = earlier.page(200, "What happened");
    assert!(earlier.body.contains("Sign-up") && !earlier.body.contains("?before="));
    for nonsense in ["x", "%00", "'--"] {
        let path = format!("/account/events?before={nonsense}");
        browser.open(&path).await.page(200, "What happened");
    }
}

#[rocket::async_test]
async fn what_happened_says_who_it_was_where_that_tells_something() {
    let app = support::app().await;
    app.sign_up(ADA, PASSWORD).await;
    // the right password is refused while the limit holds
    let mut browser = Browser::new(&app);
    let fields = [("email", ADA), ("password", PASSWORD)];
    browser.submit("/account/sign-in", &fields).await.page(422, "Sign in");
    app.activate(ADA).await;
    browser.submit("/account/forgotten-password", &[("email", ADA)]).await.page(202, "mailbox");
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let fields = [("current_password", OTHER)];
    browser.send("/account/deletion", &fields).await.page(422, "Delete account");
    let ada = accounts(&app).find_named(&ADA.parse().unwrap()).await.unwrap().unwrap();
    assert!(accounts(&app).send_reset(&ada).await.unwrap());
    let page = browser.open("/account/events").await.page(200, "What happened");
    let who = |what: &str| -> Vec<bool> {
        let items = page.body.split("<li>").filter(|item| item.contains(&format!(">{what}<")));
        items.map(|item| item.contains("Perhaps not by you")).collect()
    };
    assert_eq!(who("Sign-up"), [false]);
    assert_eq!(who("Failed sign-in"), [true]);
    assert_eq!(who("Wrong current password"), [true]);
    assert_eq!(who("Signed in"), [false]);
    let requested = "Link for a new password requested";
    assert_eq!(who(requested), [false, false]);
    assert_eq!(page.body.matches("By the people who run the service").count(), 1);
    assert!(!page.body.contains("By you<"));
}

#[rocket::async_test]
async fn r35_a_password_for_somebody_else_cannot_be_planted_on_the_page_either() {
    let app = support::app().await;
    let mut browser = Browser::new(&app);
    let fields = [("email", ADA), ("password", OTHER), ("name", "Mallory")];
    browser.submit("/account/sign-up", &fields).await.page(202, "mailbox");
    let fields = [("email", ADA), ("password", PASSWORD)];
    browser.submit("/account/sign-up", &fields).await.page(202, "mailbox");
    let token = app.link_token(ADA).await;
    let fields = [("token", token.as_str())];
    browser.submit("/activate", &fields).await.page(409, "Confirm your email address");
    assert_eq!(rows(&app, "accounts").await, 0);
    assert_eq!(dump_of(&app, "sign_ups").await.len(), 1);
    for (field, value) in [("email", "a@b@c"), ("password", "short"), ("name", "\u{202e}x")] {
        let mut fields = vec![("email", ADA), ("password", PASSWORD), ("name", "Ada")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let page = browser.submit("/account/sign-up", &fields).await.page(422, "Sign up");
        keeps_to_the_rules(&page);
        assert!(!page.body.contains(PASSWORD));
    }
}

#[rocket::async_test]
async fn the_token_for_programs_works_beside_the_cookie_as_if_it_were_not_there() {
    let app: TestApp = support::app().await;
    app.account(ADA).await;
    let ada = app.sign_in(ADA).await;
    let bob = Browser::signed_in(
        &app,
        {
            app.account(BOB).await;
            BOB
        },
        PASSWORD,
    )
    .await;
    let request = app.client.get("/v1/me").header(bearer(&ada.access_token));
    let request = request.header(bob.cookie_header().unwrap());
    let me = Answer::of(request.dispatch().await).await.json();
    assert_eq!(me["email"], ADA);
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let answer = put_as(&app, &ada.access_token, "/v1/me/password", &body).await;
    assert_eq!(answer.status, Status::NoContent);
    assert!(bob.is_signed_in().await);
}

#[rocket::async_test]
async fn f20_a_password_manager_finds_the_page_where_a_password_is_changed() {
    let url = "/.well-known/change-password";
    let settings = "[default.vestibule]\npublic_url = \"https://h.example/auth\"";
    for (toml, place) in [("", "/account/password"), (settings, "/auth/account/password")] {
        let app = support::configured(toml).await;
        for request in [app.client.get(url), app.client.head(url)] {
            let answer = Answer::of(request.dispatch().await).await;
            assert_eq!((answer.status.code, answer.header("location")), (303, place));
        }
        let posted = Answer::of(app.client.post(url).dispatch().await).await;
        assert_eq!((posted.status.code, posted.header("allow")), (405, "GET, HEAD"));
        // a password manager asks for this path to find out whether it can trust status codes
        let probe =
            "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
        assert_eq!(get(&app, probe).await.status, Status::NotFound);
    }
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    keeps_to_the_rules(&browser.open("/account/password").await.page(200, "password"));
}

#[rocket::async_test]
async fn s11_the_account_page_shows_sign_ins_page_by_page() {
    let app = support::app().await;
    app.account(ADA).await;
    for _ in 0..101 {
        app.advance(Duration::from_millis(1));
        app.sign_in(ADA).await;
    }
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let page = browser.open("/account").await;
    let shown = |page: &Answer| page.body.matches("action=\"/account/sessions/end\"").count();
    assert_eq!(shown(&page), 100);
    let (_, link) = page.body.split_once("/account?before=").expect("a link to more");
    let id = link.split_once('"').unwrap().0;
    let page = browser.open(&format!("/account?before={id}")).await;
    assert_eq!(shown(&page), 1);
    assert!(!page.body.contains("?before="));
    assert_eq!(shown(&browser.open("/account?before=nonsense").await), 100);
}

#[rocket::async_test]
async fn s11_beyond_the_limit_the_longest_unused_sign_in_at_the_page_ends() {
    let limit = "[default.vestibule.limits]\nsessions_per_account = 10";
    let app = support::configured(limit).await;
    app.account(ADA).await;
    let first = Browser::signed_in(&app, ADA, PASSWORD).await;
    let mut others = vec![];
    for _ in 0..10 {
        app.advance(Duration::from_secs(1));
        others.push(Browser::signed_in(&app, ADA, PASSWORD).await);
    }
    assert!(!first.is_signed_in().await, "it was unused for longest");
    for other in &others {
        assert!(other.is_signed_in().await);
    }
    assert_eq!(rows(&app, "page_sessions").await, 10);
}
