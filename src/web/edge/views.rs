//! What each page is made of: one type for each template below `templates/page/`.
//!
//! Instants are in milliseconds since 1970: the template puts them into words.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::PasswordError;

/// A page: its template, and what the template asks for.
pub trait View: Serialize {
    /// `templates/page/<NAME>.html.tera`
    const NAME: &'static str;

    /// What the page can look like, for previews and for the tests that render it.
    fn samples() -> Vec<Self>
    where
        Self: Sized;
}

/// A page with its samples, as `vestibule templates` goes through them.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `templates/page/<name>.html.tera`
    pub name: &'static str,
    pub context: Value,
}

/// Samples of every page.
pub fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    add::<Activate<'_>>(&mut all);
    add::<Activated<'_>>(&mut all);
    add::<AddressTaken>(&mut all);
    add::<Disavowed>(&mut all);
    add::<LinkExpired<'_>>(&mut all);
    add::<LinkUnknown>(&mut all);
    add::<NewLinkSent<'_>>(&mut all);
    add::<ResetPassword<'_>>(&mut all);
    add::<PasswordResetDone>(&mut all);
    add::<ChoosePassword<'_>>(&mut all);
    add::<PasswordChosen>(&mut all);
    add::<ResetLinkExpired<'_>>(&mut all);
    add::<ResetLinkUsed>(&mut all);
    add::<ConfirmEmail<'_>>(&mut all);
    add::<EmailConfirmed<'_>>(&mut all);
    add::<EmailChangeExpired<'_>>(&mut all);
    add::<StopEmailChange<'_>>(&mut all);
    add::<EmailChangeStopped>(&mut all);
    add::<EmailChangeTooLate>(&mut all);
    add::<EmailChangeTaken<'_>>(&mut all);
    add::<EmailStopExpired>(&mut all);
    super::account_views::add_all(&mut all);
    add::<super::docs_views::Docs>(&mut all);
    add::<ProblemView<'_>>(&mut all);
    add::<DevMail>(&mut all);
    add::<DevLetter>(&mut all);
    all
}

pub(super) fn add<V: View>(all: &mut Vec<Sample>) {
    let contexts = V::samples().into_iter().filter_map(|view| serde_json::to_value(view).ok());
    all.extend(contexts.map(|context| Sample { name: V::NAME, context }));
}

/// What is wrong with one field of a form: a message, by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldMessage {
    /// The field's name.
    pub field: &'static str,
    pub key: String,
    pub arguments: BTreeMap<&'static str, u64>,
}

impl FieldMessage {
    /// The message `error-<kind>-<code>`, without anything that it has to be told.
    pub fn new(field: &'static str, kind: &str, code: &str) -> Self {
        Self { field, key: format!("error-{kind}-{code}"), arguments: BTreeMap::new() }
    }

    pub fn with(mut self, name: &'static str, number: usize) -> Self {
        self.arguments.insert(name, u64::try_from(number).unwrap_or(u64::MAX));
        self
    }

    /// Of a new password in `field`.
    pub fn password(field: &'static str, error: PasswordError) -> Self {
        let message = Self::new(field, "password", error.code());
        match error {
            PasswordError::TooShort { min_length } => message.with("min_length", min_length),
            PasswordError::TooLong => message.with("max_length", PasswordError::MAX_LENGTH),
            PasswordError::Nul
            | PasswordError::Address
            | PasswordError::Name
            | PasswordError::Service
            | PasswordError::Common
            | PasswordError::Pattern => message,
        }
    }

    /// One of each of a password.
    pub fn samples() -> Vec<Self> {
        [
            PasswordError::TooShort { min_length: 15 },
            PasswordError::TooLong,
            PasswordError::Nul,
            PasswordError::Address,
            PasswordError::Name,
            PasswordError::Service,
            PasswordError::Common,
            PasswordError::Pattern,
        ]
        .into_iter()
        .map(|error| Self::password("password", error))
        .collect()
    }
}

/// A message that the code chooses, by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub key: String,
}

impl Chosen {
    /// The message `<kind>-<word>`.
    pub fn new(kind: &str, word: &str) -> Self {
        Self { key: format!("{kind}-{word}") }
    }
}

/// One of each message that the code chooses: no template names them.
pub fn chosen_messages() -> Vec<FieldMessage> {
    let mut all = FieldMessage::samples();
    all.extend(super::account_views::chosen_messages());
    all
}

pub(super) const TOKEN: &str = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M";
pub(super) const EMAIL: &str = "ada.lovelace@example.org";
pub(super) const NEW_EMAIL: &str = "ada@countess.example";
/// 23 November 2026, 09:41
pub(super) const AT: i64 = 1_795_426_860_000;

/// A waiting sign-up.
#[derive(Debug, Serialize)]
pub struct Activate<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub signed_up_at: i64,
    pub contested_at: Option<i64>,
    pub browser: Option<String>,
    pub password_needed: bool,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for Activate<'_> {
    const NAME: &'static str = "activate";

    fn samples() -> Vec<Self> {
        let sample = |contested_at: Option<i64>, errors| Self {
            token: TOKEN,
            email: EMAIL,
            signed_up_at: AT,
            contested_at,
            browser: contested_at.is_none().then(|| "Firefox (Linux)".to_owned()),
            password_needed: contested_at.is_some(),
            min_length: 15,
            errors,
        };
        vec![
            sample(None, vec![]),
            sample(Some(AT), vec![]),
            sample(None, FieldMessage::samples()),
            sample(Some(AT), FieldMessage::samples()),
        ]
    }
}

/// The account is there.
#[derive(Debug, Serialize)]
pub struct Activated<'a> {
    /// Absent if the account was there before: its present address is no matter of an old link.
    pub email: Option<&'a str>,
}

impl View for Activated<'_> {
    const NAME: &'static str = "activated";

    fn samples() -> Vec<Self> {
        vec![Self { email: Some(EMAIL) }, Self { email: None }]
    }
}

/// No link that was ever sent.
#[derive(Debug, Serialize)]
pub struct LinkUnknown {
    /// Whether it is of a change of address: another link of that is asked for in the account, and
    /// any other by the address alone.
    pub of_email_change: bool,
}

impl View for LinkUnknown {
    const NAME: &'static str = "link-unknown";

    fn samples() -> Vec<Self> {
        [false, true].map(|of_email_change| Self { of_email_change }).into()
    }
}

/// A letter is on its way, if there is anything to write; it can be asked for once more.
#[derive(Debug, Serialize)]
pub struct NewLinkSent<'a> {
    pub token: &'a str,
    /// What the link was of: a path of the service, with a form `new-link` below it.
    pub path: &'static str,
}

impl View for NewLinkSent<'_> {
    const NAME: &'static str = "new-link-sent";

    fn samples() -> Vec<Self> {
        ["/activate", "/reset-password", "/confirm-email"]
            .map(|path| Self { token: TOKEN, path })
            .into()
    }
}

/// The password can be chosen.
#[derive(Debug, Serialize)]
pub struct ResetPassword<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for ResetPassword<'_> {
    const NAME: &'static str = "reset-password";

    fn samples() -> Vec<Self> {
        let sample = |errors| Self { token: TOKEN, email: EMAIL, min_length: 15, errors };
        vec![sample(vec![]), sample(FieldMessage::samples())]
    }
}

/// The first password can be chosen.
#[derive(Debug, Serialize)]
pub struct ChoosePassword<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for ChoosePassword<'_> {
    const NAME: &'static str = "choose-password";

    fn samples() -> Vec<Self> {
        let sample = |errors| Self { token: TOKEN, email: EMAIL, min_length: 15, errors };
        vec![sample(vec![]), sample(FieldMessage::samples())]
    }
}

/// The button that makes an address the account's.
#[derive(Debug, Serialize)]
pub struct ConfirmEmail<'a> {
    pub token: &'a str,
    pub new_email: &'a str,
    /// The account's present address, masked: who reads the new mailbox need not be its owner.
    pub present: String,
    pub requested_at: i64,
    pub browser: Option<String>,
}

impl View for ConfirmEmail<'_> {
    const NAME: &'static str = "confirm-email";

    fn samples() -> Vec<Self> {
        let sample = |browser| Self {
            token: TOKEN,
            new_email: NEW_EMAIL,
            present: "a…@example.org".to_owned(),
            requested_at: AT,
            browser,
        };
        vec![sample(None), sample(Some("Firefox (Linux)".to_owned()))]
    }
}

/// The address is the account's.
#[derive(Debug, Serialize)]
pub struct EmailConfirmed<'a> {
    pub email: &'a str,
    pub already: bool,
}

impl View for EmailConfirmed<'_> {
    const NAME: &'static str = "email-confirmed";

    fn samples() -> Vec<Self> {
        [false, true].map(|already| Self { email: NEW_EMAIL, already }).into()
    }
}

/// The button that stops a change of address.
#[derive(Debug, Serialize)]
pub struct StopEmailChange<'a> {
    pub token: &'a str,
    pub new_email: &'a str,
    pub requested_at: i64,
    pub browser: Option<String>,
}

impl View for StopEmailChange<'_> {
    const NAME: &'static str = "stop-email-change";

    fn samples() -> Vec<Self> {
        let sample =
            |browser| Self { token: TOKEN, new_email: NEW_EMAIL, requested_at: AT, browser };
        vec![sample(None), sample(Some("Firefox (Linux)".to_owned()))]
    }
}

/// Another account has the address that was to be this one's.
#[derive(Debug, Serialize)]
pub struct EmailChangeTaken<'a> {
    pub new_email: &'a str,
}

impl View for EmailChangeTaken<'_> {
    const NAME: &'static str = "email-change-taken";

    fn samples() -> Vec<Self> {
        vec![Self { new_email: NEW_EMAIL }]
    }
}

/// The address stays.
#[derive(Debug, Serialize)]
pub struct EmailChangeStopped {
    pub already: bool,
}

impl View for EmailChangeStopped {
    const NAME: &'static str = "email-change-stopped";

    fn samples() -> Vec<Self> {
        [false, true].map(|already| Self { already }).into()
    }
}

/// A kind of problem, in the words of the language.
#[derive(Debug, Serialize)]
pub struct ProblemView<'a> {
    pub title: &'a str,
    pub status: u16,
    pub detail: &'a str,
    pub advice: &'a str,
    /// Where it happened, and is not only explained.
    pub request_id: Option<&'a str>,
}

impl View for ProblemView<'_> {
    const NAME: &'static str = "problem";

    fn samples() -> Vec<Self> {
        let slug = super::slug::NOT_FOUND;
        let sample = |request_id| Self {
            title: slug.title,
            status: slug.status,
            detail: slug.detail,
            advice: slug.advice,
            request_id,
        };
        vec![sample(None), sample(Some("0af7651916cd43dd8448eb211c80319c"))]
    }
}

/// A letter, to developers.
#[derive(Debug, Serialize)]
pub struct LetterView {
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub at: i64,
    pub text: String,
}

impl LetterView {
    fn sample() -> Self {
        Self {
            id: "01890000-0000-7000-8000-000000000001".to_owned(),
            from: "Vestibule <no-reply@example.org>".to_owned(),
            to: EMAIL.to_owned(),
            subject: "Confirm your email address".to_owned(),
            at: AT,
            text: "Hello".to_owned(),
        }
    }
}

/// All letters.
#[derive(Debug, Serialize)]
pub struct DevMail {
    pub letters: Vec<LetterView>,
}

impl View for DevMail {
    const NAME: &'static str = "dev-mail";

    fn samples() -> Vec<Self> {
        vec![Self { letters: vec![] }, Self { letters: vec![LetterView::sample()] }]
    }
}

/// One letter.
#[derive(Debug, Serialize)]
pub struct DevLetter {
    pub letter: LetterView,
    pub links: Vec<String>,
}

impl View for DevLetter {
    const NAME: &'static str = "dev-letter";

    fn samples() -> Vec<Self> {
        [vec![], vec!["/activate?token=T".to_owned()]]
            .map(|links| Self { letter: LetterView::sample(), links })
            .into()
    }
}

/// Pages whose one fact is the link that led to them.
macro_rules! pages_of_a_link {
    ($($(#[$doc:meta])* $view:ident = $name:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub struct $view<'a> {
            pub token: &'a str,
        }

        impl View for $view<'_> {
            const NAME: &'static str = $name;

            fn samples() -> Vec<Self> {
                vec![Self { token: TOKEN }]
            }
        }
    )+};
}

pages_of_a_link! {
    /// The activation link is too old; there can be another.
    LinkExpired = "link-expired";
    /// The link for a new password is too old; there can be another.
    ResetLinkExpired = "reset-link-expired";
    /// The address was not confirmed in time; there can be another link.
    EmailChangeExpired = "email-change-expired";
}

/// Pages that say the same to everybody.
macro_rules! plain_pages {
    ($($(#[$doc:meta])* $view:ident = $name:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub struct $view {}

        impl View for $view {
            const NAME: &'static str = $name;

            fn samples() -> Vec<Self> {
                vec![Self {}]
            }
        }
    )+};
}

plain_pages! {
    /// The address has come to an account by another way.
    AddressTaken = "address-taken";
    /// The sign-up is gone.
    Disavowed = "disavowed";
    /// The password is another.
    PasswordResetDone = "password-reset-done";
    /// The account has its first password.
    PasswordChosen = "password-chosen";
    /// The link for a new password has done its work.
    ResetLinkUsed = "reset-link-used";
    /// The change cannot be stopped any more.
    EmailChangeTooLate = "email-change-too-late";
    /// The link that stops a change is too old, and so is the change.
    EmailStopExpired = "email-stop-expired";
}
