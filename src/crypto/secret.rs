//! The only source of randomness: every id, salt and secret of the service is drawn from
//! [`Entropy`].

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::Secret;

/// The operating system's random number generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

impl Entropy {
    /// `N` random bytes.
    ///
    /// # Panics
    /// If the operating system has no randomness to give; nothing here can be done safely then.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws")]
    #[expect(clippy::expect_used, reason = "without randomness no secret can be made safely")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        bytes
    }

    /// 256 random bits.
    pub fn secret(&self) -> Secret {
        Secret::new(self.bytes())
    }

    /// A UUIDv7 (RFC 9562 §5.7) for a row made at `now`: ids sort by the time they were made.
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = Entropy.uuid_v7(Timestamp::from_unix_millis(1_000));
        let late = Entropy.uuid_v7(Timestamp::from_unix_millis(1_001));
        assert!(early < late);
        assert_eq!(late.get_version_num(), 7);
    }
}
