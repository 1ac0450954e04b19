//! Origins of web pages (RFC 6454) that a client's registration allows.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use url::Url;

/// Set of origins such as `https://app.example.org`. Compared exactly, in the browsers' spelling.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins(BTreeSet<String>);

/// Text that is no origin.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{} is not an origin: expected only a scheme and a host, such as https://app.example.org{}",
    shown(text),
    .meant.as_ref().map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
)]
pub struct OriginError {
    text: String,
    /// The origin in the browsers' spelling.
    meant: Option<String>,
}

/// The text, unless it may contain a secret.
fn shown(text: &str) -> String {
    match text.contains(['@', '?', '#']) {
        true => "the value (not shown)".to_owned(),
        false => format!("`{text}`"),
    }
}

impl Origins {
    /// Parses origins. Each must have the browsers' spelling: folded, without a default port,
    /// without a path. `*` and `null` are no origins.
    pub fn from_texts<I: IntoIterator<Item = S>, S: AsRef<str>>(
        texts: I,
    ) -> Result<Self, OriginError> {
        let check = |text: S| {
            let text = text.as_ref();
            let wrong = |meant| OriginError { text: text.to_owned(), meant };
            let url = Url::parse(text).map_err(|_| wrong(None))?;
            if !matches!(url.scheme(), "http" | "https") || text.contains('*') {
                return Err(wrong(None));
            }
            let origin = url.origin().ascii_serialization();
            if origin == text { Ok(origin) } else { Err(wrong(Some(origin))) }
        };
        texts.into_iter().map(check).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the set has no origin.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origin as registered, if `sent` equals it exactly.
    pub fn find(&self, sent: &str) -> Option<&str> {
        self.0.get(sent).map(String::as_str)
    }

    /// The origins in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for Origins {
    type Err = OriginError;

    /// Parses origins separated by white space. An empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::from_texts(text.split_whitespace())
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_must_have_the_browsers_spelling() {
        let origins: Origins = "https://app.example.org http://localhost:3000".parse().unwrap();
        assert_eq!(origins.find("https://app.example.org"), Some("https://app.example.org"));
        for other in [
            "https://app.example.org/",
            "https://app.example.org.evil.example",
            "http://app.example.org",
            "https://APP.example.org",
            "null",
            "*",
        ] {
            assert_eq!(origins.find(other), None, "{other}");
        }
        for wrong in [
            "*",
            "null",
            "https://app.example.org/",
            "https://app.example.org:443",
            "https://App.example.org",
            "https://a@app.example.org",
            "ftp://app.example.org",
            "app.example.org",
            "https://bücher.example",
            "https://*.example.org",
        ] {
            assert!(Origins::from_texts([wrong]).is_err(), "{wrong}");
        }
        let error = Origins::from_texts(["https://App.example.org:443/"]).unwrap_err().to_string();
        assert!(error.ends_with("did you mean `https://app.example.org`?"), "{error}");
    }
}
