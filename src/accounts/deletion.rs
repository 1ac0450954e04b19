//! Deletion of an account: removes all data that names the owner, and tells the owner by a letter.
//!
//! The first transaction closes the account; that is the deletion. The account's rows are removed
//! afterwards, in batches. After an interruption, the janitor continues
//! (docs/decisions/0037).

use std::time::Duration;

use crate::accounts::{Accounts, EventDraft, ReauthenticationError};
use crate::mail::{LetterRequest, Recipient};
use crate::model::{AccountId, Actor, ClientInfo, EmailAddress, EventKind, Password};
use crate::storage::{Connection, Store, StoreError, chain};

/// Time for which the owner's request waits for the last row. A longer removal continues in the
/// background.
const BATCHES_TIMEOUT: Duration = Duration::from_secs(10);

impl Accounts {
    /// Deletes the account of a caller who knows its password.
    pub async fn delete(
        &self,
        id: AccountId,
        password: &Password,
        caller: &ClientInfo,
    ) -> Result<(), ReauthenticationError> {
        let reauthenticated = self.reauthenticate(id, password, caller).await?;
        let epoch = Some(reauthenticated.account.epoch);
        if !self.close(id, epoch, Actor::Owner).await? {
            return Err(ReauthenticationError::Gone);
        }
        // continues if the client disconnects, and if it takes longer than the client waits
        let rest = tokio::spawn(finish(self.store.clone(), id));
        let _ = tokio::time::timeout(BATCHES_TIMEOUT, rest).await;
        Ok(())
    }

    /// Deletes the account for the operator, and waits until all its rows are gone. `false` if
    /// there is no such account.
    pub async fn delete_by_operator(&self, id: AccountId) -> Result<bool, StoreError> {
        let closed = self.close(id, None, Actor::Operator).await?;
        if closed {
            finish(self.store.clone(), id).await;
        }
        Ok(closed)
    }

    /// Closes the account:
    ///
    /// - no sign-in opens it, and no query finds it;
    /// - its address is free;
    /// - a sign-up that waits for the same address is dropped.
    ///
    /// Two things stay: one event, which says that an account was deleted but not which one; and
    /// one farewell letter, which is deleted once it has been sent.
    ///
    /// `false` if the account was gone or is in another epoch than `epoch`; then nothing was
    /// changed.
    async fn close(
        &self,
        id: AccountId,
        epoch: Option<i64>,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let found = self.store.read(async |db| db.find_account(id).await).await?;
        let Some(owner) = found else { return Ok(false) };
        if epoch.is_some_and(|epoch| epoch != owner.epoch) {
            return Ok(false);
        }
        self.store.purge_excess_of(&owner.account.email).await?;
        let closed =
            self.store.write(async |tx| self.close_within(tx, id, epoch, actor).await).await?;
        self.outbox.wake();
        Ok(closed)
    }

    async fn close_within(
        &self,
        tx: &mut Connection,
        id: AccountId,
        epoch: Option<i64>,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let Some(before) = tx.find_account(id).await? else { return Ok(false) };
        // lock the sign-up's row before the account's, as an activation does
        tx.lock_sign_up(&before.account.email).await?;
        if !tx.lock_account(id).await? {
            return Ok(false);
        }
        // from here on no request can change the address, to which the farewell goes
        let Some(account) = tx.find_account(id).await? else { return Ok(false) };
        if account.account.email != before.account.email {
            return Err(StoreError::contended());
        }
        if epoch.is_some_and(|epoch| epoch != account.epoch) {
            return Ok(false);
        }
        let email = &account.account.email;
        // closing waits for events of the account that are being written, and a wrong password
        // writes its event before its count: so the locations and their counts are removed after
        // closing
        if !tx.close_account(id, epoch, self.clock.now()).await? {
            return Ok(false);
        }
        self.limits.forget_locations(tx, id).await?;
        self.forget_sign_up(tx, email).await?;
        tx.delete_letters_to(email, self.clock.now()).await?;
        let deleted = EventDraft::new(EventKind::AccountDeleted, actor);
        self.events.record(tx, deleted, &ClientInfo::default()).await?;
        let by_operator = actor == Actor::Operator;
        let farewell = LetterRequest::account_deleted(self.clock.now(), by_operator);
        let to = Recipient::unknown(email, account.account.locale.as_ref());
        self.outbox.post(tx, to, &farewell).await?;
        Ok(true)
    }

    /// Removes the sign-up that waits for an address, with its links and events. `false` if there
    /// is none. Call [`Store::purge_excess_of`] first.
    pub(super) async fn forget_sign_up(
        &self,
        tx: &mut Connection,
        email: &EmailAddress,
    ) -> Result<bool, StoreError> {
        let Some(waiting) = tx.find_sign_up_by_email(email).await? else { return Ok(false) };
        let id = waiting.sign_up.id;
        if !tx.consume_sign_up(id, true).await? {
            return Ok(false);
        }
        tx.delete_links_of_sign_up(id).await?;
        tx.delete_events_of_sign_up(id).await?;
        Ok(true)
    }
}

/// Removes the rows of a closed account, the account's own row last. A failure is only logged: the
/// account is deleted, and the janitor tries again.
async fn finish(store: Store, id: AccountId) {
    if let Err(error) = store.finish_deletion(id).await {
        let error = chain(&error);
        tracing::warn!(error, "rows of a deleted account are removed later");
    }
}
