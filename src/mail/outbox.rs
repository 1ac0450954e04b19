//! Posting letters.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::crypto::secret::Entropy;
use crate::mail::Cause;
use crate::model::{EmailAddress, Locale};
use crate::storage::{Connection, LetterId, NewLetter, StoreError};

/// Where letters are posted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    clock: Clock,
    entropy: Entropy,
    wake: Arc<Notify>,
}

impl Outbox {
    pub fn new(clock: Clock, entropy: Entropy) -> Self {
        Self { clock, entropy, wake: Arc::default() }
    }

    /// Posts a letter in the transaction of whatever causes it: either both happen or neither.
    pub async fn post(
        &self,
        tx: &mut Connection,
        email: &EmailAddress,
        locale: Option<&Locale>,
        cause: &Cause,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        tx.insert_letter(&NewLetter {
            id: LetterId::new(self.entropy.uuid_v7(now)),
            kind: cause.kind(),
            email,
            locale,
            facts: serde_json::to_string(cause).map_err(StoreError::unserializable)?,
            now,
        })
        .await
    }

    /// Tells the courier of this node, once the transaction has been committed, that it need not
    /// wait for its next round.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
