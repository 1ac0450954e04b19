//! The letters on their way, and how many more may go.
//!
//! Letters that were never refused and letters that were have places of their own, so that bad
//! recipients hold up no fresh letter. A delivery that takes long gives its place to another, within
//! limits: a mail server takes only so many connections from one client. While the server is slow with a
//! domain, such as where each of its recipients is met with silence, letters to other domains go first,
//! and some places are theirs alone (S17).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use crate::storage::{ClaimLimit, ClaimedLetter, MOST_DOMAINS};

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
    begun: HashMap<Id, Begun>,
}

#[derive(Debug)]
struct Begun {
    was_refused: bool,
    domain: String,
    at: Instant,
}

/// How many letters may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub all: ClaimLimit,
    /// Domains that the mail server is slow with, the worst ones first.
    pub slow: Vec<String>,
}

impl Room {
    /// What is left for letters to any domain when these were claimed: half of the usual places stay
    /// free for others while the server is slow with a domain.
    pub fn rest(&self, claimed: &[ClaimedLetter]) -> ClaimLimit {
        let (kept_fresh, kept_refused) = match self.slow.is_empty() {
            true => (0, 0),
            false => (FRESH_AT_ONCE / 2, REFUSED_AT_ONCE / 2),
        };
        let refused = claimed.iter().filter(|letter| letter.tries > 0).count();
        ClaimLimit {
            fresh: self.all.fresh.saturating_sub(claimed.len() - refused + kept_fresh),
            refused: self.all.refused.saturating_sub(refused + kept_refused),
        }
    }
}

impl InFlight {
    pub fn len(&self) -> usize {
        self.begun.len()
    }

    pub fn start(
        &mut self,
        letter: &ClaimedLetter,
        delivery: impl Future<Output = bool> + Send + 'static,
    ) {
        let id = self.tasks.spawn(delivery).id();
        let domain = letter.email.domain().to_owned();
        let begun = Begun { was_refused: letter.tries > 0, domain, at: Instant::now() };
        self.begun.insert(id, begun);
    }

    /// Waits for the end of a delivery; `None` if there is none.
    pub async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
        self.begun.remove(&id);
        Some(())
    }

    /// How many letters may go now.
    pub fn room(&self) -> Room {
        self.room_at(Instant::now())
    }

    fn room_at(&self, now: Instant) -> Room {
        let slow: Vec<&Begun> =
            self.begun.values().filter(|begun| now.duration_since(begun.at) > SLOW_AFTER).collect();
        // slow deliveries may take as many places again, and no more
        let places = |at_once: usize, refused: bool| {
            let all = self.begun.values().filter(|begun| begun.was_refused == refused).count();
            let slow = slow.iter().filter(|begun| begun.was_refused == refused).count();
            (at_once + slow.min(at_once)).saturating_sub(all)
        };
        let mut domains: BTreeMap<&str, usize> = BTreeMap::new();
        for begun in &slow {
            *domains.entry(&begun.domain).or_default() += 1;
        }
        let mut domains: Vec<_> = domains.into_iter().collect();
        domains.sort_by_key(|(_, deliveries)| std::cmp::Reverse(*deliveries));
        Room {
            all: ClaimLimit {
                fresh: places(FRESH_AT_ONCE, false),
                refused: places(REFUSED_AT_ONCE, true),
            },
            slow: domains
                .into_iter()
                .map(|(domain, _)| domain.to_owned())
                .take(MOST_DOMAINS)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::storage::LetterId;

    fn letter(email: &str, tries: u32) -> ClaimedLetter {
        let now = Timestamp::from_unix_millis(0);
        ClaimedLetter {
            id: LetterId::new(uuid::Uuid::nil()),
            lease: uuid::Uuid::nil(),
            leased_until: now,
            kind: "sign-up".to_owned(),
            email: email.parse().unwrap(),
            locale: None,
            account: None,
            facts: String::new(),
            created_at: now,
            due_at: now,
            tries,
        }
    }

    #[tokio::test]
    async fn s17_deliveries_that_hang_leave_room_for_others() {
        let mut in_flight = InFlight::default();
        let now = Instant::now();
        let all = ClaimLimit { fresh: FRESH_AT_ONCE, refused: REFUSED_AT_ONCE };
        let (fresh, refused) = (letter("ada@slow.example", 0), letter("ada@slow.example", 1));
        assert_eq!(in_flight.room_at(now).all, all);
        for _ in 0..FRESH_AT_ONCE {
            in_flight.start(&fresh, std::future::pending());
        }
        in_flight.start(&refused, async { true });
        assert_eq!(in_flight.room_at(now).all.fresh, 0);
        assert_eq!(in_flight.room_at(now).all.refused, REFUSED_AT_ONCE - 1);
        assert_eq!(in_flight.ended().await, Some(()));
        assert_eq!(in_flight.room_at(now).all, ClaimLimit { fresh: 0, ..all });
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(in_flight.room_at(later).all, all);
        for _ in 0..FRESH_AT_ONCE {
            in_flight.start(&fresh, std::future::pending());
        }
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(in_flight.room_at(later).all, ClaimLimit { fresh: 0, ..all }, "there is an end");
        assert_eq!(in_flight.len(), 2 * FRESH_AT_ONCE);
    }

    #[tokio::test]
    async fn s17_a_domain_that_the_server_is_slow_with_leaves_places_to_others() {
        let mut in_flight = InFlight::default();
        for _ in 0..FRESH_AT_ONCE {
            in_flight.start(&letter("ada@slow.example", 0), std::future::pending());
        }
        let room = in_flight.room();
        assert!(room.slow.is_empty());
        assert_eq!(room.rest(&[]), room.all, "nothing is kept where nothing is slow");
        let room = in_flight.room_at(Instant::now() + SLOW_AFTER * 2);
        assert_eq!((room.all.fresh, room.slow.as_slice()), (8, &["slow.example".to_owned()][..]));
        assert_eq!(room.rest(&[]), ClaimLimit { fresh: 4, refused: 2 });
        let others = [letter("ada@example.org", 0), letter("ada@example.org", 1)];
        assert_eq!(room.rest(&others), ClaimLimit { fresh: 3, refused: 1 });
    }
}
