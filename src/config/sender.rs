//! `vestibule.mail.from`: the sender of letters.

use std::convert::Infallible;
use std::str::FromStr;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// The sender in its parts. The renderer checks the address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderSettings {
    /// The display name, without quoting. It may contain any characters.
    pub name: Option<String>,
    /// The address, not yet parsed.
    pub address: String,
}

impl SenderSettings {
    fn new(name: &str, address: &str) -> Self {
        let name = Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
        Self { name, address: address.trim().to_owned() }
    }
}

/// Parses `Name <address>`, or an address alone. The name is the text before the last `<`, without
/// quotation marks around the whole of it.
impl FromStr for SenderSettings {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let parts = text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<'));
        let Some((name, address)) = parts else { return Ok(Self::new("", text)) };
        let quoted = name.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        Ok(match quoted {
            Some(quoted) => Self::new(&unescaped(quoted), address),
            None => Self::new(name, address),
        })
    }
}

/// The content of a quoted string (RFC 5322 §3.2.4).
fn unescaped(quoted: &str) -> String {
    let mut characters = quoted.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

impl<'de> Deserialize<'de> for SenderSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// `{ name = "…", address = "…" }`
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct SenderParts {
            name: Option<String>,
            address: String,
        }

        struct TextOrParts;

        impl<'de> Visitor<'de> for TextOrParts {
            type Value = SenderSettings;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address such as Vestibule <no-reply@example.org>")
            }

            fn visit_str<E>(self, text: &str) -> Result<SenderSettings, E> {
                let Ok(sender) = text.parse();
                Ok(sender)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SenderSettings, A::Error> {
                let SenderParts { name, address } =
                    SenderParts::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SenderSettings::new(&name.unwrap_or_default(), &address))
            }
        }

        deserializer.deserialize_any(TextOrParts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f6_display_name_is_kept_unchanged() {
        for (text, name, address) in [
            ("no-reply@example.org", None, "no-reply@example.org"),
            (" <no-reply@example.org> ", None, "no-reply@example.org"),
            ("Acme <no-reply@example.org>", Some("Acme"), "no-reply@example.org"),
            ("Acme, Inc. <a@example.org>", Some("Acme, Inc."), "a@example.org"),
            ("\"Acme, Inc.\" <a@example.org>", Some("Acme, Inc."), "a@example.org"),
            ("\"The \\\"A\\\" \\\\ B\"<a@example.org>", Some("The \"A\" \\ B"), "a@example.org"),
            ("The \"A\" team <a@example.org>", Some("The \"A\" team"), "a@example.org"),
            ("a: (b) ; [c] @ d <a@example.org>", Some("a: (b) ; [c] @ d"), "a@example.org"),
            ("1 < 2 <a@example.org>", Some("1 < 2"), "a@example.org"),
            ("Bücher 📚 <a@example.org>", Some("Bücher 📚"), "a@example.org"),
            ("nonsense", None, "nonsense"),
            ("Acme <", None, "Acme <"),
            ("", None, ""),
        ] {
            let Ok(sender) = text.parse::<SenderSettings>();
            assert_eq!(
                (sender.name.as_deref(), sender.address.as_str()),
                (name, address),
                "{text}"
            );
        }
    }
}
