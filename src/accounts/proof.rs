//! Showing once more, by the current password, that an account is one's own.

use crate::accounts::{Accounts, Failure, Happening, Pass};
use crate::crypto::hasher::{Purpose, Verdict};
use crate::model::{AccountId, Actor, Caller, EventKind, Password};
use crate::storage::{AccountRecord, Connection, StoreError};

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

/// An account whose current password somebody has just shown to know.
#[derive(Debug)]
pub(super) struct Proven {
    pub account: AccountRecord,
    pub pass: Pass,
}

impl Accounts {
    /// The account, if `current` is its password, for a caller who is signed in to it. Wrong ones are
    /// limited as at sign-in, by counts of the account's own (R42). What is then done has to be done on
    /// the condition that the account is still in the same epoch.
    pub(super) async fn prove(
        &self,
        id: AccountId,
        current: &Password,
        caller: &Caller,
    ) -> Result<Proven, ProofError> {
        self.hasher.admit(Purpose::SignIn, caller.network()).map_err(Failure::from)?;
        let found = self.store.read(async |db| db.find_account(id).await).await?;
        let account = found.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(ProofError::Gone)?;
        let mut pass = self.limits.admit_signed_in(&account.account, caller).await?;
        let (stored, network) = (&account.password_hash, caller.network());
        let verdict =
            self.hasher.verify(current.as_bytes(), stored, Purpose::SignIn, network).await;
        match verdict.map_err(Failure::from)? {
            Verdict::Right { .. } => {
                if pass.has_news() {
                    let now = self.clock.now();
                    self.store.write(async |tx| pass.note_success(tx, id, now).await).await?;
                }
                Ok(Proven { account, pass })
            }
            Verdict::Wrong => {
                let refused =
                    Happening::new(EventKind::PasswordRefused, Actor::Stranger).to_account(id);
                self.note_wrong_password(&mut pass, refused, caller).await?;
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

    /// Notes a wrong password, before anybody hears that it was. If it cannot be counted, nobody does.
    pub(super) async fn note_wrong_password(
        &self,
        pass: &mut Pass,
        happening: Happening<'_>,
        caller: &Caller,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        pass.has_failed();
        let pass = &*pass;
        let noted = self.store.write(async |tx| {
            self.events.note(tx, happening, caller).await?;
            pass.note_failure(tx, now).await
        });
        match noted.await {
            // the account was deleted meanwhile, and has taken its events along
            Err(error) if error.is_conflict() => {
                Ok(self.store.write(async |tx| pass.note_failure(tx, now).await).await?)
            }
            noted => Ok(noted?),
        }
    }
}
