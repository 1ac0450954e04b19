//! Messages: the texts of letters and pages in each language (Project Fluent). The files are
//! compiled in, and an operator's file can replace each of them.
//!
//! This module owns the languages, their negotiation and the fallback to English. It must not know
//! templates, letters or pages. A page never fails because of a text: if a language lacks a
//! message, the English message is used.

mod error;
mod file;
mod format;
mod load;
mod negotiate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use fluent_bundle::FluentResource;
use fluent_bundle::concurrent::FluentBundle;
use fluent_langneg::LanguageIdentifier;

pub use error::MessageError;
pub use file::Phrase;
pub use format::{Arguments, CODE_KEYS, MissingMessage};
pub(crate) use load::did_you_mean;

use crate::model::Locale;

/// All messages in all languages. Cheap to clone.
#[derive(Clone)]
pub struct Messages(Arc<LoadedMessages>);

struct LoadedMessages {
    /// The languages; English comes first.
    languages: Vec<LanguageBundle>,
    tags: Vec<LanguageIdentifier>,
    /// The compiled-in English, if the operator replaced a file of it; else empty.
    fallback: LanguageBundle,
    default: Language,
    /// Faults that were logged already.
    logged: Mutex<BTreeSet<String>>,
}

/// The messages of one language.
struct LanguageBundle {
    tag: String,
    bundle: FluentBundle<FluentResource>,
    phrases: BTreeMap<String, Phrase>,
    is_compiled_in: bool,
}

/// A language with messages: its position in the list. [`Language::ENGLISH`] always exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(usize);

impl Language {
    /// English, the first language and the fallback of all others.
    pub const ENGLISH: Self = Self(0);
}

impl Messages {
    /// The language for a person: from the person's own `locale`, else from the browser's
    /// `Accept-Language`, else the default.
    pub fn negotiate(&self, person: Option<&Locale>, accept_language: Option<&str>) -> Language {
        person
            .and_then(|locale| self.best(locale))
            .or_else(|| self.accepted(accept_language?))
            .unwrap_or(self.0.default)
    }

    /// The available language that an `Accept-Language` header prefers, if it accepts any.
    pub fn accepted(&self, header: &str) -> Option<Language> {
        negotiate::accepted(header, &self.0.tags, self.0.default.0).map(Language)
    }

    /// The available language that suits `locale`, if there is one.
    pub fn best(&self, locale: &Locale) -> Option<Language> {
        negotiate::best(locale.as_str(), &self.0.tags).map(Language)
    }

    /// The tag of the language, such as `de`, for `lang` and `Content-Language`.
    pub fn tag(&self, language: Language) -> &str {
        &self.bundle(language).tag
    }

    /// All languages with messages, English first.
    pub fn languages(&self) -> impl Iterator<Item = Language> + use<> {
        (0..self.0.languages.len()).map(Language)
    }

    /// Whether the program has compiled-in messages of this language.
    pub fn is_compiled_in(&self, language: Language) -> bool {
        self.bundle(language).is_compiled_in
    }

    /// All messages of this language itself, without fallbacks, by key.
    pub fn phrases(&self, language: Language) -> &BTreeMap<String, Phrase> {
        &self.bundle(language).phrases
    }

    /// Variables that a message needs, including the variables of the messages that it refers to.
    pub fn variables(&self, language: Language, key: &str) -> BTreeSet<String> {
        let phrases = self.phrases(language);
        let mut variables = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![key];
        while let Some(key) = open.pop() {
            let Some(phrase) = phrases.get(key) else { continue };
            variables.extend(phrase.variables.iter().cloned());
            open.extend(
                phrase.references.iter().filter(|part| seen.insert(*part)).map(String::as_str),
            );
        }
        variables
    }

    fn bundle(&self, language: Language) -> &LanguageBundle {
        let bundles = &self.0.languages;
        // an index of other `Messages` that is out of range falls back to English
        bundles.get(language.0).unwrap_or(&bundles[0])
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.0.languages.iter().map(|bundle| &bundle.tag);
        f.debug_list().entries(tags).finish()
    }
}
