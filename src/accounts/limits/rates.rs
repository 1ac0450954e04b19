//! What strangers may cause in an hour: sign-ups, letters, and looking for links.
//!
//! Counted in the memory of the node, since a restart or another node gives away no more than the same
//! once more.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::hourly::Hourly;
use super::{Limit, Refusal};
use crate::clock::Timestamp;
use crate::model::Digest;

/// So many networks are told apart at a time; any further share what is left of one.
const NETWORKS_AT_MOST: usize = 50_000;

/// One kind of thing that is counted, for each network and in all.
#[derive(Debug)]
pub(super) struct Rate {
    each: Hourly,
    all: Option<Hourly>,
    /// What they are called.
    limits: (Limit, Limit),
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    each: HashMap<[u8; 32], Timestamp>,
    rest: Option<Timestamp>,
    all: Option<Timestamp>,
}

impl Rate {
    pub(super) fn new(each: (Limit, NonZeroU32), all: Option<(Limit, NonZeroU32)>) -> Self {
        let limits = (each.0, all.map_or(each.0, |(limit, _)| limit));
        let (each, all) = (Hourly::new(each.1), all.map(|(_, most)| Hourly::new(most)));
        Self { each, all, limits, spent: Mutex::default() }
    }

    /// Counts one.
    ///
    /// # Errors
    /// How long no more may happen; then nothing is counted.
    pub(super) fn spend(&self, network: &Digest, now: Timestamp) -> Result<(), Refusal> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = spent.of(network);
        let refusal = |limit| move |wait| Refusal { limit, wait };
        let of_each = self.each.wait(of_network, now).map(refusal(self.limits.0));
        let of_all = self.all.and_then(|all| all.wait(spent.all, now)).map(refusal(self.limits.1));
        match (of_each, of_all) {
            (Some(one), Some(other)) => return Err(one.longer(other)),
            (Some(refusal), None) | (None, Some(refusal)) => return Err(refusal),
            (None, None) => {}
        }
        spent.set(network, self.each.spend(of_network, now), now);
        spent.all = self.all.map(|all| all.spend(spent.all, now));
        Ok(())
    }

    /// One that was counted has come to nothing.
    pub(super) fn give_back(&self, network: &Digest, now: Timestamp) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = spent.of(network) {
            spent.set(network, until - self.each.interval(), now);
        }
        spent.all = self.all.and_then(|all| Some(spent.all? - all.interval()));
    }

    /// How long no more may happen; `None` if something may.
    pub(super) fn wait(&self, network: &Digest, now: Timestamp) -> Option<Duration> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        self.each.wait(spent.of(network), now)
    }
}

impl Spent {
    fn of(&self, network: &Digest) -> Option<Timestamp> {
        match self.each.get(network.as_bytes()) {
            Some(spent) => Some(*spent),
            None if self.each.len() < NETWORKS_AT_MOST => None,
            None => self.rest,
        }
    }

    fn set(&mut self, network: &Digest, until: Timestamp, now: Timestamp) {
        if self.each.len() >= NETWORKS_AT_MOST && !self.each.contains_key(network.as_bytes()) {
            // gone through no oftener than `rest` lets anybody pass
            self.each.retain(|_, spent| *spent > now && *spent <= Hourly::doubtful(now));
            if self.each.len() >= NETWORKS_AT_MOST {
                self.rest = Some(until);
                return;
            }
        }
        self.each.insert(*network.as_bytes(), until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000_000);

    fn network(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn rate(each: u32, all: Option<u32>) -> Rate {
        let all = all.and_then(NonZeroU32::new).map(|all| (Limit::SignUpsInAll, all));
        Rate::new((Limit::SignUpsPerAddress, NonZeroU32::new(each).unwrap()), all)
    }

    #[test]
    fn each_network_has_its_own_and_all_have_one_together() {
        let rate = rate(3, Some(5));
        for _ in 0..3 {
            assert!(rate.spend(&network(1), NOW).is_ok());
        }
        let Refusal { limit, wait } = rate.spend(&network(1), NOW).unwrap_err();
        assert_eq!((limit, wait), (Limit::SignUpsPerAddress, Duration::from_secs(1_200)));
        assert!(rate.spend(&network(2), NOW).is_ok());
        assert!(rate.spend(&network(2), NOW).is_ok());
        let Refusal { limit, wait: soon } = rate.spend(&network(3), NOW).unwrap_err();
        assert_eq!((limit, soon), (Limit::SignUpsInAll, Duration::from_secs(720)));
        assert!(rate.spend(&network(1), NOW + wait).is_ok());
    }

    #[test]
    fn what_is_given_back_can_be_had_again_and_no_more() {
        let rate = rate(2, Some(3));
        for _ in 0..10 {
            assert!(rate.spend(&network(1), NOW).is_ok());
            rate.give_back(&network(1), NOW);
        }
        for _ in 0..2 {
            assert!(rate.spend(&network(1), NOW).is_ok());
        }
        assert!(rate.spend(&network(1), NOW).is_err());
        assert!(rate.spend(&network(2), NOW).is_ok());
        assert!(rate.spend(&network(2), NOW).is_err());
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_networks_opens_nothing() {
        let rate = rate(2, None);
        for number in 0..NETWORKS_AT_MOST {
            assert!(rate.spend(&network(number), NOW).is_ok());
        }
        assert!(rate.spend(&network(0), NOW).is_ok(), "who was there before keeps their own");
        let further = (0..100).filter(|more| rate.spend(&network(1_000_000 + more), NOW).is_ok());
        assert_eq!(further.count(), 2, "all the others share one");
        assert_eq!(rate.spent.lock().unwrap().each.len(), NETWORKS_AT_MOST);
        // what is forgotten makes room
        assert!(rate.spend(&network(2_000_000), NOW + Duration::from_secs(3_600)).is_ok());
        assert_eq!(rate.spent.lock().unwrap().each.len(), 1);
    }
}
