//! Errors of settings, which name the key and the place of its value.

use std::fmt;

use figment::error::{Actual, Kind};
use figment::{Figment, Metadata, Source};

/// A problem with a setting, after its key below `vestibule.`.
pub(super) type Problem = (&'static str, String);

/// Keys whose value is never shown.
pub(super) const SECRET_KEYS: [&str; 4] = ["smtp_url", "secret_sha256", "secret_key", "url"];

/// Key of the database's URL, in Rocket's part of the settings.
pub(super) const DATABASE_URL: &str = "databases.vestibule.url";

/// A setting that keeps the service from starting: its key, the place of its value, and the
/// expected value (R57). It never shows the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    pub(super) key: String,
    pub(super) source: String,
    pub(super) problem: String,
}

impl SettingError {
    /// A problem with the value of `key`, such as `vestibule.tokens.access_ttl`.
    pub fn new(figment: &Figment, key: &str, problem: impl fmt::Display) -> Self {
        // a figment that is focused on a section knows only the last part of the key
        let last = key.rsplit('.').next().unwrap_or(key);
        let metadata = figment.find_metadata(key).or_else(|| figment.find_metadata(last));
        let source = metadata.map_or_else(
            || "not set".to_owned(),
            |metadata| format!("from {}", place(metadata, key)),
        );
        Self { key: key.to_owned(), source, problem: problem.to_string() }
    }

    /// A problem with a value that is in no figment.
    pub(super) fn at(key: &str, place: String, problem: impl fmt::Display) -> Self {
        Self { key: key.to_owned(), source: format!("from {place}"), problem: problem.to_string() }
    }

    pub(super) fn from_figment(error: figment::Error, figment: &Figment) -> Self {
        // the figment is focused on `vestibule`, and errors name keys below it
        let mut path = error.path.clone();
        if path.first().is_none_or(|first| first != "vestibule") {
            path.insert(0, "vestibule".to_owned());
        }
        let is_secret = path.last().is_some_and(|last| SECRET_KEYS.contains(&last.as_str()));
        let problem = match &error.kind {
            Kind::UnknownField(field, known) => {
                if path.last() != Some(field) {
                    path.push(field.clone());
                }
                unknown_key(field, known)
            }
            Kind::MissingField(field) => {
                if path.last().map(String::as_str) != Some(field) {
                    path.push(field.clone().into_owned());
                }
                "is required, and not set".to_owned()
            }
            _ if is_secret => "has the wrong type (its value is not shown)".to_owned(),
            // a text in place of a table may be a secret with half a key
            Kind::InvalidType(Actual::Str(_), wanted) => {
                format!("expected {wanted}, found a text")
            }
            kind => without_login(&kind.to_string()),
        };
        Self::new(figment, &path.join("."), problem)
    }
}

/// The text without the login and the parameters of a URL in it. The login ends at the last `@`,
/// because an unescaped password may contain any characters.
pub(super) fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    match rest.find(['?', '#']) {
        Some(at) => format!("{scheme}://{login}{}***", &rest[..=at]),
        None => format!("{scheme}://{login}{rest}"),
    }
}

/// The known name that `name` is probably a misspelling of.
pub(super) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .min()
        .filter(|(distance, _)| *distance <= name.len().div_ceil(4))
        .map(|(_, known)| known)
}

/// The problem with a key that is not among the known ones.
pub(super) fn unknown_key(field: &str, known: &[&str]) -> String {
    match closest(field, known) {
        Some(key) => format!("unknown key; did you mean `{key}`?"),
        None => format!("unknown key; known here are {}", known.join(", ")),
    }
}

/// The file or variable with the value of `key`.
pub(super) fn place(metadata: &Metadata, key: &str) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        Some(Source::Custom(place)) => place.clone(),
        _ if metadata.name.contains("environment variable") => {
            format!("the environment variable {}", variable(key))
        }
        _ => "the defaults".to_owned(),
    }
}

/// The variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    match key.strip_prefix("vestibule.") {
        Some(below) => format!("VESTIBULE_{}", below.replace('.', "__").to_uppercase()),
        None if key == DATABASE_URL => "DATABASE_URL".to_owned(),
        None => format!("ROCKET_{}", key.to_uppercase()),
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting `{}` ({}): {}", self.key, self.source, self.problem)
    }
}

impl std::error::Error for SettingError {}
