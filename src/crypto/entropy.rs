//! Random number generator: the only source of ids, salts and secrets ([`Entropy`]).

use std::cell::RefCell;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::Secret;

/// The random part of an id.
type IdBits = [u8; 10];

thread_local! {
    /// Buffer of 64 random parts of ids. Each request has an id, and a system call for each would
    /// be expensive compared with the rest of its work. Ids are no secrets, so a buffer is safe.
    static RANDOM_BUFFER: RefCell<Vec<IdBits>> = const { RefCell::new(Vec::new()) };
}

/// The operating system's random number generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

impl Entropy {
    /// `N` random bytes.
    ///
    /// # Panics
    /// If the operating system provides no random bytes; the service cannot work safely then.
    #[expect(clippy::disallowed_methods, reason = "the only caller of the random number generator")]
    #[expect(clippy::expect_used, reason = "secrets need randomness")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system provides randomness");
        bytes
    }

    /// 256 random bits.
    pub fn secret(&self) -> Secret {
        Secret::new(self.bytes())
    }

    /// A UUIDv7 (RFC 9562 §5.7) for a row created at `now`. Ids sort by the time of creation.
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.id_bits()).into_uuid()
    }

    fn id_bits(&self) -> IdBits {
        RANDOM_BUFFER.with_borrow_mut(|drawn| {
            if drawn.is_empty() {
                let bytes: [u8; 64 * size_of::<IdBits>()] = self.bytes();
                drawn.extend(bytes.as_chunks().0);
            }
            drawn.pop().unwrap_or_else(|| self.bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_sort_by_creation_time() {
        let early = Entropy.uuid_v7(Timestamp::from_unix_millis(1_000));
        let late = Entropy.uuid_v7(Timestamp::from_unix_millis(1_001));
        assert!(early < late);
        assert_eq!(late.get_version_num(), 7);
    }

    #[test]
    fn ids_are_unique() {
        let draw = || (0..1_000).map(|_| Entropy.uuid_v7(Timestamp::from_unix_millis(1_000)));
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(move || draw().collect::<Vec<_>>())).collect();
        let ids = threads.into_iter().flat_map(|thread| thread.join().unwrap()).chain(draw());
        let ends: BTreeSet<_> = ids.map(|id| id.as_bytes()[9..].to_vec()).collect();
        assert_eq!(ends.len(), 5_000);
    }
}
