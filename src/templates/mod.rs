//! Templates of letters and pages (Tera): compiled in, and each one replaceable by an operator's
//! file.
//!
//! This module owns loading, overriding and rendering, and must not know any single letter or page.
//! The texts in a template come from [`Messages`], in the language of the rendering.

mod error;
mod functions;
mod source;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use figment::Figment;
use rust_embed::RustEmbed;
use serde::Serialize;
use tera::{Context, Tera};

use crate::config::{SettingError, Settings};
use crate::messages::{Language, Messages, did_you_mean};

pub use error::TemplateError;
pub use functions::Strictness;
pub use source::TemplateSource;

#[derive(RustEmbed)]
#[folder = "templates/"]
struct EmbeddedTemplates;

/// All templates, parsed, with their messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates(Arc<LoadedTemplates>);

#[derive(Debug)]
struct LoadedTemplates {
    tera: Tera,
    messages: Messages,
    sources: BTreeMap<String, TemplateSource>,
}

impl Templates {
    /// Parses the compiled-in templates. A file of the same name in `overrides` replaces a
    /// template.
    pub fn load(overrides: Option<&Path>, messages: &Messages) -> Result<Self, TemplateError> {
        let mut sources = BTreeMap::new();
        for name in EmbeddedTemplates::iter() {
            let Some(file) = EmbeddedTemplates::get(&name) else { continue };
            let text = match file.data {
                Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
                Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            };
            let file = format!("templates/{name}");
            sources.insert(name.into_owned(), TemplateSource { file, text, is_override: false });
        }
        if let Some(folder) = overrides {
            replace(&mut sources, folder, folder)?;
        }
        Self::parse(sources, messages, Strictness::Lenient)
    }

    /// Loads the templates of letters and pages with their messages in all languages.
    pub fn from_settings(settings: &Settings, figment: &Figment) -> Result<Self, SettingError> {
        let messages = &settings.messages;
        let messages = Messages::load(messages.directory.as_deref(), &messages.default_locale)
            .map_err(|error| SettingError::new(figment, error.key(), error))?;
        Self::load(settings.templates.directory.as_deref(), &messages)
            .map_err(|error| SettingError::new(figment, "vestibule.templates.directory", error))
    }

    /// The same templates in strict mode: rendering fails if a message has a gap.
    pub fn strict(&self) -> Result<Self, TemplateError> {
        Self::parse(self.0.sources.clone(), &self.0.messages, Strictness::Strict)
    }

    fn parse(
        sources: BTreeMap<String, TemplateSource>,
        messages: &Messages,
        strictness: Strictness,
    ) -> Result<Self, TemplateError> {
        let mut tera = Tera::new();
        tera.autoescape_on([".html.tera"]);
        functions::register(&mut tera, messages, strictness);
        tera.add_raw_templates(sources.iter().map(|(name, source)| (name, &source.text)))
            .map_err(|error| error::located(error, &sources))?;
        Ok(Self(Arc::new(LoadedTemplates { tera, messages: messages.clone(), sources })))
    }

    /// Renders a template with the members of `common` and `context`; `context` wins.
    pub fn render(
        &self,
        language: Language,
        template: &str,
        common: &impl Serialize,
        context: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let mut merged = Context::from_serialize(common)?;
        merged.extend(Context::from_serialize(context)?);
        functions::with_language(language, || self.0.tera.render(template, &merged))
            .map_err(|error| error::located(error, &self.0.sources))
    }

    /// The stylesheet of the pages, exactly as each page contains it.
    pub fn stylesheet(&self) -> Result<String, TemplateError> {
        let render = || self.0.tera.render("style.css", &Context::new());
        Ok(functions::with_language(Language::ENGLISH, render)?)
    }

    /// The messages that the templates are rendered with.
    pub fn messages(&self) -> &Messages {
        &self.0.messages
    }

    /// All templates by name.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &TemplateSource)> {
        self.0.sources.iter().map(|(name, source)| (name.as_str(), source))
    }

    /// The names of all templates.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.sources.keys().map(String::as_str)
    }
}

/// Replaces sources by the files below `folder`. A file without effect is an error: its author
/// meant it to have one.
fn replace(
    sources: &mut BTreeMap<String, TemplateSource>,
    root: &Path,
    folder: &Path,
) -> Result<(), TemplateError> {
    let unreadable = |file: &Path, source| TemplateError::Read { file: file.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            replace(sources, root, &path)?;
            continue;
        }
        let parts = path.strip_prefix(root).unwrap_or(&path).iter();
        let name = parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        let Some(source) = sources.get_mut(&name) else {
            let problem = did_you_mean(&name, sources.keys().map(String::as_str));
            return Err(TemplateError::Name { file: path, problem });
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let file = path.display().to_string();
        *source = TemplateSource { file, text: text.into(), is_override: true };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Locale;

    fn load(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
        let folder = tempfile::TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Templates::load(Some(folder.path()), &Messages::load(None, "en").unwrap())
    }

    fn render(body: &str, context: &serde_json::Value) -> Result<String, TemplateError> {
        let templates = load(&[("page/disavowed.html.tera", body)])?.strict()?;
        templates.render(Language::ENGLISH, "page/disavowed.html.tera", &json!({}), context)
    }

    #[test]
    fn each_rendering_uses_its_own_language() {
        let body = "{{ t(key=\"page-address\") }}";
        let templates = load(&[("page/disavowed.html.tera", body)]).unwrap();
        let messages = templates.messages();
        let german = messages.best(&Locale::parse("de").unwrap()).unwrap();
        for language in [german, Language::ENGLISH, german] {
            let name = "page/disavowed.html.tera";
            let html = templates.render(language, name, &json!({}), &json!({})).unwrap();
            assert_eq!(Some(html), messages.own_text(language, "page-address"));
        }
        let said = [german, Language::ENGLISH].map(|one| messages.own_text(one, "page-address"));
        assert_ne!(said[0], said[1]);
    }

    #[test]
    fn broken_override_is_refused_with_file_and_line() {
        for (name, text, line, problem) in [
            ("page/activated.html.tera", "a\n{{ b", 2, ""),
            ("page/activated.html.tera", "\n\n{% if a %}{{ b }}", 3, ""),
            ("page/activated.html.tera", "\n{{ unknown(a=1) }}", 2, "unknown"),
            ("page/activated.html.tera", "\n{{ a | shout }}", 2, "shout"),
            ("page/activated.html.tera", "\n\n\n{{ <no.such /> }}", 4, "no.such"),
            ("page/activated.html.tera", "{# #}\n{% extends \"page/bse.html.tera\" %}", 2, "bse"),
            ("page/activated.html.tera", "\n{% include \"nothing\" %}", 2, "nothing"),
        ] {
            let error = load(&[(name, text)]).unwrap_err().to_string();
            let place = format!("/{name}:{line}: ");
            assert!(error.contains(&place), "{text}: {error}");
            assert!(error.starts_with('/') && error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn override_without_effect_is_refused() {
        for (name, meant) in [
            ("page/activat.html.tera", "page/activate.html.tera"),
            ("mail/activation/subjekt.txt.tera", "mail/activation/subject.txt.tera"),
            ("activated.html.tera", "page/activated.html.tera"),
        ] {
            let error = load(&[(name, "")]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(error.contains(&format!("did you mean {meant}?")), "{error}");
        }
        assert!(load(&[(".git/config", ""), ("style.css", "a {}")]).is_ok());
    }

    #[test]
    fn r37_message_arguments_are_escaped() {
        let message = "{{ rich(key=\"activated-ready\", email=email) }}";
        for (typed, shown) in [
            ("ada@example.org", "ada@example.org"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("{{7*7}}", "{{7*7}}"),
            ("{$email}", "{$email}"),
            ("</strong>\u{fdd0}\u{fdd1}&", "&lt;/strong&gt;&amp;"),
            ("\u{202e}gro.elpmaxe", "\u{202e}gro.elpmaxe"),
        ] {
            let html = render(message, &json!({ "email": typed })).unwrap();
            let value = format!("<strong class=\"value\">{shown}</strong>");
            assert_eq!(html.replace("&#x2F;", "/"), format!("The account for {value} is ready."));
        }
        let message = "{{ t(key=\"activated-ready\", email=email) }}";
        let html = render(message, &json!({ "email": "<b>" })).unwrap();
        assert_eq!(html, "The account for &lt;b&gt; is ready.");
    }

    #[test]
    fn missing_messages_and_variables_fail_in_strict_mode() {
        for (body, problem) in [
            ("\n{{ t(key=\"no-such-key\") }}", "no-such-key"),
            ("\n{{ t(key=\"activated-ready\") }}", "$email"),
            ("\n{{ rich(key=\"activated-ready\", mail=1) }}", "$email"),
            ("\n{{ t(key=\"activated-ready\", email=nothing) }}", "`email`"),
            ("\n{{ date(at=\"now\") }}", ""),
        ] {
            let error = render(body, &json!({})).unwrap_err().to_string();
            assert!(error.contains(":2: ") && error.contains(problem), "{error}");
        }
        let lenient = load(&[(
            "page/disavowed.html.tera",
            "{{ t(key=\"no-such-key\") }} {{ t(key=\"activated-ready\") }}",
        )]);
        let name = "page/disavowed.html.tera";
        let html =
            lenient.unwrap().render(Language::ENGLISH, name, &json!({}), &json!({})).unwrap();
        assert_eq!(html, "no-such-key The account for {$email} is ready.");
    }
}
