//! Tables `outbox` and `letters_sent`: letters from their posting to their removal.

mod deliveries;
pub(in crate::storage) mod held_letters;
mod letters;
mod posting;

pub use deliveries::{ClaimLimit, ClaimedLetter, MAX_DOMAINS, RefusedLetter};
pub use letters::{LetterRecord, LetterState};
pub use posting::{Backlog, LetterId, LetterSummary, NewLetter};
