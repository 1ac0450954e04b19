//! Outbox: where the use cases post letters.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::mail::LetterRequest;
use crate::model::{Account, AccountId, EmailAddress, LetterCap, Locale};
use crate::storage::{Connection, LetterId, NewLetter, StoreError};

/// Limit on waiting notices of one kind to one address about the same account. The owner thus
/// learns of each event after an outage of mail. Beyond the limit, a new notice replaces the latest
/// one.
const WAITING_NOTICES: i64 = 20;

/// Posts letters into the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    clock: Clock,
    entropy: Entropy,
    wake: Arc<Notify>,
}

/// The recipient of a letter.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    pub email: &'a EmailAddress,
    /// The language of the request. The language of the recipient's account takes precedence.
    pub locale: Option<&'a Locale>,
    /// The account that the letter is about, if that is certain. The letter is deleted with the
    /// account.
    pub account: Option<AccountId>,
}

impl<'a> Recipient<'a> {
    /// A recipient known only by the address and the language of the request.
    pub fn unknown(email: &'a EmailAddress, locale: Option<&'a Locale>) -> Self {
        Self { email, locale, account: None }
    }

    /// The owner of an account, at its present address.
    pub fn owner(account: &'a Account) -> Self {
        Self { email: &account.email, locale: account.locale.as_ref(), account: Some(account.id) }
    }
}

impl Outbox {
    /// An outbox with its own signal for the courier of this node.
    pub fn new(clock: Clock, entropy: Entropy) -> Self {
        Self { clock, entropy, wake: Arc::default() }
    }

    /// Posts a letter in the transaction of its cause: both are committed or neither.
    pub async fn post(
        &self,
        tx: &mut Connection,
        to: Recipient<'_>,
        request: &LetterRequest,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let letter = NewLetter {
            id: LetterId::new(self.entropy.uuid_v7(now)),
            kind: request.kind().as_str(),
            email: to.email,
            locale: to.locale,
            account: to.account,
            facts: serde_json::to_string(request).map_err(StoreError::unserializable)?,
            now,
        };
        match request.cap() {
            LetterCap::PerRecipient => tx.insert_letter_once(&letter).await,
            LetterCap::PerNotice => tx.insert_notice(&letter, WAITING_NOTICES).await,
            LetterCap::None => tx.insert_letter(&letter).await,
        }
    }

    /// Wakes the courier of this node, so that it does not wait for its next poll. Call this after
    /// the transaction has been committed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
