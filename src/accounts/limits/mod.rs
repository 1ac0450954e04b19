//! Limits on attempts and on the work that strangers can cause (`[vestibule.limits]`).

mod gcra;
mod gcra_table;
mod guess_policy;
mod keyed_semaphore;
mod limit;
mod login_attempts;
mod rate_limiter;
mod sign_up_mutex;

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Failure;
use crate::clock::Clock;
use crate::config::Settings;
use crate::crypto::hasher::Hasher;
use crate::metrics::LimitMetrics;
use crate::model::{AccountId, ClientInfo, EmailAddress, Network};
use crate::storage::Store;

use guess_policy::GuessPolicy;
use keyed_semaphore::{KeyedSemaphore, Permit};
use limit::{Limit, LimitExceeded};
pub use login_attempts::AttemptPermit;
use rate_limiter::{AccountRateLimiter, Charge, RateLimiter};
use sign_up_mutex::SignUpMutex;

/// The limits of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits {
    store: Store,
    clock: Clock,
    shared: Arc<LimitState>,
}

#[derive(Debug)]
struct LimitState {
    enabled: bool,
    metrics: LimitMetrics,
    hasher: Hasher,
    /// Slots of the hasher.
    slots: usize,
    max_wait: Duration,
    /// Largest number of requests under way.
    in_flight: usize,
    guesses: GuessPolicy,
    semaphore: KeyedSemaphore,
    sign_up_mutex: SignUpMutex,
    sign_ups: RateLimiter,
    requests: RateLimiter,
    requests_of_accounts: AccountRateLimiter,
    unknown_links: RateLimiter,
}

/// A counted sign-up that can be refunded. Empty where limits are off.
#[derive(Debug)]
pub(super) struct CountedSignUp(Option<Charge>);

impl Limits {
    /// Limits by the settings. The counts in memory start empty.
    pub fn new(store: Store, clock: Clock, hasher: Hasher, settings: &Settings) -> Self {
        let Settings { limits, hashing, admission, .. } = settings;
        let shared = LimitState {
            enabled: limits.enabled,
            metrics: LimitMetrics::default(),
            hasher,
            slots: hashing.slots.get(),
            max_wait: hashing.max_wait.duration(),
            in_flight: admission.in_flight.get(),
            guesses: GuessPolicy::new(limits),
            semaphore: KeyedSemaphore::default(),
            sign_up_mutex: SignUpMutex::default(),
            sign_ups: RateLimiter::new(
                (Limit::SignUpsPerAddress, limits.sign_ups_per_address),
                Limit::SignUpsPerNetwork,
                Some((Limit::SignUpsInAll, limits.sign_ups_in_all)),
            ),
            requests: RateLimiter::new(
                (Limit::RequestsPerAddress, limits.requests_per_address),
                Limit::RequestsPerNetwork,
                Some((Limit::RequestsInAll, limits.requests_in_all)),
            ),
            requests_of_accounts: AccountRateLimiter::new((
                Limit::RequestsPerAccount,
                limits.requests_per_account,
            )),
            unknown_links: RateLimiter::new(
                (Limit::UnknownLinksPerAddress, limits.unknown_links_per_address),
                Limit::UnknownLinksPerNetwork,
                None,
            ),
        };
        Self { store, clock, shared: Arc::new(shared) }
    }

    /// Counts of refusals by limit.
    pub fn metrics(&self) -> &LimitMetrics {
        &self.shared.metrics
    }

    /// Waits until no other sign-up for the address from this network is under way. `None` if too
    /// many wait, or the wait takes too long.
    pub(super) async fn lock_sign_up(
        &self,
        email: &EmailAddress,
        network: Network,
    ) -> Option<Permit> {
        self.shared.sign_up_mutex.lock(email, network).await
    }

    /// Counts a sign-up, which sends a letter to an address that any caller may type.
    pub(super) fn count_sign_up(&self, caller: &ClientInfo) -> Result<CountedSignUp, Failure> {
        self.limited(|| self.shared.sign_ups.spend(caller.network(), self.clock.now()))
            .map(CountedSignUp)
    }

    /// Refunds a counted sign-up that was then postponed.
    pub(super) fn refund_sign_up(&self, CountedSignUp(charge): CountedSignUp) {
        if let Some(charge) = charge {
            self.shared.sign_ups.refund(charge, self.clock.now());
        }
    }

    /// Counts a request for a letter, for any recipient.
    pub(super) fn count_request(&self, caller: &ClientInfo) -> Result<(), Failure> {
        self.limited(|| self.shared.requests.spend(caller.network(), self.clock.now())).map(drop)
    }

    /// Checks whether an account may ask for a letter to a foreign address, before its password is
    /// hashed. Counts nothing.
    pub(super) fn admit_account_request(
        &self,
        account: AccountId,
        caller: &ClientInfo,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        self.limited(|| self.shared.requests.check(caller.network(), now))?;
        self.limited(|| self.shared.requests_of_accounts.check(account, now)).map(drop)
    }

    /// Counts an account's request for a letter to a foreign address.
    pub(super) fn count_account_request(&self, account: AccountId) -> Result<(), Failure> {
        let now = self.clock.now();
        self.limited(|| self.shared.requests_of_accounts.spend(account, now)).map(drop)
    }

    /// Counts a link that was never sent. Refuses after too many.
    pub fn count_unknown_link(&self, caller: &ClientInfo) -> Result<(), Failure> {
        let now = self.clock.now();
        self.limited(|| self.shared.unknown_links.spend(caller.network(), now)).map(drop)
    }

    /// `None` where limits are off.
    fn limited<T>(
        &self,
        asked: impl FnOnce() -> Result<T, LimitExceeded>,
    ) -> Result<Option<T>, Failure> {
        let asked = self.shared.enabled.then(asked).transpose();
        asked.map_err(|refusal| self.shared.limited(refusal))
    }
}

impl LimitState {
    /// Counts the refusal and tells the client only the wait, not the reason.
    fn limited(&self, refusal: LimitExceeded) -> Failure {
        self.metrics.limited(refusal.limit.name());
        Failure::Limited { retry_after: refusal.wait }
    }
}
