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
use crate::model::EmailAddress;
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
    lang: &'static str,
}

/// Whom a letter goes to, and when.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub id: LetterId,
    pub to: &'a EmailAddress,
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
                lang: "en",
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
        let part = |file: &str| {
            let template = format!("mail/{}/{file}.tera", letter.name());
            self.templates.render(&template, &self.common, letter)
        };
        // a subject is one line, whatever its template looks like
        let subject = part("subject.txt")?.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, html) = (part("body.txt")?, part("body.html")?);
        let sent_at = u64::try_from(envelope.now.unix_millis()).unwrap_or(0);
        let message = Message::builder()
            .from(self.sender.clone())
            .to(Sender::new(None, envelope.to.as_str().parse()?))
            .subject(&subject)
            .date(UNIX_EPOCH + Duration::from_millis(sent_at))
            // the same at every try, so that a duplicate can be told from a second letter
            .message_id(Some(format!("<{}@{}>", envelope.id, self.host)))
            .header(AutoSubmitted)
            .multipart(
                MultiPart::alternative()
                    .singlepart(part_of(ContentType::TEXT_PLAIN, &text))
                    .singlepart(part_of(ContentType::TEXT_HTML, &html)),
            )?;
        Ok(Rendered { message, subject, text, html })
    }
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
