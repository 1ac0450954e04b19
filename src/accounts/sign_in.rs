//! Signing in: an address and a password against what is known of them.

use crate::accounts::{Accounts, Failure, Happening};
use crate::crypto::hasher::{PasswordHash, Purpose, Verdict};
use crate::model::{AccountId, Actor, Caller, ClientId, EmailAddress, EventKind, Password};
use crate::storage::{AccountRecord, StoreError, chain};

/// Somebody has shown to be the owner of an account.
#[derive(Debug)]
pub struct SignedIn {
    pub account: AccountId,
    /// The account's epoch when the password was checked: a session of an older one is dead.
    pub epoch: i64,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong password, unknown address or disabled account: nobody learns which (R18).
    #[error("address and password do not belong together")]
    Refused,
    /// The right password of a sign-up whose link was not used yet. Only its owner can hear this.
    #[error("the address has yet to be confirmed")]
    Unconfirmed,
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// An address and a password that somebody has typed.
#[derive(Clone, Copy, Debug)]
pub struct SignInAttempt<'a> {
    /// Trimmed and folded as addresses are.
    pub username: &'a str,
    pub password: &'a Password,
    /// The OAuth client that asks; none at the account page.
    pub client_id: Option<&'a ClientId>,
    pub caller: &'a Caller,
}

impl Accounts {
    /// Checks an address and a password. One hash is computed in every case, and a failure is noted
    /// in every case, so that the time says nothing (R18).
    pub async fn sign_in(&self, attempt: SignInAttempt<'_>) -> Result<SignedIn, SignInError> {
        self.hasher.admit(Purpose::SignIn).map_err(Failure::from)?;
        let typed = attempt.password.as_bytes();
        let (account, waiting) = match EmailAddress::parse(attempt.username) {
            Err(_) => (None, None),
            Ok(email) => {
                self.store
                    .read(async |db| {
                        let account = db.find_account_by_email(&email).await?;
                        let waiting = db.find_sign_up_by_email(&email).await?;
                        Ok((account, waiting))
                    })
                    .await?
            }
        };
        let failed = Happening::new(EventKind::SignInFailed, Actor::Stranger);
        let (failed, error) = match (account, waiting) {
            (Some(account), _) => {
                let id = account.account.id;
                let verdict = self.verify(typed, &account.password_hash).await?;
                if let Verdict::Right { outdated } = verdict
                    && account.disabled_at.is_none()
                {
                    if outdated {
                        self.rehash(&account, typed).await;
                    }
                    return Ok(SignedIn { account: id, epoch: account.epoch });
                }
                (failed.to_account(id), SignInError::Refused)
            }
            (None, Some(waiting)) => {
                let verdict = self.verify(typed, &waiting.password_hash).await?;
                // of a contested sign-up nobody's password counts
                let is_theirs = verdict != Verdict::Wrong && waiting.sign_up.contested_at.is_none();
                let error = if is_theirs { SignInError::Unconfirmed } else { SignInError::Refused };
                (failed.to_sign_up(waiting.sign_up.id), error)
            }
            (None, None) => {
                let spent = self.hasher.verify_nothing(typed, Purpose::SignIn).await;
                spent.map_err(Failure::from)?;
                (failed, SignInError::Refused)
            }
        };
        self.note_alone(failed.through(attempt.client_id), attempt.caller).await;
        Err(error)
    }

    async fn verify(&self, typed: &[u8], hash: &PasswordHash) -> Result<Verdict, Failure> {
        Ok(self.hasher.verify(typed, hash, Purpose::SignIn).await?)
    }

    /// The parameters have risen since the password was set (R41). Not worth failing a sign-in for:
    /// the next one tries again.
    async fn rehash(&self, account: &AccountRecord, typed: &[u8]) {
        let Ok(hash) = self.hasher.hash(typed, Purpose::SignIn).await else { return };
        let id = account.account.id;
        let upgraded = self
            .store
            .write(async |tx| tx.upgrade_password_hash(id, &account.password_hash, &hash).await)
            .await;
        if let Err(error) = upgraded {
            tracing::warn!(error = chain(&error), "a password hash stays as it was");
        }
    }
}
