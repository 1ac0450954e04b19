//! From a letter to a message: subject, text and HTML (RFC 2046 §5.1.4).

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox as Sender, MultiPart, SinglePart};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::PublicUrl;
use crate::mail::Letter;
use crate::messages::Language;
use crate::model::{EmailAddress, Locale};
use crate::storage::LetterId;
use crate::templates::{TemplateError, Templates};

/// Makes messages of letters.
#[derive(Clone, Debug)]
pub struct Renderer {
    templates: Templates,
    common: Common,
    sender: Sender,
    host: String,
}

/// What every letter knows.
#[derive(Clone, Debug, Serialize)]
struct Common {
    service: String,
    public_url: String,
}

#[derive(Serialize)]
struct InLanguage<'a> {
    #[serde(flatten)]
    common: &'a Common,
    lang: &'a str,
}

/// Whom a letter goes to, and when.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub id: LetterId,
    pub to: &'a EmailAddress,
    /// The language that the recipient reads, if they said which.
    pub locale: Option<&'a Locale>,
    pub now: Timestamp,
}

/// A letter ready to be sent, and as the recipient will see it.
#[derive(Debug)]
pub struct Rendered {
    pub message: Message,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Why a letter cannot be made a message; a template that somebody changed is the likely cause.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the letter cannot be rendered: {0}")]
    Template(#[from] TemplateError),
    #[error("the letter cannot be addressed: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the letter cannot be put together: {0}")]
    Message(#[from] lettre::error::Error),
}

impl Renderer {
    /// `sender` is an address, alone or as `Name <address>`.
    pub fn new(
        templates: Templates,
        service: &str,
        public_url: &PublicUrl,
        sender: &str,
    ) -> Result<Self, RenderError> {
        Ok(Self {
            templates,
            common: Common {
                service: service.to_owned(),
                public_url: public_url.as_str().to_owned(),
            },
            sender: sender.parse()?,
            host: public_url.host().to_owned(),
        })
    }

    /// As it stands in `From`.
    pub fn sender(&self) -> String {
        self.sender.to_string()
    }

    pub fn render(&self, letter: &Letter, envelope: Envelope<'_>) -> Result<Rendered, RenderError> {
        let messages = self.templates.messages();
        let language = messages.negotiate(envelope.locale, None);
        let lang = messages.tag(language);
        let part = |file: &str| self.part(language, file, letter);
        // a subject is one line, whatever its template looks like
        let subject = part("subject.txt")?.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, html) = (fold(&part("body.txt")?), part("body.html")?);
        let sent_at = u64::try_from(envelope.now.unix_millis()).unwrap_or(0);
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Sender::new(None, envelope.to.as_str().parse()?))
            .subject(&subject)
            .date(UNIX_EPOCH + Duration::from_millis(sent_at))
            // the same at every try, so that a duplicate can be told from a second letter
            .message_id(Some(format!("<{}@{}>", envelope.id, self.host)))
            .header(AutoSubmitted)
            .header(ContentLanguage(lang.to_owned()))
            .multipart(
                MultiPart::alternative()
                    .singlepart(part_of(ContentType::TEXT_PLAIN, &text))
                    .singlepart(part_of(ContentType::TEXT_HTML, &html)),
            )?;
        Ok(Rendered { message, subject, text, html })
    }

    /// One of the templates of a letter.
    fn part(
        &self,
        language: Language,
        file: &str,
        letter: &Letter,
    ) -> Result<String, TemplateError> {
        let template = format!("mail/{}/{file}.tera", letter.name());
        let lang = self.templates.messages().tag(language);
        let common = InLanguage { common: &self.common, lang };
        self.templates.render(language, &template, &common, letter)
    }
}

/// Breaks the lines of a text between words where they get longer than people read. A link is one
/// word, and stays whole.
fn fold(text: &str) -> String {
    const WIDTH: usize = 72;
    let mut folded = String::with_capacity(text.len() + text.len() / WIDTH);
    for line in text.lines() {
        let mut width = 0;
        for (number, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if number > 0 && width + 1 + length > WIDTH {
                folded.push('\n');
                width = 0;
            } else if number > 0 {
                folded.push(' ');
                width += 1;
            }
            folded.push_str(word);
            width += length;
        }
        folded.push('\n');
    }
    folded
}

/// As it is where it can be: lettre wraps every line of more than 76 bytes, and a link that is
/// wrapped is one that somebody copies half of. RFC 5322 §2.1.1 has lines of up to 998.
fn part_of(content_type: ContentType, text: &str) -> SinglePart {
    let body = if text.is_ascii() && text.lines().all(|line| line.len() <= 998) {
        let crlf = text.lines().flat_map(|line| [line, "\r\n"]).collect::<String>();
        Body::dangerous_pre_encoded(crlf.into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text.to_owned())
    };
    SinglePart::builder().header(content_type).body(body)
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): no vacation notice comes back.
#[derive(Clone, Copy, Debug)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// In which language the letter is (RFC 3282 §2).
#[derive(Clone, Debug)]
struct ContentLanguage(String);

impl Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r49_lines_are_folded_between_words_and_a_link_is_one_word() {
        let link = format!("https://example.org/?token={}", "x".repeat(80));
        let text = format!("{}\n\n{link}\n  Browser: Firefox\n", "word ".repeat(40).trim_end());
        let folded = fold(&text);
        assert!(folded.lines().all(|line| line.chars().count() <= 72 || line == link));
        assert_eq!(folded.split_whitespace().count(), text.split_whitespace().count());
        assert!(folded.contains("\n  Browser: Firefox\n"));
        assert_eq!(fold("short\n\nlines\n"), "short\n\nlines\n");
    }
}
