//! Checker of `databases.vestibule.url`.
//!
//! The driver ignores parameters that it does not know. A misspelt `sslmode` would then mean a
//! connection without encryption.

use std::collections::BTreeSet;
use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// Why a text is no URL of a database. The message repeats parameter names only, because the text
/// may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error("expected sqlite://path or postgres://user@host/name")]
    Form,
    #[error(
        "expected postgres://user:password@host/name. In a user name or a password each of \
         `: / ? # [ ] @ %` and each blank is written as an escape, such as %23 for `#` and %40 for `@`"
    )]
    Escapes,
    #[error(
        "the URL contains a blank or a line end, perhaps from copying; a blank is written as %20"
    )]
    Blank,
    #[error("the URL contains a `#`: in a password, `#` is written as %23")]
    Fragment,
    /// With the parameter that was probably meant.
    #[error("unknown parameter{}{}", .0, .1)]
    UnknownParameter(SafeName, Hint),
    #[error("the parameter `{0}` is set twice, or under two names")]
    Twice(&'static str),
    #[error("the parameter `{0}` has no value")]
    Empty(&'static str),
    #[error("the parameter `{0}` needs {1}")]
    Needs(&'static str, &'static str),
    #[error("the parameter `{0}` is {1}")]
    Value(&'static str, &'static str),
}

/// A parameter's name, if the text looks like a name and not like a piece of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeName(Option<String>);

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, " `{name}`"),
            None => {
                f.write_str(" (not shown, as it may be a piece of a password; `?` is %3F there)")
            }
        }
    }
}

/// Suggestion after an unknown name: the closest known name, or all known names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    DidYouMean(&'static str),
    Known(&'static [Parameter]),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DidYouMean(text) => write!(f, "; did you mean `{text}`?"),
            Self::Known(parameters) => {
                let names: Vec<&str> = parameters.iter().map(|known| known.name).collect();
                write!(f, "; known are {}", names.join(", "))
            }
        }
    }
}

/// A parameter of a URL, as the driver reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    name: &'static str,
    /// Other names of the same parameter.
    aliases: &'static [&'static str],
    /// Whether `vestibule config` may show the value.
    is_public: bool,
    /// The values that can be checked before the driver tries them.
    check: Check,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    Any,
    OneOf(&'static [&'static str], &'static str),
    Port,
    Number,
    Address,
}

const fn parameter(name: &'static str, is_public: bool, check: Check) -> Parameter {
    Parameter { name, aliases: &[], is_public, check }
}

pub(super) const SSL_MODES: Check = Check::OneOf(
    &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    "none of disable, allow, prefer, require, verify-ca and verify-full",
);

/// The parameters of libpq that the driver supports.
static POSTGRES_PARAMETERS: [Parameter; 12] = [
    Parameter { name: "sslmode", aliases: &["ssl-mode"], is_public: true, check: SSL_MODES },
    Parameter {
        name: "sslrootcert",
        aliases: &["ssl-root-cert", "ssl-ca"],
        is_public: true,
        check: Check::Any,
    },
    Parameter { name: "sslcert", aliases: &["ssl-cert"], is_public: true, check: Check::Any },
    Parameter { name: "sslkey", aliases: &["ssl-key"], is_public: true, check: Check::Any },
    parameter("host", true, Check::Any),
    parameter("hostaddr", true, Check::Address),
    parameter("port", true, Check::Port),
    parameter("dbname", true, Check::Any),
    parameter("user", true, Check::Any),
    parameter("password", false, Check::Any),
    parameter("application_name", true, Check::Any),
    parameter("statement-cache-capacity", true, Check::Number),
];

/// `options` and `options[name]` set parameters of the server for the session.
static SERVER_OPTIONS: Parameter = parameter("options", false, Check::Any);

static SQLITE_PARAMETERS: [Parameter; 4] = [
    parameter(
        "mode",
        true,
        Check::OneOf(&["ro", "rw", "rwc", "memory"], "none of ro, rw, rwc and memory"),
    ),
    parameter("cache", true, Check::OneOf(&["private", "shared"], "neither private nor shared")),
    parameter(
        "immutable",
        true,
        Check::OneOf(&["true", "1", "false", "0"], "neither true nor false"),
    ),
    parameter("vfs", true, Check::Any),
];

/// Parameters of other drivers, and their equivalents here.
const OTHER_DRIVERS_NAMES: [(&str, &str); 10] = [
    ("tls", "sslmode=require"),
    ("ssl", "sslmode=require"),
    ("usessl", "sslmode=require"),
    ("requiressl", "sslmode=require"),
    ("ssl_ca", "sslrootcert"),
    ("rootcert", "sslrootcert"),
    ("username", "user"),
    ("database", "dbname"),
    ("db", "dbname"),
    ("pwd", "password"),
];

/// Checks the URL as far as possible without the database.
pub fn check(url: &str) -> Result<(), DatabaseUrlError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "sqlite" => check_sqlite(url),
        _ if ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            check_postgres(url)
        }
        _ => Err(DatabaseUrlError::Form),
    }
}

fn check_sqlite(url: &str) -> Result<(), DatabaseUrlError> {
    if url.contains(|c: char| c.is_control()) {
        return Err(DatabaseUrlError::Blank);
    }
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(DatabaseUrlError::Form);
    }
    check_parameters(query, &SQLITE_PARAMETERS)
}

fn check_postgres(url: &str) -> Result<(), DatabaseUrlError> {
    // the parser would remove blanks, and the rest would mean something else
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(DatabaseUrlError::Blank);
    }
    let (_, rest) = url.split_once(':').unwrap_or_default();
    if !rest.starts_with("//") {
        return Err(DatabaseUrlError::Form);
    }
    let parsed = Url::parse(url).map_err(|_| DatabaseUrlError::Escapes)?;
    if parsed.fragment().is_some() {
        return Err(DatabaseUrlError::Fragment);
    }
    let name = parsed.path().trim_start_matches('/');
    let parts = [parsed.username(), parsed.password().unwrap_or_default(), name];
    // the rest of a password with a `/` in it would be the name
    if !parts.into_iter().all(is_escaped) || name.contains(['/', '@']) {
        return Err(DatabaseUrlError::Escapes);
    }
    check_parameters(parsed.query().unwrap_or_default(), &POSTGRES_PARAMETERS)?;
    check_encryption(&parsed)
}

/// Checks that a certificate in the URL is used. Otherwise the connection would be less safe than
/// it looks.
fn check_encryption(url: &Url) -> Result<(), DatabaseUrlError> {
    let value = |wanted: &str| {
        let is_it =
            |name: &str| find(name, &POSTGRES_PARAMETERS).is_some_and(|known| known.name == wanted);
        let mut pairs = url.query_pairs().filter(|(name, _)| is_it(name));
        pairs.next().map(|(_, value)| value.to_ascii_lowercase())
    };
    let mode = value("sslmode").unwrap_or_default();
    let is_verified = mode.starts_with("verify-");
    if value("sslrootcert").is_some() && !is_verified {
        let needed = "sslmode=verify-full (or verify-ca): other modes verify nothing";
        return Err(DatabaseUrlError::Needs("sslrootcert", needed));
    }
    for name in ["sslcert", "sslkey"] {
        if value(name).is_some() && !is_verified && mode != "require" {
            let needed = "sslmode=verify-full (or verify-ca, require)";
            return Err(DatabaseUrlError::Needs(name, needed));
        }
    }
    if value("sslcert").is_some() != value("sslkey").is_some() {
        let (given, missing) = match value("sslcert") {
            Some(_) => ("sslcert", "the parameter `sslkey` beside it"),
            None => ("sslkey", "the parameter `sslcert` beside it"),
        };
        return Err(DatabaseUrlError::Needs(given, missing));
    }
    Ok(())
}

/// Whether each `%` begins an escape, and all escapes together are UTF-8.
pub(super) fn is_escaped(text: &str) -> bool {
    let is_escape = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(is_escape) && percent_decode_str(text).decode_utf8().is_ok()
}

fn check_parameters(query: &str, known: &'static [Parameter]) -> Result<(), DatabaseUrlError> {
    let mut seen = BTreeSet::new();
    // the rest of a password with a `?` in it would be a parameter, with the host behind it
    let may_show_names = !query.contains('@');
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) =
            url::form_urlencoded::parse(piece.as_bytes()).next().unwrap_or_default();
        let has_value = piece.contains('=');
        let Some(parameter) = find(&name, known) else {
            let is_safe = may_show_names && has_value && looks_like_a_name(&name);
            let shown = is_safe.then(|| name.clone().into_owned());
            return Err(DatabaseUrlError::UnknownParameter(SafeName(shown), hint(&name, known)));
        };
        // `options[…]` may occur once for each of the server's parameters
        let key = if parameter.name == "options" {
            name.clone().into_owned()
        } else {
            parameter.name.into()
        };
        if !seen.insert(key) {
            return Err(DatabaseUrlError::Twice(parameter.name));
        }
        if value.is_empty() {
            return Err(DatabaseUrlError::Empty(parameter.name));
        }
        if let Err(wrong) = parameter.check.check(&value) {
            return Err(DatabaseUrlError::Value(parameter.name, wrong));
        }
    }
    Ok(())
}

impl Check {
    pub(super) fn check(&self, value: &str) -> Result<(), &'static str> {
        match self {
            Self::Any => Ok(()),
            // compared as the driver does
            Self::OneOf(words, wrong) => words
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word))
                .then_some(())
                .ok_or(*wrong),
            Self::Port => match value.parse::<u16>() {
                Ok(0) | Err(_) => Err("not a port from 1 to 65535"),
                Ok(_) => Ok(()),
            },
            Self::Number => value.parse::<usize>().map(drop).map_err(|_| "no number"),
            Self::Address => {
                value.parse::<std::net::IpAddr>().map(drop).map_err(|_| "not an IP address")
            }
        }
    }
}

fn find(name: &str, known: &'static [Parameter]) -> Option<&'static Parameter> {
    let is_postgres = std::ptr::eq(known, POSTGRES_PARAMETERS.as_slice());
    let is_option = name == "options" || name.starts_with("options[") && name.ends_with(']');
    if is_postgres && is_option {
        return Some(&SERVER_OPTIONS);
    }
    known.iter().find(|known| known.name == name || known.aliases.contains(&name))
}

/// The known parameter with the most similar name.
fn hint(name: &str, known: &'static [Parameter]) -> Hint {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_postgres = std::ptr::eq(known, POSTGRES_PARAMETERS.as_slice());
    let other = OTHER_DRIVERS_NAMES.iter().find(|(other, _)| other.replace('_', "") == plain);
    if let Some((_, meant)) = other.filter(|_| is_postgres) {
        return Hint::DidYouMean(meant);
    }
    let spelled = known.iter().flat_map(|known| {
        std::iter::once(&known.name).chain(known.aliases).map(|name| (*name, known.name))
    });
    let closest = spelled
        .map(|(spelled, name)| {
            (strsim::damerau_levenshtein(&plain, &spelled.replace(['-', '_'], "")), name)
        })
        .min();
    match closest.filter(|(distance, _)| *distance <= plain.len().div_ceil(4)) {
        Some((_, name)) => Hint::DidYouMean(name),
        None => Hint::Known(known),
    }
}

fn looks_like_a_name(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphabetic() || b"_-[].".contains(&b);
    (1..=40).contains(&text.len()) && text.bytes().all(is_part)
}

/// The URL for display: without the password, and without the values of parameters that could
/// contain one.
pub(super) fn shown(url: &str) -> String {
    let hidden = || "(set, not shown)".to_owned();
    if check(url).is_err() {
        return hidden();
    }
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let Ok(mut parsed) = Url::parse(url) else { return hidden() };
    if parsed.password().is_some() {
        let _ = parsed.set_password(Some("***"));
    }
    let query: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let may_show =
        |name: &str| find(name, &POSTGRES_PARAMETERS).is_some_and(|known| known.is_public);
    if query.iter().all(|(name, _)| may_show(name)) {
        return if parsed.password().is_some() { parsed.to_string() } else { url.to_owned() };
    }
    let shown = query.iter().map(|(name, value)| match may_show(name) {
        true => (name.as_str(), value.as_str()),
        false => (name.as_str(), "***"),
    });
    parsed.query_pairs_mut().clear().extend_pairs(shown);
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_urls_are_accepted() {
        for url in [
            "sqlite://data/vestibule.db",
            "sqlite:data/vestibule.db",
            "sqlite:///var/lib/vestibule/my data.db",
            "sqlite://a%23b.db?mode=rwc&cache=private",
            "postgres://ada@db/name",
            "postgresql://ada:hunter2@db.example:5432/name",
            "postgres://ada:hun%23%3F%40%2F%25ter2@db/name?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgres:///name?host=/run/postgresql&user=ada&password=sesame",
            "postgres://ada@%2Frun%2Fpostgresql/name",
            "postgres://ada@[::1]:5432/name?ssl-mode=REQUIRE",
            "postgres://ada@db/name?options=-c%20search_path%3Da&application_name=x",
            "postgres://ada@db/name?options[search_path]=a&options[work_mem]=1MB",
            "postgres://ada@db/name?hostaddr=192.0.2.1&port=6432&statement-cache-capacity=0",
            "postgres://db",
            "POSTGRES://ada@db/name",
            "postgres://ada@db/name?",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn r57_f3_invalid_urls_are_refused_by_name_without_values() {
        for (url, expected) in [
            ("", "expected sqlite://path or postgres://"),
            ("data/vestibule.db", "expected sqlite://path or postgres://"),
            ("mysql://ada:hunter2@db/name", "expected sqlite://path or postgres://"),
            ("SQLite://a.db", "expected sqlite://path or postgres://"),
            ("postgres//ada:hunter2@db/name", "expected sqlite://path or postgres://"),
            ("sqlite://", "expected sqlite://path"),
            ("sqlite:?mode=rwc", "expected sqlite://path"),
            ("sqlite://a.db?mod=rwc", "unknown parameter `mod`; did you mean `mode`?"),
            ("sqlite://a.db?mode=rwx", "`mode` is none of"),
            ("sqlite://a.db?mode=rw&mode=rwc", "`mode` is set twice"),
            ("sqlite://a.db?mode", "`mode` has no value"),
            ("sqlite://a.db?sslmode=require", "unknown parameter `sslmode`; known are mode"),
            ("postgres:ada:hunter2@db/name", "expected"),
            ("postgres:/db/name", "expected sqlite://path or postgres://"),
            (
                "postgres://ada:hunter2@db/name?ssl_mode=require",
                "`ssl_mode`; did you mean `sslmode`?",
            ),
            (
                "postgres://ada:hunter2@db/name?sslMode=require",
                "`sslMode`; did you mean `sslmode`?",
            ),
            (
                "postgres://ada:hunter2@db/name?SSLMODE=require",
                "`SSLMODE`; did you mean `sslmode`?",
            ),
            ("postgres://ada:hunter2@db/name?sslmod=require", "`sslmod`; did you mean `sslmode`?"),
            (
                "postgres://ada:hunter2@db/name?tls=require",
                "`tls`; did you mean `sslmode=require`?",
            ),
            ("postgres://ada:hunter2@db/name?ssl=true", "`ssl`; did you mean `sslmode=require`?"),
            ("postgres://ada:hunter2@db/name?sslrootcrt=x", "did you mean `sslrootcert`?"),
            ("postgres://ada@db/name?pasword=hunter2", "`pasword`; did you mean `password`?"),
            ("postgres://ada@db/name?connect_timeout=5", "`connect_timeout`; known are sslmode"),
            ("postgres://ada@db/name?channel_binding=require", "`channel_binding`; known are"),
            ("postgres://ada@db/name?options[a=b", "`options[a`"),
            ("postgres://ada@db/name?sslmode=required", "`sslmode` is none of disable"),
            ("postgres://ada@db/name?sslmode=", "`sslmode` has no value"),
            ("postgres://ada@db/name?sslmode", "`sslmode` has no value"),
            ("postgres://ada@db/name?sslmode=require&sslmode=require", "`sslmode` is set twice"),
            ("postgres://ada@db/name?sslmode=disable&ssl-mode=require", "`sslmode` is set twice"),
            ("postgres://ada@db/name?port=0", "`port` is not a port"),
            ("postgres://ada@db/name?port=65536", "`port` is not a port"),
            ("postgres://ada@db/name?hostaddr=db", "`hostaddr` is not an IP address"),
            ("postgres://ada@db/name#sslmode=require", "written as %23"),
            ("postgres://ada:5#hunter2@db/name", "%23"),
            ("postgres://ada:ses#ame@db/name", "%23"),
            ("postgres://ada:ses/ame@db/name", "%40"),
            ("postgres://ada:5/hunter2@db/name", "each of"),
            ("postgres://ada:hunter%2@db/name", "each of"),
            ("postgres://ada:5?hunter2@db/name", "unknown parameter (not shown"),
            ("postgres://ada:5?hunter=x@db/name", "unknown parameter (not shown"),
            ("postgres://ada:5?x=hunter@db/name&sslmode=require", "unknown parameter (not shown"),
            (" postgres://ada:hunter2@db/name", "expected"),
            ("postgres://ada:hunter2@db/name\n", "a blank or a line end"),
            ("postgres://ada:hunter2@db/na\nme", "a blank or a line end"),
            ("postgres://ada:hunter 2secret@db/name", "a blank or a line end"),
        ] {
            let error = check(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
            for secret in ["hunter", "sesame", "ses/ame", "ses#ame", "2secret", "5?"] {
                assert!(!error.contains(secret) && !shown(url).contains(secret), "{url}: {error}");
            }
        }
    }

    #[test]
    fn r55_f3_secrets_in_urls_are_never_shown() {
        for (url, expected) in [
            ("postgres://ada:sesame@db/name", "postgres://ada:***@db/name"),
            (
                "postgres:///name?host=/run/postgresql&user=ada&password=sesame&sslmode=require",
                "password=***&sslmode=require",
            ),
            ("postgres://db/name?options=-c%20x.y%3Dsesame", "options=***"),
            ("postgres://db/name?options[x.y]=sesame", "=***"),
            ("postgres://ada:ses/ame@db/name", "(set, not shown)"),
            ("postgres://ada:5#sesame@db/name", "(set, not shown)"),
            ("postgres://ada@db/name?Password=sesame", "(set, not shown)"),
            ("postgres://ada@db/name?tls=sesame", "(set, not shown)"),
            ("postgres:///name?host=/run/postgresql", "postgres:///name?host=/run/postgresql"),
            ("sqlite://data/vestibule.db", "sqlite://data/vestibule.db"),
        ] {
            let shown = shown(url);
            assert!(shown.contains(expected), "{url}: {shown}");
            assert!(!shown.contains("sesame") && !shown.contains("ses/ame"), "{shown}");
        }
    }
}
