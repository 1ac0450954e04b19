//! Reauthentication: a signed-in caller types the current password again.

use crate::accounts::{Accounts, AttemptPermit, EventDraft, Failure};
use crate::crypto::hasher::{Purpose, Verification};
use crate::model::{AccountId, Actor, ClientInfo, EventKind, Password};
use crate::storage::{AccountRecord, Connection, StoreError};

/// Reason why reauthentication failed.
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticationError {
    /// The typed password is not the current one.
    #[error("the current password is wrong")]
    Wrong,
    /// The account was deleted, disabled or signed out everywhere meanwhile.
    #[error("the account was deleted, or the session has ended")]
    Gone,
    /// The service could not check the password.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ReauthenticationError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Account whose current password the caller has just proved to know.
#[derive(Debug)]
pub(super) struct Reauthenticated {
    pub account: AccountRecord,
    pub permit: AttemptPermit,
}

impl Accounts {
    /// Reauthenticates a caller who is signed in to the account. Failures are limited as at
    /// sign-in, by the account's own counts (R42). The following change must be conditional on the
    /// same epoch.
    pub(super) async fn reauthenticate(
        &self,
        id: AccountId,
        current: &Password,
        caller: &ClientInfo,
    ) -> Result<Reauthenticated, ReauthenticationError> {
        self.hasher.admit(Purpose::SignIn, caller.network()).map_err(Failure::from)?;
        let found = self.store.read(async |db| db.find_account(id).await).await?;
        let account = found.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(ReauthenticationError::Gone)?;
        let mut permit = self.limits.admit_signed_in(&account.account, caller).await?;
        let (stored, network) = (&account.password_hash, caller.network());
        let verdict =
            self.hasher.verify(current.as_bytes(), stored, Purpose::SignIn, network).await;
        match verdict.map_err(Failure::from)? {
            Verification::Right { .. } => {
                if permit.needs_write() {
                    let now = self.clock.now();
                    self.store.write(async |tx| permit.record_success(tx, id, now).await).await?;
                }
                Ok(Reauthenticated { account, permit })
            }
            Verification::Wrong => {
                let refused =
                    EventDraft::new(EventKind::PasswordRefused, Actor::Stranger).to_account(id);
                self.record_wrong_password(&mut permit, refused, caller).await?;
                Err(ReauthenticationError::Wrong)
            }
        }
    }

    /// Locks the account for the rest of this transaction, and reads it. Fails if it is no longer
    /// in the epoch of its reauthentication.
    pub(super) async fn lock_in_epoch(
        &self,
        tx: &mut Connection,
        reauthenticated: &AccountRecord,
    ) -> Result<AccountRecord, ReauthenticationError> {
        let id = reauthenticated.account.id;
        match tx.lock_account_in_epoch(id, reauthenticated.epoch).await? {
            true => tx.find_account(id).await?.ok_or(ReauthenticationError::Gone),
            false => Err(ReauthenticationError::Gone),
        }
    }

    /// Records a wrong password before the response says so. If the count cannot be written, the
    /// request fails.
    pub(super) async fn record_wrong_password(
        &self,
        permit: &mut AttemptPermit,
        event: EventDraft<'_>,
        caller: &ClientInfo,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        permit.mark_failed();
        let permit = &*permit;
        let noted = self.store.write(async |tx| {
            self.events.record(tx, event, caller).await?;
            permit.record_failure(tx, now).await
        });
        match noted.await {
            // the account was deleted meanwhile, and its events with it
            Err(error) if error.is_conflict() => {
                Ok(self.store.write(async |tx| permit.record_failure(tx, now).await).await?)
            }
            noted => Ok(noted?),
        }
    }
}
