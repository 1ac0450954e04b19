//! Helpers for tests of the life of an account: changes by token, and a browser at its pages.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use std::time::Duration;

use rocket::http::{ContentType, Header, Method};
use serde_json::{Value, json};
use vestibule::accounts::Accounts;
use vestibule::model::{Actor, EventId, EventKind};
use vestibule::storage::{NewEvent, StoreError};
use vestibule::testing::{Signed, TestApp};

use crate::support::bearer;
use crate::support_pages::Answer;

pub const BOB: &str = "bob@example.org";
pub const NEW: &str = "ada@new.example";
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// The use cases of accounts, for the operator's part of them.
pub fn accounts(app: &TestApp) -> &Accounts {
    app.client.rocket().state().unwrap()
}

/// Records `count` sign-outs of Ada's, one after the other, without the limit on stored events.
pub async fn record_sign_outs(app: &TestApp, ada: &Signed<'_>, count: usize) {
    let id = ada.account_id().await;
    let accounts = accounts(app);
    let recorded = accounts.store.write(async |tx| {
        for _ in 0..count {
            app.advance(Duration::from_millis(1));
            let now = accounts.clock.now();
            let event = NewEvent {
                id: EventId::new(accounts.entropy.uuid_v7(now)),
                kind: EventKind::SignOut,
                actor: Actor::Owner,
                at: now,
                account: Some(id),
                email: None,
                sign_up: None,
                session: None,
                client_id: None,
                address: None,
                user_agent: None,
                request_id: None,
            };
            tx.insert_event(&event).await?;
        }
        Ok::<_, StoreError>(())
    });
    recorded.await.unwrap();
}

/// The same person with another access token.
pub fn with_access_token<'a>(ada: &Signed<'a>, access_token: String) -> Signed<'a> {
    let mut other = ada.clone();
    other.access_token = access_token;
    other
}

pub async fn get_as(ada: &Signed<'_>, path: &str) -> Answer {
    Answer::of(ada.get(path).dispatch().await).await
}

pub async fn post_as(ada: &Signed<'_>, path: &str, body: &Value) -> Answer {
    let request = ada.post(path).header(ContentType::JSON).body(body.to_string());
    Answer::of(request.dispatch().await).await
}

pub async fn put_as(app: &TestApp, token: &str, path: &str, body: &Value) -> Answer {
    let request = app.client.put(path.to_owned()).header(bearer(token)).header(ContentType::JSON);
    Answer::of(request.body(body.to_string()).dispatch().await).await
}

/// Changes the password with a token.
pub async fn change_password(app: &TestApp, token: &str, current: &str, new: &str) -> Answer {
    let body = json!({ "current_password": current, "new_password": new });
    put_as(app, token, "/v1/me/password", &body).await
}

/// The names of the letters that a person has got, oldest first.
pub async fn letters(app: &TestApp, email: &str) -> Vec<&'static str> {
    app.letters_to(email).await.iter().map(|letter| letter.name).collect()
}

/// The token in the last letter of this name to `email`.
pub async fn token_in(app: &TestApp, name: &str, email: &str) -> String {
    let letters = app.letters_to(email).await;
    let letter = letters.iter().rfind(|letter| letter.name == name);
    let letter = letter.unwrap_or_else(|| panic!("no letter {name} to {email}"));
    let link = letter.link.as_deref().unwrap_or_else(|| panic!("no link in {name}"));
    link.split_once("?token=").unwrap().1.to_owned()
}

/// The kinds of an account's events, the latest first.
pub async fn kinds(ada: &Signed<'_>) -> Vec<String> {
    let events = get_as(ada, "/v1/me/events").await.json();
    let events = events["events"].as_array().unwrap();
    events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

/// A browser without scripts, with its session cookie.
#[derive(Clone, Debug)]
pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookie: Option<String>,
    /// The cookie with the typed text of a form.
    pub unsaved: Option<String>,
    pub languages: Option<&'static str>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookie: None, unsaved: None, languages: None }
    }

    /// Signs in on the page.
    pub async fn signed_in(app: &'a TestApp, email: &str, password: &str) -> Self {
        let mut browser = Self::new(app);
        let fields = [("email", email), ("password", password)];
        let answer = browser.submit("/account/sign-in", &fields).await;
        assert_eq!(answer.status.code, 303, "{answer:?}");
        assert_eq!(answer.header("location"), "/account");
        assert!(browser.cookie.is_some(), "{answer:?}");
        browser
    }

    fn headers(&self) -> Vec<Header<'static>> {
        let mut headers = vec![Header::new("Accept", "text/html")];
        headers.extend(self.languages.map(|tags| Header::new("Accept-Language", tags)));
        headers.extend(self.cookie_header());
        headers
    }

    pub async fn open(&self, path: &str) -> Answer {
        self.request(Method::Get, path).await
    }

    /// A request without a body.
    pub async fn request(&self, method: Method, path: &str) -> Answer {
        let mut request = self.app.client.req(method, path.to_owned());
        for header in self.headers() {
            request.add_header(header);
        }
        Answer::of(request.dispatch().await).await
    }

    /// The browser's cookies, if any, as a raw header: the service reads the raw header.
    pub fn cookie_header(&self) -> Option<Header<'static>> {
        let all: Vec<&str> =
            [&self.cookie, &self.unsaved].into_iter().flatten().map(|c| &**c).collect();
        (!all.is_empty()).then(|| Header::new("Cookie", all.join("; ")))
    }

    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.submit_with(path, fields, vec![]).await
    }

    /// Sends a form, and stores cookies as a browser would.
    pub async fn submit_with(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        more: Vec<Header<'static>>,
    ) -> Answer {
        let mut request = self.app.client.post(path.to_owned()).header(ContentType::Form);
        for header in self.headers().into_iter().chain(more) {
            request.add_header(header);
        }
        let answer = Answer::of(request.body(crate::support::form(fields)).dispatch().await).await;
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap();
            let is_unsaved = pair.starts_with("__Host-vestibule-unsaved=");
            let kept = if is_unsaved { &mut self.unsaved } else { &mut self.cookie };
            *kept = (!value.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        answer
    }

    /// The token that the forms of this sign-in carry.
    pub async fn form_token(&self) -> String {
        let page = self.open("/account").await;
        hidden_field(&page.body, "form_token")
    }

    /// Sends a form of a page of the account, with its token.
    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token().await;
        let fields = [&[("form_token", token.as_str())], fields].concat();
        self.submit(path, &fields).await
    }

    /// Whether the account page opens.
    pub async fn is_signed_in(&self) -> bool {
        let page = self.open("/account").await;
        match page.status.code {
            200 => true,
            303 => {
                let location = page.header("location");
                assert!(location.starts_with("/account/sign-in"), "{location}");
                false
            }
            _ => panic!("{page:?}"),
        }
    }
}

/// The value of a hidden field.
pub fn hidden_field(html: &str, name: &str) -> String {
    let rest = html.split(&format!("type=\"hidden\" name=\"{name}\" value=\"")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split('"').next().unwrap().to_owned()
}
