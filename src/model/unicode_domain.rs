//! Domain names in Unicode (U-labels, RFC 5890 §2.3.2.1), where they are safe to show.
//!
//! A name is shown in Unicode only if its letters cannot be mistaken for letters of another script.
//! This rule is narrower than the rule of browsers (UTS #39 §5.2); other names stay A-labels. Names
//! of one script that resemble each other (ö and ő, 0 and o, 未 and 末) are shown.

/// Decodes the domain to Unicode. `None` if the domain is ASCII, or if UTS #46 does not encode the
/// result to the same domain again.
pub(super) fn decoded(domain: &str) -> Option<String> {
    if !domain.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let (unicode, valid) = idna::domain_to_unicode(domain);
    let is_same = idna::domain_to_ascii_strict(&unicode).is_ok_and(|ascii| ascii == domain);
    (valid.is_ok() && is_same).then_some(unicode)
}

/// Decodes the domain to Unicode, if each of its labels is safe to show.
pub(super) fn shown(domain: &str) -> Option<String> {
    let unicode = decoded(domain)?;
    let top = unicode.rsplit('.').next().unwrap_or_default();
    unicode.split('.').all(|label| label.is_ascii() || is_safe(label, top)).then_some(unicode)
}

/// Script of a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Digits and the hyphen, which fit every script.
    Common,
    /// ASCII letters, and letters of European languages that resemble no other letters.
    Latin,
    Greek,
    Cyrillic,
    Hiragana,
    Katakana,
    Han,
    Hangul,
    Other,
}

impl Script {
    /// Chinese characters and kana, which Japanese mixes.
    fn is_japanese(self) -> bool {
        matches!(self, Self::Hiragana | Self::Katakana | Self::Han)
    }
}

fn script_of(c: char) -> Script {
    match c {
        '0'..='9' | '-' => Script::Common,
        'a'..='z' => Script::Latin,
        // without thorn, which looks like p
        '\u{df}'..='\u{f6}' | '\u{f8}'..='\u{fd}' | '\u{ff}' => Script::Latin,
        // without ĕ (like ě), ħ, dotless ı, the ligature ĳ, ĸ, ŀ, ŉ, ŋ, ŧ and the long ſ
        '\u{115}' | '\u{127}' | '\u{131}' | '\u{133}' | '\u{138}' | '\u{140}' | '\u{149}'
        | '\u{14b}' | '\u{167}' | '\u{17f}' => Script::Other,
        // s and t with a cedilla look like those with a comma, which Romanian has
        '\u{15f}' | '\u{163}' => Script::Other,
        '\u{100}'..='\u{17e}' | '\u{219}' | '\u{21b}' => Script::Latin,
        '\u{390}' | '\u{3ac}'..='\u{3ce}' => Script::Greek,
        '\u{430}'..='\u{45f}' | '\u{491}' => Script::Cyrillic,
        '\u{3041}'..='\u{3096}' | '\u{309d}' | '\u{309e}' => Script::Hiragana,
        '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}' => Script::Katakana,
        // strokes, and rare characters like kana
        '丨' | '丶' | '丿' | '乀' | '乁' | '乄' | '亅' | '亻' | '匕' | '厶' => {
            Script::Other
        }
        '\u{3005}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Script::Han,
        '\u{ac00}'..='\u{d7a3}' => Script::Hangul,
        _ => Script::Other,
    }
}

/// Greek and Cyrillic letters that resemble no Latin letter and no digit, in any usual typeface.
const UNLIKE_LATIN: &str = "δζθλξφψ джийлфэяљњ";

/// Kana and Chinese characters that resemble one another, a slash or a dash.
const ALIKE_IN_JAPANESE: &str =
    "へヘべベぺペりリ ニ二ハ八ロ口カ力エ工タ夕ト卜チ千ミ三セ七オ才ヌ又ー一ノ";

/// Whether a label is safe to show: one script besides digits and the hyphen, and no likeness to a
/// word of another script. Greek and Cyrillic labels are shown only below a top-level domain of
/// their own script.
fn is_safe(label: &str, top: &str) -> bool {
    let scripts: Vec<_> =
        label.chars().map(script_of).filter(|script| *script != Script::Common).collect();
    let is_all = |script| scripts.iter().all(|other| *other == script);
    match scripts.first() {
        Some(script @ (Script::Latin | Script::Hangul)) => is_all(*script),
        Some(script @ (Script::Greek | Script::Cyrillic)) => {
            is_all(*script)
                && label.contains(|c| UNLIKE_LATIN.contains(c))
                && top.chars().all(|c| script_of(c) == *script)
        }
        Some(script) if scripts.iter().all(|script| script.is_japanese()) => {
            let is_alike = |c| ALIKE_IN_JAPANESE.contains(c);
            if is_all(*script) { !label.chars().all(is_alike) } else { !label.contains(is_alike) }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_safe_names_are_shown_in_unicode() {
        for name in [
            "bücher.example",
            "straße.example",
            "żółć.example",
            "čeština.example",
            "łódź.bücher.example",
            "bücher-2026.example",
            "例え.example",
            "ドメイン名例.jp",
            "ニホン.example",
            "日本.example",
            "お名前.example",
            "한국.example",
            "пример.рф",
            "bacău-timiș-bistriț.example",
            "ελλάδα.ελ",
        ] {
            let ascii = idna::domain_to_ascii_strict(name).unwrap();
            assert!(ascii.is_ascii() && ascii != name, "{name}");
            assert_eq!(shown(&ascii).as_deref(), Some(name), "{ascii}");
        }
    }

    #[test]
    fn f15_confusable_names_stay_a_labels() {
        for name in [
            "аррӏе.example",  // Cyrillic letters alone, below a Latin top-level domain
            "пример.example", // the same, although it is honest
            "αθήνα.example",  // Greek
            "раypal.example", // Cyrillic and Latin
            "gıthub.example", // dotless i
            "þaypal.example", // thorn
            "paypaŀ.example",
            "арр.сом", // like Latin letters, below a top-level domain that is like one, too
            "асе.со",
            "асе.рф",
            "пример.сом", // the top-level domain alone
            "ανα.ελ",
            "moţ.example", // cedilla for comma
            "moş.example",
            "praha-mĕsto.example", // breve for caron
            "例a.example",         // East Asian and Latin
            "二ホン.example",      // the Chinese character for two as the first kana
            "ニ本.example",
            "ハ口.example",
            "ニハ.example", // kana that may all be Chinese characters
            "二八.example",
            "へルプ.example", // one kana of the other kind
            "日本ノ.example", // like a slash
            "한국二.example",
            "אתר.example", // right to left
            "موقع.example",
            "ไทย.example",
            "☃.example",
            "ɑpple.example",
            "bücher.пример.example", // one label that is not safe is enough
        ] {
            let ascii = idna::domain_to_ascii_strict(name).expect(name);
            assert!(ascii.contains("xn--"), "{name}: {ascii}");
            assert_eq!(shown(&ascii), None, "{name}: {ascii}");
        }
        for ascii in ["example.org", "xn--example-.org", "xn--a.example", "xn--bcher-kva8.example"]
        {
            assert_eq!(shown(ascii), None, "{ascii}");
        }
        assert_eq!(decoded("xn--80ak6aa92e.example").as_deref(), Some("аррӏе.example"));
    }
}
