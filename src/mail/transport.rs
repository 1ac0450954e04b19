//! How letters leave: to a mail server, into files, into the log, or into memory.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::config::{MailSettings, TransportKind};
use crate::mail::Rendered;
use crate::storage::LetterId;

/// How long a mail server may take for one letter, all commands together; leases are longer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take for one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// How letters leave.
#[derive(Clone, Debug)]
pub enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    /// One `.eml` file each, readable by the service's own user only.
    File(PathBuf),
    /// Nowhere: a line in the log says that there was one.
    Log,
    Memory(Mailbox),
}

/// Why a letter did not leave, and whose fault that is.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server cannot be reached, or takes nothing from us now: no letter is at fault.
    #[error("the mail server is not to be had: {0}")]
    ServerDown(String),
    /// This letter was refused for now (4yz, RFC 5321 §4.2.1).
    #[error("the mail server refused the letter for now: {0}")]
    Transient(String),
    /// This letter was refused for good (5yz).
    #[error("the mail server refused the letter: {0}")]
    Permanent(String),
}

/// Why the transport in the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("expected smtp://user:password@host:port?tls=required or smtps://user:password@host")]
    SmtpUrl,
}

impl Transport {
    pub fn from_settings(
        settings: &MailSettings,
        mailbox: &Mailbox,
    ) -> Result<Self, TransportError> {
        Ok(match settings.transport {
            TransportKind::Smtp => {
                let url = settings.smtp_url.as_deref().unwrap_or_default();
                // the cause is left out: it may repeat the password in the URL
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
                    .map_err(|_| TransportError::SmtpUrl)?;
                Self::Smtp(builder.timeout(Some(COMMAND_TIMEOUT)).build())
            }
            TransportKind::File => Self::File(settings.directory.clone()),
            TransportKind::Log => Self::Log,
            TransportKind::Memory => Self::Memory(mailbox.clone()),
        })
    }

    /// Hands the letter over; it has left once this answers `Ok`.
    pub async fn send(&self, letter: &SentLetter, rendered: Rendered) -> Result<(), SendError> {
        let late = |_| SendError::ServerDown("it took too long".to_owned());
        timeout(SEND_TIMEOUT, self.hand_over(letter, rendered))
            .await
            .unwrap_or_else(|e| Err(late(e)))
    }

    async fn hand_over(&self, letter: &SentLetter, rendered: Rendered) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => match smtp.send(rendered.message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(classify(&error)),
            },
            Self::File(folder) => {
                let (folder, name) = (folder.clone(), letter.id.to_string());
                let bytes = rendered.message.formatted();
                let written = spawn_blocking(move || write_private(&folder, &name, &bytes)).await;
                written
                    .map_err(io::Error::other)
                    .and_then(|result| result)
                    .map_err(|error| SendError::ServerDown(error.to_string()))
            }
            Self::Log => {
                tracing::info!(letter = %letter.id, kind = letter.name, "a letter was sent to the log");
                Ok(())
            }
            Self::Memory(mailbox) => {
                mailbox.put(letter.clone());
                Ok(())
            }
        }
    }
}

fn classify(error: &lettre::transport::smtp::Error) -> SendError {
    let words = crate::storage::chain(error);
    match error.status().map(|code| code.to_string()).as_deref() {
        // going down, or not believing that we are who we say: that is between the server and us
        Some("421" | "454" | "530" | "534" | "535" | "538") => SendError::ServerDown(words),
        _ if error.is_permanent() => SendError::Permanent(words),
        _ if error.is_transient() => SendError::Transient(words),
        _ => SendError::ServerDown(words),
    }
}

/// Writes `<folder>/<name>.eml` in one step: whoever watches the folder sees whole letters only.
fn write_private(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;

    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    builder.create(folder)?;
    let unfinished = folder.join(format!(".{name}.tmp"));
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, folder.join(format!("{name}.eml")))
}

/// A letter as its recipient sees it.
#[derive(Clone)]
pub struct SentLetter {
    pub id: LetterId,
    /// Which letter it is: the folder of its templates.
    pub name: &'static str,
    pub at: Timestamp,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub link: Option<String>,
    /// The message as it goes over the wire (RFC 5322).
    pub raw: Vec<u8>,
}

impl fmt::Debug for SentLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentLetter").field("id", &self.id).field("name", &self.name).finish()
    }
}

/// The latest letters, in memory: where tests and, in development, `/dev/mail` read them.
#[derive(Clone, Debug, Default)]
pub struct Mailbox(Arc<Mutex<VecDeque<SentLetter>>>);

impl Mailbox {
    /// More than this many letters ago is forgotten.
    const CAPACITY: usize = 500;

    pub fn put(&self, letter: SentLetter) {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // a letter that is sent again is still one letter
        letters.retain(|other| other.id != letter.id);
        letters.push_back(letter);
        if letters.len() > Self::CAPACITY {
            letters.pop_front();
        }
    }

    /// Oldest first.
    pub fn letters(&self) -> Vec<SentLetter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
