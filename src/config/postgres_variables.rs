//! Checker of the environment variables that the PostgreSQL driver reads beside the URL.
//!
//! The driver ignores values that it does not understand. A misspelt `PGSSLMODE` would then mean a
//! connection without encryption.

use std::ffi::{OsStr, OsString};

use super::database_url::{self, Check, DatabaseUrlError};

/// The variables that the driver reads for parameters that the URL lacks, with a check of each
/// value.
const READ: [(&str, Check); 13] = [
    ("PGSSLMODE", database_url::SSL_MODES),
    ("PGSSLROOTCERT", Check::Any),
    ("PGSSLCERT", Check::Any),
    ("PGSSLKEY", Check::Any),
    ("PGHOST", Check::Any),
    ("PGHOSTADDR", Check::Address),
    ("PGPORT", Check::Port),
    ("PGDATABASE", Check::Any),
    ("PGUSER", Check::Any),
    ("PGPASSWORD", Check::Any),
    ("PGPASSFILE", Check::Any),
    ("PGAPPNAME", Check::Any),
    ("PGOPTIONS", Check::Any),
];

/// Prefixes of libpq's other variables that ask for a safer connection.
const PROTECTIVE: [&str; 3] = ["PGSSL", "PGREQUIRE", "PGCHANNELBINDING"];

/// Why the URL and the environment name no usable database. The message never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseSettingError {
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    #[error("the environment variable {0}, which the driver also reads, is {1}")]
    Value(&'static str, &'static str),
    #[error("the driver does not read the environment variable {0}; did you mean {1}?")]
    Misspelt(String, &'static str),
    #[error(
        "the driver does not read the environment variable {0}: unset it, and set sslmode in the \
         URL"
    )]
    Unread(String),
}

/// Checks a database's settings as far as possible without the database: the URL and, for
/// PostgreSQL, the environment.
pub fn check(url: &str) -> Result<(), DatabaseSettingError> {
    database_url::check(url)?;
    match url.starts_with("sqlite:") {
        true => Ok(()),
        false => std::env::vars_os().try_for_each(|(name, value)| check_variable(&name, &value)),
    }
}

fn check_variable(name: &OsString, value: &OsStr) -> Result<(), DatabaseSettingError> {
    let Some(name) = name.to_str() else { return Ok(()) };
    if let Some((name, check)) = READ.iter().find(|(read, _)| *read == name) {
        let wrong = |problem| DatabaseSettingError::Value(name, problem);
        let value = value.to_str().ok_or(wrong("not UTF-8 text"))?;
        return match value {
            "" => Err(wrong("set but empty")),
            value => check.check(value).map_err(wrong),
        };
    }
    let plain = name.replace('_', "").to_ascii_uppercase();
    let meant = READ.iter().find(|(read, _)| strsim::damerau_levenshtein(&plain, read) <= 1);
    if let Some((meant, _)) = meant {
        return Err(DatabaseSettingError::Misspelt(name.to_owned(), meant));
    }
    match PROTECTIVE.iter().any(|beginning| plain.starts_with(beginning)) {
        true => Err(DatabaseSettingError::Unread(name.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, value: &str) -> Option<String> {
        let checked = check_variable(&name.into(), OsStr::new(value));
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn f3_variables_of_the_driver_and_unrelated_variables_are_accepted() {
        for (name, value) in [
            ("PGSSLMODE", "verify-full"),
            ("PGSSLMODE", "REQUIRE"),
            ("PGSSLROOTCERT", "/etc/ca.pem"),
            ("PGPORT", "5432"),
            ("PGHOSTADDR", "192.0.2.1"),
            ("PGHOST", "/run/postgresql"),
            ("PGPASSWORD", "hunter2"),
            ("PGDATA", "/var/lib/postgresql"),
            ("PG_MAJOR", "15"),
            ("PGTZ", "UTC"),
            ("PGSERVICE", "x"),
            ("PATH", "/bin"),
        ] {
            assert_eq!(refusal(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn f3_variables_ignored_by_the_driver_are_refused_without_values() {
        for (name, value, expected) in [
            ("PGSSLMODE", "hunter2", "PGSSLMODE, which the driver also reads, is none of disable"),
            ("PGSSLMODE", "", "PGSSLMODE, which the driver also reads, is set but empty"),
            ("PGSSLROOTCERT", "", "is set but empty"),
            ("PGPORT", "hunter2", "PGPORT, which the driver also reads, is not a port"),
            ("PGPORT", "0", "is not a port"),
            ("PGHOSTADDR", "hunter2.example", "is not an IP address"),
            ("PGSSL_MODE", "hunter2", "PGSSL_MODE; did you mean PGSSLMODE?"),
            ("PGSSLMDOE", "hunter2", "did you mean PGSSLMODE?"),
            ("pgsslmode", "hunter2", "did you mean PGSSLMODE?"),
            ("PGSSLROOTCRT", "hunter2", "did you mean PGSSLROOTCERT?"),
            ("PGPASWORD", "hunter2", "did you mean PGPASSWORD?"),
            ("PGSSLCRL", "hunter2", "PGSSLCRL: unset it"),
            ("PGSSLMINPROTOCOLVERSION", "hunter2", "unset it"),
            ("PGREQUIRESSL", "1", "unset it"),
            ("PGCHANNELBINDING", "require", "unset it"),
        ] {
            let error =
                refusal(name, value).unwrap_or_else(|| panic!("{name}={value} is accepted"));
            assert!(error.contains(expected), "{name}={value}: {error}");
            assert!(!error.contains("hunter"), "{name}={value}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn f3_value_without_utf8_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;

        let error = check_variable(&"PGSSLMODE".into(), OsStr::from_bytes(b"\xff")).unwrap_err();
        assert!(error.to_string().ends_with("is not UTF-8 text"), "{error}");
    }
}
