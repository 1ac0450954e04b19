//! How often something may be tried, and how much strangers may cause (`[vestibule.limits]`).

mod guessing;
mod hourly;
mod lines;
mod rates;

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Failure;
use crate::clock::Clock;
use crate::config::Settings;
use crate::crypto::hasher::Hasher;
use crate::metrics::Limiting;
use crate::model::{AccountId, Caller, EmailAddress, Tried, network_digest};
use crate::storage::{Connection, Store, StoreError};

use guessing::FailuresInAll;
pub use guessing::Pass;
use hourly::Hourly;
use lines::Lines;
use rates::Rate;

/// The limits of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits {
    store: Store,
    clock: Clock,
    shared: Arc<Shared>,
}

/// What refuses: settings by their names, and the room to wait for a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limit {
    FreeFailures,
    FailuresInARow,
    FailuresPerAddress,
    FailuresInAll,
    SignUpsPerAddress,
    SignUpsInAll,
    RequestsPerAddress,
    RequestsInAll,
    UnknownLinksPerAddress,
    Waiting,
}

impl Limit {
    const fn name(self) -> &'static str {
        match self {
            Self::FreeFailures => "free_failures",
            Self::FailuresInARow => "failures_in_a_row",
            Self::FailuresPerAddress => "failures_per_address",
            Self::FailuresInAll => "failures_in_all",
            Self::SignUpsPerAddress => "sign_ups_per_address",
            Self::SignUpsInAll => "sign_ups_in_all",
            Self::RequestsPerAddress => "requests_per_address",
            Self::RequestsInAll => "requests_in_all",
            Self::UnknownLinksPerAddress => "unknown_links_per_address",
            Self::Waiting => "waiting",
        }
    }
}

/// That something may not happen for so long.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    limit: Limit,
    wait: Duration,
}

impl Refusal {
    fn longer(self, other: Self) -> Self {
        if self.wait >= other.wait { self } else { other }
    }
}

#[derive(Debug)]
struct Shared {
    enabled: bool,
    metrics: Limiting,
    hasher: Hasher,
    /// Of the hasher.
    slots: usize,
    max_wait: Duration,
    /// Requests that may be under way.
    in_flight: usize,
    free_failures: usize,
    failures_in_a_row: usize,
    longest_delay: Duration,
    per_address: Hourly,
    in_all: Hourly,
    failures_in_all: FailuresInAll,
    lines: Lines,
    sign_ups: Rate,
    requests: Rate,
    unknown_links: Rate,
}

impl Limits {
    pub fn new(store: Store, clock: Clock, hasher: Hasher, settings: &Settings) -> Self {
        let Settings { limits, hashing, admission, .. } = settings;
        let count =
            |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let shared = Shared {
            enabled: limits.enabled,
            metrics: Limiting::default(),
            hasher,
            slots: hashing.slots.get(),
            max_wait: hashing.max_wait.duration(),
            in_flight: admission.in_flight.get(),
            free_failures: count(limits.free_failures),
            failures_in_a_row: count(limits.failures_in_a_row),
            longest_delay: limits.longest_delay.duration(),
            per_address: Hourly::new(limits.failures_per_address),
            in_all: Hourly::new(limits.failures_in_all),
            failures_in_all: FailuresInAll::default(),
            lines: Lines::default(),
            sign_ups: Rate::new(
                (Limit::SignUpsPerAddress, limits.sign_ups_per_address),
                Some((Limit::SignUpsInAll, limits.sign_ups_in_all)),
            ),
            requests: Rate::new(
                (Limit::RequestsPerAddress, limits.requests_per_address),
                Some((Limit::RequestsInAll, limits.requests_in_all)),
            ),
            unknown_links: Rate::new(
                (Limit::UnknownLinksPerAddress, limits.unknown_links_per_address),
                None,
            ),
        };
        Self { store, clock, shared: Arc::new(shared) }
    }

    /// Who was refused, and by what.
    pub fn metrics(&self) -> &Limiting {
        &self.shared.metrics
    }

    /// Somebody signs up.
    pub(super) fn count_sign_up(&self, caller: &Caller) -> Result<(), Failure> {
        self.count(&self.shared.sign_ups, caller)
    }

    /// A sign-up that was counted was then put off: it is none yet.
    pub(super) fn give_sign_up_back(&self, caller: &Caller) {
        self.shared.sign_ups.give_back(&network_digest(caller.address), self.clock.now());
    }

    /// Somebody asks for a letter, whoever gets it.
    pub(super) fn count_request(&self, caller: &Caller) -> Result<(), Failure> {
        self.count(&self.shared.requests, caller)
    }

    fn count(&self, rate: &Rate, caller: &Caller) -> Result<(), Failure> {
        if !self.shared.enabled {
            return Ok(());
        }
        let spent = rate.spend(&network_digest(caller.address), self.clock.now());
        spent.map_err(|refusal| self.shared.limited(refusal))
    }

    /// Whether somebody may try a link: not after too many that nobody ever got.
    pub fn admit_link(&self, caller: &Caller) -> Result<(), Failure> {
        let wait =
            self.shared.unknown_links.wait(&network_digest(caller.address), self.clock.now());
        match wait.filter(|_| self.shared.enabled) {
            Some(wait) => {
                Err(self.shared.limited(Refusal { limit: Limit::UnknownLinksPerAddress, wait }))
            }
            None => Ok(()),
        }
    }

    /// Somebody has tried a link that nobody ever got.
    pub fn count_unknown_link(&self, caller: &Caller) {
        if self.shared.enabled {
            let network = network_digest(caller.address);
            // the answer to this one is that there is no such link; the next is refused
            let _ = self.shared.unknown_links.spend(&network, self.clock.now());
        }
    }

    /// All passwords that were wrong for the account count no more, and no place is known: its owner
    /// has shown to be that by their mailbox, or leaves.
    pub(super) async fn forgive(
        &self,
        tx: &mut Connection,
        account: AccountId,
        email: &EmailAddress,
    ) -> Result<(), StoreError> {
        tx.forget_places(account, 0).await?;
        tx.delete_failures(&Tried::of(email.as_str(), None).name).await
    }
}

impl Shared {
    /// Counts the refusal, and says it as others hear it: for how long, and not why.
    fn limited(&self, refusal: Refusal) -> Failure {
        self.metrics.limited(refusal.limit.name());
        Failure::Limited { retry_after: refusal.wait }
    }
}
