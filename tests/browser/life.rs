//! The whole life of an account, from the first page to its deletion, in each language. The person
//! has only a browser, a keyboard and a mailbox.

use serde_json::Value;

use crate::FIREFOX;
use crate::driver::{Screen, programs};
use crate::service::{self, Service, request};
use crate::visit::Visit;

/// The person of a story.
pub struct Person {
    /// The language of the browser.
    pub language: &'static str,
    /// Another language, which the person tries.
    pub other_language: &'static str,
    /// The language's own name, which the person types to select it in the list.
    pub own_name: &'static str,
    pub others_name: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub new_email: &'static str,
}

const ADA: Person = Person {
    language: "en",
    other_language: "de",
    own_name: "English",
    others_name: "Deutsch",
    name: "Ada Lovelace",
    email: "ada@example.org",
    new_email: "ada@countess.example",
};

const ANNETTE: Person = Person {
    language: "de",
    other_language: "en",
    own_name: "Deutsch",
    others_name: "English",
    name: "Annette von Droste-Hülshoff",
    email: "annette.von.droste-huelshoff@example.org",
    new_email: "annette@meersburg.example",
};

#[tokio::test]
async fn whole_life_on_a_desktop() {
    whole_life(Screen::Desktop, &ADA).await;
}

#[tokio::test]
async fn whole_life_on_a_phone() {
    whole_life(Screen::Phone, &ADA).await;
}

#[tokio::test]
async fn whole_life_on_a_desktop_in_german() {
    whole_life(Screen::Desktop, &ANNETTE).await;
}

#[tokio::test]
async fn whole_life_on_a_phone_in_german() {
    whole_life(Screen::Phone, &ANNETTE).await;
}

async fn whole_life(screen: Screen, person: &Person) {
    let programs = match programs() {
        Ok(programs) => programs,
        Err(reason) => return service::skip("browser", reason),
    };
    // a life has many passwords
    let service = Service::start(&[
        ("VESTIBULE_HASHING__MEMORY_KIB", "64"),
        ("VESTIBULE_HASHING__ITERATIONS", "1"),
    ]);
    let visit = Visit::start(&programs, screen, person.language, service.url("")).await;
    let life = Life { visit: &visit, service: &service, person };
    life.sign_up().await;
    life.use_activation_link().await;
    life.first_sign_in().await;
    life.change_name_and_language().await;
    life.sign_out_other_sessions().await;
    life.change_password().await;
    life.stop_address_change().await;
    life.confirm_address_change().await;
    life.reset_forgotten_password().await;
    life.read_events().await;
    life.download_export().await;
    life.sign_out_everywhere().await;
    life.delete_account().await;
    visit.close().await;
}

pub struct Life<'a> {
    pub visit: &'a Visit,
    pub service: &'a Service,
    pub person: &'a Person,
}

impl Life<'_> {
    pub(crate) async fn sign_in(&self, email: &str, password: &str) {
        self.visit.open("/account/sign-in").await;
        self.visit.fill("#email", email).await;
        self.visit.fill("#password", password).await;
        self.visit.enter().await;
    }

    /// Opens the last letter of a kind, and checks how it looks.
    pub(crate) async fn letter(&self, kind: &str, to: &str) {
        let subject = self.visit.words(&format!("mail-{kind}-subject"));
        self.visit.open_letter(to, &subject).await;
        self.visit.read_words("dev-text").await;
        let name = format!("letter-{kind}");
        self.visit.check_page(&name).await;
        self.visit.check_letter_with_axe(&name).await;
    }

    /// Presses the letter's button, and opens the page a second time, as mail scanners do: to open
    /// a page changes nothing.
    pub(crate) async fn follow(&self, button: &str) {
        self.visit.follow_the_letters_button(&self.visit.words(button)).await;
        self.visit.read_words("page-footer").await;
        self.visit.reload().await;
    }

    /// Checks that the field has the focus, and that screen readers get its error.
    pub(crate) async fn assert_error_at(&self, field: &str) {
        let visit = self.visit;
        assert!(visit.title().await.starts_with(&visit.words("page-error-prefix")));
        assert!(visit.has_focus(field).await, "{field} has the focus");
        assert!(visit.has_focus("[aria-invalid=true][aria-describedby]").await);
        let complaint = "
            const ids = document.activeElement.getAttribute('aria-describedby').split(' ');
            return ids.map(id => document.getElementById(id).className).join(' ');";
        let told = visit.script(complaint).await;
        assert!(told.as_str().is_some_and(|told| told.contains("error")), "{field}: {told}");
        // no other field is marked as wrong
        let wrong = "return document.querySelectorAll('[aria-invalid=true]').length";
        assert_eq!(visit.script(wrong).await, 1);
    }

    /// An access token for an app, by this password.
    pub(crate) fn tokens(&self, password: &str) -> String {
        let who = [self.person.email, self.person.new_email];
        let tokens = who.into_iter().find_map(|email| {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "password")
                .append_pair("client_id", "web")
                .append_pair("username", email)
                .append_pair("password", password)
                .finish();
            let headers =
                [("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", FIREFOX)];
            let answer = request(self.service.port, "POST", "/oauth/token", &headers, &body);
            (answer.status == 200).then(|| answer.json())
        });
        let token = tokens.as_ref().and_then(|tokens: &Value| tokens["access_token"].as_str());
        token.unwrap_or_default().to_owned()
    }

    /// Signs in at the account page of another browser.
    pub(crate) fn sign_in_in_another_browser(&self, password: &str) {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("email", self.person.email)
            .append_pair("password", password)
            .finish();
        let headers =
            [("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", FIREFOX)];
        let answer = request(self.service.port, "POST", "/account/sign-in", &headers, &body);
        assert_eq!(answer.status, 303);
    }

    /// The status that an app gets with this token.
    pub(crate) fn status(&self, token: &str) -> u16 {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str())];
        request(self.service.port, "GET", "/v1/me", &headers, "").status
    }
}
