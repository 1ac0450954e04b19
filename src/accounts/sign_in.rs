//! Signing in: an address and a password against what is known of them.

use crate::accounts::{Accounts, Failure};
use crate::crypto::hasher::{Purpose, Verdict};
use crate::model::{AccountId, EmailAddress, Password};
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

impl Accounts {
    /// Checks `username`, trimmed and folded as addresses are, and `password`. One hash is computed
    /// in every case, so that the time says nothing (R18).
    pub async fn sign_in(
        &self,
        username: &str,
        password: &Password,
    ) -> Result<SignedIn, SignInError> {
        self.hasher.admit(Purpose::SignIn).map_err(Failure::from)?;
        let typed = password.as_bytes();
        let (account, waiting) = match EmailAddress::parse(username) {
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
        if let Some(account) = account {
            let verdict = self.hasher.verify(typed, &account.password_hash, Purpose::SignIn).await;
            return match verdict.map_err(Failure::from)? {
                Verdict::Right { outdated } if account.disabled_at.is_none() => {
                    if outdated {
                        self.rehash(&account, typed).await;
                    }
                    Ok(SignedIn { account: account.account.id, epoch: account.epoch })
                }
                Verdict::Right { .. } | Verdict::Wrong => Err(SignInError::Refused),
            };
        }
        if let Some(waiting) = waiting {
            let verdict = self.hasher.verify(typed, &waiting.password_hash, Purpose::SignIn).await;
            return match verdict.map_err(Failure::from)? {
                // of a contested sign-up nobody's password counts
                Verdict::Right { .. } if waiting.sign_up.contested_at.is_none() => {
                    Err(SignInError::Unconfirmed)
                }
                Verdict::Right { .. } | Verdict::Wrong => Err(SignInError::Refused),
            };
        }
        self.hasher.verify_nothing(typed, Purpose::SignIn).await.map_err(Failure::from)?;
        Err(SignInError::Refused)
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
