//! Template check: renders every letter and page in every language and reports faults. `vestibule
//! templates` and the tests use it.
//!
//! This module owns the findings and the previews ([`TemplateCheck::preview`]). The samples belong
//! to `mail` and `web`.

mod finding;
mod functions_called;
mod preview;

use std::collections::{BTreeMap, BTreeSet};

use figment::Figment;

use crate::clock::Timestamp;
use crate::config::{SettingError, Settings};
use crate::mail::{Envelope, Letter, RenderError, Rendered, Renderer, SenderError};
use crate::messages::{CODE_KEYS, Language, Messages};
use crate::model::{EmailAddress, Locale};
use crate::storage::LetterId;
use crate::templates::{TemplateError, Templates};
use crate::web::views::samples::{self, chosen_messages};
use crate::web::{Pages, problem_types};
pub use finding::Finding;
use functions_called::{FunctionCall, functions_called};

/// Check of the letters and pages under the settings in force.
#[derive(Debug)]
pub struct TemplateCheck {
    templates: Templates,
    settings: Settings,
}

/// Why the templates cannot be loaded, rendered or previewed at all.
#[derive(Debug, thiserror::Error)]
pub enum TemplateCheckError {
    /// A setting has a wrong value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The templates cannot be loaded.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A letter cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The sender of letters is not an address.
    #[error("vestibule.mail.from: {0}")]
    Sender(#[from] SenderError),
    /// A preview cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write { file: std::path::PathBuf, source: std::io::Error },
    /// The chosen language has no messages.
    #[error("the language `{0}` has no messages")]
    NoSuchLanguage(String),
}

impl TemplateCheck {
    /// Loads the templates and messages. A fault that keeps the service from starting is an error
    /// here.
    pub fn read(settings: Settings, figment: &Figment) -> Result<Self, TemplateCheckError> {
        let templates = Templates::from_settings(&settings, figment)?;
        Ok(Self { templates, settings })
    }

    pub(crate) fn of(templates: Templates, settings: Settings) -> Self {
        Self { templates, settings }
    }

    /// All faults, ordered by file and line.
    pub fn check(&self) -> Result<Vec<Finding>, TemplateCheckError> {
        let mut findings = BTreeSet::new();
        self.check_messages(&mut findings);
        self.check_rendering(&self.templates.strict()?, &mut findings)?;
        Ok(findings.into_iter().collect())
    }

    /// Faults that make a letter or a page fail for every recipient or visitor.
    pub fn failures(&self) -> Result<Vec<Finding>, TemplateCheckError> {
        let mut findings = BTreeSet::new();
        self.check_rendering(&self.templates, &mut findings)?;
        Ok(findings.into_iter().collect())
    }

    fn messages(&self) -> &Messages {
        self.templates.messages()
    }

    /// Checks that each used key and variable exists, and that each message is used.
    fn check_messages(&self, findings: &mut BTreeSet<Finding>) {
        let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, source) in self.templates.sources() {
            for call in functions_called(&source.file, &source.text) {
                let Some(key) = call.key.clone() else {
                    let what =
                        "a key must be a literal; message(of=…) is for keys that the code chooses";
                    findings.insert(call.finding(what.to_owned()));
                    continue;
                };
                self.check_call(&call, &key, findings);
                used.entry(key).or_default().extend(call.arguments);
            }
        }
        let of_code = CODE_KEYS.iter().map(|(key, variables)| {
            ((*key).to_owned(), variables.iter().map(|name| (*name).to_owned()).collect())
        });
        let chosen = chosen_messages().into_iter().map(|message| {
            (message.key, message.arguments.into_keys().map(str::to_owned).collect())
        });
        for (key, arguments) in of_code.chain(chosen) {
            let call = FunctionCall { file: "src".to_owned(), line: 1, key: None, arguments };
            self.check_call(&call, &key, findings);
            used.entry(key).or_default().extend(call.arguments);
        }
        for language in self.messages().languages() {
            self.check_problems(language, findings);
            self.check_use(language, &used, findings);
        }
    }

    /// Checks that every language has the message of a call, and that the variables match.
    fn check_call(&self, call: &FunctionCall, key: &str, findings: &mut BTreeSet<Finding>) {
        let messages = self.messages();
        let Some(english) = messages.phrases(Language::ENGLISH).get(key) else {
            findings.insert(call.finding(format!("the message `{key}` is missing in `en`")));
            return;
        };
        let mut known = BTreeSet::new();
        for language in messages.languages() {
            let tag = messages.tag(language);
            let Some(phrase) = messages.phrases(language).get(key) else {
                if messages.is_compiled_in(language) {
                    findings.insert(Finding {
                        file: english.file.clone(),
                        line: english.line,
                        what: format!("`{key}` is missing in `{tag}`"),
                    });
                }
                continue;
            };
            let variables = messages.variables(language, key);
            for name in variables.difference(&call.arguments) {
                let what = format!(
                    "`{key}` uses ${name}, which {}:{} does not pass",
                    call.file, call.line
                );
                findings.insert(Finding { file: phrase.file.clone(), line: phrase.line, what });
            }
            known.extend(variables);
        }
        for name in call.arguments.difference(&known) {
            findings.insert(call.finding(format!("`{key}` does not use `{name}`")));
        }
    }

    /// Checks that the language explains every problem type. English is exempt: its explanations
    /// are in the code.
    fn check_problems(&self, language: Language, findings: &mut BTreeSet<Finding>) {
        let messages = self.messages();
        if language == Language::ENGLISH || !messages.is_compiled_in(language) {
            return;
        }
        let tag = messages.tag(language);
        for problem_type in problem_types() {
            for part in ["", ".detail", ".advice"] {
                let key = format!("problem-{}{part}", problem_type.name);
                if messages.own_text(language, &key).is_none() {
                    findings.insert(Finding {
                        file: format!("messages/{tag}/problem.ftl"),
                        line: 1,
                        what: format!("`{key}` is missing, or needs variables that are not passed"),
                    });
                }
            }
        }
    }

    /// Checks that each message of the language is used.
    fn check_use(
        &self,
        language: Language,
        used: &BTreeMap<String, BTreeSet<String>>,
        findings: &mut BTreeSet<Finding>,
    ) {
        let phrases = self.messages().phrases(language);
        let parts: BTreeSet<&String> =
            phrases.values().flat_map(|phrase| &phrase.references).collect();
        let explains = |key: &str| {
            let name = key.strip_prefix("problem-").map(|name| name.split('.').next());
            name.flatten()
                .is_some_and(|name| problem_types().any(|problem_type| problem_type.name == name))
        };
        for (key, phrase) in phrases {
            if !used.contains_key(key) && !parts.contains(key) && !explains(key) {
                let what = format!("nothing uses `{key}`");
                findings.insert(Finding { file: phrase.file.clone(), line: phrase.line, what });
            }
        }
    }

    /// Renders every sample of every page and letter in every language.
    fn check_rendering(
        &self,
        templates: &Templates,
        findings: &mut BTreeSet<Finding>,
    ) -> Result<(), TemplateCheckError> {
        let pages = Pages::new(templates.clone(), &self.settings)?;
        let renderer = self.renderer(templates.clone())?;
        for language in self.messages().languages() {
            for sample in samples::all() {
                if let Err(error) = pages.html(language, sample.name, &sample.context) {
                    findings.insert(located(&format!("page/{}", sample.name), error));
                }
            }
            for letter in Letter::samples() {
                match self.letter(&renderer, language, &letter) {
                    Ok(_) => {}
                    Err(TemplateCheckError::Render(RenderError::Template(error))) => {
                        findings.insert(located(&format!("mail/{}", letter.name()), error));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn renderer(&self, templates: Templates) -> Result<Renderer, TemplateCheckError> {
        let settings = &self.settings;
        let from = &settings.mail.from;
        Ok(Renderer::new(templates, &settings.name, &settings.public_url, from)?)
    }

    fn letter(
        &self,
        renderer: &Renderer,
        language: Language,
        letter: &Letter,
    ) -> Result<Rendered, TemplateCheckError> {
        let tag = self.messages().tag(language);
        let unknown = || TemplateCheckError::NoSuchLanguage(tag.to_owned());
        let locale = Locale::parse(tag).map_err(|_| unknown())?;
        let to = EmailAddress::parse("ada.lovelace@example.org").map_err(|_| unknown())?;
        let id: LetterId = "01890000-0000-7000-8000-000000000001".parse().map_err(|_| unknown())?;
        let now = Timestamp::from_unix_millis(1_795_426_860_000);
        Ok(renderer.render(letter, Envelope { id, to: &to, locale: Some(&locale), now })?)
    }
}

fn located(name: &str, error: TemplateError) -> Finding {
    match error {
        TemplateError::Broken { file, line, problem } => Finding { file, line, what: problem },
        error => Finding { file: name.to_owned(), line: 1, what: error.to_string() },
    }
}

/// Numbers the samples of one page or letter: `name-1`, `name-2`, …
fn numbered(names: &mut BTreeMap<String, usize>, name: &str) -> String {
    let number = names.entry(name.to_owned()).or_default();
    *number += 1;
    format!("{name}-{number}")
}
