//! Loader of the message files: the compiled-in files, and the operator's files in their place.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fluent_bundle::concurrent::FluentBundle;
use rust_embed::RustEmbed;
use unic_langid::LanguageIdentifier;

use super::file::MessageFile;
use super::negotiate;
use super::{Language, LanguageBundle, LoadedMessages, MessageError, Messages};

#[derive(RustEmbed)]
#[folder = "messages/"]
struct EmbeddedMessages;

/// Name of a file in errors, and its text.
type MessageSource = (String, String);
/// Sources by language tag, then by file name.
type MessageSources = BTreeMap<String, BTreeMap<String, MessageSource>>;

impl Messages {
    /// Reads the compiled-in messages. A file of the same name (`de/mail.ftl`) in `overrides`
    /// replaces a compiled-in file. A folder there for a further language adds that language.
    pub fn load(overrides: Option<&Path>, default_locale: &str) -> Result<Self, MessageError> {
        let compiled_in = compiled_in();
        let mut sources = compiled_in.clone();
        if let Some(folder) = overrides {
            replace(&mut sources, folder, &compiled_in)?;
        }
        let english = sources.remove("en").unwrap_or_default();
        let fallback = compiled_in.get("en").filter(|ours| **ours != english).cloned();
        let mut languages = vec![LanguageBundle::read("en", english, true)?];
        for (tag, files) in sources {
            let is_compiled_in = compiled_in.contains_key(&tag);
            languages.push(LanguageBundle::read(&tag, files, is_compiled_in)?);
        }
        let known: Vec<String> = languages.iter().map(|bundle| bundle.tag.clone()).collect();
        let tags: Vec<_> = known.iter().filter_map(|tag| tag.parse().ok()).collect();
        let Some(default) = negotiate::best(default_locale, &tags) else {
            return Err(MessageError::NoSuchLanguage { known });
        };
        Ok(Self(Arc::new(LoadedMessages {
            languages,
            tags,
            fallback: LanguageBundle::read("en", fallback.unwrap_or_default(), true)?,
            default: Language(default),
            logged: Mutex::default(),
        })))
    }
}

fn compiled_in() -> MessageSources {
    let mut sources = MessageSources::new();
    for path in EmbeddedMessages::iter() {
        let Some((tag, name)) = path.split_once('/') else { continue };
        let Some(file) = EmbeddedMessages::get(&path) else { continue };
        let text = String::from_utf8_lossy(&file.data).into_owned();
        let source = (format!("messages/{path}"), text);
        sources.entry(tag.to_owned()).or_default().insert(name.to_owned(), source);
    }
    sources
}

/// Replaces sources by the files in `folder`. A file without effect is an error: its author meant
/// it to have one.
fn replace(
    sources: &mut MessageSources,
    folder: &Path,
    known: &MessageSources,
) -> Result<(), MessageError> {
    for (path, name) in entries(folder)? {
        let wrong = |problem: String| MessageError::Name { file: path.clone(), problem };
        let is_folder = path.is_dir();
        let tag: LanguageIdentifier = name.parse().ok().filter(|_| is_folder).ok_or_else(|| {
            wrong("expected a folder for a language, such as de or pt-BR".to_owned())
        })?;
        let tag = tag.to_string();
        for (path, name) in entries(&path)? {
            let wrong = |problem: String| MessageError::Name { file: path.clone(), problem };
            if !name.ends_with(".ftl") || path.is_dir() {
                return Err(wrong("expected message files, such as mail.ftl".to_owned()));
            }
            if let Some(known) = known.get(&tag).filter(|known| !known.contains_key(&name)) {
                return Err(wrong(did_you_mean(&name, known.keys().map(String::as_str))));
            }
            let text = fs::read_to_string(&path)
                .map_err(|source| MessageError::Read { file: path.clone(), source })?;
            let source = (path.display().to_string(), text);
            sources.entry(tag.clone()).or_default().insert(name, source);
        }
    }
    Ok(())
}

/// Entries of a folder, sorted, without hidden entries.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, MessageError> {
    let wrong = |source| MessageError::Read { file: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((path, name));
        }
    }
    found.sort();
    Ok(found)
}

/// Error text for a file that replaces nothing, with the closest known name.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let closest = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match closest {
        Some((_, known)) => {
            format!("the file replaces nothing: unknown name; did you mean {known}?")
        }
        None => "the file replaces nothing: unknown name".to_owned(),
    }
}

impl LanguageBundle {
    fn read(
        tag: &str,
        files: BTreeMap<String, MessageSource>,
        is_compiled_in: bool,
    ) -> Result<Self, MessageError> {
        let identifier: LanguageIdentifier = tag.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![identifier]);
        // no isolation characters: pages isolate by markup, and people copy from plain-text letters
        bundle.set_use_isolating(false);
        let mut phrases = BTreeMap::new();
        let mut seen: HashMap<String, (String, usize)> = HashMap::new();
        for (file, text) in files.into_values() {
            let parsed = MessageFile::parse(&file, text)?;
            for (id, line) in parsed.ids {
                if let Some((first, at)) = seen.insert(id.clone(), (file.clone(), line)) {
                    let problem = format!("`{id}` is defined twice, first at {first}:{at}");
                    return Err(MessageError::Syntax { file, line, problem });
                }
            }
            phrases.extend(parsed.phrases);
            // never overrides: duplicate ids are an error above
            bundle.add_resource_overriding(parsed.resource);
        }
        Ok(Self { tag: tag.to_owned(), bundle, phrases, is_compiled_in })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Arguments;
    use crate::model::Locale;

    fn load(files: &[(&str, &str)]) -> Result<Messages, MessageError> {
        let folder = tempfile::TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Messages::load(Some(folder.path()), "en")
    }

    fn format(messages: &Messages, tag: &str, key: &str) -> String {
        let language = messages.best(&Locale::parse(tag).unwrap()).unwrap();
        messages.format(language, key, &Arguments::default())
    }

    #[test]
    fn missing_message_falls_back_to_english() {
        let messages = load(&[
            ("de/page.ftl", "page-address = Anschrift"),
            ("pt-BR/page.ftl", "page-address = Endereço"),
            (".git/nothing", ""),
        ])
        .unwrap();
        assert_eq!(format(&messages, "de", "page-address"), "Anschrift");
        assert_eq!(format(&messages, "de", "page-new-password"), "New password");
        assert_eq!(
            format(&messages, "de", "mail-fact-when"),
            "Zeitpunkt",
            "a message of another file"
        );
        assert_eq!(format(&messages, "pt", "page-address"), "Endereço");
        assert_eq!(format(&messages, "pt-BR", "mail-fact-when"), "When");
        assert_eq!(messages.languages().count(), 3);
    }

    #[test]
    fn message_removed_from_english_falls_back_to_the_compiled_in_text() {
        let messages = load(&[("en/page.ftl", "page-address = Email")]).unwrap();
        assert_eq!(format(&messages, "en", "page-address"), "Email");
        assert_eq!(format(&messages, "en", "page-new-password"), "New password");
    }

    #[test]
    fn message_with_missing_variables_falls_back_to_english() {
        let messages = load(&[("de/page.ftl", "page-address = Anschrift { $nobody }")]).unwrap();
        assert_eq!(format(&messages, "de", "page-address"), "Email address");
        assert_eq!(format(&messages, "de", "no-such-key"), "no-such-key");
    }

    #[test]
    fn message_with_gaps_everywhere_is_formatted_with_its_gap() {
        let messages = load(&[("pt-BR/page.ftl", "page-address = E-mail")]).unwrap();
        let english = "The account for {$email} is ready.";
        assert_eq!(format(&messages, "pt-BR", "activated-ready"), english);
    }

    #[test]
    fn unknown_default_language_is_refused() {
        for (tag, is_there) in [("de", true), ("de-AT", true), ("fr", false), ("no tag", false)] {
            assert_eq!(Messages::load(None, tag).is_ok(), is_there, "{tag}");
        }
    }
}
