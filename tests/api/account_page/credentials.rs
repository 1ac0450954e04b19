//! Tests of the pages that need the current password (R34, R42).

use rocket::http::Status;
use vestibule::testing::PASSWORD;

use super::{assert_page_rules, cookies};
use crate::support::{self, ADA, assert_refresh_refused, opens, sign_in};
use crate::support_accounts::{Browser, NEW, letters, token_in};
use crate::support_pages::{Answer, OTHER, get, rows, signs_in, unescape};

#[rocket::async_test]
async fn r42_password_change_keeps_its_page_session_and_ends_all_others() {
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
        assert_page_rules(&page);
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
    assert_refresh_refused(&app, &pair.refresh).await;
    assert!(signs_in(&app, ADA, OTHER).await && !signs_in(&app, ADA, PASSWORD).await);
    assert_eq!(letters(&app, ADA).await, ["activation", "password-changed"]);
}

#[rocket::async_test]
async fn forms_with_a_current_password_have_a_username_for_password_managers() {
    let app = support::app().await;
    app.account(ADA).await;
    let browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    for path in ["/account/password", "/account/email", "/account/deletion"] {
        let page = browser.open(path).await;
        assert_eq!(page.body.matches("autocomplete=\"current-password\"").count(), 1, "{path}");
        let field = page.body.split("<input ").find(|input| input.contains("name=\"username\""));
        let field = field.unwrap_or_else(|| panic!("no username for password managers on {path}"));
        let field = field.split('>').next().unwrap();
        for attribute in ["autocomplete=\"username\"", "readonly", &format!("value=\"{ADA}\"")] {
            assert!(field.contains(attribute), "{path}: {field}");
        }
    }
}

#[rocket::async_test]
async fn f20_well_known_path_redirects_to_the_change_password_page() {
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
    assert_page_rules(&browser.open("/account/password").await.page(200, "password"));
}

#[rocket::async_test]
async fn address_change_can_be_requested_on_the_page() {
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
        assert!(page.body.contains(&format!("value=\"{email}\"")), "the typed address stays");
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
    assert!(cookies(&pressed.page(200, "confirmed")).is_empty(), "no link sets a cookie");
    let page = browser.open("/account").await.page(200, "Your account");
    assert!(page.body.contains(NEW) && !page.body.contains("Not confirmed yet"));
}

#[rocket::async_test]
async fn address_change_can_be_withdrawn_on_the_page() {
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
async fn account_deletion_on_the_page_needs_the_password() {
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
    assert_page_rules(&page);
    assert!(browser.cookie.is_none() && !old.is_signed_in().await);
    assert!(!opens(&app, &pair.access).await);
    assert_eq!(app.last_letter_to(ADA).await.name, "account-deleted");
    assert_eq!(rows(&app, "accounts").await, 0);
}
