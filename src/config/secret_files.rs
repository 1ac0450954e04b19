//! Secrets in files, as container platforms and systemd provide them.
//!
//! For a secret setting, `…_FILE` in the environment names a file that contains the value.
//! `DATABASE_PASSWORD_FILE` contains the password alone, so that the operator need not assemble the
//! database's URL.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use figment::providers::{Env, Serialized};
use figment::value::{Dict, Map};
use figment::{Error, Figment, Metadata, Profile, Provider, Source};
use url::Url;
use zeroize::Zeroizing;

use super::setting_error::{DATABASE_URL, SECRET_KEYS, SettingError, place, variable};

const SUFFIX: &str = "_file";
const PASSWORD_FILE: &str = "database_password_file";

/// Whether a variable below `VESTIBULE_` names the file of a secret, and is no setting itself.
pub(super) fn is_for_a_file(name: &str) -> bool {
    let setting = name.strip_suffix(SUFFIX).unwrap_or_default();
    SECRET_KEYS.contains(&setting.rsplit("__").next().unwrap_or_default())
}

/// Adds the values from the files that the environment names on top of `figment`.
pub(super) fn layer(figment: Figment) -> Result<Figment, SettingError> {
    layer_of(figment, &Env::raw().iter().map(|(name, value)| (name.to_string(), value)).collect())
}

/// The same for a given environment, whose names are in lower case.
fn layer_of(
    mut figment: Figment,
    environment: &BTreeMap<String, String>,
) -> Result<Figment, SettingError> {
    for (name, path) in environment {
        let key = match name.strip_prefix("vestibule_") {
            Some(below) if is_for_a_file(below) => {
                let below = below.strip_suffix(SUFFIX).unwrap_or_default();
                format!("vestibule.{}", below.replace("__", "."))
            }
            None if name == "database_url_file" => DATABASE_URL.to_owned(),
            _ => continue,
        };
        let file = SecretFile { variable: name.to_uppercase(), path };
        let plain = variable(&key);
        if environment.contains_key(&plain.to_lowercase()) {
            let problem = format!("{plain} is set as well; remove one of them");
            return Err(SettingError::at(&key, file.place(), problem));
        }
        let value = file.read(&key)?;
        figment = figment.merge(SecretProvider { key: &key, value: &value, place: file.place() });
    }
    match environment.get(PASSWORD_FILE) {
        Some(path) => {
            with_password(figment, &SecretFile { variable: PASSWORD_FILE.to_uppercase(), path })
        }
        None => Ok(figment),
    }
}

/// Puts the password into the database's URL. The password may contain any characters.
fn with_password(figment: Figment, file: &SecretFile<'_>) -> Result<Figment, SettingError> {
    let wrong = |problem: &str| SettingError::at(DATABASE_URL, file.place(), problem);
    let password = file.read(DATABASE_URL)?;
    let given: Option<String> = figment.extract_inner(DATABASE_URL).ok();
    let parsed = given.as_deref().and_then(|url| Url::parse(url).ok());
    let mut url = parsed
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))
        .ok_or_else(|| wrong("requires a URL such as DATABASE_URL=postgres://user@host/name"))?;
    let before = url.password().map(str::to_owned);
    // `set_password` leaves existing escapes alone, and in this file `%` is an ordinary character
    let password = Zeroizing::new(password.replace('%', "%25"));
    url.set_password(Some(&password)).map_err(|()| wrong("DATABASE_URL has no host"))?;
    match before.as_deref() {
        Some(before) if url.password() == Some(before) => Ok(figment), // layered already
        Some(_) => Err(wrong("DATABASE_URL has a password as well; remove one of them")),
        None => {
            let metadata = figment.find_metadata(DATABASE_URL);
            let origin = metadata.map_or_else(String::new, |origin| place(origin, DATABASE_URL));
            let place = format!("{origin}, with the password in {}", file.place());
            Ok(figment.merge(SecretProvider { key: DATABASE_URL, value: url.as_str(), place }))
        }
    }
}

/// A file that a variable names.
struct SecretFile<'a> {
    variable: String,
    path: &'a str,
}

impl SecretFile<'_> {
    fn place(&self) -> String {
        format!("{}, named by {}", self.path, self.variable)
    }

    /// The content without its final line end, which editors and `echo` add. Errors never show the
    /// content.
    fn read(&self, key: &str) -> Result<Zeroizing<String>, SettingError> {
        let wrong = |problem: &str| SettingError::at(key, self.place(), problem);
        let text =
            fs::read_to_string(self.path).map(Zeroizing::new).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::InvalidData => wrong("the file is not text in UTF-8"),
                    _ => wrong(&format!("the file cannot be read: {error}")),
                }
            })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(wrong("the file is empty"));
        }
        if line.contains(['\n', '\r', '\0']) {
            return Err(wrong("the file has more than one line"));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }
}

/// One value, with the file that it came from.
struct SecretProvider<'a> {
    key: &'a str,
    value: &'a str,
    place: String,
}

impl Provider for SecretProvider<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("secret file", Source::Custom(self.place.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Serialized::global(self.key, self.value).data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, defaults, report};
    use figment::providers::{Format, Toml};
    use tempfile::TempDir;

    /// `files` are names and contents; `@name` in the environment stands for the path of that file.
    fn layered(
        toml: &str,
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Result<Figment, String> {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let environment = environment.iter().map(|(name, value)| {
            let value = match value.strip_prefix('@') {
                Some(file) => folder.path().join(file).display().to_string(),
                None => (*value).to_owned(),
            };
            ((*name).to_owned(), value)
        });
        let figment = Figment::new().merge(Toml::string(toml).nested()).select("debug");
        layer_of(figment, &environment.collect()).map(defaults).map_err(|error| error.to_string())
    }

    fn database(figment: &Figment) -> String {
        figment.extract_inner(DATABASE_URL).unwrap()
    }

    #[test]
    fn secret_is_read_from_its_file() {
        let toml = "[default.vestibule.mail]\nsmtp_url = \"smtp://below.example\"";
        let figment = layered(
            toml,
            &[("smtp", "smtp://me:hunter2@mail.example\r\n"), ("db", "postgres://db/v\n")],
            &[("vestibule_mail__smtp_url_file", "@smtp"), ("database_url_file", "@db")],
        )
        .unwrap();
        let settings = Settings::read(&figment).unwrap();
        assert_eq!(settings.mail.smtp_url.unwrap(), "smtp://me:hunter2@mail.example");
        assert_eq!(database(&figment), "postgres://db/v");
        let digest =
            layered("", &[("s", "ab")], &[("vestibule_clients__web__secret_sha256_file", "@s")]);
        let digest: String =
            digest.unwrap().extract_inner("vestibule.clients.web.secret_sha256").unwrap();
        assert_eq!(digest, "ab");
    }

    #[test]
    fn r57_report_shows_the_source_of_a_secret_without_its_value() {
        let figment = layered(
            "[default.databases.vestibule]\nurl = \"postgres://me@db.example/v\"",
            &[("smtp", "smtp://me:hunter2@mail.example"), ("password", "hunter2\n")],
            &[("vestibule_mail__smtp_url_file", "@smtp"), ("database_password_file", "@password")],
        )
        .unwrap();
        let report = report(&figment);
        assert!(!report.contains("hunter2"), "{report}");
        assert!(report.contains("/smtp, named by VESTIBULE_MAIL__SMTP_URL_FILE"), "{report}");
        assert!(report.contains("postgres://me:***@db.example/v"), "{report}");
        assert!(report.contains("/password, named by DATABASE_PASSWORD_FILE"), "{report}");
    }

    #[test]
    fn password_file_is_escaped_into_the_url_once() {
        let toml =
            "[default.databases.vestibule]\nurl = \"postgres://me@db.example/v?sslmode=require\"";
        let password = "a/b@c:d?e#f %41é\n";
        let environment = [("database_password_file", "@password")];
        let figment = layered(toml, &[("password", password)], &environment).unwrap();
        let url = Url::parse(&database(&figment)).unwrap();
        let decoded = percent_encoding::percent_decode_str(url.password().unwrap());
        assert_eq!(decoded.decode_utf8().unwrap(), password.trim_end());
        assert_eq!((url.host_str(), url.query()), (Some("db.example"), Some("sslmode=require")));
        // a program may layer its settings first, and then start Rocket with the result
        let toml = format!("[default.databases.vestibule]\nurl = \"{url}\"");
        let again = layered(&toml, &[("password", password)], &environment).unwrap();
        assert_eq!(database(&again), url.as_str());
    }

    #[test]
    fn r55_r57_file_errors_do_not_show_the_content() {
        let postgres =
            "[default.databases.vestibule]\nurl = \"postgres://me:hunter3@db.example/v\"";
        let files = [("secret", "hunter2"), ("lines", "hunter2\nhunter2\n"), ("empty", "\n")];
        let smtp = "vestibule_mail__smtp_url_file";
        for (toml, environment, expected) in [
            (
                "",
                vec![(smtp, "@none")],
                "/none, named by VESTIBULE_MAIL__SMTP_URL_FILE): the file cannot be read: No such file",
            ),
            ("", vec![(smtp, "@lines")], "more than one line"),
            ("", vec![(smtp, "@empty")], "setting `vestibule.mail.smtp_url` ("),
            (
                "",
                vec![(smtp, "@secret"), ("vestibule_mail__smtp_url", "hunter3")],
                "VESTIBULE_MAIL__SMTP_URL is set as well",
            ),
            (
                "",
                vec![("database_url_file", "@secret"), ("database_url", "hunter3")],
                "DATABASE_URL is set as well",
            ),
            ("", vec![("database_password_file", "@secret")], "postgres://user@host/name"),
            (postgres, vec![("database_password_file", "@secret")], "has a password as well"),
        ] {
            let error = layered(toml, &files, &environment).unwrap_err();
            assert!(error.contains(expected), "{environment:?}: {error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn only_secret_settings_have_a_file() {
        assert!(is_for_a_file("mail__smtp_url_file"));
        assert!(is_for_a_file("clients__web__secret_sha256_file"));
        for name in ["name_file", "public_url_file", "mail__smtp_url", "file", "_file"] {
            assert!(!is_for_a_file(name), "{name}");
        }
    }
}
