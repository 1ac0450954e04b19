//! Links in letters. Each has a single-purpose secret, of which the database holds a digest.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::model::{Digest, Secret};

/// Token of a link: 256 random bits in base64url, 43 characters.
#[derive(Clone, Debug)]
pub struct LinkToken(Secret);

impl LinkToken {
    /// The token of a new link.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Parses a link's token. `None` for a text that no link can have.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self(Secret::new(bytes)))
    }

    /// The token in the link's form.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_bytes())
    }

    /// The digest that the database holds.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }
}

/// State of an activation link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// The link works.
    Live {
        /// Time of expiry.
        until: Timestamp,
    },
    /// The link's sign-up became an account, through this link or another.
    Used {
        /// Time of the end.
        at: Timestamp,
    },
    /// The recipient of the letter has said "This wasn't me".
    Disavowed {
        /// Time of the end.
        at: Timestamp,
    },
    /// The link has expired.
    Expired {
        /// Time of the end.
        at: Timestamp,
    },
}

impl LinkState {
    /// State at `now` of a link with these instants. The earliest end wins.
    pub fn at(
        now: Timestamp,
        expires_at: Timestamp,
        used_at: Option<Timestamp>,
        disavowed_at: Option<Timestamp>,
    ) -> Self {
        match (used_at, disavowed_at) {
            (Some(at), _) => Self::Used { at },
            (None, Some(at)) => Self::Disavowed { at },
            (None, None) if expires_at <= now => Self::Expired { at: expires_at },
            (None, None) => Self::Live { until: expires_at },
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live { .. } => "live",
            Self::Used { .. } => "used",
            Self::Disavowed { .. } => "disavowed",
            Self::Expired { .. } => "expired",
        })
    }
}

/// Purpose of a link to the owner of an account. A link serves no other purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountLinkPurpose {
    /// Set a new password in place of a forgotten one.
    PasswordReset,
    /// Set the first password of an account that the operator has created.
    Invitation,
    /// Confirm the new address; in the letter to that address.
    EmailChange,
    /// Stop the change of address; in the letter to the old address.
    EmailChangeStop,
}

impl AccountLinkPurpose {
    /// Name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password-reset",
            Self::Invitation => "invitation",
            Self::EmailChange => "email-change",
            Self::EmailChangeStop => "email-change-stop",
        }
    }
}

/// State of a link to the owner of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountLinkState {
    /// The link works.
    Live,
    /// The link was used.
    Used,
    /// Ended by a new password, a new address, or the use of another link.
    Voided,
    /// The link has expired.
    Expired,
}

impl AccountLinkState {
    /// State at `now` of a link with these instants. The earliest end wins.
    pub fn at(
        now: Timestamp,
        expires_at: Timestamp,
        used_at: Option<Timestamp>,
        voided_at: Option<Timestamp>,
    ) -> Self {
        match (used_at, voided_at) {
            (Some(_), _) => Self::Used,
            // such as a link of an account that is disabled long after the link has expired
            (None, Some(voided_at)) if expires_at <= voided_at => Self::Expired,
            (None, Some(_)) => Self::Voided,
            (None, None) if expires_at <= now => Self::Expired,
            (None, None) => Self::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r44_link_token_has_256_bits_and_parses_back() {
        let token = LinkToken::new(Secret::new([42; 32]));
        let text = token.reveal();
        assert_eq!(text.len(), 43);
        assert_eq!(LinkToken::parse(&text).unwrap().digest(), token.digest());
        for damaged in [&text[1..], "", "é", &format!("{text}=")] {
            assert!(LinkToken::parse(damaged).is_none());
        }
    }

    #[test]
    fn s14_earliest_end_of_a_link_wins_after_clock_changes() {
        let at = Timestamp::from_unix_millis;
        let state = |now, voided_at| AccountLinkState::at(at(now), at(10), None, voided_at);
        for now in [0, 9, 10, 20] {
            assert_eq!(state(now, Some(at(9))), AccountLinkState::Voided, "{now}");
            assert_eq!(state(now, Some(at(10))), AccountLinkState::Expired, "{now}");
            assert_eq!(state(now, Some(at(15))), AccountLinkState::Expired, "{now}");
        }
        assert_eq!(state(9, None), AccountLinkState::Live);
        assert_eq!(state(10, None), AccountLinkState::Expired);
    }

    #[test]
    fn r55_link_token_is_not_printed() {
        let token = LinkToken::new(Secret::new([42; 32]));
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }
}
