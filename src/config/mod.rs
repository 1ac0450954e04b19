//! Typed settings: their keys, their checks, and the place that each value came from.
//!
//! [`layers`] stacks the sources, lowest first:
//!
//! 1. The defaults of this crate.
//! 2. `[<profile>.vestibule]` in `Rocket.toml`.
//! 3. `VESTIBULE_…` in the environment, with `__` between levels.
//! 4. The files that the environment names for secrets.
//!
//! A section of the settings is one file: its fields, their defaults (`Default`) and their checks.
//! [`Settings::read`] checks all settings and refuses unknown keys. Text with a type in a higher
//! module (addresses, scopes) is parsed there, with errors of the same type: [`SettingError`].

mod admission;
mod clients;
mod database_url;
mod events;
mod forwarded;
mod hashing;
mod lifetime;
mod limits;
mod links;
mod log;
mod mail;
mod messages;
mod metrics;
mod nonzero;
mod password;
mod postgres_variables;
mod profile;
mod proxies;
mod public_url;
mod report;
mod rocket_keys;
mod secret_files;
mod sender;
mod setting_error;
mod shutdown;
mod smtp;
mod sources;
mod templates;
mod tokens;

use std::collections::BTreeMap;

use figment::Figment;
use serde::{Deserialize, Deserializer, Serialize};

pub use admission::AdmissionSettings;
use clients::string_list;
pub use clients::{ClientSettings, Introspects};
pub use database_url::DatabaseUrlError;
pub use events::{AddressDetail, EventSettings};
pub use forwarded::ForwardedFault;
pub use hashing::HashingSettings;
pub use lifetime::{Lifetime, LifetimeError};
pub use limits::LimitSettings;
pub use links::{LinkSettings, SIGN_UP_TTL};
pub use log::{LogFormat, LogSettings};
pub use mail::{MailSettings, TransportKind};
pub use messages::MessageSettings;
pub use metrics::MetricsSettings;
pub use password::PasswordSettings;
pub use postgres_variables::{DatabaseSettingError, check as check_database};
pub use profile::Profile;
pub use proxies::TrustedProxies;
pub use public_url::PublicUrl;
pub use report::report;
pub use rocket_keys::check_rocket_keys;
pub use sender::SenderSettings;
use setting_error::Problem;
pub use setting_error::SettingError;
pub use shutdown::ShutdownSettings;
pub use smtp::{Encryption, Login, SmtpServer, SmtpUrlError, host_name};
pub use sources::{defaults, layers, no_client, rocket_defaults};
pub use templates::TemplateSettings;
pub use tokens::TokenSettings;

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

fn proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TrustedProxies, D::Error> {
    string_list(deserializer)?.try_into().map_err(serde::de::Error::custom)
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

    /// Checks what types cannot express. Returns the first problem.
    fn check(&self, profile: Profile) -> Result<(), Problem> {
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return Err(("name", "expected a name in one line".to_owned()));
        }
        if let Some(default) = &self.default_client
            && !self.clients.contains_key(default)
        {
            return Err(("default_client", format!("no client `{default}` is registered")));
        }
        self.mail.check(profile)?;
        self.tokens.check()?;
        self.links.check()?;
        self.password.check()?;
        self.hashing.check(profile)?;
        self.limits.check()?;
        self.admission.check()?;
        self.events.check()
    }
}
