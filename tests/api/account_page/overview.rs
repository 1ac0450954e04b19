//! Tests of the overview: the profile form and the lists of sessions (R27, R37).

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use serde_json::json;
use vestibule::testing::PASSWORD;

use super::assert_page_rules;
use crate::support::{self, ADA, assert_refresh_refused, opens, sign_in};
use crate::support_accounts::{BOB, Browser, FIREFOX, hidden_field};
use crate::support_pages::{Answer, rows, unescape};

#[rocket::async_test]
async fn r27_sign_out_everywhere_on_the_page_ends_all_sessions() {
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
    assert_refresh_refused(&app, &pair.refresh).await;
    assert!(opens(&app, &bob.access_token).await);
}

#[rocket::async_test]
async fn r27_page_ends_sessions_of_its_own_account_only() {
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
    let id = hidden_field(&page.body, "id");
    let answer = browser.send("/account/sessions/end", &[("id", &id)]).await;
    assert_eq!(answer.header("location"), "/account?done=session");
    assert!(!opens(&app, &pair.access).await);
    assert_refresh_refused(&app, &pair.refresh).await;
    let page = browser.open("/account?done=session").await.page(200, "Your account");
    assert!(
        page.body.contains("You are signed out there.")
            && page.body.contains("No app is signed in")
    );
}

#[rocket::async_test]
async fn r27_page_sessions_are_listed_and_ended_one_by_one_in_their_own_account_only() {
    let app = support::app().await;
    app.account(ADA).await;
    app.account(BOB).await;
    let mut bob = Browser::signed_in(&app, BOB, PASSWORD).await;
    Browser::signed_in(&app, BOB, PASSWORD).await;
    let bobs = bob.open("/account").await.page(200, "Your account");
    let theirs = hidden_field(&bobs.body, "id");

    let mut one = Browser::signed_in(&app, ADA, PASSWORD).await;
    let page = one.open("/account").await.page(200, "Your account");
    assert_eq!(page.body.matches("This account page").count(), 1);
    assert_eq!(page.body.matches("This browser").count(), 1);
    assert!(
        !page.body.contains("/account/page-sessions/end"),
        "the current page session has the button to sign out"
    );
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
    assert_eq!(both.status.code, 303, "no page session of the other account has ended");
    assert!(bob.open("/account").await.body.contains("/account/page-sessions/end"));

    let id = hidden_field(&one.open("/account").await.body, "id");
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
async fn r37_names_with_markup_are_escaped() {
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
        assert_page_rules(&page);
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
    assert!(page.body.contains("שרה"), "a refused name changes nothing");
    let answer = browser.send("/account/profile", &[]).await;
    assert_eq!(answer.status.code, 303, "a form without a name is accepted");

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
async fn saving_the_profile_keeps_a_locale_that_the_page_does_not_offer() {
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
    assert_eq!(locale().await, json!(null), "the page does not offer this language");
}

#[rocket::async_test]
async fn s11_account_page_lists_sessions_page_by_page() {
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
async fn s11_beyond_the_limit_the_longest_unused_page_session_ends() {
    let limit = "[default.vestibule.limits]\nsessions_per_account = 10";
    let app = support::configured(limit).await;
    app.account(ADA).await;
    let first = Browser::signed_in(&app, ADA, PASSWORD).await;
    let mut others = vec![];
    for _ in 0..10 {
        app.advance(Duration::from_secs(1));
        others.push(Browser::signed_in(&app, ADA, PASSWORD).await);
    }
    assert!(!first.is_signed_in().await, "this page session was unused for longest");
    for other in &others {
        assert!(other.is_signed_in().await);
    }
    assert_eq!(rows(&app, "page_sessions").await, 10);
}
