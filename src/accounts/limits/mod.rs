//! How often something may be tried, and how much strangers may cause (`[vestibule.limits]`).

mod guessing;
mod hourly;
mod lines;
mod rates;

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Failure;
use crate::clock::Clock;
use crate::config::{HashingSettings, LimitSettings};
use crate::crypto::hasher::Hasher;
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

#[derive(Debug)]
struct Shared {
    enabled: bool,
    hasher: Hasher,
    /// Of the hasher.
    slots: usize,
    max_wait: Duration,
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
    pub fn new(
        store: Store,
        clock: Clock,
        hasher: Hasher,
        limits: &LimitSettings,
        hashing: &HashingSettings,
    ) -> Self {
        let count =
            |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let shared = Shared {
            enabled: limits.enabled,
            hasher,
            slots: hashing.slots.get(),
            max_wait: hashing.max_wait.duration(),
            free_failures: count(limits.free_failures),
            failures_in_a_row: count(limits.failures_in_a_row),
            longest_delay: limits.longest_delay.duration(),
            per_address: Hourly::new(limits.failures_per_address),
            in_all: Hourly::new(limits.failures_in_all),
            failures_in_all: FailuresInAll::default(),
            lines: Lines::default(),
            sign_ups: Rate::new(limits.sign_ups_per_address, Some(limits.sign_ups_in_all)),
            requests: Rate::new(limits.requests_per_address, Some(limits.requests_in_all)),
            unknown_links: Rate::new(limits.unknown_links_per_address, None),
        };
        Self { store, clock, shared: Arc::new(shared) }
    }

    /// Somebody signs up.
    pub(super) fn count_sign_up(&self, caller: &Caller) -> Result<(), Failure> {
        self.count(&self.shared.sign_ups, caller)
    }

    /// Somebody asks for a letter, whoever gets it.
    pub(super) fn count_request(&self, caller: &Caller) -> Result<(), Failure> {
        self.count(&self.shared.requests, caller)
    }

    fn count(&self, rate: &Rate, caller: &Caller) -> Result<(), Failure> {
        if !self.shared.enabled {
            return Ok(());
        }
        let limited = |retry_after| Failure::Limited { retry_after };
        rate.spend(&network_digest(caller.address), self.clock.now()).map_err(limited)
    }

    /// Whether somebody may try a link: not after too many that nobody ever got.
    pub fn admit_link(&self, caller: &Caller) -> Result<(), Failure> {
        let wait =
            self.shared.unknown_links.wait(&network_digest(caller.address), self.clock.now());
        match wait.filter(|_| self.shared.enabled) {
            Some(retry_after) => Err(Failure::Limited { retry_after }),
            None => Ok(()),
        }
    }

    /// Somebody has tried a link that nobody ever got.
    pub fn count_unknown_link(&self, caller: &Caller) {
        // the answer to this one is that there is no such link; the next is refused
        let _ = self.count(&self.shared.unknown_links, caller);
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
