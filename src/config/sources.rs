//! Sources of the settings: defaults, files, environment.

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Provider};

use super::secret_files;
use super::setting_error::{DATABASE_URL, SettingError};

/// The purpose that the service runs for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Rocket's `debug` profile: every setting has a default, links are logged, and letters can be
    /// read at `/dev/mail`.
    Development,
    /// Any other profile: settings that the operator must decide have no default.
    Production,
}

impl Profile {
    /// The purpose of the figment's profile.
    pub fn of(figment: &Figment) -> Self {
        if *figment.profile() == rocket::Config::DEBUG_PROFILE {
            Self::Development
        } else {
            Self::Production
        }
    }
}

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
    let figment = with_defaults(figment);
    match Profile::of(&figment) {
        Profile::Development => {
            let public_url = development_url(&figment);
            let figment = figment
                .join(Serialized::default("vestibule.public_url", public_url))
                .join(Serialized::default("vestibule.mail.transport", "file"));
            with_sender(figment)
        }
        Profile::Production => with_sender(figment),
    }
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

/// The defaults for every profile.
fn with_defaults(figment: Figment) -> Figment {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let defaults: [(&str, Value); 44] = [
        (DATABASE_URL, "sqlite://data/vestibule.db".into()),
        ("vestibule.name", "Vestibule".into()),
        ("vestibule.clients", Dict::new().into()),
        ("vestibule.mail.directory", "data/mail".into()),
        ("vestibule.mail.timeout", "30s".into()),
        ("vestibule.tokens.access_ttl", "15m".into()),
        ("vestibule.tokens.refresh_idle_ttl", "14d".into()),
        ("vestibule.tokens.session_ttl", "90d".into()),
        ("vestibule.tokens.reuse_grace", "30s".into()),
        ("vestibule.links.activation_ttl", "24h".into()),
        ("vestibule.links.reset_ttl", "1h".into()),
        ("vestibule.links.invitation_ttl", "7d".into()),
        ("vestibule.links.email_ttl", "24h".into()),
        ("vestibule.password.min_length", 15.into()),
        ("vestibule.hashing.memory_kib", 19_456.into()),
        ("vestibule.hashing.iterations", 2.into()),
        ("vestibule.hashing.parallelism", 1.into()),
        ("vestibule.hashing.slots", cores.into()),
        ("vestibule.hashing.max_wait", "1500ms".into()),
        ("vestibule.limits.enabled", true.into()),
        ("vestibule.limits.letters_per_hour", 6.into()),
        ("vestibule.limits.notices_per_hour", 6.into()),
        ("vestibule.admission.in_flight", 1_024.into()),
        ("vestibule.admission.body_timeout", "10s".into()),
        ("vestibule.metrics", Dict::new().into()),
        ("vestibule.limits.free_failures", 10.into()),
        ("vestibule.limits.failures_in_a_row", 100.into()),
        ("vestibule.limits.longest_delay", "15m".into()),
        ("vestibule.limits.failures_per_address", 200.into()),
        ("vestibule.limits.failures_in_all", 3_000.into()),
        ("vestibule.limits.sign_ups_per_address", 1_000.into()),
        ("vestibule.limits.sign_ups_in_all", 20_000.into()),
        ("vestibule.limits.requests_per_account", 10.into()),
        ("vestibule.limits.requests_per_address", 500.into()),
        ("vestibule.limits.requests_in_all", 20_000.into()),
        ("vestibule.limits.sessions_per_account", 1_000.into()),
        ("vestibule.limits.unknown_links_per_address", 500.into()),
        ("vestibule.events.keep", "90d".into()),
        ("vestibule.events.address", "shortened".into()),
        ("vestibule.messages.default_locale", "en".into()),
        ("vestibule.templates", Dict::new().into()),
        ("vestibule.log.format", "auto".into()),
        ("vestibule.log.level", "info".into()),
        ("vestibule.shutdown.delay", "0s".into()),
    ];
    defaults
        .into_iter()
        .fold(figment, |figment, (key, value)| figment.join(Serialized::default(key, value)))
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
