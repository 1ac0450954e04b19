//! Keyed mutex: one sign-up at a time per address and network.
//!
//! Without it, concurrent sign-ups for one address would all hash their password. All but one would
//! lose the race for the row, and hash once more to compare. Between networks and between nodes
//! this race stays, on purpose: the hash queue is fair by network, and no network waits for
//! sign-ups of another (S5).

use std::time::Duration;

use tokio::time::timeout;

use super::keyed_semaphore::{KeyedSemaphore, Permit, QueueLimit};
use crate::model::{Digest, EmailAddress, Network};

/// Longest wait for the mutex. Fifty sign-ups for one address, hashed one after the other, take
/// some seconds on a busy machine, and all of them must be answered (R35).
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest number of sign-ups that wait for the mutex. Further ones are refused. A sign-up that
/// finds the mutex free needs no place in the queue.
const QUEUE_LIMIT: QueueLimit = QueueLimit { per_key: 100, total: 200 };

/// Locks in use. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct SignUpMutex(KeyedSemaphore);

impl SignUpMutex {
    /// Locks the mutex of an address and a network. `None` if the queue is full or the wait takes
    /// too long.
    pub(super) async fn lock(&self, email: &EmailAddress, network: Network) -> Option<Permit> {
        self.lock_within(email, network, LOCK_TIMEOUT).await
    }

    async fn lock_within(
        &self,
        email: &EmailAddress,
        network: Network,
        wait: Duration,
    ) -> Option<Permit> {
        // key: the address, and an IPv4 address or a /64; the blank is safe, since no email address
        // has one
        let narrowest = network.subnets().pop();
        let key = Digest::of(format!("{email} {narrowest:?}").as_bytes());
        timeout(wait, self.0.slot(&key, 1).acquire(1, QUEUE_LIMIT)).await.ok()?
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
    async fn r35_sign_ups_for_one_address_run_one_at_a_time() {
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
    async fn r51_wait_for_the_mutex_times_out() {
        let mutex = SignUpMutex::default();
        let here = network("192.0.2.1");
        let first = mutex.lock(&ada(), here).await.unwrap();
        assert!(mutex.lock_within(&ada(), here, Duration::ZERO).await.is_none());
        drop(first);
        assert!(mutex.lock_within(&ada(), here, Duration::ZERO).await.is_some());
    }

    #[tokio::test]
    async fn s5_flood_of_one_network_is_refused_and_other_networks_are_admitted() {
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
            assert!(refused.unwrap().is_none(), "the queue is full");
        }
        // with the queue full in total, another network still gets its free mutex at once
        for address in ["192.0.2.2", "198.51.100.7", "2001:db8::1", ""] {
            let other = mutex.lock(&ada(), network(address)).now_or_never();
            assert!(other.unwrap().is_some(), "{address}");
        }
    }
}
