//! Tables `outbox` and `letters_sent`: letters from their posting to their removal.

mod claims;
mod deliveries;
pub(in crate::storage) mod held_letters;
mod letters;
mod posting;

pub use claims::{ClaimLimit, ClaimedLetter, DomainTurn, MAX_DOMAINS};
pub use deliveries::RefusedLetter;
pub use letters::{LetterRecord, LetterState};
pub use posting::{Backlog, LetterId, LetterSummary, NewLetter};
