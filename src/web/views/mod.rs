//! Views: the typed context of each template in `templates/page/`, with samples.
//!
//! Timestamps are in milliseconds since 1970. The templates format them.

pub mod account;
pub mod dev_mail;
pub mod docs;
pub mod links;
pub mod problem;
pub mod refused_form;
pub mod samples;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::PasswordError;

/// A page: the name of its template and the fields that the template reads.
pub trait View: Serialize {
    /// `templates/page/<NAME>.html.tera`
    const NAME: &'static str;

    /// Samples of the page, for previews and for the tests that render it.
    fn samples() -> Vec<Self>
    where
        Self: Sized;
}

/// A sample of a page, for `vestibule templates`: its template and its context.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `templates/page/<name>.html.tera`
    pub name: &'static str,
    pub context: Value,
}

fn add<V: View>(all: &mut Vec<Sample>) {
    let contexts = V::samples().into_iter().filter_map(|view| serde_json::to_value(view).ok());
    all.extend(contexts.map(|context| Sample { name: V::NAME, context }));
}

/// An error in one field of a form, as the key and arguments of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldMessage {
    /// The name of the field.
    pub field: &'static str,
    pub key: String,
    pub arguments: BTreeMap<&'static str, u64>,
}

impl FieldMessage {
    /// The message `error-<kind>-<code>` without arguments.
    pub fn new(field: &'static str, kind: &str, code: &str) -> Self {
        Self { field, key: format!("error-{kind}-{code}"), arguments: BTreeMap::new() }
    }

    /// Adds an argument.
    pub fn with(mut self, name: &'static str, number: usize) -> Self {
        self.arguments.insert(name, u64::try_from(number).unwrap_or(u64::MAX));
        self
    }

    /// The message for an error in a new password in `field`.
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

    /// One message for each error of a password.
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

/// The key of a message that the code chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageKey {
    pub key: Cow<'static, str>,
}

impl MessageKey {
    /// The message `<kind>-<word>`.
    pub fn new(kind: &str, word: &str) -> Self {
        Self { key: Cow::Owned(format!("{kind}-{word}")) }
    }

    /// The message with this key.
    pub const fn of(key: &'static str) -> Self {
        Self { key: Cow::Borrowed(key) }
    }
}

/// A message without arguments, about no field.
impl From<MessageKey> for FieldMessage {
    fn from(MessageKey { key }: MessageKey) -> Self {
        Self { key: key.into_owned(), ..Self::default() }
    }
}

const TOKEN: &str = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M";
const EMAIL: &str = "ada.lovelace@example.org";
const NEW_EMAIL: &str = "ada@countess.example";
/// 23 November 2026, 09:41
const AT: i64 = 1_795_426_860_000;
