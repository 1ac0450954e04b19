//! Tests of the sign-in page, its cookie, and the end of a page session (R46).

use std::time::Duration;

use rocket::http::{Header, Status};
use serde_json::json;
use vestibule::testing::{PASSWORD, TestApp};

use super::{MINUTE, PAGES, assert_page_rules, cookies};
use crate::support::{self, ADA, assert_refresh_refused, bearer, opens, sign_in};
use crate::support_accounts::{BOB, Browser, put_as};
use crate::support_pages::{Answer, OTHER, dump, rows, unescape};

#[rocket::async_test]
async fn r46_sign_in_sets_one_host_cookie_with_strict_attributes() {
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
async fn cookie_opens_only_the_account_page_and_token_only_the_api() {
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
        assert_refresh_refused(&app, &token).await;
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
    assert!(!other.is_signed_in().await, "the cookie counts under its own name only");
}

#[rocket::async_test]
async fn r46_s6_planted_cookie_opens_no_page() {
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
async fn page_of_a_failed_sign_in_repeats_the_address_and_never_the_password() {
    let app = support::app().await;
    app.account(ADA).await;
    app.sign_up(BOB, PASSWORD).await;
    let mut browser = Browser::new(&app);
    let mut pages = vec![];
    for email in [ADA, BOB, "nobody@example.org"] {
        let fields = [("email", email), ("password", "a wrong long passphrase")];
        let page = browser.submit("/account/sign-in", &fields).await.page(422, "Sign in");
        assert_page_rules(&page);
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
        assert_page_rules(&page);
        assert!(unescape(&page.body).contains(markup), "{path}");
        assert!(!page.body.contains(OTHER) && !page.body.contains("49"), "{path}");
    }
    let page = browser.submit("/account/sign-in", &[]).await.page(422, "Sign in");
    assert!(!page.has("set-cookie"));
}

#[rocket::async_test]
async fn page_session_ends_after_twenty_idle_minutes_and_after_two_hours() {
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
    assert!(!busy.is_signed_in().await, "a purged page session does not come back");
}

#[rocket::async_test]
async fn sign_out_ends_its_own_page_session_only() {
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
    assert!(!old.is_signed_in().await, "the secret of the cookie has ended");
    assert!(two.is_signed_in().await && opens(&app, &pair.access).await);
}

#[rocket::async_test]
async fn sign_in_page_explains_the_end_of_a_page_session() {
    let app = support::app().await;
    app.account(ADA).await;
    let notice = async |browser: &Browser<'_>, path: &str| {
        let page = browser.open(path).await.page(200, "Sign in");
        assert_page_rules(&page);
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
async fn bearer_token_is_independent_of_a_cookie_beside_it() {
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
