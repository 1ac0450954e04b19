//! Language negotiation: matches the languages that a request prefers with the available ones.

use fluent_langneg::{LanguageIdentifier, NegotiationStrategy, negotiate_languages};

/// Largest number of ranges that are read from a header: more than any person has languages. The
/// rest of a longer header is ignored.
const MAX_RANGES: usize = 32;

/// Position in `available` of the best match for `tag`, if there is one: `de` for `de-AT`.
pub(super) fn best(tag: &str, available: &[LanguageIdentifier]) -> Option<usize> {
    let wanted: LanguageIdentifier = tag.parse().ok()?;
    let found = negotiate_languages(&[wanted], available, None, NegotiationStrategy::Lookup);
    let found = *found.first()?;
    available.iter().position(|language| language == found)
}

/// Position in `available` of the language that an `Accept-Language` header prefers (RFC 9110
/// §12.5.4). `*` is `default`. A range that cannot be parsed is ignored.
pub(super) fn accepted(
    header: &str,
    available: &[LanguageIdentifier],
    default: usize,
) -> Option<usize> {
    let mut ranges: Vec<(&str, u16)> =
        header.split(',').take(MAX_RANGES).filter_map(range).collect();
    // the sort is stable: of two ranges of equal quality the first comes first
    ranges.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
    let refused: Vec<usize> = ranges
        .iter()
        .filter(|(_, quality)| *quality == 0)
        .filter_map(|(tag, _)| best(tag, available))
        .collect();
    ranges.iter().filter(|(_, quality)| *quality > 0).find_map(|(tag, _)| match *tag {
        "*" => std::iter::once(default)
            .chain(0..available.len())
            .find(|language| !refused.contains(language)),
        tag => best(tag, available),
    })
}

/// Parses `de-AT;q=0.8` as the tag and its quality in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty() && tag.len() <= 35)?;
    let Some(weight) = parts.next() else { return Some((tag, 1_000)) };
    let (name, value) = weight.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    Some((tag, quality(value.trim())?))
}

/// Parses `0.8` as thousandths: at most three digits after the point, and at most 1 (RFC 9110
/// §12.4.2).
fn quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u16 = is_fraction.then(|| format!("{fraction:0<3}"))?.parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages(tags: &[&str]) -> Vec<LanguageIdentifier> {
        tags.iter().map(|tag| tag.parse().unwrap()).collect()
    }

    #[test]
    fn best_available_language_is_chosen() {
        let available = languages(&["en", "de", "pt-BR"]);
        for (header, chosen) in [
            ("de", Some("de")),
            ("de-AT", Some("de")),
            ("DE-de-1996", Some("de")),
            ("en-GB,en;q=0.9,de;q=0.8", Some("en")),
            ("en;q=0.5, de;q=0.8", Some("de")),
            ("en;q=0.5,de ; q = 0.501", Some("de")),
            ("fr,de;q=0.1", Some("de")),
            ("de;q=0,en", Some("en")),
            ("de;q=0.000", None),
            ("fr", None),
            ("*", Some("en")),
            ("en;q=0, *", Some("de")),
            ("fr, *;q=0.1", Some("en")),
            ("*;q=0", None),
            ("pt", Some("pt-BR")),
            ("pt-BR", Some("pt-BR")),
            ("", None),
            (",,;;,q=1", None),
            ("de;q=2", None),
            ("de;q=1.001", None),
            ("de;q=0.1234", None),
            ("de;q=-1", None),
            ("de;level=1", None),
            ("../../etc/passwd", None),
            ("de_DE", Some("de")),
        ] {
            let position = accepted(header, &available, 0);
            let tag = position.map(|position| available[position].to_string());
            assert_eq!(tag.as_deref(), chosen, "{header:?}");
        }
    }

    #[test]
    fn malformed_headers_of_any_length_are_ignored() {
        let available = languages(&["en", "de"]);
        for header in ["de".repeat(32_768), "x,".repeat(32_768), "de;q=".repeat(13_000)] {
            assert_eq!(accepted(&header, &available, 0), None);
        }
        assert_eq!(accepted(&"*,".repeat(32_768), &available, 0), Some(0));
    }
}
