//! Profile: the name and the language that owners set themselves.

use std::fmt;

use serde::{Serialize, Serializer};

/// Name that a person wants to be called by, shown to that person only and always escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(String);

/// Reason why a text is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// The name has more than 100 characters.
    #[error("a name has at most 100 characters")]
    TooLong,
    /// The name has a control character, a line break, or a mark that reorders a line.
    #[error("a name is one line of text")]
    ControlCharacters,
}

impl NameError {
    /// Stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::ControlCharacters => "control-characters",
        }
    }
}

impl Name {
    /// Parses a name without surrounding white space. `None` if nothing is left.
    pub fn parse(text: &str) -> Result<Option<Self>, NameError> {
        let name = text.trim();
        if name.chars().count() > 100 {
            return Err(NameError::TooLong);
        }
        if name.chars().any(is_no_letter) {
            return Err(NameError::ControlCharacters);
        }
        Ok((!name.is_empty()).then(|| Self(name.to_owned())))
    }

    /// The typed text without the characters that no name may have, for the person to correct.
    pub fn shown(typed: &str) -> String {
        typed.chars().filter(|c| !is_no_letter(*c)).collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that no name may have: control characters, line breaks, and marks that reorder a line
/// (UAX #9). So a name shows as it is.
fn is_no_letter(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    c.is_control() || reorders || breaks
}

/// Language tag by BCP 47 (RFC 5646 §2.1), such as `de` or `en-GB`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locale(String);

/// Reason why a text is no language tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a locale is a language tag such as de or en-GB")]
pub struct LocaleError;

impl LocaleError {
    /// Stable code for programs.
    pub const fn code(self) -> &'static str {
        "malformed"
    }
}

impl Locale {
    /// Parses a language tag; its registration is not checked.
    pub fn parse(text: &str) -> Result<Self, LocaleError> {
        let mut subtags = text.split('-');
        let language = subtags.next().unwrap_or_default();
        let is_language =
            (2..=8).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if text.len() > 35 || !is_language || !subtags.all(is_subtag) {
            return Err(LocaleError);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($name:ty) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
as_text!(Name);
as_text!(Locale);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r37_name_is_one_printable_line() {
        assert_eq!(Name::parse(" Ada ").unwrap().unwrap().as_str(), "Ada");
        assert_eq!(Name::parse("  "), Ok(None));
        assert!(
            Name::parse("{{7*7}} <b>http://evil.example</b>").is_ok(),
            "the text is escaped where it is shown"
        );
        assert_eq!(Name::parse("a\r\n.\r\nb"), Err(NameError::ControlCharacters));
        assert_eq!(Name::parse("a\nb"), Err(NameError::ControlCharacters));
        assert_eq!(Name::parse("\u{202e}ada"), Err(NameError::ControlCharacters));
        assert_eq!(Name::parse(&"x".repeat(101)), Err(NameError::TooLong));
    }

    #[test]
    fn locale_must_be_a_language_tag() {
        for tag in ["de", "en-GB", "zh-Hant-TW", "sl-rozaj-biske-1994"] {
            assert_eq!(Locale::parse(tag).unwrap().as_str(), tag);
        }
        for text in ["", "e", "de_DE", "../../etc", "de-", "12", "de-ü", &"abcdefgh-".repeat(4)] {
            assert!(Locale::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
