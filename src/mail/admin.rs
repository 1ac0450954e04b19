//! The operator's actions on letters in the outbox: list, retry, drop.
//!
//! A letter that a courier delivers at this moment is left alone.

use crate::clock::Clock;
use crate::model::LetterKind;
use crate::storage::{LetterId, LetterRecord, LetterState, Store, StoreError};

/// The operator's access to the outbox. Couriers may deliver from the same outbox at the same time.
#[derive(Clone, Debug)]
pub struct OutboxAdmin {
    pub store: Store,
    pub clock: Clock,
}

/// Why an action on a letter did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdminError {
    #[error("the letter does not exist")]
    Unknown,
    #[error("the letter was sent already")]
    HasLeft,
    #[error("the letter is on its way: try again in a minute")]
    OnItsWay,
}

/// The letter as it was before the action, or the reason why the action did nothing.
pub type AdminOutcome = Result<LetterRecord, AdminError>;

impl OutboxAdmin {
    /// Lists up to `limit` letters in one of these states, in the order of their posting. The list
    /// starts behind the letter `after`, and holds only letters to addresses that contain `part`.
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

    /// Finds a letter by its id.
    pub async fn find(&self, id: LetterId) -> Result<Option<LetterRecord>, StoreError> {
        let now = self.clock.now();
        self.store.read(async |db| db.find_letter(id, now).await).await
    }

    /// Makes the letter due at once, and sets its tries back to zero.
    pub async fn retry(&self, id: LetterId) -> Result<AdminOutcome, StoreError> {
        let now = self.clock.now();
        let written = self.store.write(async |tx| {
            let letter = tx.find_letter(id, now).await?;
            Ok::<_, StoreError>(outcome(letter, tx.retry_letter(id, now).await?))
        });
        written.await
    }

    /// Does the same for all letters that were given up, except letters that are held since a
    /// backup was restored. Returns the number of letters.
    pub async fn retry_all_dead(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.retry_dead_letters(now).await).await
    }

    /// Does the same for the letters that are held since a backup was restored. Returns the number
    /// of letters.
    pub async fn retry_all_held(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write(async |tx| tx.release_held_letters(now).await).await
    }

    /// Removes a letter that waits or was given up. Removing a request for a new password still
    /// marks a waiting sign-up of the same address as contested, as sending the letter would.
    pub async fn drop(&self, id: LetterId) -> Result<AdminOutcome, StoreError> {
        let now = self.clock.now();
        let written = self.store.write(async |tx| {
            let letter = tx.find_letter(id, now).await?;
            if let Some(letter) =
                letter.as_ref().filter(|letter| letter.kind == LetterKind::PasswordReset.as_str())
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
