//! Typed settings: their keys, their checks, and the place that each value came from.
//!
//! [`layers`] stacks the sources, lowest first:
//!
//! 1. The defaults of this crate.
//! 2. `[<profile>.vestibule]` in `Rocket.toml`.
//! 3. `VESTIBULE_…` in the environment, with `__` between levels.
//! 4. The files that the environment names for secrets.
//!
//! [`Settings::read`] checks all settings and refuses unknown keys. Text with a type in a higher
//! module (addresses, scopes) is parsed there, with errors of the same type: [`SettingError`].

mod address;
mod database_url;
mod forwarded;
mod lifetime;
mod limits;
mod load;
mod postgres_variables;
mod proxies;
mod public_url;
mod report;
mod rocket_keys;
mod secret_files;
mod sender;
mod setting_error;
mod smtp;
mod sources;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use figment::Figment;
use serde::de::SeqAccess;
use serde::{Deserialize, Deserializer, Serialize};

pub use address::AddressDetail;
pub use database_url::DatabaseUrlError;
pub use forwarded::ForwardedFault;
pub use lifetime::{Lifetime, LifetimeError};
pub use limits::LimitSettings;
pub use load::{AdmissionSettings, MetricsSettings};
pub use postgres_variables::{DatabaseSettingError, check as check_database};
pub use proxies::TrustedProxies;
pub use public_url::PublicUrl;
pub use report::report;
pub use rocket_keys::check_rocket_keys;
pub use sender::SenderSettings;
pub use setting_error::SettingError;
pub use smtp::{Encryption, Login, SmtpServer, SmtpUrlError, host_name};
pub use sources::{Profile, defaults, layers, no_client, rocket_defaults};

/// All settings under `vestibule.` in force. `Debug` shows no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the service in letters and on pages.
    pub name: String,
    /// URL at which browsers reach the service; every link and the issuer derive from it (R45).
    pub public_url: PublicUrl,
    /// Proxies whose `X-Forwarded-For` is trusted.
    #[serde(default, deserialize_with = "proxies")]
    pub trusted_proxies: TrustedProxies,
    /// The client for token requests that name no client.
    pub default_client: Option<String>,
    /// Registered clients by id.
    pub clients: BTreeMap<String, ClientSettings>,
    pub mail: MailSettings,
    pub tokens: TokenSettings,
    pub links: LinkSettings,
    pub password: PasswordSettings,
    pub hashing: HashingSettings,
    pub limits: LimitSettings,
    pub admission: AdmissionSettings,
    pub metrics: MetricsSettings,
    pub events: EventSettings,
    pub messages: MessageSettings,
    pub templates: TemplateSettings,
    pub log: LogSettings,
    pub shutdown: ShutdownSettings,
}

/// `[vestibule.clients.<id>]`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// A public client has no secret.
    #[serde(default)]
    pub public: bool,
    /// SHA-256, in hexadecimal, of a secret with at least 128 random bits.
    #[serde(default)]
    pub secret_sha256: Option<String>,
    /// Grants: `password`, `refresh_token`.
    #[serde(deserialize_with = "string_list")]
    pub grants: Vec<String>,
    /// All scopes that tokens of the client may have.
    #[serde(deserialize_with = "string_list")]
    pub scopes: Vec<String>,
    /// The tokens that the client may introspect: its `own` (the default) or `all`.
    #[serde(default)]
    pub introspects: Introspects,
    /// Origins, such as `https://app.example.org`, whose scripts may call the service.
    #[serde(default, deserialize_with = "string_list")]
    pub allowed_origins: Vec<String>,
    /// Lifetimes of this client's tokens; without them, `tokens` applies.
    #[serde(default)]
    pub access_ttl: Option<Lifetime>,
    /// See [`TokenSettings::refresh_idle_ttl`].
    #[serde(default)]
    pub refresh_idle_ttl: Option<Lifetime>,
    /// See [`TokenSettings::session_ttl`].
    #[serde(default)]
    pub session_ttl: Option<Lifetime>,
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("public", &self.public)
            .field("secret_sha256", &self.secret_sha256.as_ref().map(|_| "redacted"))
            .field("grants", &self.grants)
            .field("scopes", &self.scopes)
            .field("introspects", &self.introspects)
            .finish_non_exhaustive()
    }
}

/// A list, or a text of words with spaces between them, which is easier to write in the
/// environment.
fn string_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of words, such as [\"password\", \"refresh_token\"]")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split_whitespace().map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut string_list = Vec::new();
            while let Some(word) = list.next_element()? {
                string_list.push(word);
            }
            Ok(string_list)
        }
    }

    deserializer.deserialize_any(Visitor)
}

fn proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TrustedProxies, D::Error> {
    string_list(deserializer)?.try_into().map_err(serde::de::Error::custom)
}

/// The tokens that a client may introspect (RFC 7662).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Introspects {
    /// Tokens of the client itself.
    #[default]
    Own,
    /// Tokens of all clients.
    All,
}

impl Introspects {
    /// The word in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::All => "all",
        }
    }
}

impl FromStr for Introspects {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Own, Self::All]
            .into_iter()
            .find(|known| known.as_str() == word)
            .ok_or("expected own or all")
    }
}

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

/// `[vestibule.tokens]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// Lifetime of an access token.
    pub access_ttl: Lifetime,
    /// Lifetime of a session that is not refreshed.
    pub refresh_idle_ttl: Lifetime,
    /// Longest lifetime of a session.
    pub session_ttl: Lifetime,
    /// Time for which a refresh token is still accepted after its successor was used; `0s` makes
    /// every refresh token strictly single-use.
    pub reuse_grace: Lifetime,
}

/// Lifetime of a sign-up, from its creation to the use of a link. It is never extended: fresh links
/// end with the sign-up, and a new sign-up shortly before the end replaces the old one.
pub const SIGN_UP_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);

/// `[vestibule.links]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// Lifetime of activation links; less than [`SIGN_UP_TTL`]. A link never outlives its sign-up.
    pub activation_ttl: Lifetime,
    /// Lifetime of the links to choose a new password.
    pub reset_ttl: Lifetime,
    /// Lifetime of the links to choose a password for an account that the operator created.
    pub invitation_ttl: Lifetime,
    /// Lifetime of the links that confirm a change of address. A link that stops the change works
    /// as long as any link can confirm it.
    pub email_ttl: Lifetime,
}

/// `[vestibule.password]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSettings {
    /// In code points; at least 8 (NIST SP 800-63B-4 §3.1.1.2).
    pub min_length: usize,
}

/// `[vestibule.hashing]`: costs of Argon2id (RFC 9106), and limits on concurrent hashes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingSettings {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Number of passes over the memory.
    pub iterations: u32,
    /// Number of lanes of one hash.
    pub parallelism: u32,
    /// Passwords hashed at once; each slot holds `memory_kib` permanently.
    pub slots: NonZeroUsize,
    /// A request that would wait longer for a slot is refused with 503.
    pub max_wait: Lifetime,
}

/// `[vestibule.events]`: events of accounts, for their owners and the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Retention period of events.
    pub keep: Lifetime,
    /// Part of the client's address that an event keeps.
    pub address: AddressDetail,
}

/// `[vestibule.messages]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSettings {
    /// Folder whose files replace compiled-in messages of the same name, such as `de/mail.ftl`. A
    /// folder for a further language adds the language.
    pub directory: Option<PathBuf>,
    /// Language for requests and letters without a known language.
    pub default_locale: String,
}

/// `[vestibule.templates]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSettings {
    /// Folder whose files replace compiled-in templates of the same name.
    pub directory: Option<PathBuf>,
}

/// `[vestibule.log]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,vestibule::web=debug`.
    pub level: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// `[vestibule.shutdown]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// Time for which the listener stays open after SIGTERM while `/health/ready` answers 503, so
    /// that load balancers can first remove this node.
    pub delay: Lifetime,
}

impl Settings {
    /// Reads and checks the settings in a figment made by [`layers`].
    pub fn read(figment: &Figment) -> Result<Self, SettingError> {
        sources::require(figment)?;
        if let Ok(url) = figment.extract_inner::<String>(setting_error::DATABASE_URL) {
            check_database(&url)
                .map_err(|error| SettingError::new(figment, setting_error::DATABASE_URL, error))?;
        }
        let settings: Self = figment
            .focus("vestibule")
            .extract()
            .map_err(|error| SettingError::from_figment(error, figment))?;
        settings.check(Profile::of(figment)).map_err(|(key, problem)| {
            SettingError::new(figment, &format!("vestibule.{key}"), problem)
        })?;
        Ok(settings)
    }

    /// Checks what types cannot express. Returns the first problem, with its key below
    /// `vestibule.`.
    fn check(&self, profile: Profile) -> Result<(), (&'static str, String)> {
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return Err(("name", "expected a name in one line".to_owned()));
        }
        if let Some(default) = &self.default_client
            && !self.clients.contains_key(default)
        {
            return Err(("default_client", format!("no client `{default}` is registered")));
        }
        self.mail.check(profile)?;
        for (key, ttl) in [
            ("tokens.access_ttl", self.tokens.access_ttl),
            ("tokens.refresh_idle_ttl", self.tokens.refresh_idle_ttl),
            ("tokens.session_ttl", self.tokens.session_ttl),
            ("links.activation_ttl", self.links.activation_ttl),
            ("links.reset_ttl", self.links.reset_ttl),
            ("links.invitation_ttl", self.links.invitation_ttl),
            ("links.email_ttl", self.links.email_ttl),
            ("events.keep", self.events.keep),
        ] {
            if ttl.duration() < Duration::from_secs(1) {
                return Err((key, "expected at least 1s".to_owned()));
            }
        }
        if self.links.activation_ttl.duration() >= SIGN_UP_TTL {
            let expected = "expected less than 30d, the lifetime of a sign-up".to_owned();
            return Err(("links.activation_ttl", expected));
        }
        if self.password.min_length < 8 || self.password.min_length > 128 {
            return Err(("password.min_length", "expected 8 to 128 characters".to_owned()));
        }
        if self.admission.body_timeout.duration().is_zero() {
            return Err(("admission.body_timeout", "expected more than 0s".to_owned()));
        }
        self.limits.check()?;
        self.hashing.check(profile)
    }
}

impl MailSettings {
    fn check(&self, profile: Profile) -> Result<(), (&'static str, String)> {
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

    fn check_smtp(&self) -> Result<(), (&'static str, String)> {
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
    fn check_unused(&self) -> Result<(), (&'static str, String)> {
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

impl HashingSettings {
    fn check(&self, profile: Profile) -> Result<(), (&'static str, String)> {
        if self.max_wait.duration() < Duration::from_millis(100) {
            return Err(("hashing.max_wait", "expected at least 100ms".to_owned()));
        }
        if self.parallelism == 0 || self.parallelism > 16 {
            return Err(("hashing.parallelism", "expected 1 to 16".to_owned()));
        }
        if self.iterations == 0 || self.iterations > 16 {
            return Err(("hashing.iterations", "expected 1 to 16".to_owned()));
        }
        let least = 8 * self.parallelism;
        if self.memory_kib < least || self.memory_kib > 4 * 1024 * 1024 {
            return Err(("hashing.memory_kib", format!("expected {least} to 4194304 (KiB)")));
        }
        // R41; only development may use cheaper hashes, which help attackers
        if profile != Profile::Development {
            if self.memory_kib < 19_456 {
                return Err(("hashing.memory_kib", "expected at least 19456 (KiB)".to_owned()));
            }
            if self.iterations < 2 {
                return Err(("hashing.iterations", "expected at least 2".to_owned()));
            }
        }
        Ok(())
    }
}
