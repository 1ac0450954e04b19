//! Transports for letters: a mail server, files, the log, or memory.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::clock::Timestamp;
use crate::config::{MailSettings, TransportKind};
use crate::mail::delivery_failure::{DeliveryFailure, Stage};
use crate::mail::smtp::{Smtp, TransportError};
use crate::mail::{Letter, Rendered, Renderer};
use crate::model::EmailAddress;
use crate::storage::LetterId;

/// The way by which letters leave.
#[derive(Clone, Debug)]
pub enum Transport {
    Smtp(Smtp),
    /// One `.eml` file for each letter, readable by the service's own user only.
    File(PathBuf),
    /// No delivery: the log gets one line for each letter.
    Log,
    Memory(Mailbox),
}

impl Transport {
    /// The transport in the settings; `mailbox` is for [`TransportKind::Memory`].
    pub fn from_settings(
        settings: &MailSettings,
        mailbox: &Mailbox,
    ) -> Result<Self, TransportError> {
        Ok(match settings.transport {
            TransportKind::Smtp => Self::Smtp(Smtp::from_settings(settings)?),
            TransportKind::File => Self::File(settings.directory.clone()),
            TransportKind::Log => Self::Log,
            TransportKind::Memory => Self::Memory(mailbox.clone()),
        })
    }

    /// Hands the letter over. `Ok` means that it has left. `patience` limits the time for a mail
    /// server's answer to the recipient.
    pub async fn send(
        &self,
        letter: &SentLetter,
        rendered: Rendered,
        patience: Option<Duration>,
    ) -> Result<(), DeliveryFailure> {
        match self {
            Self::Smtp(smtp) => smtp.send(&rendered.message, patience).await,
            Self::File(folder) => {
                let (folder, name) = (folder.clone(), letter.id.to_string());
                let bytes = rendered.message.formatted();
                let written = spawn_blocking(move || write_private(&folder, &name, &bytes)).await;
                written
                    .map_err(io::Error::other)
                    .and_then(|result| result)
                    .map_err(|error| DeliveryFailure::new(Stage::File, &error.to_string()))
            }
            Self::Log => {
                tracing::info!(letter = %letter.id, kind = letter.name, "a letter was logged");
                Ok(())
            }
            Self::Memory(mailbox) => {
                mailbox.put(letter.clone());
                Ok(())
            }
        }
    }
}

/// Writes `<folder>/<name>.eml` in one step: a reader of the folder sees whole letters only.
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
    /// The letter's name: the folder of its templates.
    pub name: &'static str,
    pub at: Timestamp,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The link in the letter, if it has one.
    pub link: Option<String>,
    /// The message in its wire format (RFC 5322).
    pub raw: Vec<u8>,
}

impl SentLetter {
    pub(super) fn new(
        id: LetterId,
        at: Timestamp,
        renderer: &Renderer,
        to: &EmailAddress,
        letter: &Letter,
        rendered: &Rendered,
    ) -> Self {
        Self {
            id,
            name: letter.name(),
            at,
            from: renderer.sender(),
            to: to.to_string(),
            subject: rendered.subject.clone(),
            text: rendered.text.clone(),
            html: rendered.html.clone(),
            link: letter.link().map(str::to_owned),
            raw: rendered.message.formatted(),
        }
    }
}

impl fmt::Debug for SentLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentLetter").field("id", &self.id).field("name", &self.name).finish()
    }
}

/// The latest letters, in memory. Tests read them, and `/dev/mail` in development.
#[derive(Clone, Debug, Default)]
pub struct Mailbox(Arc<Mutex<VecDeque<SentLetter>>>);

impl Mailbox {
    /// Number of letters that are kept.
    const CAPACITY: usize = 500;

    /// Adds a letter; the oldest is dropped beyond `CAPACITY` (500).
    pub fn put(&self, letter: SentLetter) {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // a letter that is sent again stays one letter
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
