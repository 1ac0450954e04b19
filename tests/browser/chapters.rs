//! The chapters of an account's life, in their order.

use crate::CONFIRM;
use crate::life::Life;
use crate::service::PASSWORD;

const SECOND_PASSWORD: &str = "a second battery of horses";
const THIRD_PASSWORD: &str = "a third battery of horses";

const SIGN_OUT: &str = "header button";
const CURRENT_PASSWORD: &str = "#current_password";

impl Life<'_> {
    pub(crate) async fn sign_up(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/").await;
        visit.read_words("account-forgotten-question").await;
        visit.check_page("sign-in").await;
        visit.press("a[href$='/account/sign-up']").await;
        visit.read_words("account-sign-up-what").await;
        visit.check_page("sign-up").await;

        // the owner's address is refused as a password
        visit.fill("#email", person.email).await;
        visit.fill("#name", person.name).await;
        visit.fill("#password", person.email).await;
        visit.enter().await;
        visit.read_words("error-password-contains-address").await;
        self.assert_error_at("#password").await;
        visit.check_page("sign-up-refused").await;
        visit.fill("#password", PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-letter-sent").await;
        assert!(page.contains(person.email), "{page}");
        visit.check_page("sign-up-done").await;
        visit.press(".card button").await;
        let page = visit.read_words("account-letter-sent").await;
        assert!(page.contains(person.email), "{page}");
        visit.check_page("sign-up-sent-again").await;

        // the account is not active yet; the button there would ask for a password behind the link
        self.sign_in(person.email, PASSWORD).await;
        visit.read_words("error-sign-in-refused").await;
        visit.read_words("account-waiting").await;
        visit.check_page("sign-in-too-early").await;
    }

    pub(crate) async fn use_activation_link(&self) {
        let (visit, person) = (self.visit, self.person);
        self.letter("activation", person.email).await;
        self.follow("mail-activation-button").await;
        visit.read_words("activate-waiting").await;
        visit.check_page("activate").await;
        visit.press(CONFIRM).await;
        visit.read_words("activated").await;
        visit.check_page("activate-done").await;
        visit.press(".card a").await;
        visit.read_words("account-forgotten-question").await;
    }

    pub(crate) async fn first_sign_in(&self) {
        let (visit, person) = (self.visit, self.person);
        self.sign_in(person.email, "not the password at all").await;
        visit.read_words("error-sign-in-refused").await;
        assert!(visit.has_focus("#password").await, "the address is likely right");
        visit.check_page("sign-in-refused").await;
        visit.fill("#password", PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-sessions-none").await;
        assert!(page.contains(person.email), "{page}");
        assert_eq!(visit.script("return document.querySelector('#name').value").await, person.name);
        visit.check_page("account-new").await;
    }

    pub(crate) async fn change_name_and_language(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.fill("#name", &"a name that never ends ".repeat(5)).await;
        visit.enter().await;
        visit.read_words("error-name-too-long").await;
        self.assert_error_at("#name").await;
        let kept = visit.script("return document.querySelector('#name').value.length").await;
        assert!(kept.as_u64() > Some(100), "the page keeps the typed text: {kept}");
        visit.check_page("account-refused").await;

        visit.fill("#name", person.name).await;
        visit.fill("#locale", person.others_name).await;
        visit.press("#profile button").await;
        visit.expect_language(person.other_language);
        visit.read_words("account-done-saved").await;
        visit.check_page("account-in-another-language").await;
        visit.fill("#locale", person.own_name).await;
        visit.press("#profile button").await;
        visit.expect_language(person.language);
        visit.read_words("account-done-saved").await;
    }

    /// An app has signed in; its user ends that session.
    pub(crate) async fn sign_out_other_sessions(&self) {
        let (visit, person) = (self.visit, self.person);
        let own = self.tokens(PASSWORD);
        let others = self.tokens(PASSWORD);
        self.sign_in_in_another_browser(PASSWORD);
        visit.open("/account").await;
        let page = visit.read_words("account-session-end").await;
        assert!(page.contains("Firefox (Linux)"), "{page}");
        visit.check_page("account").await;
        assert_eq!(self.status(&own), 200);
        assert_eq!(self.status(&others), 200);

        // this browser, another one, and the two apps
        assert_eq!(
            visit.script("return document.querySelectorAll('.sessions li').length").await,
            4
        );
        visit.press(".sessions li:nth-child(2) button").await;
        visit.read_words("account-done-session").await;
        assert_eq!(
            visit.script("return document.querySelectorAll('.sessions li').length").await,
            3
        );
        visit.open("/account").await;
        visit.read_words("account-session-end").await;
        visit.press(".rows li:last-child button").await;
        visit.read_words("account-done-session").await;
        visit.check_page("account-signed-out-there").await;
        let left = [self.status(&own), self.status(&others)];
        assert!(left == [401, 200] || left == [200, 401], "{left:?} for {}", person.email);
    }

    pub(crate) async fn change_password(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.press("a[href$='/account/password']").await;
        visit.read_words("account-change-password-what").await;
        visit.check_page("password").await;
        visit.fill(CURRENT_PASSWORD, "not the password at all").await;
        visit.fill("#new_password", SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-current-password-wrong").await;
        self.assert_error_at(CURRENT_PASSWORD).await;
        visit.check_page("password-refused").await;

        visit.fill(CURRENT_PASSWORD, PASSWORD).await;
        visit.fill("#new_password", SECOND_PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-done-password").await;
        assert!(
            page.contains(&visit.words("account-sessions-none")),
            "signed out elsewhere: {page}"
        );
        visit.check_page("password-done").await;
        self.letter("password-changed", person.email).await;
        assert_eq!(self.service.sign_in(person.email, PASSWORD), 400);
    }

    async fn request_address_change(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account").await;
        visit.press("a[href$='/account/email']").await;
        visit.read_words("account-change-email-send").await;
        visit.fill("#email", person.new_email).await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-done-email").await;
        assert!(page.contains(person.new_email), "the pending address is shown: {page}");
    }

    pub(crate) async fn stop_address_change(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account/email").await;
        visit.read_words("account-change-email-send").await;
        visit.check_page("address").await;
        visit.fill("#email", person.email).await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-email-unchanged").await;
        self.assert_error_at("#email").await;
        visit.check_page("address-refused").await;

        self.request_address_change().await;
        visit.check_page("address-sent").await;
        self.letter("email-change-notice", person.email).await;
        self.follow("mail-email-change-notice-button").await;
        let page = visit.read_words("stop-email-change-stop").await;
        assert!(page.contains(person.new_email), "{page}");
        visit.check_page("stop-address").await;
        visit.press(CONFIRM).await;
        visit.read_words("email-change-stopped-what").await;
        visit.check_page("stop-address-done").await;

        self.letter("email-change", person.new_email).await;
        self.follow("mail-email-change-button").await;
        visit.read_words("email-change-stopped-already").await;
    }

    pub(crate) async fn confirm_address_change(&self) {
        let (visit, person) = (self.visit, self.person);
        self.request_address_change().await;
        // the change's letters are read first, so that the test does not take them for the next
        // change's
        self.letter("email-change", person.new_email).await;
        self.letter("email-change-notice", person.email).await;
        visit.open("/account").await;
        visit.press("#withdrawal button").await;
        let page = visit.read_words("account-done-withdrawn").await;
        assert!(!page.contains(person.new_email), "{page}");
        visit.check_page("address-withdrawn").await;
        self.request_address_change().await;
        self.letter("email-change", person.new_email).await;
        self.follow("mail-email-change-button").await;
        visit.read_words("confirm-email-confirm").await;
        visit.check_page("confirm-address").await;
        visit.press(CONFIRM).await;
        visit.read_words("email-confirmed").await;
        visit.check_page("confirm-address-done").await;
        self.letter("email-changed", person.email).await;

        // the letter to the old address is too late now
        self.letter("email-change-notice", person.email).await;
        self.follow("mail-email-change-notice-button").await;
        visit.read_words("email-change-too-late").await;
        visit.check_page("stop-address-too-late").await;
    }

    pub(crate) async fn reset_forgotten_password(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account").await;
        visit.read_words("account-since").await;
        visit.press(SIGN_OUT).await;
        visit.read_words("account-done-out").await;
        visit.check_page("signed-out").await;
        visit.press("a[href$='/account/forgotten-password']").await;
        visit.read_words("account-forgotten-what").await;
        visit.check_page("forgotten").await;
        visit.fill("#email", person.new_email).await;
        visit.enter().await;
        visit.read_words("account-letter-sent").await;
        visit.check_page("forgotten-done").await;

        self.letter("password-reset", person.new_email).await;
        self.follow("mail-password-reset-button").await;
        visit.read_words("reset-password-ends").await;
        visit.check_page("reset").await;
        visit.fill("#password", person.new_email).await;
        visit.enter().await;
        visit.read_words("error-password-contains-address").await;
        self.assert_error_at("#password").await;
        visit.check_page("reset-refused").await;
        visit.fill("#password", THIRD_PASSWORD).await;
        visit.enter().await;
        visit.read_words("password-reset-done").await;
        visit.check_page("reset-done").await;
        visit.back().await;
        visit.reload().await;
        visit.read_words("reset-link-used").await;
        visit.check_page("reset-used").await;
        assert_eq!(self.service.sign_in(person.new_email, SECOND_PASSWORD), 400);
    }

    pub(crate) async fn read_events(&self) {
        let (visit, person) = (self.visit, self.person);
        self.sign_in(person.new_email, THIRD_PASSWORD).await;
        visit.read_words("account-sessions").await;
        visit.press("a[href$='/account/events']").await;
        let page = visit.read_words("account-events-what").await;
        for event in ["sign-in", "password-reset", "email-changed", "password-refused"] {
            let words = visit.words(&format!("event-{event}"));
            assert!(page.contains(&words), "`{words}` in {page}");
        }
        visit.check_page("events").await;
        visit.press("header a").await;
        visit.read_words("account-since").await;
    }

    pub(crate) async fn download_export(&self) {
        let (visit, person) = (self.visit, self.person);
        let (name, copy) = visit.download("a[href$='/account/export']").await;
        assert!(name.ends_with(".json"), "{name}");
        for word in [person.name, person.new_email] {
            assert!(copy.contains(word), "{word} in {copy}");
        }
        // the copy says how the password is stored, and has no hash
        assert!(!copy.contains("$argon2"), "{copy}");
    }

    pub(crate) async fn sign_out_everywhere(&self) {
        let (visit, person) = (self.visit, self.person);
        let token = self.tokens(THIRD_PASSWORD);
        assert_eq!(self.status(&token), 200);
        visit.press("#end-all").await;
        visit.read_words("account-done-everywhere").await;
        assert_eq!(self.status(&token), 401);
        visit.open("/account").await;
        visit.read_words("account-sign-up-question").await;
        self.sign_in(person.new_email, THIRD_PASSWORD).await;
        visit.read_words("account-sessions-none").await;
    }

    pub(crate) async fn delete_account(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.press("a[href$='/account/deletion']").await;
        visit.read_words("account-delete-for-good").await;
        visit.check_page("deletion").await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-current-password-wrong").await;
        self.assert_error_at(CURRENT_PASSWORD).await;
        visit.check_page("deletion-refused").await;
        visit.fill(CURRENT_PASSWORD, THIRD_PASSWORD).await;
        visit.enter().await;
        visit.read_words("account-deleted").await;
        visit.check_page("deletion-done").await;
        self.letter("account-deleted", person.new_email).await;
        self.sign_in(person.new_email, THIRD_PASSWORD).await;
        visit.read_words("error-sign-in-refused").await;
        assert_eq!(self.service.sign_in(person.new_email, THIRD_PASSWORD), 400);
    }
}
