//! Tests of forms whose page session has ended: the form comes back with the typed text (F14).

use rocket::http::{Header, Status};
use vestibule::testing::PASSWORD;

use super::{MINUTE, assert_page_rules, cookies, own_origin};
use crate::support::{self, ADA};
use crate::support_accounts::{BOB, Browser, hidden_field};
use crate::support_pages::{Answer, dump, unescape};

/// All hidden fields of the sign-in form on the page, and the credentials.
fn sign_in_again_fields(page: &Answer) -> Vec<(String, String)> {
    let mut fields =
        vec![("email".to_owned(), ADA.to_owned()), ("password".to_owned(), PASSWORD.to_owned())];
    for name in ["resume", "typed_email", "typed_name", "typed_locale"] {
        fields.push((name.to_owned(), unescape(&hidden_field(&page.body, name))));
    }
    fields
}

/// A form, the typed fields, the page that the sign-in leads to, and the values that it shows
/// again.
type FormCase<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[rocket::async_test]
async fn f14_form_of_an_ended_page_session_keeps_the_typed_text() {
    let app = support::app().await;
    app.account(ADA).await;
    let secret = "a secret long passphrase";
    let shows_notice =
        |page: &str| page.contains("Nothing was saved yet") || page.contains("Noch wurde nichts");
    let name = "Ada \"<Lovelace>";
    let forms: [FormCase<'_>; 8] = [
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
            assert_page_rules(&page);
            assert_eq!(dump(&app).await, before, "{path}: nothing was done");
            assert!(page.body.contains("nothing was saved or changed"), "{path}: {}", page.body);
            assert!(!page.body.contains(secret) && !page.body.contains(&token), "{path}");
            for text in kept {
                assert!(unescape(&page.body).contains(text), "{path}: {}", page.body);
            }
            let fields = sign_in_again_fields(&page);
            let mut fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            // a wrong password in between loses nothing
            fields[1].1 = "a wrong long passphrase";
            let page = browser.submit_with("/account/sign-in", &fields, own_origin()).await;
            let page = page.page(422, "Sign in");
            let again = sign_in_again_fields(&page);
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
            assert!(!shows_notice(&other.open(leads_to).await.body), "{path}");
            let answer = browser.open(leads_to).await;
            assert_eq!(answer.status, Status::Ok, "{path}: {answer:?}");
            // the page shows the typed text once
            let ends = cookies(&answer).iter().any(|one| {
                one.starts_with("__Host-vestibule-unsaved=;") && one.contains("Max-Age=0")
            });
            assert!(ends, "{path}: {answer:?}");
            browser.unsaved = None;
            assert!(!shows_notice(&browser.open(leads_to).await.body), "{path}");
            assert_page_rules(&answer);
            let page = unescape(&answer.body);
            assert!(shows_notice(&page), "{path}: {page}");
            for text in kept {
                assert!(page.contains(text), "{path}: {page}");
            }
            // the browser can send the form as it stands
            let token = hidden_field(&answer.body, "form_token");
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
async fn f14_sign_in_that_is_refused_for_load_keeps_the_typed_text() {
    let app = support::app().await;
    app.account(ADA).await;
    let mut browser = Browser::new(&app);
    let fields = [("email", BOB), ("current_password", PASSWORD)];
    let page = browser.submit_with("/account/email", &fields, own_origin()).await;
    let fields = sign_in_again_fields(&page.page(403, "Sign in"));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    let full = app.fill_hash_queue("");
    let page = browser.submit_with("/account/sign-in", &fields, own_origin()).await;
    let page = page.page(503, "Sign in");
    assert_page_rules(&page);
    assert!(page.has("retry-after") && !page.body.contains(PASSWORD), "{page:?}");
    let again = sign_in_again_fields(&page);
    assert_eq!(again.iter().map(|(n, v)| (&**n, &**v)).collect::<Vec<_>>(), fields);
    // a form without kept fields gets none back
    let page = browser.submit_with("/account/sign-in", &fields[..2], own_origin()).await;
    assert!(page.status.code == 503 && !page.body.contains("typed_email"), "{page:?}");
    drop(full);
}

#[rocket::async_test]
async fn f14_form_of_an_earlier_page_session_comes_back_with_the_typed_text() {
    let app = support::app().await;
    app.account(ADA).await;
    let token = Browser::signed_in(&app, ADA, PASSWORD).await.form_token().await;
    let mut browser = Browser::signed_in(&app, ADA, PASSWORD).await;
    let name = "Ada \"<Lovelace>";
    let forms: [FormCase<'_>; 2] = [
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
        assert_page_rules(&page);
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
async fn r46_f14_other_sites_cannot_fill_a_form_after_the_sign_in() {
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
