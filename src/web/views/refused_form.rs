//! View of a form that was refused for now: the form with the typed text, without passwords.

use serde::Serialize;

use super::problem::{Cure, wait_message};
use super::{EMAIL, FieldMessage, MessageKey, TOKEN, View};
use crate::model::Name;
use crate::web::guards::form::TypedFields;
use crate::web::responses::problem_type;

/// A form of a page, as it is shown after a refusal.
#[derive(Debug)]
pub struct FormDescription {
    /// The path that the form is sent to.
    pub path: &'static str,
    /// The message above the form.
    heading: &'static str,
    /// The message on the button.
    button: &'static str,
    /// The fields that people fill in. All other fields are hidden.
    inputs: &'static [Input],
    /// A way that works while a rate limit refuses the form.
    pub cure: Option<Cure>,
}

/// A field that people fill in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Email,
    NewEmail,
    Name,
    Password,
    CurrentPassword,
    /// The field `password`, for a new password.
    ChosenPassword,
    /// As [`Self::ChosenPassword`], if one was typed. A contested sign-up needs a password.
    PasswordIfTyped,
    NewPassword,
}

/// Forms as `path, heading, button, inputs, cure`.
macro_rules! forms {
    ($($path:literal, $heading:literal, $button:literal, [$($input:ident)*], $cure:expr;)+) => {
        const FORMS: &[FormDescription] = &[$(FormDescription {
            path: $path,
            heading: $heading,
            button: $button,
            inputs: &[$(Input::$input),*],
            cure: $cure,
        }),+];
    };
}

forms! {
    "/account/sign-in", "account-sign-in", "account-sign-in", [Email Password], Some(Cure::NEW_PASSWORD);
    "/account/sign-out", "account-sign-out", "account-sign-out", [], None;
    "/account/sign-up", "account-sign-up", "account-sign-up", [Email Name ChosenPassword], Some(Cure::LINK);
    "/account/sign-up/new-link", "page-send-again", "page-send-again", [Email], None;
    "/account/forgotten-password", "account-forgotten", "account-forgotten-send", [Email], None;
    "/account/profile", "account-name", "account-save", [Name], None;
    "/account/password", "account-change-password", "account-change-password", [CurrentPassword NewPassword], Some(Cure::NEW_PASSWORD);
    "/account/email", "account-change-email", "account-change-email-send", [NewEmail CurrentPassword], Some(Cure::NEW_PASSWORD);
    "/account/email/withdrawal", "account-withdraw", "account-withdraw", [], None;
    "/account/deletion", "account-delete", "account-delete-for-good", [CurrentPassword], Some(Cure::NEW_PASSWORD);
    "/account/sessions/end", "account-session-end", "account-session-end", [], None;
    "/account/page-sessions/end", "account-session-end", "account-session-end", [], None;
    "/account/sessions/end-all", "account-end-all", "account-end-all", [], None;
    "/activate", "activate", "activate-confirm", [PasswordIfTyped], Some(Cure::LINK);
    "/activate/disavowal", "activate-disavow", "activate-disavow", [], None;
    "/activate/new-link", "page-send-new-link", "page-send-new-link", [], None;
    "/reset-password", "reset-password", "reset-password-set", [ChosenPassword], Some(Cure::LINK);
    "/reset-password/new-link", "page-send-new-link", "page-send-new-link", [], None;
    "/confirm-email", "confirm-email", "confirm-email-confirm", [], Some(Cure::ACCOUNT);
    "/confirm-email/stop", "stop-email-change", "stop-email-change-stop", [], Some(Cure::ACCOUNT);
    "/confirm-email/new-link", "page-send-new-link", "page-send-new-link", [], None;
}

/// The form that is sent to this path.
pub fn form_at(path: &str) -> Option<&'static FormDescription> {
    FORMS.iter().find(|form| form.path == path)
}

/// A field with its typed value.
#[derive(Debug, Serialize)]
struct Field {
    name: &'static str,
    label: MessageKey,
    /// `email`, `text`, `password` or `new-password`.
    kind: &'static str,
    /// `autocomplete` of a field that is no password.
    autocomplete: &'static str,
    required: bool,
    value: String,
}

/// A hidden field.
#[derive(Debug, Serialize)]
struct Hidden {
    name: &'static str,
    value: String,
}

/// The form that was refused, with the typed text.
#[derive(Debug, Serialize)]
pub struct RefusedForm<'a> {
    path: &'static str,
    heading: MessageKey,
    button: MessageKey,
    fields: Vec<Field>,
    hidden: Vec<Hidden>,
    /// The reason, in the language of the page.
    reason: &'a str,
    /// When to try again.
    wait: FieldMessage,
    min_length: usize,
    cure: Option<Cure>,
    /// Id of the request, for a question to the operator.
    pub request_id: Option<&'a str>,
}

impl Input {
    /// `None` if the form has no such field this time.
    fn field(self, typed: &TypedFields) -> Option<Field> {
        let (name, label, kind, autocomplete) = match self {
            Self::Email => ("email", "page-address", "email", "username"),
            Self::NewEmail => ("email", "account-new-email", "email", "email"),
            Self::Name => ("name", "account-name-optional", "text", "name"),
            Self::Password => ("password", "account-password", "password", ""),
            Self::CurrentPassword => {
                ("current_password", "account-current-password", "password", "")
            }
            Self::PasswordIfTyped if !typed.has("password") => return None,
            Self::ChosenPassword | Self::PasswordIfTyped => {
                ("password", "page-new-password", "new-password", "")
            }
            Self::NewPassword => ("new_password", "page-new-password", "new-password", ""),
        };
        let value = typed.get(name).map(|value| match self {
            Self::Name => Name::shown(value),
            _ => value.to_owned(),
        });
        let (required, value) = (self != Self::Name, value.unwrap_or_default());
        let label = MessageKey::of(label);
        Some(Field { name, label, kind, autocomplete, required, value })
    }
}

impl<'a> RefusedForm<'a> {
    /// The form with the typed text.
    pub fn new(
        form: &'static FormDescription,
        typed: &TypedFields,
        (reason, seconds): (&'a str, u64),
        min_length: usize,
        cure: Option<Cure>,
    ) -> Self {
        let fields: Vec<Field> =
            form.inputs.iter().filter_map(|input| input.field(typed)).collect();
        let is_shown = |name: &str| fields.iter().any(|field| field.name == name);
        let hidden = typed
            .texts()
            .filter(|(name, _)| !is_shown(name))
            .map(|(name, value)| Hidden { name, value: value.to_owned() })
            .collect();
        let has_password = fields.iter().any(|field| field.kind == "new-password");
        let button = match form.path {
            "/activate" if has_password => "activate-set-password",
            _ => form.button,
        };
        let (heading, button) = (MessageKey::of(form.heading), MessageKey::of(button));
        let (path, wait) = (form.path, wait_message(seconds));
        let request_id = None;
        Self { path, heading, button, fields, hidden, reason, wait, min_length, cure, request_id }
    }
}

impl View for RefusedForm<'_> {
    const NAME: &'static str = "refused-form";

    fn samples() -> Vec<Self> {
        let typed = TypedFields::sample(&[
            ("email", EMAIL),
            ("name", "Ada"),
            ("token", TOKEN),
            ("password", ""),
        ]);
        let (busy, limited) = (problem_type::UNAVAILABLE.detail, problem_type::RATE_LIMITED.detail);
        let sample = |form: &'static FormDescription| match form.cure.clone() {
            None => Self::new(form, &typed, (busy, 1), 15, None),
            cure => Self::new(form, &typed, (limited, 1_200), 15, cure),
        };
        FORMS.iter().map(sample).collect()
    }
}

/// The texts of these forms that the code chooses.
pub(super) fn chosen_messages() -> Vec<FieldMessage> {
    let keys = FORMS.iter().flat_map(|form| [form.heading, form.button]);
    let labels = RefusedForm::samples().into_iter().flat_map(|form| form.fields);
    let labels = labels.map(|field| field.label.into());
    keys.map(|key| MessageKey::of(key).into()).chain(labels).collect()
}
