//! `[vestibule.clients.<id>]`: registered clients.

use std::fmt;
use std::str::FromStr;

use serde::de::SeqAccess;
use serde::{Deserialize, Deserializer, Serialize};

use super::lifetime::Lifetime;

/// `[vestibule.clients.<id>]`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// A public client has no secret.
    #[serde(default)]
    pub public: bool,
    /// SHA-256, in hexadecimal, of a secret with at least 128 random bits.
    #[serde(default)]
    pub secret_sha256: Option<String>,
    /// Grants: `password`, `refresh_token`.
    #[serde(deserialize_with = "string_list")]
    pub grants: Vec<String>,
    /// All scopes that tokens of the client may have.
    #[serde(deserialize_with = "string_list")]
    pub scopes: Vec<String>,
    /// The tokens that the client may introspect: its `own` (the default) or `all`.
    #[serde(default)]
    pub introspects: Introspects,
    /// Origins, such as `https://app.example.org`, whose scripts may call the service.
    #[serde(default, deserialize_with = "string_list")]
    pub allowed_origins: Vec<String>,
    /// Lifetimes of this client's tokens; without them, `tokens` applies.
    #[serde(default)]
    pub access_ttl: Option<Lifetime>,
    /// See [`TokenSettings::refresh_idle_ttl`](super::TokenSettings::refresh_idle_ttl).
    #[serde(default)]
    pub refresh_idle_ttl: Option<Lifetime>,
    /// See [`TokenSettings::session_ttl`](super::TokenSettings::session_ttl).
    #[serde(default)]
    pub session_ttl: Option<Lifetime>,
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("public", &self.public)
            .field("secret_sha256", &self.secret_sha256.as_ref().map(|_| "redacted"))
            .field("grants", &self.grants)
            .field("scopes", &self.scopes)
            .field("introspects", &self.introspects)
            .finish_non_exhaustive()
    }
}

/// A list, or a text of words with spaces between them, which is easier to write in the
/// environment.
pub(super) fn string_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of words, such as [\"password\", \"refresh_token\"]")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split_whitespace().map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut string_list = Vec::new();
            while let Some(word) = list.next_element()? {
                string_list.push(word);
            }
            Ok(string_list)
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// The tokens that a client may introspect (RFC 7662).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Introspects {
    /// Tokens of the client itself.
    #[default]
    Own,
    /// Tokens of all clients.
    All,
}

impl Introspects {
    /// The word in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::All => "all",
        }
    }
}

impl FromStr for Introspects {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Own, Self::All]
            .into_iter()
            .find(|known| known.as_str() == word)
            .ok_or("expected own or all")
    }
}
