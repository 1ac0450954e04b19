//! Formatting of messages in a language, with the fallback to English.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use fluent_bundle::{FluentArgs, FluentValue};

use super::{Language, LanguageBundle, Messages};
use crate::clock::Timestamp;

/// Messages that the code itself formats, and no template: keys and their variables.
pub const CODE_KEYS: [(&str, &[&str]); 6] = [
    ("language-name", &[]),
    ("date", &["day", "month", "year", "time"]),
    ("span-seconds", &["count"]),
    ("span-minutes", &["count"]),
    ("span-hours", &["count"]),
    ("span-days", &["count"]),
];

/// Values for the variables of a message.
#[derive(Clone, Debug, Default)]
pub struct Arguments(BTreeMap<String, Argument>);

#[derive(Clone, Debug)]
enum Argument {
    Text(String),
    Number(f64),
}

impl Arguments {
    /// Adds a text.
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.0.insert(name.into(), Argument::Text(text.into()));
        self
    }

    /// Adds a number, for plurals and selections; it is written without separators.
    pub fn number(mut self, name: impl Into<String>, number: f64) -> Self {
        self.0.insert(name.into(), Argument::Number(number));
        self
    }

    fn as_fluent(&self) -> FluentArgs<'_> {
        let mut arguments = FluentArgs::with_capacity(self.0.len());
        for (name, argument) in &self.0 {
            let value = match argument {
                Argument::Text(text) => FluentValue::from(text.as_str()),
                Argument::Number(number) => FluentValue::from(*number),
            };
            arguments.set(name.as_str(), value);
        }
        arguments
    }
}

/// Why a message cannot be formatted completely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingMessage {
    /// Neither the language nor English has the message.
    #[error("the message `{0}` does not exist")]
    NoMessage(String),
    /// A variable or reference of the message is missing.
    #[error("the message `{key}` in `{language}`: {problem}")]
    Incomplete { key: String, language: String, problem: String },
}

impl Messages {
    /// Formats a message. This function always returns a text. The first of these that works
    /// counts:
    ///
    /// 1. the language, or English if the language lacks the message;
    /// 2. English, if the text of the language has a gap;
    /// 3. the compiled-in English, if the operator's English lacks the message or has a gap;
    /// 4. the text with its gap;
    /// 5. the key.
    ///
    /// The first fault of its kind is logged.
    pub fn format(&self, language: Language, key: &str, arguments: &Arguments) -> String {
        let own = self.try_format(language, key, arguments);
        let fault = match own {
            Ok(text) => return text,
            Err(fault) => fault,
        };
        if self.0.logged.lock().unwrap_or_else(PoisonError::into_inner).insert(fault.to_string()) {
            tracing::warn!(%fault, "a message cannot be formatted");
        }
        let english = [&self.bundle(Language::ENGLISH), &&self.0.fallback]
            .into_iter()
            .find_map(|bundle| bundle.format(key, arguments)?.ok());
        // a text with a gap is better than no text
        english.unwrap_or_else(|| {
            let bundles = [self.bundle(language), self.bundle(Language::ENGLISH), &self.0.fallback];
            let gap = bundles.into_iter().find_map(|bundle| bundle.format(key, arguments));
            gap.map_or_else(|| key.to_owned(), |said| said.unwrap_or_else(|(text, _)| text))
        })
    }

    /// Formats a message in the language, or in English if the language lacks the message. A gap is
    /// an error.
    pub fn try_format(
        &self,
        language: Language,
        key: &str,
        arguments: &Arguments,
    ) -> Result<String, MissingMessage> {
        let bundles = [self.bundle(language), self.bundle(Language::ENGLISH), &self.0.fallback];
        for bundle in bundles {
            match bundle.format(key, arguments) {
                None => {}
                Some(Ok(text)) => return Ok(text),
                Some(Err((_, problem))) => {
                    let (key, language) = (key.to_owned(), bundle.tag.clone());
                    return Err(MissingMessage::Incomplete { key, language, problem });
                }
            }
        }
        Err(MissingMessage::NoMessage(key.to_owned()))
    }

    /// The name of the language in that language; its tag if the message is missing.
    pub fn own_name(&self, language: Language) -> String {
        let own = self.own_text(language, "language-name");
        own.unwrap_or_else(|| self.tag(language).to_owned())
    }

    /// The text of a message in this language only, without a fallback.
    pub fn own_text(&self, language: Language, key: &str) -> Option<String> {
        self.bundle(language).format(key, &Arguments::default())?.ok()
    }

    /// An instant as letters and pages show it: the key and the arguments.
    pub fn date(at: Timestamp) -> (&'static str, Arguments) {
        let at = at.date_time();
        let arguments = Arguments::default()
            .number("day", f64::from(at.day()))
            .number("month", f64::from(u8::from(at.month())))
            .number("year", f64::from(at.year()))
            .text("time", format!("{:02}:{:02}", at.hour(), at.minute()));
        ("date", arguments)
    }

    /// A length of time for people (`24 hours`, `30 minutes`, `3 days`): the key and the arguments.
    pub fn span(length: Duration) -> (&'static str, Arguments) {
        let seconds = length.as_secs();
        let (count, key) = match seconds {
            0..60 => (seconds, "span-seconds"),
            60..7_200 => (seconds / 60, "span-minutes"),
            7_200..172_801 => (seconds / 3_600, "span-hours"),
            _ => (seconds / 86_400, "span-days"),
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (key, Arguments::default().number("count", f64::from(count)))
    }
}

impl LanguageBundle {
    /// Formats a message of this language. `None` if the message is missing. An error, with the
    /// text as far as it goes, if a variable or reference of the message is missing.
    fn format(&self, key: &str, arguments: &Arguments) -> Option<Result<String, (String, String)>> {
        let (id, attribute) = match key.split_once('.') {
            Some((id, attribute)) => (id, Some(attribute)),
            None => (key, None),
        };
        let message = self.bundle.get_message(id)?;
        let pattern = match attribute {
            Some(attribute) => message.get_attribute(attribute)?.value(),
            None => message.value()?,
        };
        let mut errors = Vec::new();
        let arguments = arguments.as_fluent();
        let text = self.bundle.format_pattern(pattern, Some(&arguments), &mut errors);
        // line breaks in a file are for its author only
        let text = text.replace('\n', " ");
        Some(match errors.first() {
            None => Ok(text),
            Some(problem) => Err((text, problem.to_string())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_formatted_in_natural_units() {
        let messages = Messages::load(None, "en").unwrap();
        for (seconds, english, german) in [
            (1, "1 second", "1 Sekunde"),
            (60, "1 minute", "1 Minute"),
            (3_600, "60 minutes", "60 Minuten"),
            (86_400, "24 hours", "24 Stunden"),
            (172_800, "48 hours", "48 Stunden"),
            (259_200, "3 days", "3 Tage"),
        ] {
            let (key, arguments) = Messages::span(Duration::from_secs(seconds));
            let german_tag = crate::model::Locale::parse("de").unwrap();
            for (language, words) in
                [(Language::ENGLISH, english), (messages.best(&german_tag).unwrap(), german)]
            {
                assert_eq!(messages.try_format(language, key, &arguments).unwrap(), words);
            }
        }
    }

    #[test]
    fn dates_are_formatted_by_language() {
        let messages = Messages::load(None, "de").unwrap();
        let at = Timestamp::from_unix_millis(1_795_426_860_000);
        let (key, arguments) = Messages::date(at);
        let german = messages.negotiate(None, None);
        assert_eq!(
            messages.try_format(Language::ENGLISH, key, &arguments).unwrap(),
            "23 November 2026 at 09:41 UTC"
        );
        assert_eq!(
            messages.try_format(german, key, &arguments).unwrap(),
            "23. November 2026 um 09:41 UTC"
        );
    }
}
