//! Secrets, and the digests that are stored instead of them. Compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret of 256 bits that only its bearer may know. Never printed; wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// The secret with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 digest of the secret, which the database holds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.as_bytes())
    }

    /// HMAC-SHA-256 keyed with `salt` over `label ‖ self`. A holder of salt and secret can derive
    /// the result; without them, the result reveals nothing about the secret.
    pub fn derive(&self, salt: &[u8; 32], label: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes any key");
        mac.update(label);
        mac.update(self.as_bytes());
        Self::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// SHA-256 digest of a secret with at least 128 random bits. Compared in constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest that a database holds.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_depends_on_salt_label_and_secret() {
        let secret = Secret::new([1; 32]);
        let derived = secret.derive(&[2; 32], b"r").digest();
        assert_eq!(derived, secret.derive(&[2; 32], b"r").digest());
        assert_ne!(derived, secret.derive(&[3; 32], b"r").digest());
        assert_ne!(derived, secret.derive(&[2; 32], b"a").digest());
        assert_ne!(derived, Secret::new([4; 32]).derive(&[2; 32], b"r").digest());
    }

    #[test]
    fn r55_secrets_and_digests_are_not_printed() {
        let secret = Secret::new([7; 32]);
        assert_eq!(
            format!("{secret:?} {:?}", secret.digest()),
            "Secret(redacted) Digest(redacted)"
        );
    }
}
