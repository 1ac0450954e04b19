//! `vestibule.public_url`: the URL at which browsers reach the service.

use serde::{Deserialize, Serialize};
use url::Url;

/// An absolute `http` or `https` URL without query, fragment and final slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// `https://example.org/auth`, without a final slash.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The path in front of every route, as browsers see it: empty, or such as `/auth`.
    pub fn base_path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The host, for Message-IDs and for the default sender.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or("localhost")
    }

    /// `https://example.org`, as browsers send it in `Origin` (RFC 6454 §6.2).
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether the scheme is `https`.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wanted = "expected an absolute http or https URL such as https://accounts.example.org";
        // the URL parser would repair or drop these characters, so they are an error here
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(format!("{wanted}, without blanks, line ends and backslashes"));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(wanted.to_owned());
        }
        match authority_of(&text) {
            "" => return Err(format!("{wanted}, with a host behind the two slashes")),
            authority if authority.contains('@') => {
                return Err(format!("{wanted}, without a user and a password"));
            }
            authority if authority.ends_with(':') => {
                return Err(format!(
                    "{wanted}, with a port behind the colon, or without the colon"
                ));
            }
            _ => {}
        }
        let url = Url::parse(&text).map_err(|error| format!("{wanted} ({error})"))?;
        if url.host_str().is_some_and(|host| host.contains('*')) {
            return Err(format!("{wanted}, with one host"));
        }
        if url.path().contains("//") {
            return Err(format!("{wanted}, with one slash between the parts of its path"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.has_host() {
            return Err(format!("{wanted}, with nothing behind the path"));
        }
        Ok(Self(url))
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.as_str().to_owned()
    }
}

/// The authority of a URL (RFC 3986 §3.2), unparsed. The URL parser reads `https:///example.org` as
/// `https://example.org`, and drops an empty user or port.
pub(super) fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
