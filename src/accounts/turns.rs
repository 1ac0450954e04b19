//! One sign-up at a time for each address.
//!
//! Without it, sign-ups that come together all hash their password, all but one lose the race for
//! the row, and those hash once more to compare. Across nodes that still happens, and is right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::model::EmailAddress;

/// How long a sign-up waits for its turn: fifty for one address, one hash after the other, take some
/// seconds on a busy machine, and all of them are to be answered (R35).
const PATIENCE: Duration = Duration::from_secs(10);

/// Sign-ups that may wait for their turn at one address; more are refused.
const WAITING_AT_MOST: usize = 100;

type Turns = HashMap<EmailAddress, Arc<AsyncMutex<()>>>;

/// Whose turn it is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SignUpTurns(Arc<Mutex<Turns>>);

/// A turn; it ends when dropped.
pub(super) struct Turn {
    turns: SignUpTurns,
    email: EmailAddress,
    // before the drop of the whole removes an address that nobody waits for any more
    guard: Option<OwnedMutexGuard<()>>,
}

impl SignUpTurns {
    /// Waits for the address. `None` if too many do already, or if it takes too long.
    pub(super) async fn take(&self, email: &EmailAddress) -> Option<Turn> {
        self.take_within(email, PATIENCE).await
    }

    async fn take_within(&self, email: &EmailAddress, patience: Duration) -> Option<Turn> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry(email.clone()).or_default();
            // one is the map's own
            if Arc::strong_count(turn) > WAITING_AT_MOST {
                return None;
            }
            Arc::clone(turn)
        };
        // made first: a request that goes away while it waits cleans up as well
        let mut mine = Turn { turns: self.clone(), email: email.clone(), guard: None };
        mine.guard = Some(timeout(patience, turn.lock_owned()).await.ok()?);
        Some(mine)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut turns = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&self.email).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.email);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn r35_turns_are_taken_one_after_the_other_and_forgotten() {
        let turns = SignUpTurns::default();
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let first = turns.take(&email).await.unwrap();
        let second = tokio::spawn({
            let (turns, email) = (turns.clone(), email.clone());
            async move { turns.take(&email).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap());
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn r51_nobody_waits_for_a_turn_without_an_end() {
        let turns = SignUpTurns::default();
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let first = turns.take(&email).await.unwrap();
        assert!(turns.take_within(&email, Duration::ZERO).await.is_none());
        drop(first);
        assert!(turns.take_within(&email, Duration::ZERO).await.is_some());
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_flood_for_one_address_is_refused() {
        let turns = SignUpTurns::default();
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let _first = turns.take(&email).await.unwrap();
        let mut waiting: Vec<_> =
            (1..WAITING_AT_MOST).map(|_| Box::pin(turns.take(&email))).collect();
        for turn in &mut waiting {
            assert!(turn.as_mut().now_or_never().is_none());
        }
        assert!(turns.take(&email).await.is_none());
        drop(waiting);
        let other = EmailAddress::parse("bob@example.org").unwrap();
        assert!(turns.take(&other).await.is_some());
    }
}
