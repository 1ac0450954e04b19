//! Email addresses in one canonical form. Two spellings belong to one account exactly if they are
//! one mailbox.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::unicode_domain;

/// Longest address that SMTP can carry in a path, in bytes (RFC 5321 §4.5.3.1.3, erratum 1690).
const MAX_ADDRESS: usize = 254;
/// Longest local part, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// Mailbox in folded form: ASCII lower case, the domain as A-labels (RFC 5890 §2.3.2.1).
///
/// Letters go to this form, and accounts are found by it. So no look-alike can be distinct in one
/// place and equal in another (CVE-2019-19844).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EmailAddress(String);

/// Reason why a text is no address that can receive mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EmailError {
    /// The text does not have one `@` between two parts.
    #[error("an address has one @, with something on each side of it")]
    Shape,
    /// The address or its local part is too long for SMTP.
    #[error("an address has at most 254 characters, at most 64 of them before the @")]
    TooLong,
    /// The local part is no dot-atom of ASCII characters.
    #[error("before the @, an address has letters a to z, digits, dots and !#$%&'*+-/=?^_`{{|}}~")]
    LocalPart,
    /// The domain is no domain name.
    #[error("after the @, an address has a domain name such as example.org")]
    Domain,
    /// The address contains a blank or an invisible character.
    #[error(
        "there is a blank or an invisible character inside this address, perhaps from copying: \
         type it instead"
    )]
    InvisibleCharacter,
}

impl EmailError {
    /// Stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Shape => "malformed",
            Self::TooLong => "too-long",
            Self::LocalPart => "local-part",
            Self::Domain => "domain",
            Self::InvisibleCharacter => "invisible-character",
        }
    }
}

impl EmailAddress {
    /// The folded address, `local@domain`, ASCII only.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain, as A-labels.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address in its owner's spelling: the domain in Unicode where that is safe to show. For
    /// people only; programs and mail servers get [`Self::as_str`].
    pub fn to_unicode(&self) -> String {
        self.with_domain(unicode_domain::shown)
    }

    /// Whether the address contains `part`, in either spelling of its domain, in any case.
    pub fn holds(&self, part: &str) -> bool {
        let part: String = trim_pasted(part).to_lowercase().nfc().collect();
        self.0.contains(&part) || self.with_domain(unicode_domain::decoded).contains(&part)
    }

    fn with_domain(&self, decode: fn(&str) -> Option<String>) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        decode(domain).map_or_else(|| self.0.clone(), |domain| format!("{local}@{domain}"))
    }

    /// Masked address, such as `a…@example.org`. The owner can recognise the address; other readers
    /// cannot write to it.
    pub fn masked(&self) -> String {
        let shown = self.to_unicode();
        let (local, domain) = shown.split_once('@').unwrap_or((&shown, ""));
        format!("{}…@{domain}", &local[..local.len().min(1)])
    }

    /// Parses and folds a typed address:
    ///
    /// - [`trim_pasted`] removes leftovers of copying around it;
    /// - ASCII letters become lower case;
    /// - a domain in Unicode becomes A-labels (UTS #46).
    ///
    /// Comments, quoted local parts and address literals (RFC 5322 §3.4.1) are refused. So are
    /// characters beyond ASCII before the `@`: they need SMTPUTF8 (RFC 6531) all along the way.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = parts(text, 2)?;
        Ok(Self(format!("{}@{domain}", local.to_ascii_lowercase())))
    }
}

/// Sender address of letters. The domain is folded as in an [`EmailAddress`]; the local part stays
/// as written. A bare host such as `localhost` is allowed as a domain, for development.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SenderAddress {
    /// Local part, as written.
    pub local: String,
    /// Domain, as A-labels.
    pub domain: String,
}

impl SenderAddress {
    /// Parses an address, and refuses the same forms as [`EmailAddress::parse`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = parts(text, 1)?;
        Ok(Self { local: local.to_owned(), domain })
    }
}

/// The local part as written, and the folded domain, which has at least `least_labels` labels.
fn parts(text: &str, least_labels: usize) -> Result<(&str, String), EmailError> {
    let (local, domain) = trim_pasted(text).split_once('@').ok_or(EmailError::Shape)?;
    if local.is_empty() || domain.is_empty() || domain.contains('@') {
        return Err(EmailError::Shape);
    }
    // report an error in the visible characters first: people can correct it
    let (seen_local, seen_domain) = (seen(local), seen(domain));
    if !is_dot_atom(&seen_local) {
        return Err(EmailError::LocalPart);
    }
    // joiners have a place in some scripts (RFC 5892 appendix A), which folding knows
    let domain = match fold_domain(domain, least_labels) {
        Ok(folded) if domain.chars().all(|c| is_joiner(c) || !is_unseen(c)) => folded,
        _ if seen_domain != domain => {
            fold_domain(&seen_domain, least_labels)?;
            return Err(EmailError::InvisibleCharacter);
        }
        _ => return Err(EmailError::Domain),
    };
    if seen_local != local {
        return Err(EmailError::InvisibleCharacter);
    }
    if local.len() > MAX_LOCAL || local.len() + 1 + domain.len() > MAX_ADDRESS {
        return Err(EmailError::TooLong);
    }
    Ok((local, domain))
}

/// Removes leftovers of copying from both ends of a text: blanks and line ends of all kinds, marks
/// that set the direction of writing, and characters without width.
pub fn trim_pasted(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_without_width(c))
}

/// The text without its invisible characters.
fn seen(text: &str) -> String {
    text.chars().filter(|c| !is_unseen(*c)).collect()
}

fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_without_width(c)
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Characters without width: Default_Ignorable_Code_Point of Unicode, without the Hangul fillers,
/// which have width; and interlinear annotation.
const fn is_without_width(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Dot-atom (RFC 5322 §3.2.3), without folding white space.
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    })
}

/// The domain as A-labels, of which there are at least `least`.
fn fold_domain(domain: &str, least: usize) -> Result<String, EmailError> {
    // UTS #46 would map the Kelvin sign to k and full-width letters to plain ones. People do not
    // type such characters in their own address, so they are refused: they must not match the
    // address of another person.
    if domain.chars().any(|c| !std::iter::once(c).nfkc().eq([c])) {
        return Err(EmailError::Domain);
    }
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::Domain)?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let top_is_numeric = labels.last().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit()));
    if labels.len() < least || !labels.iter().all(is_label) || top_is_numeric {
        return Err(EmailError::Domain);
    }
    Ok(ascii)
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Result<String, EmailError> {
        EmailAddress::parse(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn r36_case_space_and_domain_spelling_fold_to_one_address() {
        for spelling in ["Ada@Example.ORG", " ada@example.org\t", "ADA@EXAMPLE.org"] {
            assert_eq!(folded(spelling).unwrap(), "ada@example.org");
        }
        assert_eq!(folded("ada@bücher.example").unwrap(), "ada@xn--bcher-kva.example");
        assert_eq!(folded("ada@xn--bcher-kva.example").unwrap(), "ada@xn--bcher-kva.example");
        // typed on a system that decomposes
        assert_eq!(folded("ada@bu\u{308}cher.example").unwrap(), "ada@xn--bcher-kva.example");
    }

    #[test]
    fn masked_address_shows_the_first_letter_and_the_domain() {
        let masked = |text: &str| EmailAddress::parse(text).unwrap().masked();
        assert_eq!(masked("ada.lovelace@example.org"), "a…@example.org");
        assert_eq!(masked("a@example.org"), "a…@example.org");
    }

    #[test]
    fn f5_sender_domain_is_folded_as_for_recipients() {
        let sender =
            |text: &str| SenderAddress::parse(text).map(|it| format!("{}@{}", it.local, it.domain));
        assert_eq!(sender("konto@bücher.example").unwrap(), "konto@xn--bcher-kva.example");
        assert_eq!(sender("No-Reply@Example.ORG").unwrap(), "No-Reply@example.org");
        assert_eq!(sender("no-reply@localhost").unwrap(), "no-reply@localhost");
        for wrong in [
            "nonsense",
            "@example.org",
            "a@",
            "kontó@example.org",
            "a@b@example.org",
            "a@127.0.0.1",
            "a@\u{ff45}xample.org",
            "a b@example.org",
            "a@example.org\r\nBcc: eve@example.org",
        ] {
            assert!(sender(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn f15_address_is_shown_in_unicode_and_found_by_either_spelling() {
        let address = EmailAddress::parse("Ada@Bücher.example").unwrap();
        assert_eq!(address.as_str(), "ada@xn--bcher-kva.example");
        assert_eq!(address.to_string(), "ada@xn--bcher-kva.example");
        assert_eq!(address.to_unicode(), "ada@bücher.example");
        assert_eq!(address.masked(), "a…@bücher.example");
        for part in [
            "",
            "ada",
            "bücher",
            "BÜCHER",
            "bu\u{308}cher",
            "ücher.exa",
            "da@bü",
            "xn--bcher",
            "kva",
            " bücher\u{a0}",
            "ADA@xn--bcher-kva.example",
            "cher.example",
        ] {
            assert!(address.holds(part), "{part}");
        }
        for part in ["bucher", "buecher", "bob", "@example", "%", "_"] {
            assert!(!address.holds(part), "{part}");
        }
        let look_alike = EmailAddress::parse("ada@аррӏе.example").unwrap();
        assert_eq!(look_alike.to_unicode(), look_alike.as_str());
        assert!(look_alike.holds("аррӏе"));
    }

    #[test]
    fn r36_plus_tags_are_distinct() {
        assert_ne!(folded("ada+a@example.org"), folded("ada+b@example.org"));
        assert_ne!(folded("ada+a@example.org"), folded("ada@example.org"));
    }

    #[test]
    fn r36_look_alikes_never_fold_to_another_address() {
        // Kelvin sign, dotless i, full-width letters, before and after the @
        assert_eq!(folded("mi\u{212a}e@example.org"), Err(EmailError::LocalPart));
        assert_eq!(folded("m\u{131}ke@example.org"), Err(EmailError::LocalPart));
        assert_eq!(folded("\u{ff4d}ike@example.org"), Err(EmailError::LocalPart));
        assert_eq!(folded("mike@example.\u{212a}om"), Err(EmailError::Domain));
        assert_eq!(folded("mike@\u{ff45}xample.org"), Err(EmailError::Domain));
        assert_ne!(folded("mike@g\u{131}thub.com"), folded("mike@github.com"));
    }

    #[test]
    fn r36_possible_second_recipients_are_refused() {
        for text in [
            "a@b@c.example",
            "a",
            "@example.org",
            "a@",
            "a@example.org,b@example.org",
            "a@example.org\r\nBcc: b@example.org",
            "a\n@example.org",
            "<a@example.org>",
            "a b@example.org",
            "\"a b\"@example.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@localhost",
            ".a@example.org",
            "a.@example.org",
            "a..b@example.org",
            "a@-example.org",
            "a@example..org",
            "a@example.org.",
            "a@exa_mple.org",
            "a\0@example.org",
            "a@exam\0ple.org",
            "a@exam ple.org",
            "Ada <a@example.org>",
            "a@example.org;b@example.org",
            "a@example.org#",
            "a@example.org/x",
        ] {
            assert!(folded(text).is_err(), "{text:?} was accepted");
        }
    }

    /// Characters that copying leaves around a text.
    const PASTED: [&str; 22] = [
        " ",
        "\t",
        "\r\n",
        "\n",
        "\u{a0}",
        "\u{2007}",
        "\u{202f}",
        "\u{3000}",
        "\u{2028}",
        "\u{ad}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{200f}",
        "\u{202a}",
        "\u{202e}",
        "\u{2060}",
        "\u{2066}",
        "\u{2069}",
        "\u{feff}",
        "\u{202a}\u{a0} \u{200b}\r\n",
    ];

    #[test]
    fn r36_f16_leftovers_of_copying_around_an_address_are_trimmed() {
        for pasted in PASTED {
            for text in [
                format!("{pasted}Ada@example.org"),
                format!("Ada@example.org{pasted}"),
                format!("{pasted}Ada@example.org{pasted}"),
            ] {
                assert_eq!(folded(&text).as_deref(), Ok("ada@example.org"), "{text:?}");
            }
            assert_eq!(folded(pasted), Err(EmailError::Shape), "{pasted:?}");
            assert_eq!(folded(&format!("{pasted}@example.org")), Err(EmailError::Shape));
        }
    }

    #[test]
    fn r36_f16_invisible_characters_inside_have_their_own_error() {
        for pasted in PASTED.into_iter().chain(["\u{7}", "\u{fe0f}", "\u{e0061}"]) {
            for text in [
                format!("a{pasted}da@example.org"),
                format!("ada{pasted}@example.org"),
                format!("ada@{pasted}example.org"),
                format!("ada@exa{pasted}mple.org"),
                format!("ada@example.{pasted}org"),
            ] {
                assert_eq!(folded(&text), Err(EmailError::InvisibleCharacter), "{text:?}");
            }
            // an error in the visible characters comes first
            let text = format!("a{pasted}(da@example.org");
            assert_eq!(folded(&text), Err(EmailError::LocalPart), "{text:?}");
            let text = format!("ada@exa{pasted}mple..org");
            assert_eq!(folded(&text), Err(EmailError::Domain), "{text:?}");
        }
        assert_eq!(EmailError::InvisibleCharacter.code(), "invisible-character");
        // a joiner in its place (RFC 5892 appendix A) is part of the name
        let persian = "ada@\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}.example";
        assert!(folded(persian).is_ok());
    }

    #[test]
    fn r36_lengths_are_bounded() {
        let domain = format!("{0}.{0}.{0}.example", "d".repeat(60));
        assert_eq!(domain.len() + 1 + 63, 254);
        assert!(folded(&format!("{}@{domain}", "l".repeat(63))).is_ok());
        assert_eq!(folded(&format!("{}@{domain}", "l".repeat(64))), Err(EmailError::TooLong));
        assert_eq!(folded(&format!("{}@a.example", "l".repeat(65))), Err(EmailError::TooLong));
    }
}
