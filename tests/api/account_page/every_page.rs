//! Tests of rules that every page of the account keeps (R43, R46).

use rocket::http::{Header, Method, Status};
use vestibule::testing::PASSWORD;

use super::{MINUTE, PAGES, assert_page_rules};
use crate::support::{self, ADA, sign_in};
use crate::support_accounts::Browser;
use crate::support_pages::{Answer, OTHER, dump, texts};

#[rocket::async_test]
async fn r46_r43_pages_keep_the_rules_and_opening_them_changes_nothing() {
    let app = support::app().await;
    app.account(ADA).await;
    sign_in(&app).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    // all rows but for one instant that opening a page may move: `idle_expires_at` of this sign-in
    let rows_without_idle_time = async || {
        let idle = texts(&app, "SELECT CAST(idle_expires_at AS TEXT) FROM page_sessions").await;
        let before = dump(&app).await;
        assert_eq!(idle.len(), 1);
        let without: Vec<_> = before.iter().map(|row| row.replace(&idle[0], "…")).collect();
        assert_eq!(before.iter().zip(&without).filter(|(a, b)| a != b).count(), 1);
        (idle, without)
    };
    let (first_idle, before) = rows_without_idle_time().await;
    for _ in 0..3 {
        app.advance(MINUTE);
        for path in PAGES {
            assert_page_rules(&browser.open(path).await);
            let head = browser.request(Method::Head, path).await;
            assert_eq!((head.status, head.body.as_str()), (Status::Ok, ""), "{path}");
            assert_eq!(head.header("cache-control"), "no-store, no-transform");
        }
        for path in ["/account/sign-in", "/account/sign-up", "/account/forgotten-password"] {
            assert_page_rules(&Browser::new(&app).open(path).await);
        }
        browser.open("/account/sign-out").await.page(405, "Method not allowed");
        browser.open("/account/sessions/end-all").await.page(405, "Method not allowed");
    }
    let (idle, after) = rows_without_idle_time().await;
    assert_eq!(after, before);
    assert_ne!(idle, first_idle, "opening a page extends the idle time");
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
            let answer = browser.request(method, path).await;
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
async fn r46_account_pages_ignore_redirect_parameters() {
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
    assert_eq!(answer.header("location"), "/account", "a path, for every Host header");
}

#[rocket::async_test]
async fn pages_are_in_the_language_of_the_account_or_else_of_the_browser() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    browser.languages = Some("de-AT,de;q=0.9,en;q=0.5");
    let assert_german = |page: &Answer| {
        assert_eq!(page.header("content-language"), "de");
        assert!(page.body.contains("<html lang=\"de\">"));
    };
    for (path, heading) in [
        ("/account/sign-in", "Anmelden"),
        ("/account/sign-up", ""),
        ("/account/forgotten-password", ""),
    ] {
        assert_german(&browser.open(path).await.page(200, heading));
    }
    let fields = [("email", ADA), ("password", OTHER)];
    assert_german(&browser.submit("/account/sign-in", &fields).await.page(422, "Anmelden"));
    let fields = [("email", ADA), ("password", PASSWORD)];
    browser.submit("/account/sign-in", &fields).await;
    for path in PAGES {
        assert_german(&browser.open(path).await);
    }
    // the account's language takes precedence over the browser's
    browser.send("/account/profile", &[("locale", "en")]).await;
    for path in PAGES {
        assert_eq!(browser.open(path).await.header("content-language"), "en", "{path}");
    }
    browser.send("/account/profile", &[("locale", "de")]).await;
    browser.languages = Some("en");
    for path in PAGES {
        assert_german(&browser.open(path).await);
    }
    let fields = [("current_password", OTHER), ("new_password", OTHER)];
    assert_german(&browser.send("/account/password", &fields).await);
    // without a language in the account, the browser's counts again
    browser.send("/account/profile", &[("locale", "")]).await;
    assert_eq!(browser.open("/account").await.header("content-language"), "en");
    for odd in ["xx-nonsense", "../../etc", "<b>"] {
        browser.send("/account/profile", &[("locale", odd)]).await;
        assert_eq!(browser.open("/account").await.header("content-language"), "en", "{odd}");
    }
}
