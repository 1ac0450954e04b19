//! What the operator does with letters. A letter that is on its way is a courier's, and left alone.

use crate::clock::Clock;
use crate::mail::LetterRequest;
use crate::storage::{LetterId, LetterRecord, LetterState, Store, StoreError};

/// The operator's look into the outbox, beside the couriers that are at work on it.
#[derive(Clone, Debug)]
pub struct OutboxAdmin {
    pub store: Store,
    pub clock: Clock,
}

/// Why nothing was done with a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdminError {
    #[error("there is no such letter")]
    Unknown,
    #[error("the letter has left already")]
    HasLeft,
    #[error("the letter is on its way just now: try again in a minute")]
    OnItsWay,
}

/// What came of it: the letter as it was, or why it is still so.
pub type AdminOutcome = Result<LetterRecord, AdminError>;

impl OutboxAdmin {
    /// Up to `limit` letters in one of these states, in the order of their posting, those after
    /// `after`, to addresses that hold `part`.
    pub async fn list(
        &self,
        states: &[LetterState],
        after: Option<LetterId>,
        part: &str,
        limit: i64,
    ) -> Result<Vec<LetterRecord>, StoreError> {
        let now = self.clock.now();
        self.store.read(async |db| db.find_letters(states, after, part, limit, now).await).await
    }

    pub async fn find(&self, id: LetterId) -> Result<Option<LetterRecord>, StoreError> {
        let now = self.clock.now();
        self.store.read(async |db| db.find_letter(id, now).await).await
    }

    /// Lets the letter be tried at once and, if that fails, as if it had never been tried.
    pub async fn retry(&self, id: LetterId) -> Result<AdminOutcome, StoreError> {
        let now = self.clock.now();
        let written = self.store.write(async |tx| {
            let letter = tx.find_letter(id, now).await?;
            Ok::<_, StoreError>(outcome(letter, tx.retry_letter(id, now).await?))
        });
        written.await
    }

    /// The same for all that were given up; answers how many.
    pub async fn retry_all_dead(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.retry_dead_letters(now).await).await
    }

    /// The same for all that are held back since a backup was restored; answers how many.
    pub async fn retry_all_held(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.release_held_letters(now).await).await
    }

    /// Forgets a letter that waits or was given up. A request for a new password contests a sign-up
    /// that waits for the address, with its letter or without.
    pub async fn drop(&self, id: LetterId) -> Result<AdminOutcome, StoreError> {
        let now = self.clock.now();
        let written = self.store.write(async |tx| {
            let letter = tx.find_letter(id, now).await?;
            if let Some(letter) =
                letter.as_ref().filter(|letter| letter.kind == LetterRequest::RESET)
            {
                tx.contest_sign_up_of(&letter.email, now).await?;
            }
            Ok::<_, StoreError>(outcome(letter, tx.remove_letter(id, now).await?))
        });
        written.await
    }
}

fn outcome(letter: Option<LetterRecord>, changed: bool) -> AdminOutcome {
    match letter {
        None => Err(AdminError::Unknown),
        Some(letter) if changed => Ok(letter),
        Some(letter) if letter.state == LetterState::Sent => Err(AdminError::HasLeft),
        Some(_) => Err(AdminError::OnItsWay),
    }
}
