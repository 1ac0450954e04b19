//! Tests of the protection of forms against other sites (R46).

use rocket::http::{ContentType, Header, Status};
use serde_json::json;
use vestibule::testing::PASSWORD;

use super::{FORMS, assert_page_rules, cookies};
use crate::support::{self, ADA, opens, sign_in};
use crate::support_accounts::{BOB, Browser};
use crate::support_pages::dump;

#[rocket::async_test]
async fn r46_every_form_needs_the_token_of_its_page_session() {
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
            assert_page_rules(&page);
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
async fn forms_without_a_page_session_redirect_to_the_sign_in() {
    let app = support::app().await;
    let mut browser = Browser::new(&app);
    for (path, fields) in FORMS {
        let answer = browser.submit(path, fields).await;
        let location = (answer.status.code, answer.header("location"));
        assert_eq!(location, (303, "/account/sign-in"), "{path}");
    }
}

#[rocket::async_test]
async fn r46_forms_before_a_sign_in_are_refused_from_other_sites() {
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
