//! Sign-out everywhere, by raising the account's epoch (docs/decisions/0020).

use crate::accounts::{Accounts, EventDraft};
use crate::model::{AccountId, Actor, ClientInfo, EventKind};
use crate::storage::{Connection, StoreError, chain};

impl Accounts {
    /// Signs the account out everywhere, including sign-ins and refreshes under way. `false` if the
    /// account is gone. Records no event if nothing was signed in.
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

    /// Cleans up once an account is in a new epoch. Removes links in earlier letters, a change of
    /// address that another caller may have begun, and known locations that another caller may have
    /// signed in from. [`Accounts::purge_ended_sessions`] removes the rows of ended sessions after
    /// the transaction.
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

    /// Removes the rows of sessions that a new epoch has ended, in batches. A failure is only
    /// logged: the sessions have ended, and the janitor removes their rows at their regular expiry.
    pub(super) async fn purge_ended_sessions(&self, account: AccountId) {
        if let Err(error) = self.store.purge_ended_sessions_of(account).await {
            let error = chain(&error);
            tracing::warn!(error, "ended sessions are removed later");
        }
    }
}
