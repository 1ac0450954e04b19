//! `[vestibule.mail]`: transport and sender of letters.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::profile::Profile;
use super::sender::SenderSettings;
use super::setting_error::Problem;
use super::smtp::{SmtpServer, host_name};

/// `[vestibule.mail]`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    pub transport: TransportKind,
    /// The sender: `Name <address>`, an address alone, or a table of `name` and `address`.
    pub from: SenderSettings,
    /// Folder in which the `file` transport writes one `.eml` file for each letter.
    pub directory: PathBuf,
    /// `smtp://user:password@host:port?tls=required` or `smtps://…`; required by the transport
    /// `smtp`.
    pub smtp_url: Option<String>,
    /// Longest time for the mail server to take one letter, from connection to final answer.
    pub timeout: Lifetime,
    /// PEM file with certificates of authorities to trust for mail servers, beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Name of the service in `EHLO`; by default the name of the machine.
    pub hello_name: Option<String>,
}

/// In development. In another profile the transport has no default. The sender follows from the
/// other settings: see [`super::defaults`].
impl Default for MailSettings {
    fn default() -> Self {
        Self {
            transport: TransportKind::File,
            from: SenderSettings::default(),
            directory: "data/mail".into(),
            smtp_url: None,
            timeout: Lifetime::of(30, Unit::Second),
            ca_file: None,
            hello_name: None,
        }
    }
}

impl fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailSettings")
            .field("transport", &self.transport)
            .field("from", &self.from)
            .field("directory", &self.directory)
            .field("smtp_url", &self.smtp_url.as_ref().map(|_| "redacted"))
            .field("timeout", &self.timeout)
            .field("ca_file", &self.ca_file)
            .field("hello_name", &self.hello_name)
            .finish()
    }
}

/// The transport of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// To a mail server.
    Smtp,
    /// As files.
    File,
    /// A line in the log only, without the letter's link.
    Log,
    /// Into memory; for tests.
    Memory,
}

impl MailSettings {
    pub(super) fn check(&self, profile: Profile) -> Result<(), Problem> {
        self.check_unused()?;
        match self.transport {
            TransportKind::Smtp => self.check_smtp(),
            // the transport `memory` would deliver no letter
            TransportKind::Memory if profile != Profile::Development => {
                Err(("mail.transport", "expected smtp, file or log".to_owned()))
            }
            TransportKind::Memory | TransportKind::File | TransportKind::Log => Ok(()),
        }
    }

    fn check_smtp(&self) -> Result<(), Problem> {
        let Some(url) = &self.smtp_url else {
            let wanted =
                "required by the transport smtp: smtp://user:password@host:587?tls=required";
            return Err(("mail.smtp_url", wanted.to_owned()));
        };
        let server =
            SmtpServer::parse(url).map_err(|error| ("mail.smtp_url", error.to_string()))?;
        if self.ca_file.is_some() && !server.encryption.is_verified() {
            let wanted = "without effect: mail.smtp_url has neither tls=required nor smtps";
            return Err(("mail.ca_file", wanted.to_owned()));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&self.timeout.duration()) {
            return Err(("mail.timeout", "expected 1s to 10m".to_owned()));
        }
        Ok(())
    }

    /// Checks settings that the selected transport does not use: they must be valid, too.
    fn check_unused(&self) -> Result<(), Problem> {
        if let Some(url) = &self.smtp_url {
            SmtpServer::parse(url).map_err(|error| ("mail.smtp_url", error.to_string()))?;
        }
        let is_name = |name: &String| host_name(name).is_some_and(|name| is_hello_name(&name));
        if !self.hello_name.as_ref().is_none_or(is_name) {
            let wanted = "expected a host name, such as accounts.example.org, or an address \
                          such as [192.0.2.1]";
            return Err(("mail.hello_name", wanted.to_owned()));
        }
        Ok(())
    }
}

/// Whether the text is a domain (underscores allowed, as in machine names) or an address literal
/// (RFC 5321 §4.1.1.1, §4.1.3).
fn is_hello_name(name: &str) -> bool {
    if let Some(literal) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.split_at_checked("IPv6:".len()) {
            Some((tag, v6)) if tag.eq_ignore_ascii_case("IPv6:") => {
                v6.parse::<std::net::Ipv6Addr>().is_ok()
            }
            _ => literal.parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
