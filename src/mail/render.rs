//! Renderer: turns a letter into a message with subject, text and HTML (RFC 2046 §5.1.4).

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox as Sender, MultiPart, SinglePart};
use lettre::{Address, Message};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::{PublicUrl, SenderSettings};
use crate::mail::Letter;
use crate::messages::Language;
use crate::model::{EmailAddress, EmailError, Locale, SenderAddress};
use crate::storage::LetterId;
use crate::templates::{TemplateError, Templates};

/// Renders messages from letters.
#[derive(Clone, Debug)]
pub struct Renderer {
    templates: Templates,
    common: CommonVariables,
    sender: Sender,
    host: String,
}

/// Template variables that every letter has.
#[derive(Clone, Debug, Serialize)]
struct CommonVariables {
    service: String,
    public_url: String,
}

#[derive(Serialize)]
struct LocalizedVariables<'a> {
    #[serde(flatten)]
    common: &'a CommonVariables,
    lang: &'a str,
}

/// The recipient and the time of a letter.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub id: LetterId,
    pub to: &'a EmailAddress,
    /// The recipient's language, if it is known.
    pub locale: Option<&'a Locale>,
    pub now: Timestamp,
}

/// A letter ready to be sent, with its parts as the recipient will see them.
#[derive(Debug)]
pub struct Rendered {
    pub message: Message,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Why a letter cannot be rendered. The likely cause is a template that the operator changed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the letter cannot be rendered: {0}")]
    Template(#[from] TemplateError),
    #[error("the letter cannot be addressed: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the letter's message cannot be built: {0}")]
    Message(#[from] lettre::error::Error),
}

/// Why the sender in the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    #[error(transparent)]
    Address(#[from] EmailError),
    #[error("the sender's name has more than one line")]
    Name,
    #[error(transparent)]
    Refused(#[from] lettre::address::AddressError),
}

/// The sender as an address with a name. The header quotes or encodes the name.
fn mailbox(sender: &SenderSettings) -> Result<Sender, SenderError> {
    if sender.name.iter().any(|name| name.chars().any(char::is_control)) {
        return Err(SenderError::Name);
    }
    let SenderAddress { local, domain } = SenderAddress::parse(&sender.address)?;
    Ok(Sender::new(sender.name.clone(), Address::new(local, domain)?))
}

impl Renderer {
    /// A renderer for letters of this service from this sender.
    pub fn new(
        templates: Templates,
        service: &str,
        public_url: &PublicUrl,
        sender: &SenderSettings,
    ) -> Result<Self, SenderError> {
        Ok(Self {
            templates,
            common: CommonVariables {
                service: service.to_owned(),
                public_url: public_url.as_str().to_owned(),
            },
            sender: mailbox(sender)?,
            host: public_url.host().to_owned(),
        })
    }

    /// The sender as `From` shows it.
    pub fn sender(&self) -> String {
        self.sender.to_string()
    }

    /// The sender's address for MAIL FROM.
    pub fn sender_address(&self) -> String {
        self.sender.email.to_string()
    }

    /// Renders a letter in the language that fits its recipient best.
    pub fn render(&self, letter: &Letter, envelope: Envelope<'_>) -> Result<Rendered, RenderError> {
        let messages = self.templates.messages();
        let language = messages.negotiate(envelope.locale, None);
        let lang = messages.tag(language);
        let part = |file: &str| self.part(language, file, letter);
        // a subject is one line, with any line breaks in its template removed
        let subject = part("subject.txt")?.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, html) = (fold(&part("body.txt")?), part("body.html")?);
        let sent_at = u64::try_from(envelope.now.unix_millis()).unwrap_or(0);
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Sender::new(None, envelope.to.as_str().parse()?))
            .subject(&subject)
            .date(UNIX_EPOCH + Duration::from_millis(sent_at))
            // the same id at every try, so that mail programs can tell a duplicate from a second
            // letter
            .message_id(Some(format!("<{}@{}>", envelope.id, self.host)))
            .header(AutoSubmitted)
            .header(ContentLanguage(lang.to_owned()))
            .multipart(
                MultiPart::alternative()
                    .singlepart(part_of(ContentType::TEXT_PLAIN, &text))
                    .singlepart(part_of(ContentType::TEXT_HTML, &in_ascii(&html))),
            )?;
        Ok(Rendered { message, subject, text, html })
    }

    /// Renders one template of a letter.
    fn part(
        &self,
        language: Language,
        file: &str,
        letter: &Letter,
    ) -> Result<String, TemplateError> {
        let template = format!("mail/{}/{file}.tera", letter.name());
        let lang = self.templates.messages().tag(language);
        let common = LocalizedVariables { common: &self.common, lang };
        self.templates.render(language, &template, &common, letter)
    }
}

/// Breaks lines of a text between words at `LINE_WIDTH` (72 characters). A link is one word, and
/// stays whole.
fn fold(text: &str) -> String {
    const LINE_WIDTH: usize = 72;
    let mut folded = String::with_capacity(text.len() + text.len() / LINE_WIDTH);
    for line in text.lines() {
        let mut width = 0;
        for (number, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if number > 0 && width + 1 + length > LINE_WIDTH {
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

/// Replaces all characters beyond ASCII with character references (HTML §13.1.4), so that the HTML
/// needs no transfer encoding and links stay intact. References have no meaning in styles and
/// scripts: HTML with such characters there stays unchanged.
fn in_ascii(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let is_raw = ["style", "script"].iter().any(|element| {
        lower.split(&format!("<{element}")).skip(1).any(|rest| {
            let inside = rest.split(&format!("</{element}")).next().unwrap_or(rest);
            !inside.is_ascii()
        })
    });
    if is_raw {
        return html.to_owned();
    }
    let mut ascii = String::with_capacity(html.len());
    for character in html.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            ascii.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    ascii
}

/// Encodes a part. ASCII goes in 7 bits, with lines of up to 998 characters (RFC 5322 §2.1.1).
/// Other text goes in base64, which no server on the way has a reason to encode again.
/// Quoted-printable is never used: it breaks lines of more than 76 bytes, and links with them, and
/// writes `=` as `=3D`; some programs then copy half a link (F8).
fn part_of(content_type: ContentType, text: &str) -> SinglePart {
    let crlf = text.lines().flat_map(|line| [line, "\r\n"]).collect::<String>();
    let is_plain = text.is_ascii() && text.lines().all(|line| line.len() <= 998);
    let body = match is_plain {
        true => Body::dangerous_pre_encoded(crlf.into_bytes(), ContentTransferEncoding::SevenBit),
        false => in_base64(crlf),
    };
    SinglePart::builder().header(content_type).body(body)
}

fn in_base64(text: String) -> Body {
    match Body::new_with_encoding(text, ContentTransferEncoding::Base64) {
        Ok(body) => body,
        // base64 is never refused
        Err(refused) => Body::new(refused),
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5) suppresses vacation notices.
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

/// The language of the letter (RFC 3282 §2).
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
    fn f8_html_is_sent_in_ascii_where_that_preserves_it() {
        assert_eq!(in_ascii("<p>Grüße 📚</p>"), "<p>Gr&#252;&#223;e &#128218;</p>");
        let styled = "<STYLE>p { font-family: \"Ö\" }</STYLE><p>ü</p>";
        assert_eq!(in_ascii(styled), styled);
        assert_eq!(in_ascii("<style>p {}</style><p>ü</p>"), "<style>p {}</style><p>&#252;</p>");
    }

    #[test]
    fn r49_lines_fold_between_words_and_links_stay_whole() {
        let link = format!("https://example.org/?token={}", "x".repeat(80));
        let text = format!("{}\n\n{link}\n  Browser: Firefox\n", "word ".repeat(40).trim_end());
        let folded = fold(&text);
        assert!(folded.lines().all(|line| line.chars().count() <= 72 || line == link));
        assert_eq!(folded.split_whitespace().count(), text.split_whitespace().count());
        assert!(folded.contains("\n  Browser: Firefox\n"));
        assert_eq!(fold("short\n\nlines\n"), "short\n\nlines\n");
    }
}
