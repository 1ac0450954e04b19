//! `[vestibule.hashing]`: costs of password hashes.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::profile::Profile;
use super::setting_error::Problem;

/// `[vestibule.hashing]`: costs of Argon2id (RFC 9106), and limits on concurrent hashes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingSettings {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Number of passes over the memory.
    pub iterations: u32,
    /// Number of lanes of one hash.
    pub parallelism: u32,
    /// Passwords hashed at once; each slot holds `memory_kib` permanently.
    pub slots: NonZeroUsize,
    /// A request that would wait longer for a slot is refused with 503.
    pub max_wait: Lifetime,
}

impl Default for HashingSettings {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            // one for each core
            slots: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_wait: Lifetime::of(1_500, Unit::Millisecond),
        }
    }
}

impl HashingSettings {
    pub(super) fn check(&self, profile: Profile) -> Result<(), Problem> {
        if self.max_wait.duration() < Duration::from_millis(100) {
            return Err(("hashing.max_wait", "expected at least 100ms".to_owned()));
        }
        if self.parallelism == 0 || self.parallelism > 16 {
            return Err(("hashing.parallelism", "expected 1 to 16".to_owned()));
        }
        if self.iterations == 0 || self.iterations > 16 {
            return Err(("hashing.iterations", "expected 1 to 16".to_owned()));
        }
        let least = 8 * self.parallelism;
        if self.memory_kib < least || self.memory_kib > 4 * 1024 * 1024 {
            return Err(("hashing.memory_kib", format!("expected {least} to 4194304 (KiB)")));
        }
        // R41; only development may use cheaper hashes, which help attackers
        if profile != Profile::Development {
            if self.memory_kib < 19_456 {
                return Err(("hashing.memory_kib", "expected at least 19456 (KiB)".to_owned()));
            }
            if self.iterations < 2 {
                return Err(("hashing.iterations", "expected at least 2".to_owned()));
            }
        }
        Ok(())
    }
}
