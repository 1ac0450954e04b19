//! Check for secrets among the arguments.
//!
//! A command with a secret among its arguments is refused before any message repeats them. Every
//! user of the machine can read the arguments of a process, and shells keep them.

use std::ffi::OsString;

use url::Url;
use vestibule::model::{is_like_access_token, is_like_refresh_token};

/// Options that no command has because their values would be secrets, each with the right way to
/// pass the value.
const OPTIONS: [(&str, &str); 6] = [
    ("--password", "`account create --password-stdin` reads the password from standard input"),
    ("--new-password", "`account create --password-stdin` reads the password from standard input"),
    ("--token", "`token inspect` reads the token from standard input"),
    (
        "--secret",
        "`client add` and `client rotate-secret` generate the secret, and \
         `client add --secret-sha256` takes the digest of an existing secret",
    ),
    (
        "--client-secret",
        "`client add` and `client rotate-secret` generate the secret, and \
         `client add --secret-sha256` takes the digest of an existing secret",
    ),
    (
        "--smtp-url",
        "put the URL into the environment, VESTIBULE_MAIL__SMTP_URL, or into a file that \
         VESTIBULE_MAIL__SMTP_URL_FILE names",
    ),
];

/// The right way to pass a URL with a password in it.
const URL: &str = "write the URL into a file that only you can read, and name the file: \
     `--from-file`, `--to-file`, where /dev/stdin is standard input; or put the URL of the settings \
     into the environment, as DATABASE_URL or VESTIBULE_MAIL__SMTP_URL, or into a file that \
     DATABASE_URL_FILE or VESTIBULE_MAIL__SMTP_URL_FILE names";

/// Length of the prefix of tokens.
const TOKEN_PREFIX: usize = 4;

/// How to pass the first secret among the arguments safely; `None` if they contain no secret.
pub fn secret_among(arguments: impl Iterator<Item = OsString>) -> Option<&'static str> {
    arguments.skip(1).find_map(|argument| {
        let argument = argument.to_string_lossy();
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, value),
            _ => (&*argument, &*argument),
        };
        if let Some((_, instead)) = OPTIONS.iter().find(|(name, _)| *name == option) {
            return Some(*instead);
        }
        if has_password(value) {
            return Some(URL);
        }
        is_token(value).then_some("`token inspect` reads the token from standard input")
    })
}

/// Whether the text is a token of this service, or most of one.
fn is_token(text: &str) -> bool {
    (is_like_access_token(text) || is_like_refresh_token(text)) && text.len() > TOKEN_PREFIX + 16
}

/// Whether the text is a URL with a password before its host, or in its query, where PostgreSQL
/// accepts one.
fn has_password(text: &str) -> bool {
    if !text.contains("://") {
        return false;
    }
    let query = text.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let in_query = url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name.eq_ignore_ascii_case("password") && !value.is_empty());
    let before_host = match Url::parse(text) {
        Ok(url) => url.password().is_some(),
        // a character in the password is not percent-encoded
        Err(_) => {
            let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
            rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        }
    };
    in_query || before_host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(arguments: &[&str]) -> Option<&'static str> {
        let program = std::iter::once("vestibule");
        secret_among(program.chain(arguments.iter().copied()).map(OsString::from))
    }

    #[test]
    fn s16_secrets_among_arguments_are_found_in_every_spelling() {
        for (arguments, way) in [
            (&["db", "copy", "--to", "postgres://u:secret@host/name"][..], "--to-file"),
            (&["db", "copy", "--to=postgres://u:secret@host/name"], "--to-file"),
            (&["db", "copy", "--from", "postgresql://u@host/name?password=secret"], "--from-file"),
            (&["db", "copy", "--from", "postgresql://u@host/name?PassWord=s"], "--from-file"),
            (&["db", "copy", "--to", "postgres://u:a#b@host/name"], "--to-file"),
            (&["db", "copy", "--to", "postgres://u:a/b@host/name"], "--to-file"),
            (
                &["mail", "test", "smtp://robot:secret@mail.example"],
                "VESTIBULE_MAIL__SMTP_URL_FILE",
            ),
            (&["mail", "test", "a@b.example", "--smtp-url", "x"], "VESTIBULE_MAIL__SMTP_URL_FILE"),
            (&["account", "create", "a@b.example", "--password", "x"], "--password-stdin"),
            (&["account", "create", "a@b.example", "--password=x"], "--password-stdin"),
            (&["client", "add", "desk", "--secret", "x"], "--secret-sha256"),
            (&["client", "rotate-secret", "desk", "--client-secret=x"], "--secret-sha256"),
            (&["token", "inspect", "--token", "x"], "standard input"),
        ] {
            let found = find_in(arguments);
            assert!(found.is_some_and(|found| found.contains(way)), "{arguments:?}: {found:?}");
        }
        let token = format!("vat_{}", "A".repeat(70));
        assert!(find_in(&["token", "inspect", &token]).is_some());
    }

    #[test]
    fn s16_arguments_without_secrets_are_accepted() {
        for arguments in [
            &["db", "copy", "--to", "postgres://u@host/name?sslmode=require"][..],
            &["db", "copy", "--to", "sqlite://data/a@b:c.db"],
            &["db", "copy", "--to-file", "/run/secrets/url"],
            &["account", "create", "a@b.example", "--password-stdin"],
            &["client", "add", "desk", "--secret-sha256", "00", "--allowed-origin", "https://a.b"],
            &["account", "list", "--match", "vat_"],
        ] {
            assert_eq!(find_in(arguments), None, "{arguments:?}");
        }
    }
}
