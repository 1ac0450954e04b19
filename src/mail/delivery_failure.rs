//! Failures of a delivery, and their classification by fault: server, connections or letter.

use std::fmt;

/// Number of characters that are kept of a mail server's words.
const MAX_WORDS: usize = 500;

/// The step of the delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking up the address of the mail server.
    Lookup,
    Connection,
    /// The server's greeting and its answer to EHLO.
    Greeting,
    /// The server does not encrypt, or its certificate is invalid.
    Encryption,
    Authentication,
    Sender,
    Recipient,
    /// The letter itself, up to the answer to its final dot.
    Content,
    /// Writing the letter to a file.
    File,
}

impl Stage {
    /// The step as one word, for programs and for the log.
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
            Self::Greeting => "the mail server refuses this client",
            Self::Encryption => "the connection to the mail server cannot be encrypted",
            Self::Authentication => "the mail server refuses the user or the password",
            Self::Sender => "the mail server refuses the sender",
            Self::Recipient => "the mail server refuses the recipient",
            Self::Content => "the mail server did not take the letter",
            Self::File => "the letter cannot be written",
        })
    }
}

/// The class of a failed delivery, as far as one answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The fault of the server or of our settings: no letter would leave.
    Server,
    /// The server takes no more connections from us at once. No side is at fault.
    Connections,
    /// Temporary fault of the letter (4yz, RFC 5321 §4.2.1), unless other recipients get the same
    /// answer.
    Transient,
    /// Permanent fault of the letter (5yz), unless other recipients get the same refusal.
    Permanent,
}

/// The codes of a refusal without its words. Words name recipients and queue ids, so only codes can
/// be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyCode {
    /// The reply code (RFC 5321 §4.2.1).
    code: u16,
    /// The enhanced status code (RFC 3463 §2), if the server gave one.
    status: Option<(u16, u16, u16)>,
}

impl ReplyCode {
    /// Parses the codes at the beginning of a server's words, as the outbox keeps them.
    pub(super) fn read(words: &str) -> Option<Self> {
        let (code, rest) = words.split_at_checked(3)?;
        let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
        let mut numbers = rest.split_whitespace().next().unwrap_or_default().split('.');
        let mut number = || numbers.next().and_then(|number| number.parse().ok());
        let status = number().zip(number()).zip(number()).map(|((a, b), c)| (a, b, c));
        Some(Self { code, status: status.filter(|_| numbers.next().is_none()) })
    }

    /// Whether the server says that another try is useless (5yz).
    pub(super) fn is_permanent(self) -> bool {
        self.code >= 500
    }

    /// Whether the status code says that the recipient's address is at fault (RFC 3463 §3.2, and
    /// X.1.10 of RFC 7505 §5): no such mailbox, no such domain, moved, takes no mail.
    pub(super) fn is_bad_address(self) -> bool {
        matches!(self.status, Some((5, 1, 1..=4 | 6 | 10)))
    }
}

/// An error on the way to the mail server, without an answer from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// No process listens on the port.
    Refused,
    TimedOut,
    Certificate(CertificateFault),
}

/// Why a certificate is invalid (RFC 5280 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The certificate has expired, or is not valid yet.
    Expired,
    WrongName,
    UnknownIssuer,
    /// The certificate belongs to an authority, not to a server.
    Authority,
    Other,
}

/// A failed delivery of a letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {words}")]
pub struct DeliveryFailure {
    /// The step that failed.
    pub stage: Stage,
    /// The reply code, if the server answered.
    pub code: Option<u16>,
    /// The server's last words, or the error: one line of at most `MAX_WORDS` characters.
    pub words: String,
    /// The error of the connection, if its kind is known.
    pub connection_error: Option<ConnectionError>,
    /// Number of other connections that we had to the server when it refused this one.
    pub(super) others: usize,
}

impl DeliveryFailure {
    /// A failure without a reply code.
    pub fn new(stage: Stage, words: &str) -> Self {
        Self { stage, code: None, words: sanitize(words), connection_error: None, others: 0 }
    }

    pub(super) fn of(self, connection_error: Option<ConnectionError>) -> Self {
        Self { connection_error, ..self }
    }

    pub(super) fn beside(self, others: usize) -> Self {
        Self { others, ..self }
    }

    /// Whether the server closed the connection without an answer.
    pub(super) fn is_hang_up(&self) -> bool {
        self.code.is_none()
            && self.connection_error.is_none()
            && self.words.contains("incomplete response")
    }

    /// A failure with the server's answer.
    pub fn answered(stage: Stage, code: u16, words: &str) -> Self {
        Self { code: Some(code), ..Self::new(stage, &format!("{code} {words}")) }
    }

    /// Classifies the failure.
    ///
    /// - Before the recipient is named, all letters are alike to the server. Its answer concerns
    ///   us, and no letter is at fault.
    /// - From RCPT on, the recipient may be the cause of any answer, also of 421 and of a hang-up:
    ///   relays pass on the answers of the recipient's server. The
    ///   [`CircuitBreaker`](crate::mail::CircuitBreaker) knows whether other recipients get the
    ///   same answer.
    /// - A server that rejects our identity (454, 530, 534, 535, 538) says nothing final about a
    ///   letter.
    pub fn class(&self) -> FailureClass {
        match (self.stage, self.code) {
            _ if self.is_connection_limit() => FailureClass::Connections,
            (Stage::Recipient | Stage::Content, Some(530 | 534 | 535 | 538)) => {
                FailureClass::Transient
            }
            (Stage::Recipient | Stage::Content, Some(500..)) => FailureClass::Permanent,
            (Stage::Recipient | Stage::Content, _) => FailureClass::Transient,
            _ => FailureClass::Server,
        }
    }

    /// Whether the server temporarily refused or dropped a new connection while others of ours were
    /// open. Servers limit the connections of one client (S17).
    fn is_connection_limit(&self) -> bool {
        let is_refusal = match self.stage {
            Stage::Connection | Stage::Greeting => self.code.is_none_or(|code| code < 500),
            Stage::Encryption | Stage::Authentication => self.code == Some(421),
            _ => false,
        };
        is_refusal && self.connection_error.is_none() && self.others > 0
    }

    /// Whether the server permanently refuses our user and password (5yz).
    pub(super) fn is_login_refusal(&self) -> bool {
        self.stage == Stage::Authentication && self.code.is_some_and(|code| code >= 500)
    }

    /// Whether a try on a new connection is safe and useful. The server has certainly not taken the
    /// letter, and the used connection may be at fault: the refusal is temporary, or the connection
    /// was lost before the letter went over it.
    pub(super) fn is_retryable_on_new_connection(&self) -> bool {
        match self.code {
            Some(code) => code < 500,
            None => {
                self.connection_error.is_none()
                    && matches!(self.stage, Stage::Sender | Stage::Recipient)
            }
        }
    }

    /// The codes of the server's refusal, if the server answered.
    pub(super) fn reply_code(&self) -> Option<ReplyCode> {
        self.code.and_then(|_| ReplyCode::read(&self.words))
    }
}

/// Makes one short line of a server's words: they may contain any character.
fn sanitize(words: &str) -> String {
    let calm = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let calm: String = calm.take(MAX_WORDS).collect();
    calm.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r48_s17_f12_reply_before_the_recipient_concerns_all_letters() {
        let fault = |stage, code| DeliveryFailure::answered(stage, code, "no").class();
        for stage in [Stage::Greeting, Stage::Encryption, Stage::Authentication, Stage::Sender] {
            for code in [421, 450, 454, 530, 534, 535, 550, 552, 554] {
                assert_eq!(fault(stage, code), FailureClass::Server, "{stage:?} {code}");
            }
            assert_eq!(DeliveryFailure::new(stage, "hung up").class(), FailureClass::Server);
        }
        for stage in [Stage::Recipient, Stage::Content] {
            for code in [421, 450, 451, 452, 454, 530, 534, 535, 538] {
                assert_eq!(fault(stage, code), FailureClass::Transient, "{stage:?} {code}");
            }
            for code in [501, 550, 552, 553, 554] {
                assert_eq!(fault(stage, code), FailureClass::Permanent, "{stage:?} {code}");
            }
            assert_eq!(DeliveryFailure::new(stage, "hung up").class(), FailureClass::Transient);
        }
        assert_eq!(
            DeliveryFailure::new(Stage::Connection, "refused").class(),
            FailureClass::Server
        );
    }

    #[test]
    fn s17_refused_connection_beside_open_connections_is_a_limit() {
        for (failure, expected) in [
            (
                DeliveryFailure::answered(Stage::Greeting, 421, "too many"),
                FailureClass::Connections,
            ),
            (
                DeliveryFailure::answered(Stage::Authentication, 421, "too many"),
                FailureClass::Connections,
            ),
            (
                DeliveryFailure::new(Stage::Greeting, "incomplete response"),
                FailureClass::Connections,
            ),
            (DeliveryFailure::new(Stage::Connection, "reset"), FailureClass::Connections),
            (DeliveryFailure::answered(Stage::Greeting, 554, "no"), FailureClass::Server),
            (DeliveryFailure::answered(Stage::Authentication, 454, "later"), FailureClass::Server),
            (
                DeliveryFailure::new(Stage::Connection, "").of(Some(ConnectionError::Refused)),
                FailureClass::Server,
            ),
            (
                DeliveryFailure::new(Stage::Greeting, "").of(Some(ConnectionError::TimedOut)),
                FailureClass::Server,
            ),
        ] {
            assert_eq!(failure.clone().class(), FailureClass::Server, "without others: {failure}");
            assert_eq!(failure.clone().beside(3).class(), expected, "{failure}");
        }
    }

    #[test]
    fn f12_refusals_are_compared_by_codes_only() {
        let read = |words: &str| ReplyCode::read(words);
        assert_eq!(read("554 5.7.1 ada: no"), read("554 5.7.1 bob: no"));
        assert_eq!(read("554 no, ada"), read("554"));
        assert_ne!(read("554 5.7.1 no"), read("554 5.2.2 no"));
        assert_ne!(read("554 5.7.1 no"), read("554 no"));
        assert_ne!(read("550 no"), read("554 no"));
        assert_eq!(read("550 5.7.1.2 no"), read("550 no"));
        for words in ["", "5", "5ü0 no", "the mail server did not answer in time", "999 no"] {
            assert_eq!(read(words), None, "{words}");
        }
        for (words, is_bad_address) in [
            ("550 5.1.1 no such user", true),
            ("556 5.1.10 null MX", true),
            // about the sender, and about causes on our side
            ("550 5.1.8 bad sender", false),
            ("550 5.1.7 bad sender", false),
            ("550 5.7.1 relay access denied", false),
            ("552 5.2.2 over quota", false),
            ("550 no such user", false),
        ] {
            let refusal = read(words).unwrap();
            assert_eq!(refusal.is_bad_address(), is_bad_address, "{words}");
        }
    }

    #[test]
    fn words_of_a_server_are_kept_as_one_short_line() {
        let failure =
            DeliveryFailure::answered(Stage::Recipient, 550, "no\r\n\u{1b}[2J\0 such user\n");
        assert_eq!(failure.words, "550 no   [2J  such user");
        let failure = DeliveryFailure::new(Stage::Recipient, &"ü".repeat(10_000));
        assert_eq!(failure.words.chars().count(), MAX_WORDS);
    }
}
