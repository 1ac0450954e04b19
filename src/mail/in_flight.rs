//! The deliveries in flight, and the limits on further ones.
//!
//! - Fresh letters and letters that were refused before have separate places, so that bad
//!   recipients delay no fresh letter.
//! - A delivery that takes longer than `SLOW_AFTER` (1 s) gives its place to another, within a
//!   limit: a mail server takes only so many connections from one client.
//! - A domain is slow while a delivery to it is slow, for example because the server leaves each of
//!   its recipients without an answer. Letters to other domains then go first, and some places are
//!   reserved for them (S17).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use crate::storage::{ClaimLimit, ClaimedLetter, MAX_DOMAINS};

/// Places for letters that were never refused.
const MAX_FRESH: usize = 8;
/// Places for letters that were refused before.
const MAX_REFUSED: usize = 4;
/// A delivery that takes longer gives its place to another. A working mail server answers sooner.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// Limit on all deliveries at once, slow ones included.
pub(super) const MAX_DELIVERIES: usize = 2 * (MAX_FRESH + MAX_REFUSED);
/// All places are divided into six parts:
///
/// - One part is for letters that were refused before.
/// - One part is for fresh letters for which the server may take its time.
/// - Four parts are for other fresh letters. The server must answer to their recipients within
///   `FIRST_REPLY_TIMEOUT` (1 s) at the first try.
///
/// So recipients that get no answer delay no fresh letter, however many domains they have (S17).
const PARTS: usize = 6;
const FIRST_REPLY_TIMEOUT: Duration = SLOW_AFTER;

/// The deliveries that have started and not ended.
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
    /// The delivery started during an outage.
    is_probe: bool,
    domain: String,
    at: Instant,
}

impl Delivery {
    fn is_slow(&self, now: Instant) -> bool {
        now.duration_since(self.at) > SLOW_AFTER
    }
}

/// Number of letters that may start now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Number of letters to any domain, slow ones included.
    pub all: ClaimLimit,
    /// Domains with slow deliveries, the domain with the most of them first.
    pub slow: Vec<String>,
}

impl Capacity {
    /// Places that remain for letters to any domain after the claim of `claimed`. While a domain is
    /// slow, half of the usual places stay reserved for other domains.
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
    /// Number of deliveries that a probe must wait for: other probes, and deliveries younger than
    /// `SLOW_AFTER` (1 s), which may still show that the server works. Older deliveries without an
    /// answer do not count.
    pub fn blocking_a_probe(&self) -> usize {
        let now = Instant::now();
        self.deliveries
            .values()
            .filter(|delivery| delivery.is_probe || !delivery.is_slow(now))
            .count()
    }

    /// Longest time for the server's answer to the recipient of this letter, given `most` places;
    /// `None` means the time of the whole delivery. A probe gets a short time, so that it soon
    /// shows whether the server works.
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

    /// Starts a delivery; `is_probe` during an outage.
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

    /// Waits for the end of a delivery; `None` if there is no delivery.
    pub async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
        self.deliveries.remove(&id);
        Some(())
    }

    /// Number of letters that may start now, given `most` places.
    pub fn capacity(&self, most: usize) -> Capacity {
        self.capacity_at(Instant::now(), most)
    }

    fn capacity_at(&self, now: Instant, most: usize) -> Capacity {
        let slow: Vec<&Delivery> =
            self.deliveries.values().filter(|delivery| delivery.is_slow(now)).collect();
        // slow deliveries give back their places, at most `at_once` of them
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
    async fn s17_hanging_deliveries_leave_places_for_others() {
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
            "the total is limited"
        );
        assert_eq!(in_flight.deliveries.len(), 2 * MAX_FRESH);
    }

    #[tokio::test]
    async fn s17_slow_domain_leaves_places_for_other_domains() {
        let mut in_flight = InFlight::default();
        for _ in 0..MAX_FRESH {
            in_flight.start(&letter("ada@slow.example", 0), AT_ONCE, std::future::pending());
        }
        let capacity = in_flight.capacity(MAX_DELIVERIES);
        assert!(capacity.slow.is_empty());
        assert_eq!(
            capacity.remaining(&[]),
            capacity.all,
            "no capacity is reserved without a slow domain"
        );
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
    async fn s17_many_silent_domains_leave_places_for_others() {
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
            assert!(patient <= most.div_ceil(2), "{most}: {patient} slow deliveries at once");
        }
    }

    #[tokio::test]
    async fn s17_probe_waits_for_other_probes_and_for_no_slow_delivery() {
        let mut in_flight = InFlight::default();
        let ada = letter("ada@slow.example", 0);
        in_flight.start(&ada, (None, false), std::future::pending());
        in_flight.start(&ada, (None, true), std::future::pending());
        assert_eq!(in_flight.blocking_a_probe(), 2);
        for delivery in in_flight.deliveries.values_mut() {
            delivery.at -= SLOW_AFTER * 2;
        }
        assert_eq!(in_flight.blocking_a_probe(), 1);
    }
}
