//! One sign-up at a time for each address and network.
//!
//! Without it, sign-ups that come together all hash their password, all but one lose the race for
//! the row, and those hash once more to compare. Between networks and nodes that still happens, and is
//! right: the hash queue is fair by network, and no network waits for sign-ups of another (S5).

use std::time::Duration;

use tokio::time::timeout;

use super::limits::{InLine, Lines, Permit, Room};
use crate::model::{Digest, EmailAddress, Network};

/// How long a sign-up waits for its turn: fifty for one address, one hash after the other, take some
/// seconds on a busy machine, and all of them are to be answered (R35).
const PATIENCE: Duration = Duration::from_secs(10);

/// Sign-ups that may wait for their turn; more are refused. A sign-up whose turn it is at once needs
/// no room.
const ROOM: Room = Room { in_each: 100, in_all: 200 };

/// The turns that are taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SignUpTurns(Lines);

/// A turn; it ends when dropped: the permit first, and then the place in the line.
pub(super) struct Turn {
    _permit: Permit,
    _place: InLine,
}

impl SignUpTurns {
    /// Waits for the turn of the network at the address. `None` if too many do already, or if it takes
    /// too long.
    pub(super) async fn take(&self, email: &EmailAddress, network: Network) -> Option<Turn> {
        self.take_within(email, network, PATIENCE).await
    }

    async fn take_within(
        &self,
        email: &EmailAddress,
        network: Network,
        patience: Duration,
    ) -> Option<Turn> {
        // an address or a /64; no email address has a blank in it
        let narrowest = network.subnets().pop();
        let key = Digest::of(format!("{email} {narrowest:?}").as_bytes());
        let place = self.0.enter(&key, 1);
        let permit = timeout(patience, place.take(1, ROOM)).await.ok()??;
        Some(Turn { _permit: permit, _place: place })
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
        let turns = SignUpTurns::default();
        let first = turns.take(&ada(), network("192.0.2.1")).await.unwrap();
        let second = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(&ada(), network("192.0.2.1")).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn r51_waiting_for_a_turn_has_an_end() {
        let turns = SignUpTurns::default();
        let here = network("192.0.2.1");
        let first = turns.take(&ada(), here).await.unwrap();
        assert!(turns.take_within(&ada(), here, Duration::ZERO).await.is_none());
        drop(first);
        assert!(turns.take_within(&ada(), here, Duration::ZERO).await.is_some());
    }

    #[tokio::test]
    async fn s5_network_that_floods_an_address_is_refused_and_closes_it_to_no_other() {
        let turns = SignUpTurns::default();
        let flood = network("192.0.2.1");
        let addresses = [ada(), EmailAddress::parse("bob@example.org").unwrap()];
        let mut held = Vec::new();
        let mut waiting = Vec::new();
        for address in &addresses {
            held.push(turns.take(address, flood).await.unwrap());
            for _ in 0..ROOM.in_each {
                let mut turn = Box::pin(turns.take(address, flood));
                assert!(turn.as_mut().now_or_never().is_none());
                waiting.push(turn);
            }
            let refused = turns.take(address, flood).now_or_never();
            assert!(refused.unwrap().is_none(), "too many wait");
        }
        // where no more may wait in all, another network has its turn at once, beside the flood
        for address in ["192.0.2.2", "198.51.100.7", "2001:db8::1", ""] {
            let other = turns.take(&ada(), network(address)).now_or_never();
            assert!(other.unwrap().is_some(), "{address}");
        }
    }
}
