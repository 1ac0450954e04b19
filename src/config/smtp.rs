//! `vestibule.mail.smtp_url`: the mail server, its login and the protection of the connection.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::database_url::is_escaped;
use super::public_url::authority_of;

/// The mail server that takes the letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// User and password; `None` if the server needs none.
    pub login: Option<Login>,
}

/// The protection of the connection to the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// No encryption.
    None,
    /// STARTTLS if the server offers it, with any certificate (RFC 7435). It protects against
    /// eavesdropping, but not against interception.
    Opportunistic,
    /// STARTTLS with a valid certificate; otherwise no letter leaves (RFC 3207).
    StartTls,
    /// TLS from the first byte, with a valid certificate (RFC 8314 §3.3).
    Implicit,
}

impl Encryption {
    /// Whether the server's certificate must be valid.
    pub fn is_verified(self) -> bool {
        matches!(self, Self::StartTls | Self::Implicit)
    }
}

/// User and password for the mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(redacted)")
    }
}

/// Why a text is no URL of a mail server. The message never repeats the text, which may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    #[error("expected smtp://user:password@host:587?tls=required or smtps://user:password@host")]
    Form,
    #[error(
        "expected tls=required, tls=opportunistic or tls=none behind the `?`, and nothing else"
    )]
    Parameter,
    #[error("the URL contains a `#`: in a user name or a password, `#` is written as %23")]
    Fragment,
    #[error(
        "expected smtp://user:password@host:587?tls=required. In a user name or a password each of \
         `: / ? # [ ] @ %` is written as an escape, such as %23 for `#` and %40 for `@`"
    )]
    Escapes,
    #[error("smtps:// is encrypted from the first byte, and allows only tls=required")]
    ImplicitTls,
    #[error("expected nothing behind the host; the name for EHLO is mail.hello_name")]
    Path,
    #[error("expected a user and a password, or neither")]
    HalfALogin,
    #[error(
        "with tls=opportunistic an attacker on the network could obtain the password: use \
         tls=required, or tls=none if the network is safe"
    )]
    ExposedPassword,
}

impl SmtpServer {
    /// Parses the URL. If it does not say how to protect the connection, the default depends on the
    /// login:
    ///
    /// - With a password, the connection must be verified, unless the server runs on this machine.
    /// - Without a password, STARTTLS is used if the server offers it.
    pub fn parse(text: &str) -> Result<Self, SmtpUrlError> {
        // the URL parser would remove these characters
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(SmtpUrlError::Form);
        }
        let authority = authority_of(text);
        // an `@` behind the host, or a `#` anywhere, is a piece of an unescaped login
        let is_of_a_login = text.starts_with("smtp") && text.contains("://");
        if is_of_a_login && text.contains('#') {
            return Err(SmtpUrlError::Fragment);
        }
        if is_of_a_login && text.contains('@') && !authority.contains('@') {
            return Err(SmtpUrlError::Escapes);
        }
        let url = Url::parse(text).map_err(|_| SmtpUrlError::Form)?;
        let host = url.host().ok_or(SmtpUrlError::Form)?;
        // `url` does not parse the host of a scheme that it does not know
        let (host, is_near) = match host {
            Host::Domain(name) => match name.parse::<IpAddr>() {
                Ok(address) => (address.to_string(), address.is_loopback()),
                Err(_) => {
                    let name = host_name(&decoded(name)?).ok_or(SmtpUrlError::Form)?;
                    let is_near = name.eq_ignore_ascii_case("localhost");
                    (name, is_near)
                }
            },
            Host::Ipv4(address) => (address.to_string(), address.is_loopback()),
            Host::Ipv6(address) => (address.to_string(), address.is_loopback()),
        };
        if host.is_empty() || authority.ends_with(':') || url.port() == Some(0) {
            return Err(SmtpUrlError::Form);
        }
        if !matches!(url.path(), "" | "/") {
            return Err(SmtpUrlError::Path);
        }
        let login = match (url.username(), url.password()) {
            ("", None) if !authority.contains('@') => None,
            ("", _) | (_, None | Some("")) => return Err(SmtpUrlError::HalfALogin),
            (user, Some(password)) if !is_escaped(user) || !is_escaped(password) => {
                return Err(SmtpUrlError::Escapes);
            }
            (user, Some(password)) => {
                Some(Login { user: decoded(user)?, password: decoded(password)? })
            }
        };
        let parameters: Vec<(_, _)> = url.query_pairs().collect();
        let tls = match parameters.as_slice() {
            [] => None,
            [(name, value)] if name == "tls" => Some(value.as_ref()),
            _ => return Err(SmtpUrlError::Parameter),
        };
        let encryption = match (url.scheme(), tls) {
            ("smtps", None | Some("required")) => Encryption::Implicit,
            ("smtps", Some(_)) => return Err(SmtpUrlError::ImplicitTls),
            ("smtp", Some("required")) => Encryption::StartTls,
            ("smtp", Some("none")) => Encryption::None,
            ("smtp", Some("opportunistic")) if login.is_some() && !is_near => {
                return Err(SmtpUrlError::ExposedPassword);
            }
            ("smtp", None) if login.is_some() && !is_near => Encryption::StartTls,
            ("smtp", None | Some("opportunistic")) => Encryption::Opportunistic,
            ("smtp", Some(_)) => return Err(SmtpUrlError::Parameter),
            _ => return Err(SmtpUrlError::Form),
        };
        let port = url.port().unwrap_or(match encryption {
            Encryption::Implicit => 465,
            Encryption::StartTls => 587,
            Encryption::None | Encryption::Opportunistic => 25,
        });
        Ok(Self { host, port, encryption, login })
    }
}

/// The name of a machine in its wire format: one word, with A-labels for characters beyond ASCII
/// (RFC 5890 §2.3.2.1). `None` if the text is no such name.
pub fn host_name(text: &str) -> Option<String> {
    let name = match text.is_ascii() {
        true => text.to_owned(),
        false => idna::domain_to_ascii_strict(text).ok()?,
    };
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())).then_some(name)
}

fn decoded(text: &str) -> Result<String, SmtpUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| SmtpUrlError::Form)?;
    match text.chars().any(char::is_control) {
        true => Err(SmtpUrlError::Form),
        false => Ok(text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_sets_encryption_and_a_password_requires_it_by_default() {
        for (url, host, port, encryption) in [
            ("smtp://mail.example", "mail.example", 25, Encryption::Opportunistic),
            ("smtp://mail.example:2525/", "mail.example", 2525, Encryption::Opportunistic),
            ("smtp://mail.example?tls=required", "mail.example", 587, Encryption::StartTls),
            ("smtp://mail.example?tls=none", "mail.example", 25, Encryption::None),
            ("smtp://u:p@mail.example", "mail.example", 587, Encryption::StartTls),
            ("smtp://u:p@mail.example:25?tls=none", "mail.example", 25, Encryption::None),
            ("smtp://u:p@localhost", "localhost", 25, Encryption::Opportunistic),
            ("smtp://u:p@127.0.0.1:2525", "127.0.0.1", 2525, Encryption::Opportunistic),
            ("smtp://u:p@[::1]", "::1", 25, Encryption::Opportunistic),
            ("smtps://mail.example", "mail.example", 465, Encryption::Implicit),
            ("smtps://mail.example?tls=required", "mail.example", 465, Encryption::Implicit),
            // F5: A-labels, as for recipients
            (
                "smtp://post.bücher.example",
                "post.xn--bcher-kva.example",
                25,
                Encryption::Opportunistic,
            ),
            (
                "smtp://post.b%C3%BCcher.example",
                "post.xn--bcher-kva.example",
                25,
                Encryption::Opportunistic,
            ),
        ] {
            let server = SmtpServer::parse(url).unwrap();
            let found = (server.host.as_str(), server.port, server.encryption);
            assert_eq!(found, (host, port, encryption), "{url}");
            assert_eq!(server.login.is_some(), url.contains('@'), "{url}");
        }
    }

    #[test]
    fn r57_urls_that_weaken_encryption_by_mistake_are_refused() {
        for (url, error) in [
            ("mail.example:25", SmtpUrlError::Form),
            ("https://mail.example", SmtpUrlError::Form),
            ("smtp://", SmtpUrlError::Form),
            ("smtp://mail.example\n", SmtpUrlError::Form),
            ("smtp://mail.exa\tmple", SmtpUrlError::Form),
            ("smtp://mail.example:0", SmtpUrlError::Form),
            ("smtp://mail.example:", SmtpUrlError::Form),
            ("smtp:///mail.example", SmtpUrlError::Form),
            ("smtp://@mail.example", SmtpUrlError::HalfALogin),
            ("smtp://:@mail.example", SmtpUrlError::HalfALogin),
            ("smtp://u:@mail.example", SmtpUrlError::HalfALogin),
            ("smtp://mail.example#x", SmtpUrlError::Fragment),
            ("smtp://u:p#w@mail.example", SmtpUrlError::Fragment),
            ("smtp://u:5#w@mail.example", SmtpUrlError::Fragment),
            ("smtps://u:p@mail.example#", SmtpUrlError::Fragment),
            ("smtp://u:p/w@mail.example", SmtpUrlError::Escapes),
            ("smtp://u:5/w@mail.example", SmtpUrlError::Escapes),
            ("smtp://u:5?w@mail.example", SmtpUrlError::Escapes),
            ("smtp://u:100%@mail.example", SmtpUrlError::Escapes),
            ("smtp://u:p%ff@mail.example", SmtpUrlError::Escapes),
            ("smtp://mail.example?tls=requierd", SmtpUrlError::Parameter),
            ("smtp://mail.example?TLS=required", SmtpUrlError::Parameter),
            ("smtp://mail.example?tls=none&tls=required", SmtpUrlError::Parameter),
            ("smtp://mail.example?starttls=yes", SmtpUrlError::Parameter),
            ("smtps://mail.example?tls=none", SmtpUrlError::ImplicitTls),
            ("smtp://mail.example/accounts.example", SmtpUrlError::Path),
            ("smtp://user@mail.example?tls=required", SmtpUrlError::HalfALogin),
            ("smtp://:word@mail.example?tls=required", SmtpUrlError::HalfALogin),
            ("smtp://u:p@mail.example?tls=opportunistic", SmtpUrlError::ExposedPassword),
            ("smtp://u:p%0d%0aQUIT@mail.example?tls=required", SmtpUrlError::Form),
        ] {
            assert_eq!(SmtpServer::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn f5_host_names_become_a_labels() {
        let named = |text: &str| host_name(text);
        assert_eq!(named("konten.bücher.example").unwrap(), "konten.xn--bcher-kva.example");
        assert_eq!(named("accounts.example.org").unwrap(), "accounts.example.org");
        assert_eq!(named("[192.0.2.1]").unwrap(), "[192.0.2.1]");
        for wrong in ["", "a b", "a\r\nQUIT", "bü cher.example", "\u{7f}"] {
            assert_eq!(named(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn r55_login_is_decoded_and_never_shown() {
        let server = SmtpServer::parse("smtp://me%40example.org:hunter%3a2@mail.example").unwrap();
        let login = server.login.clone().unwrap();
        let found = (login.user.as_str(), login.password.as_str());
        assert_eq!(found, ("me@example.org", "hunter:2"));
        assert!(!format!("{server:?}").contains("hunter"));
    }
}
