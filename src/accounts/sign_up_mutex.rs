//! One sign-up at a time for each address and network.
//!
//! Without it, sign-ups that come together all hash their password, all but one lose the race for
//! the row, and those hash once more to compare. Between networks and nodes that still happens, and is
//! right: the hash queue is fair by network, and no network waits for sign-ups of another (S5).

use std::time::Duration;

use tokio::time::timeout;

use super::limits::{KeyedSemaphore, Permit, QueueLimit, Slot};
use crate::model::{Digest, EmailAddress, Network};

/// How long a sign-up waits for its turn: fifty for one address, one hash after the other, take some
/// seconds on a busy machine, and all of them are to be answered (R35).
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Sign-ups that may wait for their turn; more are refused. A sign-up whose turn it is at once needs
/// no room.
const QUEUE_LIMIT: QueueLimit = QueueLimit { per_key: 100, total: 200 };

/// The turns that are taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SignUpMutex(KeyedSemaphore);

/// A turn; it ends when dropped: the permit first, and then the place in the line.
pub(super) struct SignUpMutexGuard {
    _permit: Permit,
    _slot: Slot,
}

impl SignUpMutex {
    /// Waits for the turn of the network at the address. `None` if too many do already, or if it takes
    /// too long.
    pub(super) async fn lock(
        &self,
        email: &EmailAddress,
        network: Network,
    ) -> Option<SignUpMutexGuard> {
        self.lock_within(email, network, LOCK_TIMEOUT).await
    }

    async fn lock_within(
        &self,
        email: &EmailAddress,
        network: Network,
        wait: Duration,
    ) -> Option<SignUpMutexGuard> {
        // an address or a /64; no email address has a blank in it
        let narrowest = network.subnets().pop();
        let key = Digest::of(format!("{email} {narrowest:?}").as_bytes());
        let slot = self.0.slot(&key, 1);
        let permit = timeout(wait, slot.acquire(1, QUEUE_LIMIT)).await.ok()??;
        Some(SignUpMutexGuard { _permit: permit, _slot: slot })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ada() -> EmailAddress {
        EmailAddress::parse("ada@example.org").unwrap()
    }

    fn network(address: &str) -> Network {
        Network::of(address.parse().ok())
    }

    #[tokio::test]
    async fn r35_turns_are_taken_one_after_the_other() {
        let mutex = SignUpMutex::default();
        let first = mutex.lock(&ada(), network("192.0.2.1")).await.unwrap();
        let second = tokio::spawn({
            let mutex = mutex.clone();
            async move { mutex.lock(&ada(), network("192.0.2.1")).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn r51_waiting_for_a_turn_has_an_end() {
        let mutex = SignUpMutex::default();
        let here = network("192.0.2.1");
        let first = mutex.lock(&ada(), here).await.unwrap();
        assert!(mutex.lock_within(&ada(), here, Duration::ZERO).await.is_none());
        drop(first);
        assert!(mutex.lock_within(&ada(), here, Duration::ZERO).await.is_some());
    }

    #[tokio::test]
    async fn s5_network_that_floods_an_address_is_refused_and_closes_it_to_no_other() {
        let mutex = SignUpMutex::default();
        let flood = network("192.0.2.1");
        let addresses = [ada(), EmailAddress::parse("bob@example.org").unwrap()];
        let mut held = Vec::new();
        let mut waiting = Vec::new();
        for address in &addresses {
            held.push(mutex.lock(address, flood).await.unwrap());
            for _ in 0..QUEUE_LIMIT.per_key {
                let mut locked = Box::pin(mutex.lock(address, flood));
                assert!(locked.as_mut().now_or_never().is_none());
                waiting.push(locked);
            }
            let refused = mutex.lock(address, flood).now_or_never();
            assert!(refused.unwrap().is_none(), "too many wait");
        }
        // where no more may wait in all, another network has its turn at once, beside the flood
        for address in ["192.0.2.2", "198.51.100.7", "2001:db8::1", ""] {
            let other = mutex.lock(&ada(), network(address)).now_or_never();
            assert!(other.unwrap().is_some(), "{address}");
        }
    }
}
