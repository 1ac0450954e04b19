//! Leaving: everything that names the person goes, at once, and they are told.

use crate::accounts::{Accounts, Happening, ProofError};
use crate::mail::{Cause, Recipient};
use crate::model::{AccountId, Actor, Caller, EmailAddress, EventKind, Password};
use crate::storage::{Connection, StoreError};

impl Accounts {
    /// Deletes the account of somebody who knows its password.
    pub async fn delete(
        &self,
        id: AccountId,
        password: &Password,
        caller: &Caller,
    ) -> Result<(), ProofError> {
        let proven = self.prove(id, password, caller).await?;
        let epoch = Some(proven.account.epoch);
        let deleted =
            self.store.write(async |tx| self.forget(tx, id, epoch, Actor::Owner).await).await?;
        if !deleted {
            return Err(ProofError::Gone);
        }
        self.outbox.wake();
        Ok(())
    }

    /// Removes the account and all that names its owner: sessions, digests of links, letters, events,
    /// and a sign-up that waits for the same address. Two things stay. One event says that an account
    /// was deleted, and not whose. And one letter says good-bye, which is forgotten when it has left.
    ///
    /// `false` if the account was gone, or has passed out of `epoch`; then nothing was changed.
    pub(super) async fn forget(
        &self,
        tx: &mut Connection,
        id: AccountId,
        epoch: Option<i64>,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let Some(before) = tx.find_account(id).await? else { return Ok(false) };
        // the sign-up's row before the account's, as an activation holds them
        if let Some(waiting) = tx.find_sign_up_by_email(&before.account.email).await? {
            tx.prolong_sign_up(waiting.sign_up.id, self.clock.now()).await?;
        }
        if !tx.lock_account(id).await? {
            return Ok(false);
        }
        // from here on nobody changes the address, which the farewell goes to
        let Some(account) = tx.find_account(id).await? else { return Ok(false) };
        if account.account.email != before.account.email {
            return Err(StoreError::contended());
        }
        if epoch.is_some_and(|epoch| epoch != account.epoch) {
            return Ok(false);
        }
        let email = &account.account.email;
        self.limits.forgive(tx, id, email).await?;
        if !tx.delete_account(id, epoch).await? {
            return Ok(false);
        }
        self.forget_sign_up(tx, email).await?;
        tx.delete_letters_to(email).await?;
        let deleted = Happening::new(EventKind::AccountDeleted, actor);
        self.events.note(tx, deleted, &Caller::default()).await?;
        let by_operator = actor == Actor::Operator;
        let farewell = Cause::account_deleted(self.clock.now(), by_operator);
        let to = Recipient::unknown(email, account.account.locale.as_ref());
        self.outbox.post(tx, to, &farewell).await?;
        Ok(true)
    }

    /// Removes the sign-up that waits for an address, with its links and what is noted of it. `false`
    /// if there is none.
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
