//! Classifier of a mail server's refusals by their words.
//!
//! Codes alone do not tell the subject of a refusal. Postfix gives 5.7.1 for relaying, for senders,
//! for names in EHLO and for listed addresses alike (RFC 3463 §3.8). Postfix sends most refusals at
//! RCPT, for any of these reasons.

use crate::mail::delivery_failure::{DeliveryFailure, ReplyCode, Stage};

/// The reason why letters do not leave, and the advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The observation: one sentence.
    pub seen: String,
    /// The setting to change, such as `vestibule.mail.smtp_url`; `None` if no setting helps.
    pub setting: Option<&'static str>,
    /// The advice: one sentence.
    pub advice: String,
}

/// The subject of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalReason {
    /// The server, or the user of the login, may not send from this address.
    Sender,
    /// DNS has no domain of the sender's address.
    SenderDomain,
    /// The server refuses the name in EHLO.
    HelloName,
    /// The IP address of this machine is on a block list.
    Listed,
    /// The IP address of this machine has no reverse name that resolves back to the address.
    ReverseName,
    Clear,
    Relaying,
    /// The server offers no AUTH on this connection.
    SignIn,
}

const LISTED: [&str; 7] =
    ["blocked using", "spamhaus", "blocklist", "block list", "blacklist", "dnsbl", "spamcop"];
const HELLO: [&str; 8] = [
    "helo command rejected",
    "need fully-qualified hostname",
    "helo name",
    "ehlo name",
    "invalid helo",
    "invalid ehlo",
    "bad helo",
    "bad ehlo",
];
const REVERSE: [&str; 4] =
    ["cannot find your hostname", "cannot find your reverse hostname", "reverse dns", "ptr record"];
const SENDER: [&str; 5] = [
    "sender address rejected",
    "not owned by user",
    "permissions to send as",
    "sender verify failed",
    "sender rejected",
];
const CLEAR: [&str; 4] = ["starttls", "tls required", "encryption required", "must be encrypted"];

impl RefusalReason {
    /// The subject of the refusal, if the server's words tell it.
    pub fn of(failure: &DeliveryFailure, is_encrypted: bool) -> Option<Self> {
        let code = failure.code?;
        match (failure.stage, code) {
            (Stage::Authentication, 500 | 502 | 503) => return Some(Self::SignIn),
            (Stage::Greeting | Stage::Sender | Stage::Recipient | Stage::Content, _) => {}
            _ => return None,
        }
        let refusal = failure.reply_code();
        if refusal.is_some_and(ReplyCode::is_bad_address) {
            return None;
        }
        let words = without_addresses(&failure.words).to_ascii_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
        let status = failure.words.split_whitespace().nth(1).unwrap_or_default();
        let is_relay = |word: &str| matches!(word, "relay" | "relaying" | "relayed");
        let mut plain = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        match () {
            () if has(&LISTED) => Some(Self::Listed),
            () if matches!(status, "4.1.8" | "5.1.8") => Some(Self::SenderDomain),
            () if has(&SENDER) || matches!(status, "5.1.7" | "5.7.60") => Some(Self::Sender),
            () if has(&HELLO) => Some(Self::HelloName),
            () if has(&REVERSE) || matches!(status, "4.7.25" | "5.7.25") => Some(Self::ReverseName),
            () if !is_encrypted && has(&CLEAR) => Some(Self::Clear),
            () if plain.any(is_relay) => Some(Self::Relaying),
            // servers refuse the greeting itself with 421 and 554 (RFC 5321 §4.3.2), and EHLO with
            // these codes
            () if failure.stage == Stage::Greeting && matches!(code, 501 | 504 | 550) => {
                Some(Self::HelloName)
            }
            () => None,
        }
    }

    /// The diagnosis of the refusal and the advice, for letters of `sender`.
    pub fn diagnosis(self, sender: &str, has_login: bool) -> Diagnosis {
        const URL: Option<&str> = Some("vestibule.mail.smtp_url");
        const FROM: Option<&str> = Some("vestibule.mail.from");
        let say = |seen: &str, setting, advice: &str| Diagnosis {
            seen: seen.to_owned(),
            setting,
            advice: advice.to_owned(),
        };
        match self {
            Self::Sender => say(
                &format!("the server refuses the sender `{sender}`"),
                FROM,
                "use an address that this server, or the user that signs in, may send from",
            ),
            Self::SenderDomain => say(
                &format!("the server cannot resolve the domain of `{sender}`"),
                FROM,
                "use an address whose domain has an MX or an address record in the DNS",
            ),
            Self::HelloName => say(
                "the server refuses the name of this machine in EHLO",
                Some("vestibule.mail.hello_name"),
                "set the full name of this machine as the DNS knows it, such as mail.example.org",
            ),
            Self::Listed => say(
                "the address of this machine is on a block list of the server",
                None,
                "have the address removed from the block list that the server's reply names, or \
                 send through a relay: smtp://user:password@host:587?tls=required",
            ),
            Self::ReverseName => say(
                "the address of this machine has no matching reverse DNS name",
                None,
                "ask the provider of the address for a PTR record, or send through a relay: \
                 smtp://user:password@host:587?tls=required",
            ),
            Self::Clear => say(
                "the server accepts letters over encrypted connections only",
                URL,
                "set ?tls=required",
            ),
            Self::Relaying => say(
                "the server does not relay letters of this machine",
                URL,
                match has_login {
                    false => {
                        "put the user and the password into the URL, or let the server relay for the \
                         address of this machine"
                    }
                    true => "let the server relay for this user, or use the submission port, 587",
                },
            ),
            Self::SignIn => say(
                "the server has no sign-in at this port",
                URL,
                "leave out the user and the password, or use a submission port: 587 with \
                 ?tls=required, or smtps:// with 465",
            ),
        }
    }
}

/// The words without text in angle brackets: an address may contain any of the phrases.
fn without_addresses(words: &str) -> String {
    let mut depth = 0_usize;
    let outside = words.chars().filter(|c| {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f13_refusals_of_known_servers_are_classified_by_their_words() {
        let (greeting, encryption, auth) =
            (Stage::Greeting, Stage::Encryption, Stage::Authentication);
        let (mail, rcpt, data) = (Stage::Sender, Stage::Recipient, Stage::Content);
        for (stage, words, expected) in [
            // Postfix
            (
                rcpt,
                "553 5.7.1 <a@b.example>: Sender address rejected: not owned by user a",
                Some(RefusalReason::Sender),
            ),
            (
                rcpt,
                "504 5.5.2 <a>: Sender address rejected: need fully-qualified address",
                Some(RefusalReason::Sender),
            ),
            (
                rcpt,
                "450 4.1.8 <a@b.example>: Sender address rejected: Domain not found",
                Some(RefusalReason::SenderDomain),
            ),
            (
                rcpt,
                "550 5.1.8 <a@b.example>: Sender address rejected: Domain not found",
                Some(RefusalReason::SenderDomain),
            ),
            (
                rcpt,
                "550 5.7.1 <box>: Helo command rejected: Access denied",
                Some(RefusalReason::HelloName),
            ),
            (
                rcpt,
                "450 4.7.1 <box.local>: Helo command rejected: Host not found",
                Some(RefusalReason::HelloName),
            ),
            (
                rcpt,
                "504 5.5.2 <box>: Helo command rejected: need fully-qualified hostname",
                Some(RefusalReason::HelloName),
            ),
            (
                rcpt,
                "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
                Some(RefusalReason::Listed),
            ),
            (
                rcpt,
                "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
                Some(RefusalReason::ReverseName),
            ),
            (rcpt, "530 5.7.0 Must issue a STARTTLS command first", Some(RefusalReason::Clear)),
            (mail, "530 5.7.0 Must issue a STARTTLS command first", Some(RefusalReason::Clear)),
            (
                rcpt,
                "554 5.7.1 <ada@example.org>: Relay access denied",
                Some(RefusalReason::Relaying),
            ),
            (
                rcpt,
                "454 4.7.1 <ada@example.org>: Relay access denied",
                Some(RefusalReason::Relaying),
            ),
            (auth, "503 5.5.1 Error: authentication not enabled", Some(RefusalReason::SignIn)),
            (auth, "454 4.7.0 Temporary authentication failure", None),
            (encryption, "454 4.7.0 TLS not available due to local problem", None),
            // Exim, Exchange, Gmail and others
            (rcpt, "550 relay not permitted", Some(RefusalReason::Relaying)),
            (
                rcpt,
                "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
                Some(RefusalReason::Relaying),
            ),
            (rcpt, "550 Sender verify failed", Some(RefusalReason::Sender)),
            (
                data,
                "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                Some(RefusalReason::Sender),
            ),
            (data, "550 5.7.26 Unauthenticated email from b.example is not accepted", None),
            (greeting, "504 5.5.2 need fully-qualified hostname", Some(RefusalReason::HelloName)),
            (greeting, "550 you are not who you say", Some(RefusalReason::HelloName)),
            (greeting, "554 5.7.1 listed by the blocklist", Some(RefusalReason::Listed)),
            // about the recipient, or without a known meaning
            (greeting, "554 5.7.1 go away", None),
            (rcpt, "550 5.1.1 <relay@spamhaus.example>: User unknown, sender rejected", None),
            (rcpt, "550 <ada@relay.example>: no such user", None),
            (rcpt, "550 5.7.1 no", None),
            (rcpt, "450 4.2.0 Greylisted", None),
            (auth, "535 5.7.8 no", None),
        ] {
            let (code, rest) = words.split_once(' ').unwrap();
            let failure = DeliveryFailure::answered(stage, code.parse().unwrap(), rest);
            assert_eq!(RefusalReason::of(&failure, false), expected, "{words}");
            let encrypted = expected.filter(|refused| *refused != RefusalReason::Clear);
            assert_eq!(RefusalReason::of(&failure, true), encrypted, "{words}");
        }
    }
}
