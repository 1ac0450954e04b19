//! Ending everything at once, by the account's epoch (docs/decisions/0020).

use crate::accounts::{Accounts, EventDraft};
use crate::model::{AccountId, Actor, ClientInfo, EventKind};
use crate::storage::{Connection, StoreError, chain};

impl Accounts {
    /// Signs the account out everywhere, sign-ins and refreshes included that are under way. `false`
    /// if it is gone. Where nothing was signed in, nothing is noted.
    pub async fn end_sessions(
        &self,
        id: AccountId,
        actor: Actor,
        caller: &ClientInfo,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let raised = self
            .store
            .write(async |tx| {
                if !tx.lock_account(id).await? {
                    return Ok(false);
                }
                let was_signed_in = tx.count_live_sessions_of(id, now).await? > 0;
                let raised = tx.raise_epoch(id).await?;
                if raised && was_signed_in {
                    let event = EventDraft::new(EventKind::SignOutEverywhere, actor);
                    self.events.record(tx, event.to_account(id), caller).await?;
                }
                Ok::<_, StoreError>(raised)
            })
            .await?;
        self.purge_ended_sessions(id).await;
        Ok(raised)
    }

    /// What has to go once an account is in a new epoch: the links in earlier letters, a change of
    /// address that another caller may have begun, and the places that another caller may have signed
    /// in from. The rows of sessions that are dead by now go after the transaction, by
    /// [`Accounts::purge_ended_sessions`].
    pub(super) async fn clear_after_new_epoch(
        &self,
        tx: &mut Connection,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        tx.void_account_links(account, now).await?;
        tx.void_email_changes(account, now).await?;
        self.limits.forget_locations(tx, account).await
    }

    /// Removes the rows of sessions that a raised epoch has ended, in batches. A failure is for the log
    /// alone: the sessions are dead, and their rows go when they would have ended.
    pub(super) async fn purge_ended_sessions(&self, account: AccountId) {
        if let Err(error) = self.store.purge_ended_sessions_of(account).await {
            let error = chain(&error);
            tracing::warn!(error, "sessions that have ended are removed later");
        }
    }
}
