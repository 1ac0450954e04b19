//! Client credentials of a request (RFC 6749 §2.3.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::oauth::{ClientRefusal, OAuthError};

/// Place of the credentials in the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShownIn {
    /// The `Authorization` header: a refusal carries the challenge (RFC 6749 §5.2).
    Header,
    /// The form in the body.
    Body,
}

/// A client id and, from confidential clients, a secret. An empty secret counts as none: common
/// libraries send a public client as `web:` by Basic.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Client id as sent.
    pub client_id: String,
    /// Secret as sent, if it is not empty.
    pub secret: Option<Zeroizing<String>>,
    /// Place of the credentials in the request.
    pub shown_in: ShownIn,
    /// Whether a `+` in the secret was read as a blank.
    pub had_plus: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the `Authorization` header and the body. `None` if the client sends no credentials.
    ///
    /// - Basic beside a secret in the body is refused: a client must not use two methods at once.
    /// - A `client_id` in the body beside Basic must be the same id.
    /// - `had_plus`: whether a `+` in the secret of the body was read as a blank.
    pub fn read(
        authorization: Option<&str>,
        client_id: Option<&str>,
        (client_secret, had_plus): (Option<&str>, bool),
    ) -> Result<Option<Self>, OAuthError> {
        let client_id = client_id.filter(|id| !id.is_empty());
        let client_secret = client_secret.filter(|secret| !secret.is_empty());
        let Some(header) = authorization else {
            return match (client_id, client_secret) {
                (Some(id), secret) => {
                    let shown = Self::new(id, secret.unwrap_or_default(), ShownIn::Body);
                    Ok(Some(Self { had_plus, ..shown }))
                }
                (None, Some(_)) => Err(OAuthError::Malformed("client_secret without client_id")),
                (None, None) => Ok(None),
            };
        };
        let basic = Self::from_basic(header).ok_or(ClientRefusal::Header)?;
        if client_secret.is_some() {
            return Err(OAuthError::Malformed(
                "the client uses two authentication methods at once",
            ));
        }
        if client_id.is_some_and(|id| id != basic.client_id) {
            return Err(OAuthError::Malformed("client_id differs from the Authorization header"));
        }
        Ok(Some(basic))
    }

    fn new(client_id: &str, secret: &str, shown_in: ShownIn) -> Self {
        let secret = (!secret.is_empty()).then(|| Zeroizing::new(secret.to_owned()));
        Self { client_id: client_id.to_owned(), secret, shown_in, had_plus: false }
    }

    /// Reason to refuse these credentials, the same for every client (R16): it depends on the
    /// request alone.
    pub(super) fn refusal(&self) -> ClientRefusal {
        match (self.shown_in, &self.secret) {
            (ShownIn::Body, None) => ClientRefusal::NoSecret,
            (_, Some(_)) if self.had_plus => ClientRefusal::WrongWithPlus,
            (ShownIn::Header, _) | (ShownIn::Body, Some(_)) => ClientRefusal::Wrong,
        }
    }

    /// Parses Basic credentials (RFC 7617 §2). Id and secret are form-encoded inside (RFC 6749
    /// §2.3.1), and decoded once.
    fn from_basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_matches(' ')).ok()?);
        let pair = std::str::from_utf8(&decoded).ok()?;
        let (id, secret) = pair.split_once(':')?;
        let had_plus = secret.contains('+');
        let (id, secret) = (form_decode(id)?, Zeroizing::new(form_decode(secret)?));
        // as in forms: one of the engines cannot even be asked for an id with NUL in it (R8)
        if id.contains('\0') || secret.contains('\0') {
            return None;
        }
        let shown = || Self { had_plus, ..Self::new(&id, &secret, ShownIn::Header) };
        (!id.is_empty()).then(shown)
    }
}

/// Decodes one value of `application/x-www-form-urlencoded`. `None` for a broken escape, or for
/// bytes that are no UTF-8.
pub fn form_decode(text: &str) -> Option<String> {
    let mut escapes = text.split('%');
    escapes.next();
    let is_escape = |rest: &str| rest.as_bytes().get(..2).is_some_and(is_hex);
    if !escapes.all(is_escape) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz_inputs;

    fn basic(pair: impl AsRef<[u8]>) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn read(header: &str) -> Result<Option<Credentials>, OAuthError> {
        Credentials::read(Some(header), None, (None, false))
    }

    #[test]
    fn r14_ids_and_secrets_are_form_decoded_once() {
        let credentials = read(&basic("my%3Aclient:a+b%2Bc%C3%A9%2541")).unwrap().unwrap();
        assert_eq!(credentials.client_id, "my:client");
        assert_eq!(**credentials.secret.as_ref().unwrap(), *"a b+cé%41");
        for scheme in ["basic", "BASIC", "bAsIc"] {
            let header = format!("{scheme} {}", STANDARD.encode("web:"));
            assert_eq!(
                read(&header).unwrap().unwrap(),
                Credentials::new("web", "", ShownIn::Header)
            );
        }
    }

    #[test]
    fn r13_malformed_headers_are_invalid_client() {
        for header in [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic d2Vi", // no colon
            "Bearer vat_x",
            &basic([b'w', b':', 0xff]),
            &basic("web:%zz"),
            &basic("web:%f"),
            &basic("web:%ff"),
            &basic("w\0b:"),
            &basic("w%00b:"),
            &basic("web:%00"),
            &basic(":secret"),
        ] {
            assert!(
                matches!(read(header), Err(OAuthError::Client(ClientRefusal::Header))),
                "{header}"
            );
        }
    }

    #[test]
    fn r12_two_authentication_methods_are_refused() {
        let header = basic("web:secret");
        let with = |id, secret| Credentials::read(Some(&header), id, (secret, false));
        assert!(matches!(with(None, Some("secret")), Err(OAuthError::Malformed(_))));
        assert!(matches!(with(Some("other"), None), Err(OAuthError::Malformed(_))));
        assert!(with(Some("web"), None).is_ok());
        assert!(with(Some("web"), Some("")).is_ok(), "an empty secret counts as absent");
    }

    #[test]
    fn r16_empty_secret_counts_as_no_secret() {
        assert_eq!(read(&basic("web:")).unwrap().unwrap().secret, None);
        let body = Credentials::read(None, Some("web"), (Some(""), false)).unwrap().unwrap();
        assert_eq!(body.secret, None);
    }

    #[test]
    fn r14_ids_and_secrets_survive_basic_and_are_decoded_once() {
        let text = "\\PC{0,20}|[%+:0-9A-F ]{0,12}|.{0,20}";
        fuzz_inputs::each(2_000, (text, text), |(id, secret)| {
            let encode = |text: &str| {
                url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
            };
            let header = basic(format!("{}:{}", encode(&id), encode(&secret)));
            match read(&header) {
                Ok(Some(credentials)) => {
                    let had_plus = encode(&secret).contains('+');
                    let shown = Credentials::new(&id, &secret, ShownIn::Header);
                    prop_assert_eq!(credentials, Credentials { had_plus, ..shown });
                }
                other => {
                    let has_nul = id.contains('\0') || secret.contains('\0');
                    prop_assert!(id.is_empty() || has_nul, "{:?}", other);
                }
            }
            Ok(())
        });
    }

    #[test]
    fn r13_accepted_basic_headers_agree_with_another_parser() {
        fuzz_inputs::each(2_000, fuzz_inputs::text_like(fuzz_inputs::BASIC), |header| {
            let Ok(Some(credentials)) = read(&header) else { return Ok(()) };
            prop_assert!(header[..6].eq_ignore_ascii_case("basic "), "{}", header);
            let decoded = STANDARD.decode(header[6..].trim_matches(' '));
            let pair = String::from_utf8(decoded.unwrap_or_default()).unwrap_or_default();
            let (id, secret) = pair.split_once(':').unwrap_or_default();
            // another decoder, which knows pairs only and is lenient; `&` and `=` have no meaning
            // inside a value
            let forgive = |text: &str| {
                let body = format!("x={}", text.replace('&', "%26"));
                let mut pairs = url::form_urlencoded::parse(body.as_bytes());
                pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
            };
            let shown = Credentials::new(&forgive(id), &forgive(secret), ShownIn::Header);
            let had_plus = secret.contains('+');
            prop_assert_eq!(credentials, Credentials { had_plus, ..shown });
            Ok(())
        });
    }
}
