//! The account page, as a browser without script sees it (R27, R34, R37, R43, R46).

use std::time::Duration;

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, bearer, opens, refused, sign_in};
use crate::support_life::{BOB, Browser, FIREFOX, NEW, hidden, letters, put_as, token_in};
use crate::support_pages::{Answer, OTHER, dump, dump_of, rows, signs_in, unescape};

const MINUTE: Duration = Duration::from_secs(60);
const PAGES: [&str; 5] =
    ["/account", "/account/password", "/account/email", "/account/deletion", "/account/events"];
/// Forms that need a sign-in, with fields that would do something.
const FORMS: [(&str, &[(&str, &str)]); 7] = [
    ("/account/profile", &[("name", "Mallory"), ("locale", "de")]),
    ("/account/password", &[("current_password", PASSWORD), ("new_password", OTHER)]),
    ("/account/email", &[("current_password", PASSWORD), ("email", NEW)]),
    ("/account/deletion", &[("current_password", PASSWORD)]),
    ("/account/sessions/end", &[]),
    ("/account/sessions/end-all", &[]),
    ("/account/sign-out", &[]),
];

fn cookies(answer: &Answer) -> Vec<&str> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    cookies.map(|(_, value)| value.as_str()).collect()
}

/// What every page keeps to (R46).
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
        ("cache-control", "no-store"),
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
    // another sign-in has another
    let second = Browser::signed_in(&app, ADA, PASSWORD).await;
    assert_ne!(browser.cookie, second.cookie);
    assert_ne!(browser.form_token().await, second.form_token().await);
    // and who is signed in need not sign in
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
    // the right password of one that waits is told what to do
    let fields = [("email", BOB), ("password", PASSWORD)];
    let page = browser.submit("/account/sign-in", &fields).await.page(422, "Sign in");
    assert!(unescape(&page.body).contains("has yet to be confirmed") && !page.has("set-cookie"));
    // what is typed is inert
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
        // in the query it counts for nothing
        let query = format!("{path}?form_token={own}");
        assert_eq!(browser.submit(&query, fields).await.status, Status::Forbidden, "{path}");
        // twice is no form at all
        let twice = [&[("form_token", own.as_str()); 2][..], fields].concat();
        assert_eq!(browser.submit(path, &twice).await.status, Status::BadRequest, "{path}");
        // and another content type is none
        let request = app.client.post(path).header(ContentType::JSON);
        let request = request.cookies(browser.jar());
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

#[rocket::async_test]
async fn r46_another_site_can_send_none_of_the_forms_that_come_before_a_sign_in() {
    let app = support::app().await;
    app.account(ADA).await;
    let forms: [(&str, &[(&str, &str)]); 3] = [
        ("/account/sign-in", &[("email", ADA), ("password", PASSWORD)]),
        ("/account/sign-up", &[("email", BOB), ("password", PASSWORD)]),
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
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
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
async fn r27_signing_out_everywhere_means_everywhere() {
    let app = support::app().await;
    app.account(ADA).await;
    let bob = app.signed_in(BOB).await;
    let pair = sign_in(&app).await;
    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let two = Browser::signed_in(&app, ADA, PASSWORD).await;
    let old = one.clone();
    let answer = one.send("/account/sessions/end-all", &[]).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account/sign-in"));
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
        let page = browser.send("/account/email", &fields).await.page(422, "Change address");
        assert!(unescape(&page.body).contains(says), "{says}: {}", page.body);
        assert!(page.body.contains(&format!("value=\"{email}\"")), "what was typed stays");
        assert!(!page.body.contains(OTHER) && !page.body.contains(PASSWORD));
    }
    let fields = [("email", NEW), ("current_password", PASSWORD)];
    let answer = browser.send("/account/email", &fields).await;
    assert_eq!((answer.status.code, answer.header("location")), (303, "/account?done=email"));
    let page = browser.open("/account?done=email").await.page(200, "Your account");
    assert!(page.body.contains(NEW) && page.body.contains("To be confirmed"));
    let token = token_in(&app, "email-change", NEW).await;
    let mut elsewhere = Browser::new(&app);
    let pressed = elsewhere.submit("/confirm-email", &[("token", &token)]).await;
    assert!(cookies(&pressed.page(200, "confirmed")).is_empty(), "no link signs anybody in");
    let page = browser.open("/account").await.page(200, "Your account");
    assert!(page.body.contains(NEW) && !page.body.contains("To be confirmed"));
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
    let before = dump(&app).await;
    for _ in 0..3 {
        for path in PAGES {
            keeps_to_the_rules(&browser.open(path).await);
            let head = browser.ask(Method::Head, path).await;
            assert_eq!((head.status, head.body.as_str()), (Status::Ok, ""), "{path}");
            assert_eq!(head.header("cache-control"), "no-store");
        }
        for path in ["/account/sign-in", "/account/sign-up", "/account/forgotten-password"] {
            keeps_to_the_rules(&Browser::new(&app).open(path).await);
        }
        browser.open("/account/sign-out").await.page(405, "Method not allowed");
        browser.open("/account/sessions/end-all").await.page(405, "Method not allowed");
    }
    assert_eq!(dump(&app).await, before);
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
    // a field that names another method changes nothing (R2)
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
        // what is too long can be shortened; what no name can hold does not come back
        assert_eq!(page.body.contains(name), name.len() > 100);
    }
    let page = browser.open("/account").await;
    assert!(page.body.contains("שרה"), "what is refused changes nothing");
    let answer = browser.send("/account/profile", &[]).await;
    assert_eq!(answer.status.code, 303, "an empty name is none");

    // what a browser says of itself is shown in our words or not at all
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
    // the account's own choice goes before the browser's
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
    // none at all: the browser's again
    browser.send("/account/profile", &[("locale", "")]).await;
    assert_eq!(browser.open("/account").await.header("content-language"), "en");
    for odd in ["xx-nonsense", "../../etc", "<b>"] {
        browser.send("/account/profile", &[("locale", odd)]).await;
        assert_eq!(browser.open("/account").await.header("content-language"), "en", "{odd}");
    }
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
    for words in ["Sign-up", "Address confirmed", "Signed in", "Firefox (Linux)", "App web"] {
        assert!(unescape(&page.body).contains(words), "{words}: {}", page.body);
    }
    // more than fit on one page
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
async fn r35_a_password_for_somebody_else_cannot_be_planted_on_the_page_either() {
    let app = support::app().await;
    let mut browser = Browser::new(&app);
    let fields = [("email", ADA), ("password", OTHER), ("name", "Mallory")];
    browser.submit("/account/sign-up", &fields).await.page(202, "mailbox");
    let fields = [("email", ADA), ("password", PASSWORD)];
    browser.submit("/account/sign-up", &fields).await.page(202, "mailbox");
    let token = app.link_token(ADA).await;
    let fields = [("token", token.as_str())];
    browser.submit("/activate", &fields).await.page(409, "Confirm your address");
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
    let request = request.cookies(bob.jar());
    let me = Answer::of(request.dispatch().await).await.json();
    assert_eq!(me["email"], ADA);
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let answer = put_as(&app, &ada.access_token, "/v1/me/password", &body).await;
    assert_eq!(answer.status, Status::NoContent);
    assert!(bob.is_signed_in().await);
}
