//! Domain names as people write them: U-labels (RFC 5890 §2.3.2.1), where they are safe to show.
//!
//! A name is shown in Unicode only if nobody can take it for another by its looks. The rule is
//! narrower than that of browsers (UTS #39 §5.2): what it does not know stays an A-label.

/// The domain in Unicode; `None` if it is ASCII anyway, or not one that UTS #46 can decode and encode
/// to the same again.
pub(super) fn decoded(domain: &str) -> Option<String> {
    if !domain.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let (unicode, valid) = idna::domain_to_unicode(domain);
    let is_same = idna::domain_to_ascii_strict(&unicode).is_ok_and(|ascii| ascii == domain);
    (valid.is_ok() && is_same).then_some(unicode)
}

/// The same, if every label of it is safe to show.
pub(super) fn shown(domain: &str) -> Option<String> {
    let unicode = decoded(domain)?;
    let top = unicode.rsplit('.').next().unwrap_or_default();
    unicode.split('.').all(|label| label.is_ascii() || is_safe(label, top)).then_some(unicode)
}

/// What a label is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Digits and the hyphen, which go with every script.
    Common,
    /// ASCII, and letters of European languages that are not mistaken for others.
    Latin,
    Greek,
    Cyrillic,
    /// Chinese characters, kana and Hangul, which are written together.
    EastAsian,
    Other,
}

fn script_of(c: char) -> Script {
    match c {
        '0'..='9' | '-' => Script::Common,
        'a'..='z' => Script::Latin,
        // without thorn, which looks like p
        '\u{df}'..='\u{f6}' | '\u{f8}'..='\u{fd}' | '\u{ff}' => Script::Latin,
        // without ħ, dotless ı, the ligature ĳ, ĸ, ŀ, ŉ, ŋ, ŧ and the long ſ
        '\u{127}' | '\u{131}' | '\u{133}' | '\u{138}' | '\u{140}' | '\u{149}' | '\u{14b}'
        | '\u{167}' | '\u{17f}' => Script::Other,
        '\u{100}'..='\u{17e}' | '\u{219}' | '\u{21b}' => Script::Latin,
        '\u{390}' | '\u{3ac}'..='\u{3ce}' => Script::Greek,
        '\u{430}'..='\u{45f}' | '\u{491}' => Script::Cyrillic,
        '\u{3005}' | '\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}' | '\u{309e}' => {
            Script::EastAsian
        }
        '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}' => Script::EastAsian,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
            Script::EastAsian
        }
        _ => Script::Other,
    }
}

/// One script, but for digits and the hyphen. All letters of a Greek or Cyrillic word may look like
/// Latin ones, so those are shown only below a top-level domain of their own script.
fn is_safe(label: &str, top: &str) -> bool {
    let mut scripts = label.chars().map(script_of).filter(|script| *script != Script::Common);
    let Some(first) = scripts.next() else { return false };
    if first == Script::Other || scripts.any(|script| script != first) {
        return false;
    }
    match first {
        Script::Latin | Script::EastAsian => true,
        Script::Greek | Script::Cyrillic => top.chars().all(|c| script_of(c) == first),
        Script::Common | Script::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_safe_names_are_shown_as_people_write_them() {
        for name in [
            "bücher.example",
            "straße.example",
            "żółć.example",
            "čeština.example",
            "łódź.bücher.example",
            "bücher-2026.example",
            "例え.example",
            "ドメイン名例.jp",
            "한국.example",
            "пример.рф",
            "ελλάδα.ελ",
        ] {
            let ascii = idna::domain_to_ascii_strict(name).unwrap();
            assert!(ascii.is_ascii() && ascii != name, "{name}");
            assert_eq!(shown(&ascii).as_deref(), Some(name), "{ascii}");
        }
    }

    #[test]
    fn f15_names_that_may_be_mistaken_stay_a_labels() {
        for name in [
            "аррӏе.example",  // Cyrillic letters alone, below a Latin top-level domain
            "пример.example", // the same, although it is honest
            "αθήνα.example",  // Greek
            "раypal.example", // Cyrillic and Latin
            "gıthub.example", // dotless i
            "þaypal.example", // thorn
            "paypaŀ.example",
            "例a.example", // East Asian and Latin
            "אתר.example", // right to left
            "موقع.example",
            "ไทย.example",
            "☃.example",
            "ɑpple.example",
            "bücher.пример.example", // one label that is not safe is enough
        ] {
            let Ok(ascii) = idna::domain_to_ascii_strict(name) else { continue };
            assert_eq!(shown(&ascii), None, "{name}: {ascii}");
        }
        for ascii in ["example.org", "xn--example-.org", "xn--a.example", "xn--bcher-kva8.example"]
        {
            assert_eq!(shown(ascii), None, "{ascii}");
        }
        assert_eq!(decoded("xn--80ak6aa92e.example").as_deref(), Some("аррӏе.example"));
    }
}
