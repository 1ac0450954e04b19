//! Defaults that are at least 1.

use std::num::{NonZeroU32, NonZeroUsize};

/// The number, or 1 in place of 0.
pub(super) const fn nonzero(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number.saturating_sub(1))
}

/// As [`nonzero`].
pub(super) const fn nonzero_size(number: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(number.saturating_sub(1))
}
