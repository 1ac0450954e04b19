//! Sources of the settings: defaults, files, environment.

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Provider};
use serde::Serialize;

use super::admission::AdmissionSettings;
use super::events::EventSettings;
use super::hashing::HashingSettings;
use super::limits::LimitSettings;
use super::links::LinkSettings;
use super::log::LogSettings;
use super::mail::{MailSettings, TransportKind};
use super::messages::MessageSettings;
use super::metrics::MetricsSettings;
use super::password::PasswordSettings;
use super::profile::Profile;
use super::secret_files;
use super::setting_error::{DATABASE_URL, SettingError};
use super::shutdown::ShutdownSettings;
use super::templates::TemplateSettings;
use super::tokens::TokenSettings;

/// Rocket's figment, from which the program starts. Lowest layer first: Rocket's defaults, changed
/// where they are unsafe or noisy; `Rocket.toml`, or the file that `ROCKET_CONFIG` names;
/// `ROCKET_…` in the environment.
pub fn rocket_defaults() -> Figment {
    Figment::from(rocket::Config::default())
        // otherwise any client could forge its address with `X-Real-IP`
        .merge(Serialized::default("ip_header", false))
        .merge(Serialized::default("cli_colors", false))
        .merge(Serialized::default("ident", false))
        // `cli::serve` handles SIGTERM itself, and reports "not ready" before it stops listening
        .merge(Serialized::default("shutdown.ctrlc", false))
        .merge(Serialized::default("shutdown.signals", [""; 0]))
        .merge(Serialized::default("shutdown.grace", 10))
        .merge(Serialized::default("shutdown.mercy", 5))
        .merge(Toml::file(Env::var_or("ROCKET_CONFIG", "Rocket.toml")).nested())
        .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE"]).global())
        // overrides any setting: Rocket's log repeats whole URIs, and links contain tokens (R55)
        .merge(Serialized::global("log_level", "off"))
        .select(figment::Profile::from_env_or("ROCKET_PROFILE", rocket::Config::DEFAULT_PROFILE))
}

/// Puts this crate's defaults below `figment`, and the environment and its secret files on top.
///
/// # Errors
/// A secret file cannot be read, or the environment sets both the secret and its file.
pub fn layers(figment: Figment) -> Result<Figment, SettingError> {
    secret_files::layer(with_environment(figment)).map(defaults)
}

/// A value from the environment that is taken as text, without parsing.
struct AsVariable(Serialized<String>);

impl Provider for AsVariable {
    fn metadata(&self) -> Metadata {
        Metadata::named("`VESTIBULE_` environment variable")
    }

    fn data(&self) -> Result<figment::value::Map<figment::Profile, Dict>, figment::Error> {
        self.0.data()
    }
}

fn with_environment(figment: Figment) -> Figment {
    let environment = Env::prefixed("VESTIBULE_")
        .filter(|key| !secret_files::is_for_a_file(&key.as_str().to_lowercase()))
        .map(|key| format!("vestibule.{}", key.as_str().replace("__", ".")).into())
        .global();
    let database = Env::raw().only(&["DATABASE_URL"]).map(|_| DATABASE_URL.into()).global();
    let figment = figment.merge(environment).merge(database);
    // figment would parse some names as lists or numbers, such as `[Acme]` or `1984`
    let name = Env::var("VESTIBULE_NAME");
    match name.filter(|name| !matches!(name.parse(), Ok(Value::String(..)))) {
        Some(name) => figment.merge(AsVariable(Serialized::global("vestibule.name", name))),
        None => figment,
    }
}

/// Puts this crate's defaults below `figment`, without reading the environment.
pub fn defaults(figment: Figment) -> Figment {
    let figment = figment
        .join(Serialized::default(DATABASE_URL, "sqlite://data/vestibule.db"))
        .join(Serialized::default("vestibule.name", "Vestibule"))
        .join(Serialized::default("vestibule.clients", Dict::new()));
    let figment = match Profile::of(&figment) {
        Profile::Development => {
            let public_url = development_url(&figment);
            figment
                .join(Serialized::default("vestibule.public_url", public_url))
                .join(Serialized::default("vestibule.mail.transport", TransportKind::File))
        }
        Profile::Production => figment,
    };
    let figment = with_sender(figment);
    let figment = with_section(figment, "mail", MailSettings::default());
    let figment = with_section(figment, "tokens", TokenSettings::default());
    let figment = with_section(figment, "links", LinkSettings::default());
    let figment = with_section(figment, "password", PasswordSettings::default());
    let figment = with_section(figment, "hashing", HashingSettings::default());
    let figment = with_section(figment, "limits", LimitSettings::default());
    let figment = with_section(figment, "admission", AdmissionSettings::default());
    let figment = with_section(figment, "metrics", MetricsSettings::default());
    let figment = with_section(figment, "events", EventSettings::default());
    let figment = with_section(figment, "messages", MessageSettings::default());
    let figment = with_section(figment, "templates", TemplateSettings::default());
    let figment = with_section(figment, "log", LogSettings::default());
    with_section(figment, "shutdown", ShutdownSettings::default())
}

/// Puts the defaults of a section below `figment`. An option without a value has none, and the
/// transport of letters has its own for each profile.
fn with_section(figment: Figment, name: &str, section: impl Serialize) -> Figment {
    let mut values = Value::serialize(section).ok().and_then(Value::into_dict).unwrap_or_default();
    values.retain(|key, value| !matches!(value, Value::Empty(..)) && key != "transport");
    figment.join(Serialized::default(&format!("vestibule.{name}"), values))
}

fn with_sender(figment: Figment) -> Figment {
    let public_url: Option<super::PublicUrl> = figment.extract_inner("vestibule.public_url").ok();
    // an address literal would need brackets, and mail servers reject such senders
    let host = public_url.as_ref().map(super::PublicUrl::host);
    let host = host.filter(|host| host.parse::<std::net::Ipv4Addr>().is_err());
    let host = host.filter(|host| !host.starts_with('[')).unwrap_or("localhost");
    let name: String = figment.extract_inner("vestibule.name").unwrap_or_default();
    // in parts: a name may contain any characters, and must not be parsed again
    let parts: [(&str, Value); 2] =
        [("name", name.into()), ("address", format!("no-reply@{host}").into())];
    let from: Dict = parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    figment.join(Serialized::default("vestibule.mail.from", from))
}

/// The URL of a development service for a browser on the same machine.
fn development_url(figment: &Figment) -> String {
    let port: u16 = figment.extract_inner("port").unwrap_or(8000);
    let scheme = if figment.extract_inner::<Dict>("tls").is_ok() { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{port}")
}

/// Checks that the required settings of a release profile are set. They have no safe default.
pub(super) fn require(figment: &Figment) -> Result<(), SettingError> {
    let is_missing = |key: &str| figment.find_value(key).is_err();
    let no_client =
        figment.extract_inner::<Dict>("vestibule.clients").is_ok_and(|clients| clients.is_empty());
    let mut missing: Vec<&str> = [
        (
            is_missing("vestibule.public_url"),
            "vestibule.public_url (VESTIBULE_PUBLIC_URL), such as \"https://accounts.example.org\"",
        ),
        (
            is_missing("vestibule.mail.transport"),
            "vestibule.mail.transport (VESTIBULE_MAIL__TRANSPORT): \"smtp\", \"file\" or \"log\"",
        ),
    ]
    .into_iter()
    .filter_map(|(missing, what)| missing.then_some(what))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    // this alone is no mistake: the database may contain a client
    if no_client && Profile::of(figment) == Profile::Production {
        missing.push(A_CLIENT);
    }
    Err(not_set(figment, &missing))
}

const A_CLIENT: &str = "a client: [release.vestibule.clients.<id>] with public = true or \
     secret_sha256, grants and scopes (or VESTIBULE_CLIENTS__<ID>__PUBLIC and so on); or one in the \
     database, by `vestibule client add`, once `vestibule migrate` has made its tables";

fn not_set(figment: &Figment, missing: &[&str]) -> SettingError {
    SettingError {
        key: "vestibule".to_owned(),
        source: format!("nowhere, and the profile `{}` has no default", figment.profile()),
        problem: format!("not set:\n  - {}", missing.join("\n  - ")),
    }
}

/// The error that there is no client, in the settings and in the database.
pub fn no_client(figment: &Figment) -> SettingError {
    not_set(figment, &[A_CLIENT])
}
