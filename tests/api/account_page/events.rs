//! Tests of the page with the history of events.

use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use vestibule::testing::PASSWORD;

use crate::support::{self, ADA};
use crate::support_accounts::{BOB, Browser, FIREFOX, accounts};
use crate::support_pages::{OTHER, unescape};

#[rocket::async_test]
async fn pages_list_sessions_and_events_of_the_account() {
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
async fn events_page_marks_events_that_a_stranger_may_have_caused() {
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
