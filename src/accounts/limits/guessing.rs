//! Limits of guessing at passwords (R20; NIST SP 800-63B-4 §3.2.2).
//!
//! Every place where a password is checked asks [`Limits::admit`] or [`Limits::admit_signed_in`] first,
//! before anything is hashed, and says afterwards how it went. Names without an account are treated as
//! all others. A wrong password counts in one of three rows:
//!
//! - at a place where the account's owner has signed in before: for that place, so that strangers
//!   elsewhere lock no owner out who is at home. A right password there clears it;
//! - by a caller who is signed in: for the account, so that strangers do not stand before the owner. A
//!   right password of such a caller clears it;
//! - otherwise: for the name. A guesser sees this count, so no sign-in changes it: only a proof of the
//!   mailbox ([`Limits::mailbox_proven`]) and time do.

use std::sync::Arc;
use std::time::Duration;

use super::hourly::Hourly;
use super::lines::{InLine, Permit, Room};
use super::rates::Charge;
use super::{Limit, Limits, Refusal, Shared};
use crate::accounts::Failure;
use crate::clock::{CLOCKS_DIFFER_BY, Timestamp};
use crate::model::{Account, AccountId, Caller, Digest, EmailAddress, Network, Tried};
use crate::storage::{Connection, FAILURE_FORGOTTEN_AFTER, Failures, Guesses, StoreError};

/// The first wait once the free tries are used up. It doubles with each further failure.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// How old the note of a sign-in from a place may be before another is written.
const PLACE_NOTED_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Leave to try a password. While it is held, others have fewer tries.
#[derive(Debug)]
pub struct Pass(Option<Held>);

#[derive(Debug)]
struct Held {
    tried: Tried,
    counted: Counted,
    /// What is to be written if the password is right.
    on_success: OnSuccess,
    per_address: Hourly,
    of_node: Option<OfNode>,
    _permits: Vec<Permit>,
    // after the permits: a line is left when nothing of it is held any more
    _lines: Vec<InLine>,
}

/// What a wrong password counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counted {
    /// The name, the caller's network, and the node.
    Name,
    /// The name at a place where the account's owner has signed in.
    Place,
    /// The account whose owner is signed in.
    SignedIn,
}

#[derive(Clone, Copy, Debug)]
struct OnSuccess {
    /// The place is new, or was not noted for long.
    keep_place: bool,
    /// There are failures of the place to be forgotten.
    forget_place: bool,
    /// There are failures of callers who were signed in to be forgotten.
    forget_signed_in: bool,
}

/// A try that counts in the memory of the node, unless it turns out to be none of guessing.
#[derive(Debug)]
struct OfNode {
    shared: Arc<Shared>,
    charge: Charge,
    now: Timestamp,
    failed: bool,
}

impl Drop for OfNode {
    fn drop(&mut self) {
        if !self.failed {
            self.shared.failures.give_back(self.charge, self.now);
        }
    }
}

/// How many permits of each line a try needs.
#[derive(Clone, Copy)]
struct Weights {
    place: usize,
    name: usize,
    network: usize,
}

impl Limits {
    /// Leave to try a password for a name: an address as it is stored, or whatever was typed instead.
    ///
    /// # Errors
    /// [`Failure::Limited`] when there were too many wrong ones; [`Failure::Busy`] when too many
    /// tries are under way.
    pub(in crate::accounts) async fn admit(
        &self,
        name: &str,
        caller: &Caller,
    ) -> Result<Pass, Failure> {
        if !self.shared.enabled {
            return Ok(Pass(None));
        }
        let room = self.shared.room(self.shared.hasher.load().mean);
        let waited = self.stand_in_line(Tried::of(name, caller.address), caller, room);
        match tokio::time::timeout(self.shared.max_wait, waited).await {
            Ok(passed) => passed.map(|held| Pass(Some(held))),
            Err(_) => Err(self.shared.busy()),
        }
    }

    /// Leave to try the current password of an account for a caller who is signed in to it.
    ///
    /// # Errors
    /// As [`Limits::admit`].
    pub(in crate::accounts) async fn admit_signed_in(
        &self,
        account: &Account,
        caller: &Caller,
    ) -> Result<Pass, Failure> {
        if !self.shared.enabled {
            return Ok(Pass(None));
        }
        let room = self.shared.room(self.shared.hasher.load().mean);
        let tried = Tried::of(account.email.as_str(), caller.address).signed_in(account.id);
        let waited = self.stand_in_line_signed_in(tried, room);
        match tokio::time::timeout(self.shared.max_wait, waited).await {
            Ok(passed) => passed.map(|held| Pass(Some(held))),
            Err(_) => Err(self.shared.busy()),
        }
    }

    /// The owner has shown by a link that the mailbox of the account is theirs: wrong passwords in a
    /// row count no more, from every caller, and the place is known from now on.
    pub(in crate::accounts) async fn mailbox_proven(
        &self,
        tx: &mut Connection,
        (account, email): (AccountId, &EmailAddress),
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.shared.enabled {
            return Ok(());
        }
        let tried = Tried::of(email.as_str(), caller.address);
        tx.keep_place(&tried.place, account, now).await?;
        for counted in [tried.name, tried.place, Tried::signed_in_digest(account)] {
            tx.delete_failures(&counted).await?;
        }
        Ok(())
    }

    /// The operator has made the account: wrong passwords from before count no more.
    pub(in crate::accounts) async fn account_made(
        &self,
        tx: &mut Connection,
        email: &EmailAddress,
    ) -> Result<(), StoreError> {
        tx.delete_failures(&Tried::of(email.as_str(), None).name).await
    }

    /// No place of the account is known any more, and what was tried there or by callers who were
    /// signed in counts no more. What strangers tried for its name goes on to count: they would see
    /// that it does not.
    pub(in crate::accounts) async fn forget_places(
        &self,
        tx: &mut Connection,
        account: AccountId,
    ) -> Result<(), StoreError> {
        tx.forget_places(account, 0).await?;
        tx.delete_failures(&Tried::signed_in_digest(account)).await
    }

    async fn stand_in_line_signed_in(&self, tried: Tried, room: Room) -> Result<Held, Failure> {
        let shared = &self.shared;
        let line = shared.lines.enter(&tried.name, shared.free_failures);
        let mut weight = 1;
        loop {
            let permit = line.take(weight, room).await.ok_or_else(|| shared.busy())?;
            let found = self.store.read(async |db| db.find_guesses(&tried).await).await?;
            let now = self.clock.now();
            let needed = shared.in_a_row(found.name, now).map_err(|wait| shared.limited(wait))?;
            if weight >= needed {
                let forget_signed_in = found.name.count > 0;
                return Ok(Held {
                    tried,
                    counted: Counted::SignedIn,
                    on_success: OnSuccess { forget_signed_in, ..OnSuccess::of(&found, now) },
                    per_address: shared.per_address,
                    of_node: None,
                    _permits: vec![permit],
                    _lines: vec![line],
                });
            }
            weight = needed;
        }
    }

    async fn stand_in_line(
        &self,
        tried: Tried,
        caller: &Caller,
        room: Room,
    ) -> Result<Held, Failure> {
        let shared = &self.shared;
        let busy = || shared.busy();
        let most = shared.free_failures;
        let place_line = shared.lines.enter(&tried.place, most);
        let name_line = shared.lines.enter(&tried.name, most);
        let network_line = shared.lines.enter(&tried.network, shared.per_address.most());
        let mut weights = Weights { place: 1, name: 1, network: 1 };
        // whoever is at a known place waits for nobody elsewhere, and so it is looked at first
        let mut waits = false;
        loop {
            let place = place_line.take(weights.place, room).await.ok_or_else(busy)?;
            let elsewhere = if waits {
                let name = name_line.take(weights.name, room).await.ok_or_else(busy)?;
                let network = network_line.take(weights.network, room).await;
                Some((name, network.ok_or_else(busy)?))
            } else {
                name_line.try_take(weights.name).zip(network_line.try_take(weights.network))
            };
            // read while the permits are held: whoever gave theirs back has written what became of it
            let found = self.store.read(async |db| db.find_guesses(&tried).await).await?;
            let now = self.clock.now();
            let at_known_place = found.place_used_at.is_some();
            let needed = shared.weights(&found, now)?;
            let is_enough = if at_known_place {
                weights.place >= needed.place
            } else {
                elsewhere.is_some()
                    && weights.name >= needed.name
                    && weights.network >= needed.network
            };
            if is_enough {
                let of_node = match at_known_place {
                    true => None,
                    false => Some(OfNode::spend(shared, caller.network(), now)?),
                };
                let permits = match elsewhere {
                    Some((name, network)) if !at_known_place => vec![place, name, network],
                    _ => vec![place],
                };
                return Ok(Held {
                    tried,
                    counted: if at_known_place { Counted::Place } else { Counted::Name },
                    on_success: OnSuccess::of(&found, now),
                    per_address: shared.per_address,
                    of_node,
                    _permits: permits,
                    _lines: vec![place_line, name_line, network_line],
                });
            }
            (weights, waits) = (needed, !at_known_place);
        }
    }
}

impl Shared {
    /// So many may wait as can be hashed while the first of them waits, and no more than half of the
    /// requests that may be under way; half of them for one name, place or network.
    fn room(&self, mean: Duration) -> Room {
        let each = mean.as_secs_f64().max(1e-5);
        let hashed = (self.max_wait.as_secs_f64() * self.slots as f64 / each) as usize;
        let in_all = hashed.min(self.in_flight / 2);
        Room { in_each: in_all.div_ceil(2), in_all }
    }

    /// No room to wait, or waited for too long.
    fn busy(&self) -> Failure {
        self.metrics.limited(Limit::Waiting.name());
        Failure::Busy { retry_after: Duration::from_secs(1) }
    }

    /// How many permits a try needs after what was wrong before it.
    ///
    /// # Errors
    /// [`Failure::Limited`] when none would be enough.
    fn weights(&self, found: &Guesses, now: Timestamp) -> Result<Weights, Failure> {
        let limited = |refusal: Refusal| self.limited(refusal);
        if found.place_used_at.is_some() {
            let place = self.in_a_row(found.place, now).map_err(limited)?;
            return Ok(Weights { place, name: 1, network: 1 });
        }
        let name = self.in_a_row(found.name, now);
        let spent = found.network_spent_until;
        let network = match self.per_address.wait(spent, now) {
            Some(wait) => Err(Refusal { limit: Limit::FailuresPerAddress, wait }),
            None => Ok(self.per_address.outstanding(spent, now) + 1),
        };
        match (name, network) {
            (Ok(name), Ok(network)) => Ok(Weights { place: 1, name, network }),
            (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(limited(refusal)),
            (Err(one), Err(other)) => Err(limited(one.longer(other))),
        }
    }

    /// How many permits a try needs after so many failures: one more than those, and all of them once
    /// there is a delay, so that then there is one try at a time.
    ///
    /// # Errors
    /// How long there is no further try.
    fn in_a_row(&self, failures: Failures, now: Timestamp) -> Result<usize, Refusal> {
        let Some(last_at) = failures.last_at else { return Ok(1) };
        let at_last = usize::try_from(failures.count).unwrap_or(usize::MAX);
        let forgotten = now.since(last_at).as_millis() / FAILURE_FORGOTTEN_AFTER.as_millis().max(1);
        let count = at_last.saturating_sub(usize::try_from(forgotten).unwrap_or(usize::MAX));
        let mut limit = Limit::FreeFailures;
        let (due, is_known) = if count >= self.failures_in_a_row {
            limit = Limit::FailuresInARow;
            let too_many = u32::try_from(at_last - self.failures_in_a_row).unwrap_or(u32::MAX);
            let until = FAILURE_FORGOTTEN_AFTER.saturating_mul(too_many.saturating_add(1));
            (last_at + until, true)
        } else if count >= self.free_failures {
            let doublings = u32::try_from(count - self.free_failures).unwrap_or(u32::MAX);
            let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
            // a failure stored before the clock was set back delays no try
            let is_known = last_at <= now + CLOCKS_DIFFER_BY;
            (last_at + delay.min(self.longest_delay), is_known)
        } else {
            return Ok(count + 1);
        };
        match due.since(now) {
            Duration::ZERO => Ok(self.free_failures),
            _ if !is_known => Ok(self.free_failures),
            wait => Err(Refusal { limit, wait }),
        }
    }
}

impl OfNode {
    fn spend(shared: &Arc<Shared>, network: Network, now: Timestamp) -> Result<Self, Failure> {
        let charge = shared.failures.spend(network, now);
        let charge = charge.map_err(|refusal| shared.limited(refusal))?;
        Ok(Self { shared: Arc::clone(shared), charge, now, failed: false })
    }
}

impl OnSuccess {
    fn of(found: &Guesses, now: Timestamp) -> Self {
        let is_fresh =
            |used_at: Timestamp| used_at <= now && now.since(used_at) < PLACE_NOTED_EVERY;
        Self {
            keep_place: !found.place_used_at.is_some_and(is_fresh),
            forget_place: found.place.count > 0,
            forget_signed_in: false,
        }
    }
}

impl Held {
    /// The row that a wrong password counts in.
    fn counted(&self) -> &Digest {
        match self.counted {
            Counted::Place => &self.tried.place,
            Counted::Name | Counted::SignedIn => &self.tried.name,
        }
    }
}

impl Pass {
    /// The password was wrong: the try counts for the whole node.
    pub(in crate::accounts) fn has_failed(&mut self) {
        if let Some(Held { of_node: Some(of_node), .. }) = &mut self.0 {
            of_node.failed = true;
        }
    }

    /// What is written of a wrong password. It is the same for every name, and has to be durable before
    /// anybody hears of it.
    pub(in crate::accounts) async fn note_failure(
        &self,
        tx: &mut Connection,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let tried = &held.tried;
        tx.insert_failure(held.counted(), now).await?;
        // the failures of owners are no matter of their neighbours on the network
        let spent = match held.counted {
            Counted::Name => held.per_address.interval(),
            Counted::Place | Counted::SignedIn => Duration::ZERO,
        };
        let millis = i64::try_from(spent.as_millis()).unwrap_or(i64::MAX);
        tx.spend_of_network(&tried.network, millis, now, Hourly::doubtful(now)).await
    }

    /// Whether there is anything to write if the password is right.
    pub(in crate::accounts) fn has_news(&self) -> bool {
        self.0.as_ref().is_some_and(|held| {
            let OnSuccess { keep_place, forget_place, forget_signed_in } = held.on_success;
            keep_place || forget_place || forget_signed_in
        })
    }

    /// The password was right, and its owner is let in: the place is known from now on, and what was
    /// wrong in a row there counts no more; nor does, for a caller who is signed in, what was wrong for
    /// such callers. What was wrong for the name elsewhere counts as before: guessers would see the
    /// difference.
    pub async fn note_success(
        &self,
        tx: &mut Connection,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(Held { tried, on_success, .. }) = &self.0 else { return Ok(()) };
        if on_success.keep_place {
            tx.keep_place(&tried.place, account, now).await?;
        }
        if on_success.forget_signed_in {
            tx.delete_failures(&tried.name).await?;
        }
        if on_success.forget_place {
            tx.delete_failures(&tried.place).await?;
        }
        Ok(())
    }

    /// As [`Pass::note_success`], after all places of the account were forgotten.
    pub(in crate::accounts) async fn keep_place(
        &self,
        tx: &mut Connection,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Some(held) => tx.keep_place(&held.tried.place, account, now).await,
            None => Ok(()),
        }
    }
}
