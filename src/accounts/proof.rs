//! Showing once more, by the current password, that an account is one's own.

use crate::accounts::{Accounts, Failure, Happening};
use crate::crypto::hasher::{Purpose, Verdict};
use crate::model::{AccountId, Actor, Caller, EventKind, Password};
use crate::storage::{AccountRecord, Connection, StoreError, chain};

/// Why the current password did not open anything.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error("that is not the current password")]
    Wrong,
    /// The account was deleted, disabled or signed out everywhere meanwhile.
    #[error("the account is gone, or the session has ended")]
    Gone,
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ProofError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

impl Accounts {
    /// The account, if `current` is its password. What is then done has to be done on the condition
    /// that the account is still in the same epoch.
    pub(super) async fn prove(
        &self,
        id: AccountId,
        current: &Password,
        caller: &Caller,
    ) -> Result<AccountRecord, ProofError> {
        self.hasher.admit(Purpose::SignIn).map_err(Failure::from)?;
        let found = self.store.read(async |db| db.find_account(id).await).await?;
        let account = found.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(ProofError::Gone)?;
        let verdict =
            self.hasher.verify(current.as_bytes(), &account.password_hash, Purpose::SignIn).await;
        match verdict.map_err(Failure::from)? {
            Verdict::Right { .. } => Ok(account),
            Verdict::Wrong => {
                let refused =
                    Happening::new(EventKind::PasswordRefused, Actor::Stranger).to_account(id);
                self.note_alone(refused, caller).await;
                Err(ProofError::Wrong)
            }
        }
    }

    /// The account as it is now, held for the rest of this transaction; it has to be in the epoch
    /// still in which its password was proven.
    pub(super) async fn hold(
        &self,
        tx: &mut Connection,
        proven: &AccountRecord,
    ) -> Result<AccountRecord, ProofError> {
        let id = proven.account.id;
        match tx.hold_account(id, proven.epoch).await? {
            true => tx.find_account(id).await?.ok_or(ProofError::Gone),
            false => Err(ProofError::Gone),
        }
    }

    /// Notes what has no transaction of its own. That it cannot be noted changes no answer.
    pub(super) async fn note_alone(&self, happening: Happening<'_>, caller: &Caller) {
        let noted =
            self.store.write(async |tx| self.events.note(tx, happening, caller).await).await;
        // an account that is deleted meanwhile takes its events along
        if let Err(error) = noted
            && !error.is_conflict()
        {
            tracing::warn!(error = chain(&error), "an event was not noted");
        }
    }
}
