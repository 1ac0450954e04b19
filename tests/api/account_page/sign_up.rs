//! Tests of the sign-up page (R35).

use vestibule::testing::PASSWORD;

use super::assert_page_rules;
use crate::support::{self, ADA};
use crate::support_accounts::Browser;
use crate::support_pages::{OTHER, dump_of, rows};

#[rocket::async_test]
async fn first_invalid_field_has_the_focus() {
    let app = support::app().await;
    let fields = [("email", "ada@@x"), ("password", "short"), ("name", "Ada")];
    let page = Browser::new(&app).submit("/account/sign-up", &fields).await.page(422, "Sign up");
    assert_eq!(page.body.matches("aria-invalid=\"true\"").count(), 2);
    let focused: Vec<_> = page.body.split("<input ").filter(|i| i.contains("autofocus")).collect();
    assert!(focused.len() == 1 && focused[0].contains("id=\"email\""), "{}", page.body);
}

#[rocket::async_test]
async fn r35_password_cannot_be_planted_on_the_sign_up_page() {
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
        assert_page_rules(&page);
        assert!(!page.body.contains(PASSWORD));
    }
}
