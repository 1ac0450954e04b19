//! Posting letters.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::mail::{LetterCap, LetterRequest};
use crate::model::{Account, AccountId, EmailAddress, Locale};
use crate::storage::{Connection, LetterId, NewLetter, StoreError};

/// So many notices of a kind wait for an address about the same account, so that its owner learns of each
/// after an outage of mail. The latest gives way to one more.
const WAITING_NOTICES: i64 = 20;

/// Where letters are posted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    clock: Clock,
    entropy: Entropy,
    wake: Arc<Notify>,
}

/// Whom a letter goes to.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    pub email: &'a EmailAddress,
    /// The language that they are likely to read. What an account says of its owner goes before it.
    pub locale: Option<&'a Locale>,
    /// The account that the letter is about, where that is certain: the letter goes with it.
    pub account: Option<AccountId>,
}

impl<'a> Recipient<'a> {
    /// Somebody of whom no more is known than the address, and the language of the request.
    pub fn unknown(email: &'a EmailAddress, locale: Option<&'a Locale>) -> Self {
        Self { email, locale, account: None }
    }

    /// The owner of an account, at its present address.
    pub fn owner(account: &'a Account) -> Self {
        Self { email: &account.email, locale: account.locale.as_ref(), account: Some(account.id) }
    }
}

impl Outbox {
    pub fn new(clock: Clock, entropy: Entropy) -> Self {
        Self { clock, entropy, wake: Arc::default() }
    }

    /// Posts a letter in the transaction of whatever causes it: either both happen or neither.
    pub async fn post(
        &self,
        tx: &mut Connection,
        to: Recipient<'_>,
        request: &LetterRequest,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let letter = NewLetter {
            id: LetterId::new(self.entropy.uuid_v7(now)),
            kind: request.kind(),
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

    /// Tells the courier of this node, once the transaction has been committed, that it need not
    /// wait for its next round.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
