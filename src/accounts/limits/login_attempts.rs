//! Limits of password guessing (R20; NIST SP 800-63B-4 §3.2.2).
//!
//! Every check of a password asks [`Limits::admit`] or [`Limits::admit_signed_in`] before it
//! hashes, and reports the result afterwards. Names without an account are treated like all others.
//! A wrong password counts in one of three rows:
//!
//! | Attempt | Row | A right password resets the row |
//! |---|---|---|
//! | from a known location, where the owner has signed in before | name and network | yes |
//! | by a signed-in caller | account | yes, if that caller types it |
//! | any other | name | no |
//!
//! - Known locations have their own row so that strangers elsewhere cannot lock out the owner.
//! - Signed-in callers have their own row so that strangers do not delay the owner.
//! - Guessers can see the row of the name, so no sign-in changes it. Only a proof of the mailbox
//!   ([`Limits::reset_after_mailbox_proof`]) and time do.

use std::sync::Arc;
use std::time::Duration;

use super::gcra::Gcra;
use super::keyed_semaphore::{Permit, QueueLimit};
use super::rate_limiter::Charge;
use super::{Limit, LimitExceeded, LimitState, Limits};
use crate::accounts::Failure;
use crate::clock::Timestamp;
use crate::model::{Account, AccountId, AttemptKey, ClientInfo, Digest, EmailAddress, Network};
use crate::storage::{Connection, FailedAttempts, StoreError};

/// Age at which the record of a sign-in from a location is written again.
const LOCATION_REFRESH_INTERVAL: Duration = Duration::from_secs(24 * 3_600);

/// Permission to try a password. While an attempt holds it, other attempts have fewer permits.
#[derive(Debug)]
pub struct AttemptPermit(Option<HeldPermit>);

#[derive(Debug)]
struct HeldPermit {
    key: AttemptKey,
    counted: CountedFor,
    /// Rows to write if the password is right.
    on_success: OnSuccess,
    per_address: Gcra,
    node_charge: Option<NodeCharge>,
    _permits: Vec<Permit>,
}

/// The row in which a wrong password counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CountedFor {
    /// The name. The failure also counts for the caller's network and the node.
    Name,
    /// The name at a location where the account's owner has signed in.
    KnownLocation,
    /// The account whose owner is signed in.
    SignedIn,
}

#[derive(Clone, Copy, Debug)]
struct OnSuccess {
    /// The location is new, or its record is older than [`LOCATION_REFRESH_INTERVAL`].
    remember_location: bool,
    /// The location has failures to reset.
    reset_location: bool,
    /// The account has failures of signed-in callers to reset.
    reset_signed_in: bool,
}

/// A failure that is counted in the node's memory in advance, and refunded unless the password is
/// wrong.
#[derive(Debug)]
struct NodeCharge {
    shared: Arc<LimitState>,
    charge: Charge,
    now: Timestamp,
    failed: bool,
}

impl Drop for NodeCharge {
    fn drop(&mut self) {
        if !self.failed {
            self.shared.guesses.per_node.refund(self.charge, self.now);
        }
    }
}

/// Permits of each key that an attempt needs.
#[derive(Clone, Copy)]
struct PermitsNeeded {
    location: usize,
    name: usize,
    network: usize,
}

impl Limits {
    /// Permits one password attempt for a name. The name is an address as stored, or the typed text
    /// if that is no address.
    ///
    /// # Errors
    /// [`Failure::Limited`] after too many failures; [`Failure::Busy`] when too many attempts are
    /// under way.
    pub(in crate::accounts) async fn admit(
        &self,
        name: &str,
        caller: &ClientInfo,
    ) -> Result<AttemptPermit, Failure> {
        if !self.shared.enabled {
            return Ok(AttemptPermit(None));
        }
        let queue_limit = self.shared.queue_limit(self.shared.hasher.load().mean);
        let waited = self.acquire_permit(AttemptKey::of(name, caller.address), caller, queue_limit);
        match tokio::time::timeout(self.shared.max_wait, waited).await {
            Ok(passed) => passed.map(|held| AttemptPermit(Some(held))),
            Err(_) => Err(self.shared.busy()),
        }
    }

    /// Permits one attempt at the current password of an account, for a caller who is signed in to
    /// the account.
    ///
    /// # Errors
    /// As [`Limits::admit`].
    pub(in crate::accounts) async fn admit_signed_in(
        &self,
        account: &Account,
        caller: &ClientInfo,
    ) -> Result<AttemptPermit, Failure> {
        if !self.shared.enabled {
            return Ok(AttemptPermit(None));
        }
        let queue_limit = self.shared.queue_limit(self.shared.hasher.load().mean);
        let key = AttemptKey::of(account.email.as_str(), caller.address).signed_in(account.id);
        let waited = self.acquire_permit_signed_in(key, queue_limit);
        match tokio::time::timeout(self.shared.max_wait, waited).await {
            Ok(passed) => passed.map(|held| AttemptPermit(Some(held))),
            Err(_) => Err(self.shared.busy()),
        }
    }

    /// Resets all failures in a row after a link has proved the owner's mailbox, for every caller.
    /// Also remembers the caller's location.
    pub(in crate::accounts) async fn reset_after_mailbox_proof(
        &self,
        tx: &mut Connection,
        (account, email): (AccountId, &EmailAddress),
        caller: &ClientInfo,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.shared.enabled {
            return Ok(());
        }
        let key = AttemptKey::of(email.as_str(), caller.address);
        tx.remember_location(&key.name_and_network, account, now).await?;
        for counted in [key.name, key.name_and_network, AttemptKey::signed_in_digest(account)] {
            tx.delete_failures(&counted).await?;
        }
        Ok(())
    }

    /// Resets the failures of a name when the operator creates its account.
    pub(in crate::accounts) async fn reset_for_new_account(
        &self,
        tx: &mut Connection,
        email: &EmailAddress,
    ) -> Result<(), StoreError> {
        tx.delete_failures(&AttemptKey::of(email.as_str(), None).name).await
    }

    /// Forgets all known locations of the account with their failures, and the failures of
    /// signed-in callers. The failures of the name stay, since strangers would see a reset.
    pub(in crate::accounts) async fn forget_locations(
        &self,
        tx: &mut Connection,
        account: AccountId,
    ) -> Result<(), StoreError> {
        tx.forget_locations(account, 0).await?;
        tx.delete_failures(&AttemptKey::signed_in_digest(account)).await
    }

    async fn acquire_permit_signed_in(
        &self,
        key: AttemptKey,
        queue_limit: QueueLimit,
    ) -> Result<HeldPermit, Failure> {
        let shared = &self.shared;
        let slot = shared.semaphore.slot(&key.name, shared.guesses.free_failures);
        let mut weight = 1;
        loop {
            let permit = slot.acquire(weight, queue_limit).await.ok_or_else(|| shared.busy())?;
            let found = self.store.read(async |db| db.find_failed_attempts(&key).await).await?;
            let now = self.clock.now();
            let needed = shared
                .guesses
                .permits_after(found.name, now)
                .map_err(|wait| shared.limited(wait))?;
            if weight >= needed {
                let reset_signed_in = found.name.count > 0;
                return Ok(HeldPermit {
                    key,
                    counted: CountedFor::SignedIn,
                    on_success: OnSuccess { reset_signed_in, ..OnSuccess::of(&found, now) },
                    per_address: shared.guesses.per_address,
                    node_charge: None,
                    _permits: vec![permit],
                });
            }
            weight = needed;
        }
    }

    async fn acquire_permit(
        &self,
        key: AttemptKey,
        caller: &ClientInfo,
        queue_limit: QueueLimit,
    ) -> Result<HeldPermit, Failure> {
        let shared = &self.shared;
        let busy = || shared.busy();
        let most = shared.guesses.free_failures;
        let location_slot = shared.semaphore.slot(&key.name_and_network, most);
        let name_slot = shared.semaphore.slot(&key.name, most);
        let network_slot = shared.semaphore.slot(&key.network, shared.guesses.per_address.burst());
        let mut weights = PermitsNeeded { location: 1, name: 1, network: 1 };
        // the location comes first: an attempt from a known location waits for no attempt elsewhere
        let mut waits = false;
        loop {
            let location =
                location_slot.acquire(weights.location, queue_limit).await.ok_or_else(busy)?;
            let elsewhere = if waits {
                let name = name_slot.acquire(weights.name, queue_limit).await.ok_or_else(busy)?;
                let network = network_slot.acquire(weights.network, queue_limit).await;
                Some((name, network.ok_or_else(busy)?))
            } else {
                name_slot.try_acquire(weights.name).zip(network_slot.try_acquire(weights.network))
            };
            // read while holding the permits: an attempt that has given its permits back has
            // written its result
            let found = self.store.read(async |db| db.find_failed_attempts(&key).await).await?;
            let now = self.clock.now();
            let at_known_location = found.location_used_at.is_some();
            let needed = shared.weights(&found, now)?;
            let is_enough = if at_known_location {
                weights.location >= needed.location
            } else {
                elsewhere.is_some()
                    && weights.name >= needed.name
                    && weights.network >= needed.network
            };
            if is_enough {
                let node_charge = match at_known_location {
                    true => None,
                    false => Some(NodeCharge::spend(shared, caller.network(), now)?),
                };
                let permits = match elsewhere {
                    Some((name, network)) if !at_known_location => vec![location, name, network],
                    _ => vec![location],
                };
                return Ok(HeldPermit {
                    key,
                    counted: if at_known_location {
                        CountedFor::KnownLocation
                    } else {
                        CountedFor::Name
                    },
                    on_success: OnSuccess::of(&found, now),
                    per_address: shared.guesses.per_address,
                    node_charge,
                    _permits: permits,
                });
            }
            (weights, waits) = (needed, !at_known_location);
        }
    }
}

impl LimitState {
    /// Queue limits. In total: as many attempts as can be hashed within `max_wait`, and at most
    /// half of the requests that may be under way (`in_flight`). Per key (name, location or
    /// network): half of the total.
    fn queue_limit(&self, mean: Duration) -> QueueLimit {
        let each = mean.as_secs_f64().max(1e-5);
        let hashed = (self.max_wait.as_secs_f64() * self.slots as f64 / each) as usize;
        let total = hashed.min(self.in_flight / 2);
        QueueLimit { per_key: total.div_ceil(2), total }
    }

    /// The queue is full, or the attempt has waited too long.
    fn busy(&self) -> Failure {
        self.metrics.limited(Limit::Waiting.name());
        Failure::Busy { retry_after: Duration::from_secs(1) }
    }

    /// Permits that an attempt needs after the failures before it.
    ///
    /// # Errors
    /// [`Failure::Limited`] when no number of permits would be enough.
    fn weights(&self, found: &FailedAttempts, now: Timestamp) -> Result<PermitsNeeded, Failure> {
        let limited = |refusal: LimitExceeded| self.limited(refusal);
        if found.location_used_at.is_some() {
            let location =
                self.guesses.permits_after(found.name_and_network, now).map_err(limited)?;
            return Ok(PermitsNeeded { location, name: 1, network: 1 });
        }
        let name = self.guesses.permits_after(found.name, now);
        let spent = found.network_spent_until;
        let network = match self.guesses.per_address.wait(spent, now) {
            Some(wait) => Err(LimitExceeded { limit: Limit::FailuresPerAddress, wait }),
            None => Ok(self.guesses.per_address.outstanding(spent, now) + 1),
        };
        match (name, network) {
            (Ok(name), Ok(network)) => Ok(PermitsNeeded { location: 1, name, network }),
            (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(limited(refusal)),
            (Err(one), Err(other)) => Err(limited(one.longer(other))),
        }
    }
}

impl NodeCharge {
    fn spend(shared: &Arc<LimitState>, network: Network, now: Timestamp) -> Result<Self, Failure> {
        let charge = shared.guesses.per_node.spend(network, now);
        let charge = charge.map_err(|refusal| shared.limited(refusal))?;
        Ok(Self { shared: Arc::clone(shared), charge, now, failed: false })
    }
}

impl OnSuccess {
    fn of(found: &FailedAttempts, now: Timestamp) -> Self {
        let is_fresh =
            |used_at: Timestamp| used_at <= now && now.since(used_at) < LOCATION_REFRESH_INTERVAL;
        Self {
            remember_location: !found.location_used_at.is_some_and(is_fresh),
            reset_location: found.name_and_network.count > 0,
            reset_signed_in: false,
        }
    }
}

impl HeldPermit {
    /// The row in which a wrong password counts.
    fn counted(&self) -> &Digest {
        match self.counted {
            CountedFor::KnownLocation => &self.key.name_and_network,
            CountedFor::Name | CountedFor::SignedIn => &self.key.name,
        }
    }
}

impl AttemptPermit {
    /// Keeps the failure in the node's count: the password was wrong.
    pub(in crate::accounts) fn mark_failed(&mut self) {
        if let Some(HeldPermit { node_charge: Some(node_charge), .. }) = &mut self.0 {
            node_charge.failed = true;
        }
    }

    /// Writes a wrong password. The writes are the same for every name, and have to be durable
    /// before the response is sent.
    pub(in crate::accounts) async fn record_failure(
        &self,
        tx: &mut Connection,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let key = &held.key;
        tx.insert_failure(held.counted(), now).await?;
        // failures of owners do not count against their neighbours on the network
        let spent = match held.counted {
            CountedFor::Name => held.per_address.interval(),
            CountedFor::KnownLocation | CountedFor::SignedIn => Duration::ZERO,
        };
        let millis = i64::try_from(spent.as_millis()).unwrap_or(i64::MAX);
        tx.spend_network_budget(&key.network, millis, now, Gcra::latest_plausible(now)).await
    }

    /// Whether a right password has anything to write.
    pub(in crate::accounts) fn needs_write(&self) -> bool {
        self.0.as_ref().is_some_and(|held| {
            let OnSuccess { remember_location, reset_location, reset_signed_in } = held.on_success;
            remember_location || reset_location || reset_signed_in
        })
    }

    /// Records a right password, once its owner is let in:
    ///
    /// - remembers the location, and resets its failures;
    /// - resets the failures of signed-in callers, if this caller is signed in.
    ///
    /// The failures of the name elsewhere stay: guessers would see a reset.
    pub async fn record_success(
        &self,
        tx: &mut Connection,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(HeldPermit { key, on_success, .. }) = &self.0 else { return Ok(()) };
        if on_success.remember_location {
            tx.remember_location(&key.name_and_network, account, now).await?;
        }
        if on_success.reset_signed_in {
            tx.delete_failures(&key.name).await?;
        }
        if on_success.reset_location {
            tx.delete_failures(&key.name_and_network).await?;
        }
        Ok(())
    }

    /// As [`AttemptPermit::record_success`], after all locations of the account were forgotten.
    pub(in crate::accounts) async fn remember_location(
        &self,
        tx: &mut Connection,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Some(held) => tx.remember_location(&held.key.name_and_network, account, now).await,
            None => Ok(()),
        }
    }
}
