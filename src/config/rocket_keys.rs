//! Checker of Rocket's own settings: listener, TLS, database.
//!
//! Rocket ignores unknown keys, so that a misspelt key would have no effect. The program therefore
//! checks the keys. An application that embeds the service may have keys of its own, and is not
//! checked.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use figment::{Figment, Provider};

use super::SettingError;
use super::setting_error::{closest, unknown_key};

/// Every key that Rocket reads, the two of this service, and the variable that names the file.
const KEYS: [&str; 18] = [
    "address",
    "cli_colors",
    "config",
    "databases",
    "ident",
    "ip_header",
    "keep_alive",
    "limits",
    "log_level",
    "max_blocking",
    "port",
    "proxy_proto_header",
    "secret_key",
    "shutdown",
    "temp_dir",
    "tls",
    "vestibule",
    "workers",
];

/// Profiles that may have sections in the file, beside the selected one.
const PROFILES: [&str; 4] = ["default", "global", "debug", "release"];

/// Checks Rocket's settings before Rocket reads them.
///
/// # Errors
/// The first key or value that Rocket would ignore, or would reject with an unclear message.
pub fn check_rocket_keys(figment: &Figment) -> Result<(), SettingError> {
    check_file(env::var_os("ROCKET_CONFIG").map(PathBuf::from))?;
    let profiles = figment.data().map_err(|error| unread(&error))?;
    for profile in profiles.keys().map(|profile| profile.as_str().as_str()) {
        if profile == figment.profile().as_str() || PROFILES.contains(&profile) {
            continue;
        }
        // any other name is a profile that is not selected now
        if let Some(meant) = closest(profile, &PROFILES) {
            let problem = format!("unknown profile; did you mean `{meant}`?");
            return Err(SettingError::new(figment, profile, problem));
        }
    }
    let settings: Dict = figment.extract().map_err(|error| unread(&error))?;
    if let Some(key) = settings.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(SettingError::new(figment, key, unknown(key)));
    }
    let databases: Dict = figment.extract_inner("databases").unwrap_or_default();
    if let Some(name) = databases.keys().find(|name| *name != "vestibule") {
        let problem = unknown_key(name, &["vestibule"]);
        return Err(SettingError::new(figment, &format!("databases.{name}"), problem));
    }
    if settings.get("ip_header").is_some_and(|value| !matches!(value, Value::Bool(_, false))) {
        let problem = "the service would trust this header from every client. Set \
                       vestibule.trusted_proxies instead: the service then trusts \
                       X-Forwarded-For of these proxies";
        return Err(SettingError::new(figment, "ip_header", problem));
    }
    check_tls(figment)
}

/// Checks that the file in `ROCKET_CONFIG` exists: without the file, every setting would have its
/// default. Like Rocket, the check looks for a relative path in the working directory and the
/// folders above it.
fn check_file(named: Option<PathBuf>) -> Result<(), SettingError> {
    let Some(file) = named else { return Ok(()) };
    let is_there = match env::current_dir() {
        Ok(folder) if file.is_relative() => {
            folder.ancestors().any(|folder| folder.join(&file).is_file())
        }
        _ => file.is_file(),
    };
    if is_there {
        return Ok(());
    }
    let problem = format!("there is no file {}", file.display());
    Err(SettingError::at("ROCKET_CONFIG", "the environment variable ROCKET_CONFIG".into(), problem))
}

/// The error for a file that is no TOML. It has the first line of the parser's message only: the
/// other lines repeat the file, which may contain a secret.
fn unread(error: &figment::Error) -> SettingError {
    let message = error.kind.to_string();
    let line = message.lines().next().unwrap_or_default();
    let place = error.metadata.as_ref().map_or_else(
        || "the settings".to_owned(),
        |metadata| super::setting_error::place(metadata, "vestibule"),
    );
    SettingError::at("Rocket.toml", place, format!("cannot be read: {line}"))
}

fn unknown(key: &str) -> String {
    match key.split_once("__") {
        Some(("databases", _)) => {
            "the URL of the database is set by DATABASE_URL, and ROCKET_DATABASES takes a table"
                .to_owned()
        }
        Some((table, below)) => format!(
            "variables of Rocket have no levels: ROCKET_{}={{{below}=…}}",
            table.to_uppercase()
        ),
        None => unknown_key(key, &KEYS),
    }
}

/// Checks that the files of the certificate and its key can be opened.
fn check_tls(figment: &Figment) -> Result<(), SettingError> {
    let Ok(tls) = figment.extract_inner::<rocket::config::TlsConfig>("tls") else {
        // Rocket reports the error
        return Ok(());
    };
    let files = [("tls.certs", tls.certs().left()), ("tls.key", tls.key().left())];
    for (key, file) in files {
        if let Some(file) = file
            && let Err(error) = File::open(Path::new(&file))
        {
            let problem = format!("{}: {error}", file.display());
            return Err(SettingError::new(figment, key, problem));
        }
    }
    Ok(())
}
