//! Browser sign-ins at the account page: the cookie's secret, and the token that protects forms
//! (CSRF).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::model::{AccountId, Digest, EmailAddress, Locale, Name, Secret, row_id};

row_id! {
    /// Id of a browser sign-in, which names the sign-in and grants nothing.
    PageSessionId
}

/// Secret in the account page's cookie: 256 random bits in base64url, 43 characters.
#[derive(Clone)]
pub struct PageSessionSecret(Secret);

impl PageSessionSecret {
    /// The secret of a new session.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Parses a cookie. `None` for a text that no cookie of this service can have.
    pub fn parse(text: &str) -> Option<Self> {
        decode(text).map(Self)
    }

    /// The secret in the cookie's form.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_bytes())
    }

    /// The digest that the database holds.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// Token in every form of the account page (CSRF token). The token derives from the cookie's
    /// secret, which another site cannot read, and does not reveal it.
    pub fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derived().as_bytes())
    }

    /// Whether a form came from a page of this session. Compares in constant time.
    pub fn has_form_token(&self, sent: &str) -> bool {
        decode(sent).is_some_and(|sent| sent.as_bytes().ct_eq(self.derived().as_bytes()).into())
    }

    /// Message authentication code of a text that is stored for this session.
    pub fn mac_of(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derived_for(text).as_bytes())
    }

    /// Whether a text was stored for this session. Compares in constant time.
    pub fn has_mac_of(&self, text: &str, proof: &str) -> bool {
        let own = self.derived_for(text);
        decode(proof).is_some_and(|proof| proof.as_bytes().ct_eq(own.as_bytes()).into())
    }

    fn derived_for(&self, text: &str) -> Secret {
        let digest = Digest::of(text.as_bytes());
        self.0.derive(digest.as_bytes(), b"text kept for a sign-in at the account page")
    }

    fn derived(&self) -> Secret {
        self.0.derive(&[0; 32], b"form token of the account page")
    }
}

fn decode(text: &str) -> Option<Secret> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(Secret::new(bytes))
}

impl fmt::Debug for PageSessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageSessionSecret(redacted)")
    }
}

/// Live browser sign-in.
#[derive(Clone, Debug)]
pub struct PageSession {
    /// Id of the browser sign-in.
    pub id: PageSessionId,
    /// Digest of the cookie's secret.
    pub digest: Digest,
    /// Id of the account.
    pub account: AccountId,
    /// Address of the account.
    pub email: EmailAddress,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// The account's epoch, which equals the session's epoch while the session lives.
    pub epoch: i64,
    /// End, if the browser sends no further request.
    pub idle_expires_at: Timestamp,
    /// Latest end.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_mac_is_valid_for_one_cookie_and_one_text() {
        let mine = PageSessionSecret::new(Secret::new([1; 32]));
        let other = PageSessionSecret::new(Secret::new([2; 32]));
        let proof = mine.mac_of("text");
        assert!(mine.has_mac_of("text", &proof));
        assert!(!mine.has_mac_of("another", &proof) && !other.has_mac_of("text", &proof));
        for wrong in [mine.form_token(), mine.reveal(), String::new(), "é".to_owned()] {
            assert!(!mine.has_mac_of("text", &wrong));
        }
    }

    #[test]
    fn r46_form_token_is_valid_for_one_cookie_and_does_not_reveal_it() {
        let mine = PageSessionSecret::new(Secret::new([1; 32]));
        let other = PageSessionSecret::new(Secret::new([2; 32]));
        assert!(mine.has_form_token(&mine.form_token()));
        for wrong in [other.form_token(), mine.reveal(), String::new(), "é".to_owned()] {
            assert!(!mine.has_form_token(&wrong));
        }
        assert_eq!(PageSessionSecret::parse(&mine.reveal()).unwrap().digest(), mine.digest());
        assert!(PageSessionSecret::parse(&mine.reveal()[1..]).is_none());
        assert!(!format!("{mine:?}").contains(&mine.reveal()));
    }
}
