//! Views of the account page; see [`super`].

use serde::Serialize;

use crate::model::{Actor, EventKind, PasswordError};
use crate::web::views::{AT, EMAIL, FieldMessage, MessageKey, NEW_EMAIL, Sample, TOKEN, View, add};

/// Adds the samples of every account view.
pub(in crate::web) fn add_all(all: &mut Vec<Sample>) {
    add::<SignInPage<'_>>(all);
    add::<SignUpPage<'_>>(all);
    add::<ForgottenPassword<'_>>(all);
    add::<LetterSent<'_>>(all);
    add::<Overview>(all);
    add::<ChangePassword>(all);
    add::<ChangeEmail>(all);
    add::<DeleteAccount>(all);
    add::<DeletedPage>(all);
    add::<EventsPage>(all);
}

/// The `done` words that the overview accepts: the action that has just succeeded.
pub const DONE: [&str; 5] = ["saved", "password", "email", "withdrawn", "session"];

/// The notice above a form that is shown again after the sign-in.
pub fn resumed() -> MessageKey {
    MessageKey::new("account-done", "resumed")
}

/// The `done` words that the sign-in form accepts: how the sign-in ended.
pub const SIGNED_OUT: [&str; 3] = ["out", "everywhere", "ended"];

/// The message for `done`, if it is one of `words`. Any other word shows no message.
pub fn known(done: Option<&str>, words: &[&str]) -> Option<MessageKey> {
    done.filter(|done| words.contains(done)).map(|done| MessageKey::new("account-done", done))
}

/// Every message that these pages choose by a word. No template names these messages.
pub(in crate::web) fn chosen_messages() -> Vec<FieldMessage> {
    let said = |kind: &str, word: &str| FieldMessage::from(MessageKey::new(kind, word));
    let mut all = field_errors();
    all.extend(DONE.map(|done| said("account-done", done)));
    all.extend(SIGNED_OUT.map(|done| said("account-done", done)));
    all.push(said("account-done", "resumed"));
    all.extend(EventKind::ALL.iter().map(|kind| said("event", kind.as_str())));
    all.extend(Actor::ALL.iter().map(|actor| said("actor", actor.as_str())));
    all
}

/// The errors of the fields of these pages, except for new passwords.
fn field_errors() -> Vec<FieldMessage> {
    let message = |kind: &str, code: &str| FieldMessage::new("email", kind, code);
    let email =
        ["malformed", "too-long", "local-part", "domain", "invisible-character", "unchanged"];
    let name = ["too-long", "control-characters"];
    let mut all: Vec<FieldMessage> = email.map(|code| message("email", code)).into();
    all.extend(name.map(|code| message("name", code)));
    all.push(message("sign-in", "refused"));
    all.push(message("current-password", "wrong"));
    all
}

/// A form that was sent after its sign-in had ended: its name, and the typed text without secrets.
/// The sign-in form carries it along.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Unsaved<'a> {
    /// One of [`Self::FORMS`].
    pub form: &'static str,
    pub email: &'a str,
    pub name: &'a str,
    pub locale: &'a str,
}

impl Unsaved<'_> {
    /// The forms that are shown again after a sign-in: profile, change of address, change of
    /// password, deletion, and the buttons of the overview.
    pub const FORMS: [&'static str; 5] = ["profile", "email", "password", "deletion", "account"];
}

/// The sign-in form.
#[derive(Debug, Default, Serialize)]
pub struct SignInPage<'a> {
    pub email: &'a str,
    /// How the sign-in ended, if it has just ended.
    pub done: Option<MessageKey>,
    pub errors: Vec<FieldMessage>,
    /// After a refusal: the address to which a button sends a link. It is there for every address
    /// (R18).
    pub link_to: Option<&'a str>,
    pub unsaved: Option<Unsaved<'a>>,
}

impl View for SignInPage<'_> {
    const NAME: &'static str = "account-sign-in";

    fn samples() -> Vec<Self> {
        let refused = |errors, link_to| Self { email: EMAIL, errors, link_to, ..Self::default() };
        let mut all = vec![
            Self::default(),
            refused(vec![FieldMessage::new("password", "sign-in", "refused")], Some(EMAIL)),
            refused(field_errors(), None),
        ];
        let signed_out = |how| Self { done: known(Some(how), &SIGNED_OUT), ..Self::default() };
        all.extend(SIGNED_OUT.map(signed_out));
        all.extend(Unsaved::FORMS.map(|form| {
            let unsaved = Unsaved { form, email: NEW_EMAIL, name: "Ada", locale: "en" };
            Self { unsaved: Some(unsaved), ..Self::default() }
        }));
        all
    }
}

/// The sign-up form.
#[derive(Debug, Serialize)]
pub struct SignUpPage<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for SignUpPage<'_> {
    const NAME: &'static str = "account-sign-up";

    fn samples() -> Vec<Self> {
        let sample = |email, errors| Self { email, name: "", min_length: 15, errors };
        vec![sample("", vec![]), sample(EMAIL, FieldMessage::samples())]
    }
}

/// The form for a forgotten password.
#[derive(Debug, Serialize)]
pub struct ForgottenPassword<'a> {
    pub email: &'a str,
    pub errors: Vec<FieldMessage>,
}

impl View for ForgottenPassword<'_> {
    const NAME: &'static str = "account-forgotten-password";

    fn samples() -> Vec<Self> {
        let error = FieldMessage::new("email", "email", "malformed");
        vec![Self { email: "", errors: vec![] }, Self { email: "ada", errors: vec![error] }]
    }
}

/// The page after a letter was asked for. Its text is the same for every address.
#[derive(Debug, Serialize)]
pub struct LetterSent<'a> {
    pub email: &'a str,
    pub is_sign_up: bool,
    /// Whether the user asked for the letter of a sign-up once more.
    pub again: bool,
}

impl View for LetterSent<'_> {
    const NAME: &'static str = "account-letter-sent";

    fn samples() -> Vec<Self> {
        let sample = |(is_sign_up, again)| Self { email: EMAIL, is_sign_up, again };
        [(true, false), (true, true), (false, false)].map(sample).into()
    }
}

/// A language, with its own name in that language.
#[derive(Debug, Serialize)]
pub struct LanguageChoice {
    pub tag: String,
    pub name: String,
    pub chosen: bool,
}

/// An OAuth session of the account.
#[derive(Debug, Serialize)]
pub struct SessionView {
    pub id: String,
    pub app: String,
    pub browser: Option<String>,
    pub created_at: i64,
    pub last_used_at: i64,
}

/// A sign-in at the account page.
#[derive(Debug, Serialize)]
pub struct PageSessionView {
    pub id: String,
    pub browser: Option<String>,
    pub created_at: i64,
    /// Whether the page is shown to this sign-in.
    pub current: bool,
}

/// The overview of the account.
#[derive(Debug, Serialize)]
pub struct Overview {
    pub form_token: String,
    pub email: String,
    /// Empty if the account has no name.
    pub name: String,
    pub created_at: i64,
    /// The new address that is not confirmed yet.
    pub pending_email: Option<String>,
    pub languages: Vec<LanguageChoice>,
    /// The current sign-in comes first.
    pub page_sessions: Vec<PageSessionView>,
    pub sessions: Vec<SessionView>,
    /// The id before which the next page continues, if there are more sessions.
    pub next: Option<String>,
    /// The action that has just succeeded.
    pub done: Option<MessageKey>,
    pub errors: Vec<FieldMessage>,
}

impl View for Overview {
    const NAME: &'static str = "account";

    fn samples() -> Vec<Self> {
        let language = |tag: &str, name: &str, chosen| LanguageChoice {
            tag: tag.to_owned(),
            name: name.to_owned(),
            chosen,
        };
        let session = |browser: Option<&str>| SessionView {
            id: "01890000-0000-7000-8000-000000000002".to_owned(),
            app: "web".to_owned(),
            browser: browser.map(str::to_owned),
            created_at: AT,
            last_used_at: AT,
        };
        let page_session = |browser: Option<&str>, current| PageSessionView {
            id: "01890000-0000-7000-8000-000000000004".to_owned(),
            browser: browser.map(str::to_owned),
            created_at: AT,
            current,
        };
        let here = || page_session(Some("Firefox (Linux)"), true);
        let elsewhere = [Some("Safari (iPhone)"), None].map(|browser| page_session(browser, false));
        let sample = |done, pending: Option<&str>, page_sessions, sessions, errors| Self {
            form_token: TOKEN.to_owned(),
            email: EMAIL.to_owned(),
            name: "Ada Lovelace".to_owned(),
            created_at: AT,
            pending_email: pending.map(str::to_owned),
            languages: vec![language("en", "English", true), language("de", "Deutsch", false)],
            page_sessions,
            next: pending.map(|_| "01890000-0000-7000-8000-000000000002".to_owned()),
            sessions,
            done,
            errors,
        };
        let mut all = vec![
            sample(None, None, vec![here()], vec![], vec![]),
            sample(
                None,
                Some(NEW_EMAIL),
                [here()].into_iter().chain(elsewhere).collect(),
                vec![session(Some("Firefox (Linux)")), session(None)],
                vec![FieldMessage::new("name", "name", "too-long")],
            ),
        ];
        let done = DONE.map(|done| Some(MessageKey::new("account-done", done)));
        all.extend(done.map(|done| sample(done, None, vec![here()], vec![], vec![])));
        all
    }
}

/// The form for a change of password.
#[derive(Debug, Serialize)]
pub struct ChangePassword {
    pub form_token: String,
    pub email: String,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for ChangePassword {
    const NAME: &'static str = "account-password";

    fn samples() -> Vec<Self> {
        let sample = |errors| Self {
            form_token: TOKEN.to_owned(),
            email: EMAIL.to_owned(),
            min_length: 15,
            errors,
        };
        let wrong = FieldMessage::new("current_password", "current-password", "wrong");
        let short = PasswordError::TooShort { min_length: 15 };
        let errors = vec![wrong, FieldMessage::password("new_password", short)];
        vec![sample(vec![]), sample(errors)]
    }
}

/// The form for a change of address.
#[derive(Debug, Serialize)]
pub struct ChangeEmail {
    pub form_token: String,
    pub email: String,
    pub new_email: String,
    /// The notice that the form is shown again after a sign-in.
    pub done: Option<MessageKey>,
    pub errors: Vec<FieldMessage>,
}

impl View for ChangeEmail {
    const NAME: &'static str = "account-email";

    fn samples() -> Vec<Self> {
        let sample = |new_email: &str, errors| Self {
            form_token: TOKEN.to_owned(),
            email: EMAIL.to_owned(),
            new_email: new_email.to_owned(),
            done: None,
            errors,
        };
        let again = Self { done: Some(resumed()), ..sample(NEW_EMAIL, vec![]) };
        vec![sample("", vec![]), sample(NEW_EMAIL, field_errors()), again]
    }
}

/// The form for the deletion of the account.
#[derive(Debug, Serialize)]
pub struct DeleteAccount {
    pub form_token: String,
    pub email: String,
    pub errors: Vec<FieldMessage>,
}

impl View for DeleteAccount {
    const NAME: &'static str = "account-deletion";

    fn samples() -> Vec<Self> {
        let sample =
            |errors| Self { form_token: TOKEN.to_owned(), email: EMAIL.to_owned(), errors };
        let wrong = FieldMessage::new("current_password", "current-password", "wrong");
        vec![sample(vec![]), sample(vec![wrong])]
    }
}

/// The page after the deletion of the account.
#[derive(Debug, Serialize)]
pub struct DeletedPage {}

impl View for DeletedPage {
    const NAME: &'static str = "account-deleted";

    fn samples() -> Vec<Self> {
        vec![Self {}]
    }
}

/// An event of the account.
#[derive(Debug, Serialize)]
pub struct EventView {
    pub what: MessageKey,
    pub who: MessageKey,
    pub at: i64,
    pub browser: Option<String>,
    pub address: Option<String>,
    pub app: Option<String>,
}

/// The events of the account, the latest first.
#[derive(Debug, Serialize)]
pub struct EventsPage {
    pub events: Vec<EventView>,
    /// The id before which the next page continues, if there are more events.
    pub next: Option<String>,
}

impl View for EventsPage {
    const NAME: &'static str = "account-events";

    fn samples() -> Vec<Self> {
        let event = |kind: &EventKind, actor: Actor| EventView {
            what: MessageKey::new("event", kind.as_str()),
            who: MessageKey::new("actor", actor.as_str()),
            at: AT,
            browser: Some("Firefox (Linux)".to_owned()),
            address: Some("192.0.2.0".to_owned()),
            app: Some("web".to_owned()),
        };
        let mut events: Vec<_> =
            EventKind::ALL.iter().map(|kind| event(kind, Actor::Owner)).collect();
        events.extend(Actor::ALL.iter().map(|actor| event(&EventKind::SignIn, *actor)));
        events.push(event(&EventKind::SignInFailed, Actor::Stranger));
        vec![
            Self { events, next: Some("01890000-0000-7000-8000-000000000003".to_owned()) },
            Self { events: vec![], next: None },
        ]
    }
}
