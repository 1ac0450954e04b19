//! Template functions for messages: `t`, `rich`, `message`, `date` and `span`.

use std::cell::Cell;
use std::time::Duration;

use tera::{Kwargs, State, Tera, TeraResult, Value};

use crate::clock::Timestamp;
use crate::messages::{Arguments, Language, Messages, MissingMessage};

/// Markers around a value inside a message, until the message is HTML. Both characters are for
/// internal use by definition (Unicode §23.7), and are removed from every value.
const OPENING: char = '\u{fdd0}';
const CLOSING: char = '\u{fdd1}';

/// Treatment of a message with a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// The text is rendered as completely as possible.
    Lenient,
    /// The template fails.
    Strict,
}

thread_local! {
    /// Language of the current rendering, as a thread-local: Tera gives a function inside a
    /// component no context, and one engine per language would hold all templates once more.
    static CURRENT_LANGUAGE: Cell<Language> = const { Cell::new(Language::ENGLISH) };
}

/// Runs `render` with `language` as the current language.
pub(super) fn with_language<R>(language: Language, render: impl FnOnce() -> R) -> R {
    let before = CURRENT_LANGUAGE.replace(language);
    let rendered = render();
    CURRENT_LANGUAGE.set(before);
    rendered
}

#[derive(Clone)]
struct Translator {
    messages: Messages,
    strictness: Strictness,
}

impl Translator {
    fn format(&self, key: &str, arguments: &Arguments) -> TeraResult<String> {
        let language = CURRENT_LANGUAGE.get();
        match self.strictness {
            Strictness::Lenient => Ok(self.messages.format(language, key, arguments)),
            Strictness::Strict => {
                let said = self.messages.try_format(language, key, arguments);
                said.map_err(|fault: MissingMessage| tera::Error::message(fault))
            }
        }
    }

    fn argument(&self, arguments: Arguments, name: &str, value: &Value) -> TeraResult<Arguments> {
        if let Some(text) = value.as_str() {
            return Ok(arguments.text(name, text));
        }
        if let Some(number) = value.as_f64() {
            return Ok(arguments.number(name, number));
        }
        if self.strictness == Strictness::Strict && (value.is_none() || value.is_undefined()) {
            return Err(tera::Error::message(format!("the argument `{name}` is missing")));
        }
        Ok(arguments.text(name, value.to_string()))
    }

    /// All arguments except `key`, with `change` applied to each text.
    fn arguments(&self, given: &Kwargs, change: fn(&str) -> String) -> TeraResult<Arguments> {
        let mut arguments = Arguments::default();
        for (name, value) in given.iter() {
            let Some(name) = name.as_str().filter(|name| *name != "key") else { continue };
            arguments = match value.as_str() {
                Some(text) => arguments.text(name, change(text)),
                None => self.argument(arguments, name, value)?,
            };
        }
        Ok(arguments)
    }

    /// `t(key="…", name=value, …)`: text, which HTML templates escape.
    fn t(&self, given: &Kwargs) -> TeraResult<String> {
        let arguments = self.arguments(given, str::to_owned)?;
        self.format(given.must_get::<&str>("key")?, &arguments)
    }

    /// `rich(key="…", name=value, …)`: HTML in which each text argument stands out and is isolated
    /// from the text around it (R37).
    fn rich(&self, given: &Kwargs, state: &State<'_>) -> TeraResult<Value> {
        let arguments = self.arguments(given, |text| {
            let inner = text.replace([OPENING, CLOSING], "");
            format!("{OPENING}{inner}{CLOSING}")
        })?;
        let text = self.format(given.must_get::<&str>("key")?, &arguments)?;
        let html = state
            .escape(&text)?
            .replace(OPENING, "<strong class=\"value\">")
            .replace(CLOSING, "</strong>");
        Ok(Value::safe_string(&html))
    }

    /// `message(of=…)`: a message that the code has chosen, as `key` and `arguments`.
    fn message(&self, given: &Kwargs) -> TeraResult<String> {
        let of = given.must_get::<&Value>("of")?;
        let key = of.get_from_path("key").and_then(Value::as_str).unwrap_or_default();
        let mut arguments = Arguments::default();
        if let Some(members) = of.get_from_path("arguments").and_then(Value::as_map) {
            for (name, value) in members {
                arguments = self.argument(arguments, name.as_str().unwrap_or_default(), value)?;
            }
        }
        self.format(key, &arguments)
    }

    /// `date(at=…)`: an instant, given in milliseconds since 1970.
    fn date(&self, given: &Kwargs) -> TeraResult<String> {
        let at = Timestamp::from_unix_millis(given.must_get::<i64>("at")?);
        let (key, arguments) = Messages::date(at);
        self.format(key, &arguments)
    }

    /// `span(seconds=…)`: a length of time.
    fn span(&self, given: &Kwargs) -> TeraResult<String> {
        let length = Duration::from_secs(given.must_get::<u64>("seconds")?);
        let (key, arguments) = Messages::span(length);
        self.format(key, &arguments)
    }
}

/// Registers the functions with `tera`. The functions use the language of [`with_language`].
pub(super) fn register(tera: &mut Tera, messages: &Messages, strictness: Strictness) {
    let speaker = Translator { messages: messages.clone(), strictness };
    let by = speaker.clone();
    tera.register_function("t", move |given: Kwargs, _: &State<'_>| by.t(&given));
    let by = speaker.clone();
    tera.register_function("rich", move |given: Kwargs, state: &State<'_>| by.rich(&given, state));
    let by = speaker.clone();
    tera.register_function("message", move |given: Kwargs, _: &State<'_>| by.message(&given));
    let by = speaker.clone();
    tera.register_function("date", move |given: Kwargs, _: &State<'_>| by.date(&given));
    tera.register_function("span", move |given: Kwargs, _: &State<'_>| speaker.span(&given));
}
