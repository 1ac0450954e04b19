//! The letters that the mail server accepted, sorted by recipient.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::smtp::{Act, SmtpServer, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Activation,
    PasswordChanged,
    Farewell,
    Other,
}

#[derive(Debug)]
struct Received {
    kind: Kind,
    message_id: String,
    /// The token in its link.
    token: Option<String>,
    at: Instant,
    answer_lost: bool,
}

/// The letters that the mail server has accepted so far.
pub struct ReceivedLetters {
    server: SmtpServer,
    letters: Mutex<HashMap<String, Vec<Received>>>,
}

impl ReceivedLetters {
    /// A mail server whose answer to each fiftieth letter is lost.
    pub fn open() -> Self {
        let server = SmtpServer::start();
        let taken = std::sync::atomic::AtomicU64::new(0);
        server.plays(move |step| match step {
            Step::Letter(_) => {
                match taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 50 {
                    49 => Act::LoseTheAnswer,
                    _ => Act::Behave,
                }
            }
            _ => Act::Behave,
        });
        Self { server, letters: Mutex::default() }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    fn look<T>(&self, read: impl FnOnce(&HashMap<String, Vec<Received>>) -> T) -> T {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        for letter in self.server.take_letters() {
            let subject = letter.raw.lines().find_map(|line| line.strip_prefix("Subject: "));
            let kind = match subject.unwrap_or_default() {
                words if words.starts_with("Confirm your email") => Kind::Activation,
                words if words.contains("was changed") => Kind::PasswordChanged,
                words if words.contains("was deleted") => Kind::Farewell,
                _ => Kind::Other,
            };
            let token = letter.raw.split_once("/activate?token=").map(|(_, rest)| {
                let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
                rest.chars().take_while(is_part).collect()
            });
            for to in &letter.to {
                letters.entry(to.clone()).or_default().push(Received {
                    kind,
                    message_id: letter.message_id.clone(),
                    token: token.clone(),
                    at: letter.at,
                    answer_lost: letter.answer_lost,
                });
            }
        }
        read(&letters)
    }

    /// The link in the last activation letter.
    pub fn activation(&self, email: &str) -> Option<String> {
        self.look(|letters| {
            letters.get(email)?.iter().rev().find_map(|letter| letter.token.clone())
        })
    }

    /// The number of letters of this kind, each counted once.
    pub fn count(&self, email: &str, kind: Kind) -> usize {
        self.look(|letters| {
            let letters = letters.get(email).map(Vec::as_slice).unwrap_or_default();
            let of_kind = letters.iter().filter(|letter| letter.kind == kind);
            of_kind.map(|letter| &letter.message_id).collect::<BTreeSet<_>>().len()
        })
    }

    pub fn total(&self) -> u64 {
        self.look(|letters| letters.values().map(|letters| letters.len() as u64).sum())
    }

    /// The letters that came twice. Returns the number of duplicates with an excuse: the answer was
    /// lost on the way, or the service or its database was hit at one of these times. Returns the
    /// unexcused ones, too.
    pub fn duplicates(&self, disturbances: &[Instant]) -> (u64, Vec<String>) {
        // the time from the answer to the record that the letter has left; and letters that were in
        // the socket already when their sender was killed
        const NOTED: Duration = Duration::from_secs(10);
        const ON_THE_WAY: Duration = Duration::from_secs(1);
        let excused = |first: &Received| {
            first.answer_lost
                || disturbances
                    .iter()
                    .any(|&at| at + ON_THE_WAY >= first.at && at < first.at + NOTED)
        };
        self.look(|letters| {
            let (mut allowed, mut wrong) = (0, Vec::new());
            for (to, letters) in letters {
                let mut last: HashMap<&str, &Received> = HashMap::new();
                for letter in letters {
                    match last.insert(&letter.message_id, letter) {
                        None => {}
                        Some(first) if excused(first) => allowed += 1,
                        Some(first) => wrong.push(format!(
                            "{} to {to} came twice, {:?} apart",
                            letter.message_id,
                            letter.at - first.at
                        )),
                    }
                }
            }
            (allowed, wrong)
        })
    }
}
