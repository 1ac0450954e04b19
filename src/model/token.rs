//! Access and refresh tokens: their encoding.
//!
//! Tokens are opaque to clients. Each token names its session, so that a look-up is one read by
//! primary key. Each carries a checksum, which tells a damaged token from a forged one:
//!
//! ```text
//! vat_ base64url( session id 16 ‖ secret 32 ‖ CRC-32 4 )
//! vrt_ base64url( session id 16 ‖ secret 32 ‖ CRC-32 4 ‖ tag 16 )
//! ```
//!
//! The checksum covers everything else, including the prefix. The prefixes let secret scanners find
//! leaked tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use uuid::Uuid;

use crate::model::{Digest, Secret, SessionId};

const ACCESS_PREFIX: &str = "vat_";
const REFRESH_PREFIX: &str = "vrt_";
const ACCESS_BYTES: usize = 16 + 32 + 4;
const REFRESH_BYTES: usize = ACCESS_BYTES + 16;

/// Text that is no token of this service, or a damaged one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the token is damaged, or not issued by this service")]
pub struct TokenError;

/// Proof that a refresh token of any age was issued for its session: 128 random bits, the same in
/// all refresh tokens of the session.
#[derive(Clone, Copy)]
pub struct SessionTag([u8; 16]);

impl SessionTag {
    /// The tag with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The digest that the database holds.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionTag(redacted)")
    }
}

/// Access token (RFC 6749 §1.4).
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Session of the token.
    pub session: SessionId,
    /// Secret of the token.
    pub secret: Secret,
}

/// Refresh token (RFC 6749 §1.5).
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Session of the token.
    pub session: SessionId,
    /// Secret of the token.
    pub secret: Secret,
    /// Tag of the session.
    pub tag: SessionTag,
}

impl AccessToken {
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let bytes: [u8; ACCESS_BYTES] = decode(text, ACCESS_PREFIX)?;
        let (session, secret) = open(&bytes, ACCESS_PREFIX, &[])?;
        Ok(Self { session, secret })
    }

    /// The token as the client gets it.
    pub fn reveal(&self) -> String {
        let sealed = seal(self.session, &self.secret, ACCESS_PREFIX, &[]);
        format!("{ACCESS_PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))
    }
}

impl RefreshToken {
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let bytes: [u8; REFRESH_BYTES] = decode(text, REFRESH_PREFIX)?;
        let tag: [u8; 16] = array(&bytes[ACCESS_BYTES..])?;
        let (session, secret) = open(&bytes[..ACCESS_BYTES], REFRESH_PREFIX, &tag)?;
        Ok(Self { session, secret, tag: SessionTag(tag) })
    }

    /// The token as the client gets it.
    pub fn reveal(&self) -> String {
        let mut sealed = seal(self.session, &self.secret, REFRESH_PREFIX, &self.tag.0).to_vec();
        sealed.extend_from_slice(&self.tag.0);
        format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))
    }
}

/// Whether the text has the prefix of access tokens.
pub fn is_like_access_token(text: &str) -> bool {
    text.starts_with(ACCESS_PREFIX)
}

/// Whether the text has the prefix of refresh tokens.
pub fn is_like_refresh_token(text: &str) -> bool {
    text.starts_with(REFRESH_PREFIX)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], TokenError> {
    bytes.try_into().map_err(|_| TokenError)
}

fn decode<const N: usize>(text: &str, prefix: &str) -> Result<[u8; N], TokenError> {
    let encoded = text.strip_prefix(prefix).ok_or(TokenError)?;
    let mut bytes = [0; N];
    // decoding into a fixed buffer refuses 64 KiB of "token" without decoding it
    match URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(TokenError),
    }
}

fn checksum(prefix: &str, body: &[u8], tag: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(prefix.as_bytes());
    crc.update(body);
    crc.update(tag);
    crc.finalize().to_be_bytes()
}

fn seal(session: SessionId, secret: &Secret, prefix: &str, tag: &[u8]) -> [u8; ACCESS_BYTES] {
    let mut sealed = [0; ACCESS_BYTES];
    sealed[..16].copy_from_slice(session.uuid().as_bytes());
    sealed[16..48].copy_from_slice(secret.as_bytes());
    let checksum = checksum(prefix, &sealed[..48], tag);
    sealed[48..].copy_from_slice(&checksum);
    sealed
}

fn open(sealed: &[u8], prefix: &str, tag: &[u8]) -> Result<(SessionId, Secret), TokenError> {
    if checksum(prefix, &sealed[..48], tag) != sealed[48..] {
        return Err(TokenError);
    }
    let session = SessionId::new(Uuid::from_bytes(array(&sealed[..16])?));
    Ok((session, Secret::new(array(&sealed[16..48])?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz_inputs;

    fn refresh_token() -> RefreshToken {
        RefreshToken {
            session: SessionId::new(Uuid::from_bytes([1; 16])),
            secret: Secret::new([2; 32]),
            tag: SessionTag::new([3; 16]),
        }
    }

    #[test]
    fn tokens_parse_back() {
        let refresh = refresh_token();
        let access = AccessToken { session: refresh.session, secret: Secret::new([4; 32]) };
        let read = RefreshToken::parse(&refresh.reveal()).unwrap();
        assert_eq!(read.session, refresh.session);
        assert_eq!(read.secret.digest(), refresh.secret.digest());
        assert_eq!(read.tag.digest(), refresh.tag.digest());
        let read = AccessToken::parse(&access.reveal()).unwrap();
        assert_eq!(read.session, access.session);
        assert_eq!(read.secret.digest(), access.secret.digest());
        assert!(access.reveal().starts_with("vat_") && refresh.reveal().starts_with("vrt_"));
    }

    #[test]
    fn r25_token_of_one_kind_never_parses_as_the_other() {
        let refresh = refresh_token();
        let access = AccessToken { session: refresh.session, secret: refresh.secret.clone() };
        let renamed = access.reveal().replace("vat_", "vrt_");
        assert!(RefreshToken::parse(&renamed).is_err());
        assert!(AccessToken::parse(&refresh.reveal()).is_err());
        assert!(AccessToken::parse(&refresh.reveal().replace("vrt_", "vat_")).is_err());
    }

    #[test]
    fn r30_every_changed_character_is_detected() {
        for text in [refresh_token().reveal(), {
            let refresh = refresh_token();
            AccessToken { session: refresh.session, secret: refresh.secret }.reveal()
        }] {
            for position in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                let damaged = String::from_utf8(bytes).unwrap();
                assert!(
                    RefreshToken::parse(&damaged).is_err() && AccessToken::parse(&damaged).is_err()
                );
            }
        }
    }

    #[test]
    fn r30_malformed_tokens_are_refused() {
        for text in ["", "vat_", "vrt_", "vat_é", "Bearer", &"A".repeat(65_536), "vat_ a"] {
            assert!(AccessToken::parse(text).is_err() && RefreshToken::parse(text).is_err());
        }
    }

    #[test]
    fn r55_tokens_are_not_printed() {
        let token = refresh_token();
        assert!(format!("{token:?}").contains("redacted"));
        assert!(!format!("{token:?}").contains(&token.reveal()[4..]));
    }

    fn any_token() -> impl Strategy<Value = RefreshToken> {
        any::<([u8; 16], [u8; 32], [u8; 16])>().prop_map(|(session, secret, tag)| RefreshToken {
            session: SessionId::new(Uuid::from_bytes(session)),
            secret: Secret::new(secret),
            tag: SessionTag::new(tag),
        })
    }

    #[test]
    fn r30_any_token_parses_back_and_changed_bytes_are_detected() {
        let inputs = (any_token(), any::<prop::sample::Index>(), any::<u8>());
        fuzz_inputs::each(2_000, inputs, |(token, place, byte)| {
            let access = AccessToken { session: token.session, secret: token.secret.clone() };
            for text in [token.reveal(), access.reveal()] {
                let (is_access, is_refresh) =
                    (AccessToken::parse(&text).is_ok(), RefreshToken::parse(&text).is_ok());
                prop_assert!(is_access != is_refresh);
                let mut bytes = text.clone().into_bytes();
                let place = place.index(bytes.len());
                if bytes[place] != byte {
                    bytes[place] = byte;
                    let damaged = String::from_utf8_lossy(&bytes).into_owned();
                    prop_assert!(AccessToken::parse(&damaged).is_err(), "{}", damaged);
                    prop_assert!(RefreshToken::parse(&damaged).is_err(), "{}", damaged);
                }
            }
            let read = RefreshToken::parse(&token.reveal());
            let read = read.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read.session, token.session);
            prop_assert_eq!(read.secret.as_bytes(), token.secret.as_bytes());
            prop_assert_eq!(read.tag.0, token.tag.0);
            Ok(())
        });
    }

    #[test]
    fn r30_a_token_has_one_spelling() {
        fuzz_inputs::each(3_000, fuzz_inputs::text_like(fuzz_inputs::TOKENS), |text| {
            if let Ok(token) = AccessToken::parse(&text) {
                prop_assert_eq!(&token.reveal(), &text);
            }
            if let Ok(token) = RefreshToken::parse(&text) {
                prop_assert_eq!(&token.reveal(), &text);
            }
            Ok(())
        });
    }
}
