//! Passwords: any at sign-in, judged ones where one is set.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::model::EmailAddress;

/// The longest password taken, in code points; NIST SP 800-63B-4 §3.1.1.2 asks for 64 at least.
const MAX_LENGTH: usize = 512;

/// A password as somebody typed it, in Unicode normalization form C, so that two keyboards that
/// compose letters differently type the same one (R21). Never printed; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Normalizes what was typed. Nothing is trimmed, folded or cut off.
    pub fn new(typed: &str) -> Self {
        Self(Zeroizing::new(typed.nfc().collect()))
    }

    /// The bytes that are hashed: UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Counted in code points (NIST SP 800-63B-4 §3.1.1.2).
    fn length(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// A password that somebody may set: it has passed a [`PasswordPolicy`].
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    pub fn password(&self) -> &Password {
        &self.0
    }
}

/// What a new password is judged by: the input alone, before anything is looked up.
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    min_length: usize,
    service: String,
}

/// Why a password may not be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {min_length} characters; a few words in a row do well")]
    TooShort { min_length: usize },
    #[error("a password has at most {MAX_LENGTH} characters")]
    TooLong,
    #[error("a password cannot hold the NUL character")]
    Nul,
    #[error("this password is your address, or little more: it would be the first guess")]
    Address,
    #[error(
        "this password is the name of this service, or little more: it would be the first guess"
    )]
    Service,
}

impl PasswordError {
    /// In characters; for whoever puts it into words.
    pub const MAX_LENGTH: usize = MAX_LENGTH;

    /// A stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too-short",
            Self::TooLong => "too-long",
            Self::Nul => "nul",
            Self::Address => "contains-address",
            Self::Service => "contains-service-name",
        }
    }
}

impl PasswordPolicy {
    /// `min_length` in code points; `service` is the name that people know the service by.
    pub fn new(min_length: usize, service: impl Into<String>) -> Self {
        Self { min_length, service: service.into() }
    }

    /// In code points.
    pub const fn min_length(&self) -> usize {
        self.min_length
    }

    /// Judges what was typed as the new password of `owner` (if that address is known at all).
    /// There are no composition rules (NIST SP 800-63B-4 §3.1.1.2).
    pub fn judge(
        &self,
        typed: &str,
        owner: Option<&EmailAddress>,
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
        if owner.is_some_and(|owner| is_little_more_than(&password, owner.as_str())) {
            return Err(PasswordError::Address);
        }
        if is_little_more_than(&password, &self.service) {
            return Err(PasswordError::Service);
        }
        Ok(NewPassword(password))
    }
}

/// Whether fewer than eight characters are left when every `word` is taken out, any case.
fn is_little_more_than(password: &Password, word: &str) -> bool {
    let word = word.to_lowercase();
    let folded = Zeroizing::new(password.0.to_lowercase());
    if word.is_empty() || !folded.contains(&word) {
        return false;
    }
    Zeroizing::new(folded.replace(&word, "")).chars().count() < 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(typed: &str) -> Result<NewPassword, PasswordError> {
        let owner = EmailAddress::parse("ada.lovelace@example.org").unwrap();
        PasswordPolicy::new(15, "Vestibule").judge(typed, Some(&owner))
    }

    #[test]
    fn r21_composed_and_decomposed_are_one_password() {
        assert_eq!(Password::new("caf\u{e9}").as_bytes(), Password::new("cafe\u{301}").as_bytes());
        assert_ne!(Password::new("caf\u{e9}").as_bytes(), Password::new("cafe").as_bytes());
    }

    #[test]
    fn r39_length_counts_code_points_and_nothing_else_is_asked_for() {
        assert!(judge("correct horse battery").is_ok());
        assert!(judge("aaaaaaaaaaaaaaa").is_ok(), "no composition rules");
        assert!(judge(&"\u{1f40e}".repeat(15)).is_ok(), "emoji count as one each");
        assert_eq!(
            judge("fourteen chars").unwrap_err(),
            PasswordError::TooShort { min_length: 15 }
        );
        assert!(judge(&"x".repeat(512)).is_ok());
        assert_eq!(judge(&"x".repeat(513)).unwrap_err(), PasswordError::TooLong);
        // decomposed letters are counted as they are hashed: composed
        assert!(judge(&"e\u{301}".repeat(14)).is_err());
    }

    #[test]
    fn r39_nothing_is_trimmed_or_cut() {
        let password = judge("  spaces around it  ").unwrap();
        assert_eq!(password.password().as_bytes(), b"  spaces around it  ");
    }

    #[test]
    fn r40_own_address_and_service_name_are_refused() {
        assert_eq!(judge("ADA.Lovelace@example.org1").unwrap_err(), PasswordError::Address);
        assert_eq!(judge("vestibuleVestibule1").unwrap_err(), PasswordError::Service);
        assert!(judge("a vestibule is a small hall").is_ok());
    }

    #[test]
    fn r55_a_password_does_not_print() {
        assert_eq!(
            format!("{:?}", judge("correct horse battery").unwrap()),
            "NewPassword(Password(redacted))"
        );
    }
}
