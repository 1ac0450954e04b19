//! Why a letter did not leave, and whose fault that is.

use std::fmt;

/// How many characters of a mail server's words are kept.
const MOST_WORDS: usize = 500;

/// How far a letter got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finding the address of the mail server.
    Lookup,
    Connection,
    /// Until the server has greeted, and said what it can do.
    Greeting,
    /// The server does not encrypt, or shows a certificate that is not good.
    Encryption,
    Authentication,
    Sender,
    Recipient,
    /// The letter itself, up to the answer to its final dot.
    Content,
    /// Writing it as a file.
    File,
}

impl Stage {
    /// One word of it, for programs and for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Connection => "connection",
            Self::Greeting => "greeting",
            Self::Encryption => "encryption",
            Self::Authentication => "authentication",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Content => "content",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "the mail server's name was not found",
            Self::Connection => "the mail server cannot be reached",
            Self::Greeting => "the mail server takes nothing from us",
            Self::Encryption => "the way to the mail server cannot be encrypted",
            Self::Authentication => "the mail server refuses the user or the password",
            Self::Sender => "the mail server refuses the sender",
            Self::Recipient => "the mail server refuses the recipient",
            Self::Content => "the mail server did not take the letter",
            Self::File => "the letter cannot be written",
        })
    }
}

/// Whose fault it is that a letter did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server's, or that of our settings: no letter would leave.
    Server,
    /// The letter's, for now (4yz, RFC 5321 §4.2.1).
    ForNow,
    /// The letter's, for good (5yz).
    ForGood,
}

/// A letter that did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {words}")]
pub struct Failure {
    pub stage: Stage,
    /// Of the server's answer, where it gave one.
    pub code: Option<u16>,
    /// The server's last words, or what went wrong: one line, not without end.
    pub words: String,
}

impl Failure {
    pub fn new(stage: Stage, words: &str) -> Self {
        Self { stage, code: None, words: tame(words) }
    }

    /// What the server answered.
    pub fn answered(stage: Stage, code: u16, words: &str) -> Self {
        Self { stage, code: Some(code), words: tame(&format!("{code} {words}")) }
    }

    /// Until the recipient is named, all letters are alike to the server: whatever it says, it says
    /// to us, and no letter is at fault. From there on it is this letter that it does not like, unless
    /// it is going down (421) or does not believe that we are who we say. If it says nothing it may be
    /// gone, or this letter may be what it cannot bear; so it is the letter that waits, and not all.
    pub fn fault(&self) -> Fault {
        match (self.stage, self.code) {
            (Stage::Recipient | Stage::Content, Some(421 | 454 | 530 | 534 | 535 | 538)) => {
                Fault::Server
            }
            (Stage::Recipient | Stage::Content, Some(500..)) => Fault::ForGood,
            (Stage::Recipient | Stage::Content, _) => Fault::ForNow,
            _ => Fault::Server,
        }
    }
}

/// Anything can stand in a server's words.
fn tame(words: &str) -> String {
    let calm = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let calm: String = calm.take(MOST_WORDS).collect();
    calm.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r48_no_letter_is_at_fault_for_what_the_server_says_to_all() {
        let fault = |stage, code| Failure::answered(stage, code, "no").fault();
        for stage in [Stage::Greeting, Stage::Authentication, Stage::Sender] {
            for code in [421, 450, 550, 554] {
                assert_eq!(fault(stage, code), Fault::Server, "{stage:?} {code}");
            }
        }
        for stage in [Stage::Recipient, Stage::Content] {
            for code in [421, 454, 530, 535] {
                assert_eq!(fault(stage, code), Fault::Server, "{stage:?} {code}");
            }
            assert_eq!(fault(stage, 450), Fault::ForNow);
            assert_eq!(fault(stage, 550), Fault::ForGood);
            assert_eq!(Failure::new(stage, "hung up").fault(), Fault::ForNow);
        }
        assert_eq!(Failure::new(Stage::Connection, "refused").fault(), Fault::Server);
    }

    #[test]
    fn the_words_of_a_server_are_one_line_with_an_end() {
        let failure = Failure::answered(Stage::Recipient, 550, "no\r\n\u{1b}[2J\0 such user\n");
        assert_eq!(failure.words, "550 no   [2J  such user");
        let failure = Failure::new(Stage::Recipient, &"ü".repeat(10_000));
        assert_eq!(failure.words.chars().count(), MOST_WORDS);
    }
}
