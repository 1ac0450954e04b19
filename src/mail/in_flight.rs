//! The letters on their way, and how many more may go.
//!
//! Letters that were never refused and letters that were have places of their own, so that bad
//! recipients hold up no fresh letter. A delivery that takes long gives its place to another, within
//! limits: a mail server takes only so many connections from one client.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use crate::storage::ClaimLimit;

/// Letters that were never refused, on their way at once.
const FRESH_AT_ONCE: usize = 8;
/// Letters that were refused before, on their way at once.
const REFUSED_AT_ONCE: usize = 4;
/// A delivery that takes longer gives its place to another. A mail server that works answers sooner.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// The deliveries that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    tasks: JoinSet<bool>,
    /// By task: whether the letter was refused before, and when its delivery began.
    begun: HashMap<Id, (bool, Instant)>,
}

impl InFlight {
    pub fn len(&self) -> usize {
        self.begun.len()
    }

    pub fn start(
        &mut self,
        was_refused: bool,
        delivery: impl Future<Output = bool> + Send + 'static,
    ) {
        let id = self.tasks.spawn(delivery).id();
        self.begun.insert(id, (was_refused, Instant::now()));
    }

    /// Waits for the end of a delivery; `None` if there is none.
    pub async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
        self.begun.remove(&id);
        Some(())
    }

    /// How many letters may go now.
    pub fn room(&self) -> ClaimLimit {
        self.room_at(Instant::now())
    }

    fn room_at(&self, now: Instant) -> ClaimLimit {
        ClaimLimit {
            fresh: self.places(FRESH_AT_ONCE, false, now),
            refused: self.places(REFUSED_AT_ONCE, true, now),
        }
    }

    /// Slow deliveries may take as many places again, and no more.
    fn places(&self, at_once: usize, refused: bool, now: Instant) -> usize {
        let all = || self.begun.values().filter(|(was_refused, _)| *was_refused == refused);
        let slow = all().filter(|(_, begun)| now.duration_since(*begun) > SLOW_AFTER).count();
        (at_once + slow.min(at_once)).saturating_sub(all().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s17_deliveries_that_hang_leave_room_for_others() {
        let mut in_flight = InFlight::default();
        let now = Instant::now();
        let all = ClaimLimit { fresh: FRESH_AT_ONCE, refused: REFUSED_AT_ONCE };
        assert_eq!(in_flight.room_at(now), all);
        for _ in 0..FRESH_AT_ONCE {
            in_flight.start(false, std::future::pending());
        }
        in_flight.start(true, async { true });
        assert_eq!(in_flight.room_at(now).fresh, 0);
        assert_eq!(in_flight.room_at(now).refused, REFUSED_AT_ONCE - 1);
        assert_eq!(in_flight.ended().await, Some(()));
        assert_eq!(in_flight.room_at(now), ClaimLimit { fresh: 0, ..all });
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(in_flight.room_at(later), all);
        for _ in 0..FRESH_AT_ONCE {
            in_flight.start(false, std::future::pending());
        }
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(in_flight.room_at(later), ClaimLimit { fresh: 0, ..all }, "there is an end");
        assert_eq!(in_flight.len(), 2 * FRESH_AT_ONCE);
    }
}
