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
        visit.look("sign-in").await;
        visit.press("a[href$='/account/sign-up']").await;
        visit.read_words("account-sign-up-what").await;
        visit.look("sign-up").await;

        // the owner's address is refused as a password
        visit.fill("#email", person.email).await;
        visit.fill("#name", person.name).await;
        visit.fill("#password", person.email).await;
        visit.enter().await;
        visit.read_words("error-password-contains-address").await;
        self.complains_at("#password").await;
        visit.look("sign-up-refused").await;
        visit.fill("#password", PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-letter-sent").await;
        assert!(page.contains(person.email), "{page}");
        visit.look("sign-up-done").await;
        visit.press(".card button").await;
        let page = visit.read_words("account-letter-sent").await;
        assert!(page.contains(person.email), "{page}");
        visit.look("sign-up-sent-again").await;

        // the account is not active yet; the button there would ask for a password behind the link
        self.sign_in(person.email, PASSWORD).await;
        visit.read_words("error-sign-in-refused").await;
        visit.read_words("account-waiting").await;
        visit.look("sign-in-too-early").await;
    }

    pub(crate) async fn confirm(&self) {
        let (visit, person) = (self.visit, self.person);
        self.letter("activation", person.email).await;
        self.follow("mail-activation-button").await;
        visit.read_words("activate-waiting").await;
        visit.look("activate").await;
        visit.press(CONFIRM).await;
        visit.read_words("activated").await;
        visit.look("activate-done").await;
        visit.press(".card a").await;
        visit.read_words("account-forgotten-question").await;
    }

    pub(crate) async fn sign_in_for_the_first_time(&self) {
        let (visit, person) = (self.visit, self.person);
        self.sign_in(person.email, "not the password at all").await;
        visit.read_words("error-sign-in-refused").await;
        assert!(visit.has_focus("#password").await, "the address is likely right");
        visit.look("sign-in-refused").await;
        visit.fill("#password", PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-sessions-none").await;
        assert!(page.contains(person.email), "{page}");
        assert_eq!(visit.script("return document.querySelector('#name').value").await, person.name);
        visit.look("account-new").await;
    }

    pub(crate) async fn change_name_and_language(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.fill("#name", &"a name that never ends ".repeat(5)).await;
        visit.enter().await;
        visit.read_words("error-name-too-long").await;
        self.complains_at("#name").await;
        let kept = visit.script("return document.querySelector('#name').value.length").await;
        assert!(kept.as_u64() > Some(100), "what was typed can be mended: {kept}");
        visit.look("account-refused").await;

        visit.fill("#name", person.name).await;
        visit.fill("#locale", person.others_name).await;
        visit.press("#profile button").await;
        visit.expect_language(person.other_language);
        visit.read_words("account-done-saved").await;
        visit.look("account-in-another-language").await;
        visit.fill("#locale", person.own_name).await;
        visit.press("#profile button").await;
        visit.expect_language(person.language);
        visit.read_words("account-done-saved").await;
    }

    /// An app has signed in; its user ends that session.
    pub(crate) async fn sign_out_elsewhere(&self) {
        let (visit, person) = (self.visit, self.person);
        let own = self.tokens(PASSWORD);
        let others = self.tokens(PASSWORD);
        self.sign_in_at_the_page_elsewhere(PASSWORD);
        visit.open("/account").await;
        let page = visit.read_words("account-session-end").await;
        assert!(page.contains("Firefox (Linux)"), "{page}");
        visit.look("account").await;
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
        visit.look("account-signed-out-there").await;
        let left = [self.status(&own), self.status(&others)];
        assert!(left == [401, 200] || left == [200, 401], "{left:?} for {}", person.email);
    }

    pub(crate) async fn change_password(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.press("a[href$='/account/password']").await;
        visit.read_words("account-change-password-what").await;
        visit.look("password").await;
        visit.fill(CURRENT_PASSWORD, "not the password at all").await;
        visit.fill("#new_password", SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-current-password-wrong").await;
        self.complains_at(CURRENT_PASSWORD).await;
        visit.look("password-refused").await;

        visit.fill(CURRENT_PASSWORD, PASSWORD).await;
        visit.fill("#new_password", SECOND_PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-done-password").await;
        assert!(
            page.contains(&visit.words("account-sessions-none")),
            "signed out elsewhere: {page}"
        );
        visit.look("password-done").await;
        self.letter("password-changed", person.email).await;
        assert_eq!(self.service.sign_in(person.email, PASSWORD), 400);
    }

    async fn ask_for_another_address(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account").await;
        visit.press("a[href$='/account/email']").await;
        visit.read_words("account-change-email-send").await;
        visit.fill("#email", person.new_email).await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        let page = visit.read_words("account-done-email").await;
        assert!(page.contains(person.new_email), "what waits to be confirmed: {page}");
    }

    pub(crate) async fn change_address_and_stop_it(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account/email").await;
        visit.read_words("account-change-email-send").await;
        visit.look("address").await;
        visit.fill("#email", person.email).await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-email-unchanged").await;
        self.complains_at("#email").await;
        visit.look("address-refused").await;

        self.ask_for_another_address().await;
        visit.look("address-sent").await;
        self.letter("email-change-notice", person.email).await;
        self.follow("mail-email-change-notice-button").await;
        let page = visit.read_words("stop-email-change-stop").await;
        assert!(page.contains(person.new_email), "{page}");
        visit.look("stop-address").await;
        visit.press(CONFIRM).await;
        visit.read_words("email-change-stopped-what").await;
        visit.look("stop-address-done").await;

        self.letter("email-change", person.new_email).await;
        self.follow("mail-email-change-button").await;
        visit.read_words("email-change-stopped-already").await;
    }

    pub(crate) async fn change_address_and_confirm_it(&self) {
        let (visit, person) = (self.visit, self.person);
        self.ask_for_another_address().await;
        // the change's letters are read first, so that the test does not take them for the next
        // change's
        self.letter("email-change", person.new_email).await;
        self.letter("email-change-notice", person.email).await;
        visit.open("/account").await;
        visit.press("#withdrawal button").await;
        let page = visit.read_words("account-done-withdrawn").await;
        assert!(!page.contains(person.new_email), "{page}");
        visit.look("address-withdrawn").await;
        self.ask_for_another_address().await;
        self.letter("email-change", person.new_email).await;
        self.follow("mail-email-change-button").await;
        visit.read_words("confirm-email-confirm").await;
        visit.look("confirm-address").await;
        visit.press(CONFIRM).await;
        visit.read_words("email-confirmed").await;
        visit.look("confirm-address-done").await;
        self.letter("email-changed", person.email).await;

        // the letter to the old address is too late now
        self.letter("email-change-notice", person.email).await;
        self.follow("mail-email-change-notice-button").await;
        visit.read_words("email-change-too-late").await;
        visit.look("stop-address-too-late").await;
    }

    pub(crate) async fn forget_the_password(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.open("/account").await;
        visit.read_words("account-since").await;
        visit.press(SIGN_OUT).await;
        visit.read_words("account-done-out").await;
        visit.look("signed-out").await;
        visit.press("a[href$='/account/forgotten-password']").await;
        visit.read_words("account-forgotten-what").await;
        visit.look("forgotten").await;
        visit.fill("#email", person.new_email).await;
        visit.enter().await;
        visit.read_words("account-letter-sent").await;
        visit.look("forgotten-done").await;

        self.letter("password-reset", person.new_email).await;
        self.follow("mail-password-reset-button").await;
        visit.read_words("reset-password-ends").await;
        visit.look("reset").await;
        visit.fill("#password", person.new_email).await;
        visit.enter().await;
        visit.read_words("error-password-contains-address").await;
        self.complains_at("#password").await;
        visit.look("reset-refused").await;
        visit.fill("#password", THIRD_PASSWORD).await;
        visit.enter().await;
        visit.read_words("password-reset-done").await;
        visit.look("reset-done").await;
        visit.back().await;
        visit.reload().await;
        visit.read_words("reset-link-used").await;
        visit.look("reset-used").await;
        assert_eq!(self.service.sign_in(person.new_email, SECOND_PASSWORD), 400);
    }

    pub(crate) async fn read_what_happened(&self) {
        let (visit, person) = (self.visit, self.person);
        self.sign_in(person.new_email, THIRD_PASSWORD).await;
        visit.read_words("account-sessions").await;
        visit.press("a[href$='/account/events']").await;
        let page = visit.read_words("account-events-what").await;
        for event in ["sign-in", "password-reset", "email-changed", "password-refused"] {
            let words = visit.words(&format!("event-{event}"));
            assert!(page.contains(&words), "`{words}` in {page}");
        }
        visit.look("events").await;
        visit.press("header a").await;
        visit.read_words("account-since").await;
    }

    pub(crate) async fn keep_a_copy(&self) {
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

    pub(crate) async fn leave(&self) {
        let (visit, person) = (self.visit, self.person);
        visit.press("a[href$='/account/deletion']").await;
        visit.read_words("account-delete-for-good").await;
        visit.look("deletion").await;
        visit.fill(CURRENT_PASSWORD, SECOND_PASSWORD).await;
        visit.enter().await;
        visit.read_words("error-current-password-wrong").await;
        self.complains_at(CURRENT_PASSWORD).await;
        visit.look("deletion-refused").await;
        visit.fill(CURRENT_PASSWORD, THIRD_PASSWORD).await;
        visit.enter().await;
        visit.read_words("account-deleted").await;
        visit.look("deletion-done").await;
        self.letter("account-deleted", person.new_email).await;
        self.sign_in(person.new_email, THIRD_PASSWORD).await;
        visit.read_words("error-sign-in-refused").await;
        assert_eq!(self.service.sign_in(person.new_email, THIRD_PASSWORD), 400);
    }
}
