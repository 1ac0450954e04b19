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

use crate::storage::{ClaimLimit, ClaimedLetter, MAX_DOMAINS};

/// Letters that were never refused, on their way at once.
const MAX_FRESH: usize = 8;
/// Letters that were refused before, on their way at once.
const MAX_REFUSED: usize = 4;
/// A delivery that takes longer gives its place to another. A mail server that works answers sooner.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// All deliveries at once, those that are slow included.
pub(super) const MAX_DELIVERIES: usize = 2 * (MAX_FRESH + MAX_REFUSED);
/// Of six parts of all places, letters that were refused have one. One is for fresh letters for which the
/// server may take its time. The rest is for other fresh letters, to whose recipients it has to answer
/// within `FIRST_REPLY_TIMEOUT` at the first try. So recipients that are met with silence keep no fresh letter waiting, however many
/// domains they have (S17).
const PARTS: usize = 6;
const FIRST_REPLY_TIMEOUT: Duration = SLOW_AFTER;

/// The deliveries that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    tasks: JoinSet<bool>,
    deliveries: HashMap<Id, Delivery>,
}

#[derive(Debug)]
struct Delivery {
    was_refused: bool,
    /// The server may take its time to answer to the recipient.
    is_patient: bool,
    /// It began during an outage.
    is_probe: bool,
    domain: String,
    at: Instant,
}

impl Delivery {
    fn is_slow(&self, now: Instant) -> bool {
        now.duration_since(self.at) > SLOW_AFTER
    }
}

/// How many letters may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub all: ClaimLimit,
    /// Domains that the mail server is slow with, the worst ones first.
    pub slow: Vec<String>,
}

impl Capacity {
    /// What is left for letters to any domain when these were claimed: half of the usual places stay
    /// free for others while the server is slow with a domain.
    pub fn remaining(&self, claimed: &[ClaimedLetter]) -> ClaimLimit {
        let (kept_fresh, kept_refused) = match self.slow.is_empty() {
            true => (0, 0),
            false => (MAX_FRESH / 2, MAX_REFUSED / 2),
        };
        let refused = claimed.iter().filter(|letter| letter.tries > 0).count();
        ClaimLimit {
            fresh: self.all.fresh.saturating_sub(claimed.len() - refused + kept_fresh),
            refused: self.all.refused.saturating_sub(refused + kept_refused),
        }
    }
}

impl InFlight {
    /// How many deliveries a probe waits for: another probe, and what began so lately that it may still
    /// show that the server is there. Not those to recipients that are met with silence.
    pub fn before_a_probe(&self) -> usize {
        let now = Instant::now();
        self.deliveries
            .values()
            .filter(|delivery| delivery.is_probe || !delivery.is_slow(now))
            .count()
    }

    /// How long the server may take to answer to the recipient of this letter, where there are `most`
    /// places; `None` is as long as the whole delivery. A probe is to show soon that the server is there.
    pub fn patience(
        &self,
        letter: &ClaimedLetter,
        most: usize,
        is_probe: bool,
    ) -> Option<Duration> {
        let patient = |delivery: &&Delivery| delivery.is_patient && !delivery.was_refused;
        let patient = self.deliveries.values().filter(patient).count();
        (letter.tries == 0 && (is_probe || patient >= most / PARTS)).then_some(FIRST_REPLY_TIMEOUT)
    }

    /// Begins a delivery; `is_probe` during an outage.
    pub fn start(
        &mut self,
        letter: &ClaimedLetter,
        (patience, is_probe): (Option<Duration>, bool),
        delivery: impl Future<Output = bool> + Send + 'static,
    ) {
        let id = self.tasks.spawn(delivery).id();
        let domain = letter.email.domain().to_owned();
        let (was_refused, is_patient) = (letter.tries > 0, patience.is_none());
        let delivery = Delivery { was_refused, is_patient, is_probe, domain, at: Instant::now() };
        self.deliveries.insert(id, delivery);
    }

    /// Waits for the end of a delivery; `None` if there is none.
    pub async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
        self.deliveries.remove(&id);
        Some(())
    }

    /// How many letters may go now, where there are `most` places.
    pub fn capacity(&self, most: usize) -> Capacity {
        self.capacity_at(Instant::now(), most)
    }

    fn capacity_at(&self, now: Instant, most: usize) -> Capacity {
        let slow: Vec<&Delivery> =
            self.deliveries.values().filter(|delivery| delivery.is_slow(now)).collect();
        // slow deliveries may take as many places again, and no more
        let places = |at_once: usize, refused: bool| {
            let all =
                self.deliveries.values().filter(|delivery| delivery.was_refused == refused).count();
            let slow = slow.iter().filter(|delivery| delivery.was_refused == refused).count();
            (at_once + slow.min(at_once)).saturating_sub(all)
        };
        let mut domains: BTreeMap<&str, usize> = BTreeMap::new();
        for delivery in &slow {
            *domains.entry(&delivery.domain).or_default() += 1;
        }
        let mut domains: Vec<_> = domains.into_iter().collect();
        domains.sort_by_key(|(_, deliveries)| std::cmp::Reverse(*deliveries));
        let free = most.saturating_sub(self.deliveries.len());
        let of_refused = self.deliveries.values().filter(|delivery| delivery.was_refused).count();
        let for_refused = (most / PARTS).max(1).saturating_sub(of_refused).min(free);
        let for_fresh = (free - for_refused).max(free.min(1));
        Capacity {
            all: ClaimLimit {
                fresh: places(MAX_FRESH, false).min(for_fresh),
                refused: places(MAX_REFUSED, true).min(for_refused),
            },
            slow: domains
                .into_iter()
                .map(|(domain, _)| domain.to_owned())
                .take(MAX_DOMAINS)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::storage::LetterId;

    const AT_ONCE: (Option<Duration>, bool) = (None, false);

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
        let all = ClaimLimit { fresh: MAX_FRESH, refused: MAX_REFUSED };
        let (fresh, refused) = (letter("ada@slow.example", 0), letter("ada@slow.example", 1));
        assert_eq!(in_flight.capacity_at(now, MAX_DELIVERIES).all, all);
        for _ in 0..MAX_FRESH {
            in_flight.start(&fresh, AT_ONCE, std::future::pending());
        }
        in_flight.start(&refused, AT_ONCE, async { true });
        assert_eq!(in_flight.capacity_at(now, MAX_DELIVERIES).all.fresh, 0);
        assert_eq!(in_flight.capacity_at(now, MAX_DELIVERIES).all.refused, MAX_REFUSED - 1);
        assert_eq!(in_flight.ended().await, Some(()));
        assert_eq!(in_flight.capacity_at(now, MAX_DELIVERIES).all, ClaimLimit { fresh: 0, ..all });
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(in_flight.capacity_at(later, MAX_DELIVERIES).all, all);
        for _ in 0..MAX_FRESH {
            in_flight.start(&fresh, AT_ONCE, std::future::pending());
        }
        let later = Instant::now() + SLOW_AFTER * 2;
        assert_eq!(
            in_flight.capacity_at(later, MAX_DELIVERIES).all,
            ClaimLimit { fresh: 0, ..all },
            "there is an end"
        );
        assert_eq!(in_flight.deliveries.len(), 2 * MAX_FRESH);
    }

    #[tokio::test]
    async fn s17_a_domain_that_the_server_is_slow_with_leaves_places_to_others() {
        let mut in_flight = InFlight::default();
        for _ in 0..MAX_FRESH {
            in_flight.start(&letter("ada@slow.example", 0), AT_ONCE, std::future::pending());
        }
        let capacity = in_flight.capacity(MAX_DELIVERIES);
        assert!(capacity.slow.is_empty());
        assert_eq!(capacity.remaining(&[]), capacity.all, "nothing is kept where nothing is slow");
        let capacity = in_flight.capacity_at(Instant::now() + SLOW_AFTER * 2, MAX_DELIVERIES);
        assert_eq!(
            (capacity.all.fresh, capacity.slow.as_slice()),
            (8, &["slow.example".to_owned()][..])
        );
        assert_eq!(capacity.remaining(&[]), ClaimLimit { fresh: 4, refused: 2 });
        let others = [letter("ada@example.org", 0), letter("ada@example.org", 1)];
        assert_eq!(capacity.remaining(&others), ClaimLimit { fresh: 3, refused: 1 });
    }

    #[tokio::test]
    async fn s17_silence_in_many_domains_leaves_places_to_others() {
        for most in [MAX_DELIVERIES, 10, 5, 2] {
            let mut in_flight = InFlight::default();
            let (mut patient, mut number) = (0, 0);
            let later = Instant::now() + SLOW_AFTER * 2;
            for round in 0..3 {
                let ClaimLimit { fresh, refused } = in_flight.capacity_at(later, most).all;
                for (tries, letters) in [(0, fresh), (1, refused)] {
                    for _ in 0..letters {
                        number += 1;
                        let letter = letter(&format!("ada@n{number}.example"), tries);
                        let patience = in_flight.patience(&letter, most, false);
                        patient += usize::from(patience.is_none());
                        in_flight.start(&letter, (patience, false), std::future::pending());
                    }
                }
                assert!(in_flight.deliveries.len() <= most, "{most}: {round}");
            }
            assert!(patient <= most.div_ceil(2), "{most}: {patient} of them may take their time");
        }
    }

    #[tokio::test]
    async fn s17_a_probe_waits_for_no_delivery_that_is_slow_unless_it_is_a_probe() {
        let mut in_flight = InFlight::default();
        let ada = letter("ada@slow.example", 0);
        in_flight.start(&ada, (None, false), std::future::pending());
        in_flight.start(&ada, (None, true), std::future::pending());
        assert_eq!(in_flight.before_a_probe(), 2);
        for delivery in in_flight.deliveries.values_mut() {
            delivery.at -= SLOW_AFTER * 2;
        }
        assert_eq!(in_flight.before_a_probe(), 1);
    }
}
