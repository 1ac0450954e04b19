//! User agents: the browser of a request, described in words that a person recognises.

use std::fmt;

use serde::{Serialize, Serializer};

/// Longest `User-Agent` that is kept, in characters.
const MAX_LENGTH: usize = 256;

/// `User-Agent` header (RFC 9110 §10.1.5), cut to 256 printable characters.
///
/// The client can send any text in it. Letters and pages show only [`UserAgent::describe`], which
/// returns only names from its own list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserAgent(String);

/// Characters that would end or reorder a line (UAX #9) where the text is shown.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl UserAgent {
    /// `None` if nothing printable is left.
    pub fn parse(header: &str) -> Option<Self> {
        let kept: String =
            header.chars().filter(|c| !is_unprintable(*c)).take(MAX_LENGTH).collect::<String>();
        let kept = kept.trim();
        (!kept.is_empty()).then(|| Self(kept.to_owned()))
    }

    /// The header as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Browser and system, such as `Firefox (Linux)`, the same in every language. `None` for a
    /// program that is not in the list.
    ///
    /// The order matters: browsers also carry the names of other browsers that they imitate.
    pub fn describe(&self) -> Option<String> {
        const BROWSERS: [(&str, &str); 10] = [
            ("Edg", "Edge"),
            ("OPR/", "Opera"),
            ("Vivaldi", "Vivaldi"),
            ("SamsungBrowser", "Samsung Internet"),
            ("FxiOS", "Firefox"),
            ("Firefox", "Firefox"),
            ("CriOS", "Chrome"),
            ("Chrome", "Chrome"),
            ("Safari", "Safari"),
            ("curl/", "curl"),
        ];
        const SYSTEMS: [(&str, &str); 7] = [
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Android", "Android"),
            ("Windows", "Windows"),
            ("CrOS", "ChromeOS"),
            ("Mac OS X", "macOS"),
            ("Linux", "Linux"),
        ];
        let find = |names: &[(&str, &'static str)]| {
            names.iter().find(|(mark, _)| self.0.contains(mark)).map(|(_, name)| *name)
        };
        let browser = find(&BROWSERS)?;
        Some(match find(&SYSTEMS) {
            Some(system) => format!("{browser} ({system})"),
            None => browser.to_owned(),
        })
    }
}

impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UserAgent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_described_by_their_common_names() {
        for (header, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox (Linux)",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge (Windows)",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                "Chrome (Windows)",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari (iPhone)",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome (Android)",
            ),
            ("curl/8.5.0", "curl"),
        ] {
            assert_eq!(UserAgent::parse(header).unwrap().describe().as_deref(), Some(name));
        }
    }

    #[test]
    fn r37_description_repeats_no_text_of_the_client() {
        let agent = UserAgent::parse("you won! http://evil.example").unwrap();
        assert_eq!(agent.describe(), None);
        let agent = UserAgent::parse("Firefox http://evil.example Linux").unwrap();
        assert_eq!(agent.describe().as_deref(), Some("Firefox (Linux)"));
        assert_eq!(UserAgent::parse("\r\n \0"), None);
        assert_eq!(UserAgent::parse(&"é".repeat(1_000)).unwrap().as_str().chars().count(), 256);
    }
}
