//! Passwords: typed ones at sign-in, and new ones that have passed the policy.

mod blocklist;
mod strength;

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use self::blocklist::fold;
use self::strength::{FoldedText, REMAINDER_LIMIT, Weakness, weakness};
use crate::model::{Account, EmailAddress, Name};

pub use self::blocklist::blocklist_table;

/// Longest password that is accepted, in code points. NIST SP 800-63B-4 §3.1.1.2 requires at least
/// 64.
const MAX_LENGTH: usize = 512;

/// Typed password in Unicode normalization form C, so that two keyboards that compose letters
/// differently type the same password (R21). Never printed; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Normalizes the typed text. Nothing is trimmed, folded or cut off.
    pub fn new(typed: &str) -> Self {
        Self(Zeroizing::new(typed.nfc().collect()))
    }

    /// The bytes that are hashed: UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Length in code points (NIST SP 800-63B-4 §3.1.1.2).
    fn length(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Password that may be set: it has passed a [`PasswordPolicy`].
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// The password that passed.
    pub fn password(&self) -> &Password {
        &self.0
    }
}

/// Personal data of the password's owner, as far as it is known. Guessers try names and addresses
/// first.
#[derive(Clone, Copy, Default, Debug)]
pub struct PersonalData<'a> {
    /// The owner's address.
    pub email: Option<&'a EmailAddress>,
    /// The owner's name.
    pub name: Option<&'a Name>,
}

impl<'a> PersonalData<'a> {
    /// The address and the name of an account.
    pub const fn of(account: &'a Account) -> Self {
        Self { email: Some(&account.email), name: account.name.as_ref() }
    }
}

/// Rules for new passwords, which need only the input and no look-up.
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    min_length: usize,
    service: String,
}

/// Reason why a password may not be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordError {
    /// The password has fewer code points than the policy requires.
    #[error("a password has at least {min_length} characters")]
    TooShort { min_length: usize },
    /// The password has more code points than the service accepts.
    #[error("a password has at most {MAX_LENGTH} characters")]
    TooLong,
    /// The password contains NUL.
    #[error("a password cannot hold the NUL character")]
    Nul,
    /// The password is the owner's address, or little more.
    #[error("this password is your address, or little more: it would be the first guess")]
    Address,
    /// The password is the owner's name, or little more.
    #[error("this password is your name, or little more: it would be the first guess")]
    Name,
    /// The password is the service's name, or little more.
    #[error(
        "this password is the name of this service, or little more: it would be the first guess"
    )]
    Service,
    /// The password is on the blocklist, or is an entry and little more.
    #[error(
        "this password is one that many people have, or little more than one: it would be guessed \
         soon"
    )]
    Common,
    /// The password consists of keyboard rows and repetitions.
    #[error(
        "this password is a row of keys, or something short repeated: it would be guessed soon"
    )]
    Pattern,
}

impl PasswordError {
    /// Limit in characters, for texts that tell it.
    pub const MAX_LENGTH: usize = MAX_LENGTH;

    /// Stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too-short",
            Self::TooLong => "too-long",
            Self::Nul => "nul",
            Self::Address => "contains-address",
            Self::Name => "contains-name",
            Self::Service => "contains-service-name",
            Self::Common => "common",
            Self::Pattern => "pattern",
        }
    }

    /// Advice for a better password, where the policy asks for one (NIST SP 800-63B-4 §3.1.1.2).
    /// The advice contains no example: an example password would soon be on the blocklist.
    pub const fn suggestion(self) -> Option<&'static str> {
        match self {
            Self::TooLong | Self::Nul => None,
            Self::TooShort { .. }
            | Self::Address
            | Self::Name
            | Self::Service
            | Self::Common
            | Self::Pattern => Some(
                "Take four or more words that have nothing to do with each other or with you, or \
                 let a password manager make one.",
            ),
        }
    }
}

impl PasswordPolicy {
    /// `min_length` is in code points; `service` is the name that people know the service by.
    pub fn new(min_length: usize, service: impl Into<String>) -> Self {
        Self { min_length, service: service.into() }
    }

    /// Shortest password, in code points.
    pub const fn min_length(&self) -> usize {
        self.min_length
    }

    /// Checks a typed password as the new password of `owner`. There are no composition rules (NIST
    /// SP 800-63B-4 §3.1.1.2).
    pub fn judge(
        &self,
        typed: &str,
        owner: PersonalData<'_>,
    ) -> Result<NewPassword, PasswordError> {
        let password = Password::new(typed);
        if password.length() < self.min_length {
            return Err(PasswordError::TooShort { min_length: self.min_length });
        }
        if password.length() > MAX_LENGTH {
            return Err(PasswordError::TooLong);
        }
        if typed.contains('\0') {
            return Err(PasswordError::Nul);
        }
        let text = FoldedText::new(&password.0);
        let address = owner.email.map(words_of_address).unwrap_or_default();
        let name = owner.name.map(|name| words_of(name.as_str())).unwrap_or_default();
        let service = words_of(&self.service);
        for (words, error) in [
            (&address, PasswordError::Address),
            (&name, PasswordError::Name),
            (&service, PasswordError::Service),
        ] {
            if is_little_more_than(text.folded(), words) {
                return Err(error);
            }
        }
        match weakness(&text, &[address, name, service].concat()) {
            None => Ok(NewPassword(password)),
            Some(Weakness::Listed) => Err(PasswordError::Common),
            Some(Weakness::Pattern) => Err(PasswordError::Pattern),
        }
    }
}

/// A text and its words, folded, longest first, without words of one or two letters, which occur
/// everywhere.
fn words_of(text: &str) -> Vec<Vec<char>> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    let all = std::iter::once(text).chain(parts).map(|word| word.chars().map(fold).collect());
    let mut words: Vec<Vec<char>> = all.filter(|word: &Vec<char>| word.len() >= 3).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    words
}

/// The address, its local part, and the words on both sides of the `@`, without the top-level
/// domain, which most addresses share.
fn words_of_address(email: &EmailAddress) -> Vec<Vec<char>> {
    let whole = email.as_str();
    let (local, domain) = whole.split_once('@').unwrap_or((whole, ""));
    let (domain, _) = domain.rsplit_once('.').unwrap_or((domain, ""));
    let parts = [words_of(local), words_of(domain)].concat();
    std::iter::once(whole.chars().map(fold).collect()).chain(parts).collect()
}

/// Whether a few characters are left when all `words` are removed, and fewer than were removed.
fn is_little_more_than(password: &[char], words: &[Vec<char>]) -> bool {
    let mut left = Zeroizing::new(password.to_vec());
    for word in words {
        while let Some(at) = left.windows(word.len()).position(|part| part == word) {
            left.drain(at..at + word.len());
        }
    }
    left.len() < REMAINDER_LIMIT && left.len() < password.len() - left.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_at(min_length: usize, typed: &str) -> Result<NewPassword, PasswordError> {
        let email = EmailAddress::parse("ada.lovelace@engine.example.org").unwrap();
        let name = Name::parse("Augusta Ada King").unwrap();
        let owner = PersonalData { email: Some(&email), name: name.as_ref() };
        PasswordPolicy::new(min_length, "Vestibule").judge(typed, owner)
    }

    fn judge(typed: &str) -> Result<NewPassword, PasswordError> {
        judge_at(15, typed)
    }

    #[test]
    fn r21_composed_and_decomposed_spellings_are_one_password() {
        assert_eq!(Password::new("caf\u{e9}").as_bytes(), Password::new("cafe\u{301}").as_bytes());
        assert_ne!(Password::new("caf\u{e9}").as_bytes(), Password::new("cafe").as_bytes());
    }

    #[test]
    fn r39_length_counts_code_points_without_composition_rules() {
        assert!(judge("correct horse battery").is_ok(), "no composition rules");
        assert!(judge(&"\u{1f40e}".repeat(15)).is_ok(), "emoji count as one each");
        let short = PasswordError::TooShort { min_length: 15 };
        assert_eq!(judge("fourteen chars").unwrap_err(), short);
        assert_eq!(judge(&"\u{1f40e}".repeat(14)).unwrap_err().code(), "too-short");
        assert!(judge_at(8, "fourteen chars").is_ok());
        let long = "no two of these words have to do with each other ".repeat(11);
        assert!(judge(&long[..512]).is_ok());
        assert_eq!(judge(&long[..513]).unwrap_err(), PasswordError::TooLong);
        // decomposed letters are counted as they are hashed: composed
        assert!(judge(&"e\u{301}".repeat(14)).is_err());
        assert!(judge(&"e\u{301}".repeat(15)).is_ok());
        assert!(judge(&"e\u{301}".repeat(512)).is_ok());
    }

    #[test]
    fn r39_password_is_neither_trimmed_nor_truncated() {
        let password = judge("  spaces around it  ").unwrap();
        assert_eq!(password.password().as_bytes(), b"  spaces around it  ");
        let long = "all of it counts, ".repeat(28);
        assert_eq!(judge(&long).unwrap().password().as_bytes(), long.as_bytes());
    }

    #[test]
    fn r40_names_of_the_owner_and_the_service_are_refused() {
        for (typed, expected) in [
            ("ADA.Lovelace@engine.example.org1", PasswordError::Address),
            ("ada.lovelace1234", PasswordError::Address),
            ("4d4.L0v3l4c3!!!!", PasswordError::Address),
            ("LovelaceAda2026", PasswordError::Address),
            ("lovelace@engine1", PasswordError::Address),
            ("augusta-ada-king", PasswordError::Name),
            ("King Augusta 1815", PasswordError::Name),
            ("vestibuleVestibule1", PasswordError::Service),
            ("V3st1bule-123456", PasswordError::Service),
            // beside an entry of the list
            ("lovelacepassword1", PasswordError::Common),
            ("sunshine@vestibule", PasswordError::Common),
        ] {
            assert_eq!(judge(typed).unwrap_err(), expected, "{typed}");
        }
        for typed in
            ["a vestibule is a small hall", "the engine of ada lovelace", "kingfishers dive"]
        {
            assert!(judge(typed).is_ok(), "{typed}");
        }
        // more is left than was taken out
        assert!(judge_at(8, "ada7#kq9w").is_ok());
        let nobody =
            PasswordPolicy::new(15, "Vestibule").judge("augusta-ada-king", PersonalData::default());
        assert!(nobody.is_ok(), "the name of another person is allowed");
    }

    #[test]
    fn r40_s19_every_check_applies_up_to_the_maximum_length() {
        for (typed, expected) in [
            ("a".repeat(64), PasswordError::Pattern),
            ("a".repeat(65), PasswordError::Pattern),
            ("a".repeat(512), PasswordError::Pattern),
            ("xq".repeat(256), PasswordError::Pattern),
            ("qwerty123 ".repeat(51), PasswordError::Common),
            ("password".repeat(64), PasswordError::Common),
            ("ada.lovelace".repeat(42), PasswordError::Address),
            ("ada.lovelace@engine.example.org".repeat(16), PasswordError::Address),
            ("Augusta King ".repeat(39), PasswordError::Pattern),
            ("vestibule".repeat(56), PasswordError::Service),
        ] {
            assert_eq!(judge(&typed).unwrap_err(), expected, "{typed}");
        }
    }

    #[test]
    fn r40_refused_guessable_password_comes_with_advice() {
        for typed in ["password", "ada.lovelace1234", "passwordpassword", "zzzzzzzzzzzzzzzz"] {
            let advice = judge(typed).unwrap_err().suggestion().unwrap();
            assert!(advice.contains("four or more words"), "{typed}: {advice}");
        }
        assert_eq!(PasswordError::Nul.suggestion(), None);
    }

    #[test]
    fn r55_password_is_not_printed() {
        assert_eq!(
            format!("{:?}", judge("correct horse battery").unwrap()),
            "NewPassword(Password(redacted))"
        );
    }
}
