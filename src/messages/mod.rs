//! The words of letters and pages: message files (Project Fluent), compiled in, and each one
//! replaceable by a file.
//!
//! What a language lacks is said in English; a page never fails for a word.

mod file;
mod format;
mod load;
mod negotiate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fluent_bundle::FluentResource;
use fluent_bundle::concurrent::FluentBundle;
use fluent_langneg::LanguageIdentifier;

pub use file::Phrase;
pub use format::{Arguments, CODE_KEYS, MissingMessage};
pub(crate) use load::did_you_mean;

use crate::model::Locale;

/// All messages in all languages; cheap to clone.
#[derive(Clone)]
pub struct Messages(Arc<Inner>);

struct Inner {
    /// English is the first.
    languages: Vec<LanguageBundle>,
    tags: Vec<LanguageIdentifier>,
    /// What English lacks, where somebody replaced a file of it; else empty.
    fallback: LanguageBundle,
    default: Language,
    /// What was complained about already.
    logged: Mutex<BTreeSet<String>>,
}

/// The messages of one language.
struct LanguageBundle {
    tag: String,
    bundle: FluentBundle<FluentResource>,
    phrases: BTreeMap<String, Phrase>,
    is_compiled_in: bool,
}

/// One of the languages that there are messages in. [`Language::ENGLISH`] is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(usize);

impl Language {
    pub const ENGLISH: Self = Self(0);
}

/// Why the messages cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("cannot read the messages in {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{file}:{line}: {problem}")]
    Syntax { file: String, line: usize, problem: String },
    #[error("{}: {problem}", file.display())]
    Name { file: PathBuf, problem: String },
    #[error("expected a language that there are messages in: {}", known.join(", "))]
    NoSuchLanguage { known: Vec<String> },
}

impl Messages {
    /// The language of somebody: their own `locale`, else what their browser accepts, else the
    /// default.
    pub fn negotiate(&self, person: Option<&Locale>, accept_language: Option<&str>) -> Language {
        person
            .and_then(|locale| self.best(locale))
            .or_else(|| self.accepted(accept_language?))
            .unwrap_or(self.0.default)
    }

    /// The language that an `Accept-Language` header likes best, if there is any that it likes.
    pub fn accepted(&self, header: &str) -> Option<Language> {
        negotiate::accepted(header, &self.0.tags, self.0.default.0).map(Language)
    }

    /// The language that suits `locale`, if there is one.
    pub fn best(&self, locale: &Locale) -> Option<Language> {
        negotiate::best(locale.as_str(), &self.0.tags).map(Language)
    }

    /// Its tag, such as `de`: for `lang` and `Content-Language`.
    pub fn tag(&self, language: Language) -> &str {
        &self.bundle(language).tag
    }

    pub fn languages(&self) -> impl Iterator<Item = Language> + use<> {
        (0..self.0.languages.len()).map(Language)
    }

    /// Whether there are messages of its own in the program.
    pub fn is_compiled_in(&self, language: Language) -> bool {
        self.bundle(language).is_compiled_in
    }

    /// Everything that can be said in a language itself, by key.
    pub fn phrases(&self, language: Language) -> &BTreeMap<String, Phrase> {
        &self.bundle(language).phrases
    }

    /// What a message has to be told, with what its parts have to be.
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
        // a language of other messages than these is taken for English
        bundles.get(language.0).unwrap_or(&bundles[0])
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.0.languages.iter().map(|bundle| &bundle.tag);
        f.debug_list().entries(tags).finish()
    }
}
