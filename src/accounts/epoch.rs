//! Ending everything at once, by the account's epoch (docs/decisions/0020).

use crate::accounts::{Accounts, Happening};
use crate::model::{AccountId, Actor, Caller, EventKind};
use crate::storage::{Connection, StoreError};

impl Accounts {
    /// Signs the account out everywhere, sign-ins and refreshes included that are under way. `false`
    /// if it is gone.
    pub async fn end_sessions(
        &self,
        id: AccountId,
        actor: Actor,
        caller: &Caller,
    ) -> Result<bool, StoreError> {
        self.store
            .write(async |tx| {
                let raised = tx.raise_epoch(id).await?;
                if raised {
                    tx.purge_sessions_of(id).await?;
                    tx.purge_page_sessions_of(id).await?;
                    let event = Happening::new(EventKind::SignOutEverywhere, actor);
                    self.events.note(tx, event.to_account(id), caller).await?;
                }
                Ok(raised)
            })
            .await
    }

    /// What has to go once an account is in a new epoch: the rows of sessions that are dead by now,
    /// the links in earlier letters, a change of address that somebody else may have begun, the places
    /// that somebody else may have signed in from, and what was guessed before.
    pub(super) async fn clear_after_new_epoch(
        &self,
        tx: &mut Connection,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        tx.purge_sessions_of(account).await?;
        tx.purge_page_sessions_of(account).await?;
        tx.void_account_links(account, now).await?;
        tx.void_email_changes(account, now).await?;
        match tx.find_account(account).await? {
            Some(owner) => self.limits.forgive(tx, account, &owner.account.email).await,
            None => Ok(()),
        }
    }
}
