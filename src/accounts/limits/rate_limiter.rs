//! Rate limiter of nested networks: hourly limits for each network, for the larger networks around
//! it, and in total.
//!
//! Counts live in the node's memory. A restart or a second node only grants the same budget once
//! more.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gcra::Gcra;
use super::gcra_table::GcraTable;
use super::limit::{Limit, LimitExceeded};
use crate::clock::Timestamp;
use crate::model::{AccountId, Network, Subnet};

/// Number of nested network sizes of an address: an IPv4 address or a /64; a /56; a /48 or an IPv4
/// /24.
const SIZES: usize = 3;
/// Limit of each network size, as a multiple of the smallest size's limit.
const MULTIPLES: [NonZeroU32; SIZES] =
    [NonZeroU32::MIN, NonZeroU32::MIN.saturating_add(1), NonZeroU32::MIN.saturating_add(3)];
/// `1 / RESERVE_DIVISOR` of the total is reserved for networks that have done little in this hour.
const RESERVE_DIVISOR: usize = 4;
/// Uses of the reserve in an hour, for a /48 or an IPv4 /24.
const RESERVE_PER_NETWORK: Gcra = Gcra::new(NonZeroU32::MIN.saturating_add(2));
const HOUR: Duration = Duration::from_secs(3_600);

/// Hourly limit with its name.
#[derive(Clone, Copy, Debug)]
struct NamedLimit {
    gcra: Gcra,
    limit: Limit,
}

impl NamedLimit {
    fn refusal(
        self,
        spent_until: Option<Timestamp>,
        now: Timestamp,
        most: usize,
    ) -> Option<LimitExceeded> {
        let wait = self.gcra.wait_beyond(spent_until, now, most)?;
        Some(LimitExceeded { limit: self.limit, wait })
    }
}

/// Counts of one kind of request: per network, per larger network around it, and in total.
#[derive(Debug)]
pub(super) struct RateLimiter {
    sizes: [Option<NamedLimit>; SIZES],
    all: Option<NamedLimit>,
    spent: Mutex<Budgets>,
}

/// Charge of one counted use, for a refund.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    network: Network,
    /// Smaller than usual where the network had used up its part.
    of_reserve: Duration,
}

#[derive(Debug, Default)]
struct Budgets {
    networks: [GcraTable<Subnet>; SIZES],
    all: Option<Timestamp>,
    /// Uses of the reserve, by the largest network.
    of_reserve: GcraTable<Subnet>,
}

impl Budgets {
    /// Whether the network may use the reserve.
    fn may_use_reserve(&self, network: Network, now: Timestamp) -> bool {
        let spent = largest(network).and_then(|largest| self.of_reserve.get(&largest));
        RESERVE_PER_NETWORK.wait(spent, now).is_none()
    }
}

/// The nested networks of a caller, smallest first. Some addresses lack a size.
fn by_size(network: Network) -> [Option<Subnet>; SIZES] {
    match network.subnets()[..] {
        [only] => [Some(only), None, None],
        [largest, smallest] => [Some(smallest), None, Some(largest)],
        [largest, middle, smallest] => [Some(smallest), Some(middle), Some(largest)],
        _ => [None; SIZES],
    }
}

fn largest(network: Network) -> Option<Subnet> {
    network.subnets().first().copied()
}

impl RateLimiter {
    /// `each` is the limit of an IPv4 address or a /64, with its name. `larger` is the name for the
    /// networks around it.
    pub(super) fn new(
        each: (Limit, NonZeroU32),
        larger: Limit,
        all: Option<(Limit, NonZeroU32)>,
    ) -> Self {
        let limits = [each.0, larger, larger];
        let mut bounds = limits.into_iter().zip(MULTIPLES).map(|(limit, multiple)| {
            Some(NamedLimit { gcra: Gcra::new(each.1).times(multiple), limit })
        });
        let sizes = std::array::from_fn(|_| bounds.next().flatten());
        let all = all.map(|(limit, most)| NamedLimit { gcra: Gcra::new(most), limit });
        Self { sizes, all, spent: Mutex::default() }
    }

    /// The same without counts of the smallest networks, which the database counts.
    pub(super) fn of_larger_networks(mut self) -> Self {
        if let Some(smallest) = self.sizes.first_mut() {
            *smallest = None;
        }
        self
    }

    /// Counts one use, and returns its charge.
    ///
    /// # Errors
    /// The time until the next use. The refused use is not counted.
    pub(super) fn spend(&self, network: Network, now: Timestamp) -> Result<Charge, LimitExceeded> {
        let mut charge = Charge { network, of_reserve: Duration::ZERO };
        let mut spent = self.spent();
        if let Some(refusal) = self.refusal(&spent, network, now) {
            return Err(refusal);
        }
        for ((bound, counts), network) in
            self.sizes.iter().zip(&mut spent.networks).zip(by_size(network))
        {
            if let (Some(bound), Some(network)) = (bound, network) {
                counts.set(network, bound.gcra.spend(counts.get(&network), now), now);
            }
        }
        if let (Some(all), Some(largest)) = (self.all, largest(network)) {
            spent.all = Some(all.gcra.spend(spent.all, now));
            let kept = RESERVE_PER_NETWORK.spend(spent.of_reserve.get(&largest), now);
            // a network beyond its part has no claim to the reserve, and owes no more than an hour
            let until = kept.min(now + HOUR);
            charge.of_reserve = until.since(kept - RESERVE_PER_NETWORK.interval());
            spent.of_reserve.set(largest, until, now);
        }
        Ok(charge)
    }

    /// Gives back the charge of a use that came to nothing.
    pub(super) fn refund(&self, charge: Charge, now: Timestamp) {
        let network = charge.network;
        let mut spent = self.spent();
        for ((bound, counts), network) in
            self.sizes.iter().zip(&mut spent.networks).zip(by_size(network))
        {
            if let (Some(bound), Some(network)) = (bound, network) {
                counts.refund(network, bound.gcra.interval(), now);
            }
        }
        spent.all = self.all.and_then(|all| Some(spent.all? - all.gcra.interval()));
        if let Some(largest) = largest(network) {
            spent.of_reserve.refund(largest, charge.of_reserve, now);
        }
    }

    /// Checks without counting.
    ///
    /// # Errors
    /// The time until the next use.
    pub(super) fn check(&self, network: Network, now: Timestamp) -> Result<(), LimitExceeded> {
        self.refusal(&self.spent(), network, now).map_or(Ok(()), Err)
    }

    fn refusal(&self, spent: &Budgets, network: Network, now: Timestamp) -> Option<LimitExceeded> {
        let of_networks = self.sizes.iter().zip(&spent.networks).zip(by_size(network)).filter_map(
            |((bound, counts), network)| {
                let bound = bound.as_ref()?;
                bound.refusal(counts.get(&network?), now, bound.gcra.burst())
            },
        );
        let of_all = self.all.and_then(|all| {
            let most = all.gcra.burst();
            let kept = if spent.may_use_reserve(network, now) { 0 } else { most / RESERVE_DIVISOR };
            all.refusal(spent.all, now, most - kept)
        });
        of_networks.chain(of_all).reduce(LimitExceeded::longer)
    }

    fn spent(&self) -> MutexGuard<'_, Budgets> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts of one kind of request per account.
#[derive(Debug)]
pub(super) struct AccountRateLimiter {
    bound: NamedLimit,
    spent: Mutex<GcraTable<AccountId>>,
}

impl AccountRateLimiter {
    pub(super) fn new((limit, most): (Limit, NonZeroU32)) -> Self {
        Self { bound: NamedLimit { gcra: Gcra::new(most), limit }, spent: Mutex::default() }
    }

    /// Counts one use.
    ///
    /// # Errors
    /// The time until the next use. The refused use is not counted.
    pub(super) fn spend(&self, account: AccountId, now: Timestamp) -> Result<(), LimitExceeded> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let (gcra, until) = (self.bound.gcra, spent.get(&account));
        match self.bound.refusal(until, now, gcra.burst()) {
            Some(refusal) => Err(refusal),
            None => {
                spent.set(account, gcra.spend(until, now), now);
                Ok(())
            }
        }
    }

    /// Checks without counting.
    ///
    /// # Errors
    /// The time until the next use.
    pub(super) fn check(&self, account: AccountId, now: Timestamp) -> Result<(), LimitExceeded> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = self.bound.refusal(spent.get(&account), now, self.bound.gcra.burst());
        refusal.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000_000_000);

    fn at(address: &str) -> Network {
        Network::of(address.parse().ok())
    }

    fn rate(each: u32, all: Option<u32>) -> RateLimiter {
        let all = all.and_then(NonZeroU32::new).map(|all| (Limit::SignUpsInAll, all));
        let each = (Limit::SignUpsPerAddress, NonZeroU32::new(each).unwrap());
        RateLimiter::new(each, Limit::SignUpsPerNetwork, all)
    }

    /// Number of uses from these addresses, in turn, before the first refusal, and the limit that
    /// refused.
    fn until_refused(
        rate: &RateLimiter,
        addresses: impl IntoIterator<Item = String>,
    ) -> (usize, Option<Limit>) {
        let mut count = 0;
        for address in addresses {
            match rate.spend(at(&address), NOW) {
                Ok(_) => count += 1,
                Err(refusal) => return (count, Some(refusal.limit)),
            }
        }
        (count, None)
    }

    #[test]
    fn each_network_has_a_limit_and_all_share_a_total() {
        let rate = rate(3, Some(5));
        let [one, two, three] = ["192.0.2.1", "198.51.100.1", "203.0.113.1"].map(at);
        for _ in 0..3 {
            assert!(rate.spend(one, NOW).is_ok());
        }
        let LimitExceeded { limit, wait } = rate.spend(one, NOW).unwrap_err();
        assert_eq!((limit, wait), (Limit::SignUpsPerAddress, Duration::from_secs(1_200)));
        assert!(rate.spend(two, NOW).is_ok());
        assert!(rate.spend(two, NOW).is_ok());
        let LimitExceeded { limit, wait: soon } = rate.spend(three, NOW).unwrap_err();
        assert_eq!((limit, soon), (Limit::SignUpsInAll, Duration::from_secs(720)));
        assert!(rate.spend(three, NOW + soon).is_ok());
    }

    #[test]
    fn s9_larger_networks_have_their_own_limits() {
        let per_network = Some(Limit::SignUpsPerNetwork);
        // one address after the other of one network, until the addresses end
        for (expected, addresses) in [
            ((10, Some(Limit::SignUpsPerAddress)), vec!["2001:db8::1".to_owned(); 11]),
            ((20, per_network), (0..99).map(|n| format!("2001:db8:0:{n:x}::1")).collect()),
            ((40, per_network), (0..99).map(|n| format!("2001:db8:0:{n:x}00::1")).collect()),
            ((99, None), (0..99).map(|n| format!("2001:db8:{n:x}::1")).collect()),
            ((10, Some(Limit::SignUpsPerAddress)), vec!["192.0.2.1".to_owned(); 11]),
            ((40, per_network), (0..99).map(|n| format!("192.0.2.{n}")).collect()),
            ((40, per_network), (0..99).map(|n| format!("::ffff:192.0.2.{n}")).collect()),
            ((99, None), (0..99).map(|n| format!("192.0.{n}.1")).collect()),
            ((10, Some(Limit::SignUpsPerAddress)), vec!["unknown".to_owned(); 11]),
        ] {
            let first = addresses[0].clone();
            assert_eq!(until_refused(&rate(10, None), addresses), expected, "{first}");
        }
    }

    #[test]
    fn s9_reserve_of_the_total_is_for_networks_with_little_use() {
        let rate = rate(50, Some(100));
        let busy = ["2001:db8:1::1", "192.0.2.1"].map(at);
        for number in 0..75 {
            assert!(rate.spend(busy[number % 2], NOW).is_ok(), "{number}");
        }
        for network in busy {
            let refusal = rate.spend(network, NOW).unwrap_err();
            assert_eq!(refusal.limit, Limit::SignUpsInAll);
            assert!(rate.check(network, NOW + refusal.wait).is_ok(), "the announced wait is exact");
        }
        // neither another /64 of the same /48, nor another address of the same /24
        assert!(rate.spend(at("2001:db8:1:ffff::1"), NOW).is_err());
        assert!(rate.spend(at("192.0.2.200"), NOW).is_err());
        // each new network gets its part of the reserve, and no more
        for number in 0..8 {
            let newcomer = at(&format!("2001:db8:2{number}::1"));
            for _ in 0..3 {
                assert!(rate.spend(newcomer, NOW).is_ok(), "{number}");
            }
            assert!(rate.spend(newcomer, NOW).is_err(), "{number}");
        }
        assert!(rate.spend(at("198.51.100.1"), NOW).is_ok());
        assert!(rate.spend(at("198.51.101.1"), NOW).is_err(), "the reserve is used up");
        // the total decays evenly, but a network that has used its part of the reserve gets none of
        // it
        let later = NOW + Duration::from_secs(600);
        assert!(rate.spend(busy[0], later).is_err());
        assert!(rate.spend(at("198.51.102.1"), later).is_ok());
    }

    #[test]
    fn refund_allows_exactly_one_more_use() {
        let rate = rate(2, Some(3));
        let [one, two] = ["192.0.2.1", "198.51.100.1"].map(at);
        for _ in 0..10 {
            let charge = rate.spend(one, NOW).unwrap();
            rate.refund(charge, NOW);
        }
        for _ in 0..2 {
            assert!(rate.spend(one, NOW).is_ok());
        }
        assert!(rate.spend(one, NOW).is_err());
        assert!(rate.spend(two, NOW).is_ok());
        assert!(rate.spend(two, NOW).is_err());
    }

    #[test]
    fn s9_refund_gives_a_heavy_network_no_reserve() {
        let rate = rate(50, Some(100));
        let busy = at("2001:db8:1::1");
        for number in 0..30 {
            assert!(rate.spend(busy, NOW).is_ok(), "{number}");
        }
        for number in 0..30 {
            let charge = rate.spend(busy, NOW).unwrap();
            rate.refund(charge, NOW);
            assert!(!rate.spent().may_use_reserve(busy, NOW), "{number}");
        }
        // a use that crosses the bound refunds no more than its charge
        let (later, other) = (NOW + Duration::from_secs(600), at("2001:db8:2::1"));
        let charge = rate.spend(busy, later).unwrap();
        rate.refund(charge, later);
        let left = rate.spent().of_reserve.get(&largest(busy).unwrap());
        assert_eq!(left, Some(NOW + HOUR));
        let charge = rate.spend(other, later).unwrap();
        rate.refund(charge, later);
        assert!(rate.spent().may_use_reserve(other, later));
    }

    #[test]
    fn s10_each_account_has_its_own_limit() {
        let rate =
            AccountRateLimiter::new((Limit::RequestsPerAccount, NonZeroU32::new(2).unwrap()));
        let [ada, bob] = [1, 2].map(|number| AccountId::new(uuid::Uuid::from_u128(number)));
        for _ in 0..2 {
            assert!(rate.check(ada, NOW).is_ok());
            assert!(rate.spend(ada, NOW).is_ok());
        }
        let LimitExceeded { limit, wait } = rate.spend(ada, NOW).unwrap_err();
        assert_eq!((limit, wait), (Limit::RequestsPerAccount, Duration::from_secs(1_800)));
        assert!(rate.check(ada, NOW).is_err() && rate.check(ada, NOW + wait).is_ok());
        assert!(rate.spend(bob, NOW).is_ok());
    }
}
