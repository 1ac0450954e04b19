//! Signing in: an address and a password against what is known of them.

use crate::accounts::{Accounts, AttemptPermit, EventDraft, Failure};
use crate::crypto::hasher::{PasswordHash, Purpose, Verification};
use crate::model::{
    AccountId, Actor, ClientId, ClientInfo, EmailAddress, EventKind, Network, Password, trim_pasted,
};
use crate::storage::{CredentialOwner, PasswordCredentials, StoreError, chain};

/// Somebody has shown to be the owner of an account.
#[derive(Debug)]
pub struct SignedIn {
    pub account: AccountId,
    /// The account's epoch when the password was checked: a session of an older one is dead.
    pub epoch: i64,
    /// To be told in the transaction that lets them in.
    pub permit: AttemptPermit,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong password, unknown address, disabled account, or a waiting sign-up whatever the password:
    /// the answer says no more (R18). A stranger can make a sign-up for any address, so an answer
    /// that told of one would tell which addresses have an account.
    #[error("address and password do not belong together, or the address has yet to be confirmed")]
    Refused,
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
    pub caller: &'a ClientInfo,
}

impl Accounts {
    /// Checks an address and a password, unless too many were wrong (R20). One hash is computed in
    /// every case, and a failure is noted in every case, so that the time says nothing (R18).
    pub async fn sign_in(&self, attempt: SignInAttempt<'_>) -> Result<SignedIn, SignInError> {
        let outcome = self.judge_sign_in(attempt).await;
        self.events.metrics().sign_in(match &outcome {
            Ok(_) => "success",
            Err(SignInError::Refused) => "refused",
            Err(SignInError::Failure(Failure::Busy { .. })) => "busy",
            Err(SignInError::Failure(Failure::Limited { .. })) => "limited",
            Err(SignInError::Failure(_)) => "failed",
        });
        outcome
    }

    /// Whether a sign-in would be taken on now: asked before any work is done for one (R51).
    pub fn admit_sign_in(&self, caller: &ClientInfo) -> Result<(), Failure> {
        Ok(self.hasher.admit(Purpose::SignIn, caller.network()).inspect_err(|_| {
            self.events.metrics().sign_in("busy");
        })?)
    }

    async fn judge_sign_in(&self, attempt: SignInAttempt<'_>) -> Result<SignedIn, SignInError> {
        let network = attempt.caller.network();
        self.hasher.admit(Purpose::SignIn, network).map_err(Failure::from)?;
        let typed = attempt.password.as_bytes();
        let email = EmailAddress::parse(attempt.username).ok();
        let name = email.as_ref().map_or(trim_pasted(attempt.username), EmailAddress::as_str);
        let mut permit = self.limits.admit(name, attempt.caller).await?;
        // of every address the same is read, and checked
        let decoy = self.hasher.decoy().map_err(Failure::from)?;
        let found = match email {
            None => PasswordCredentials { of: CredentialOwner::NoAccount, hash: decoy },
            Some(email) => {
                self.store.read(async |db| db.find_credentials(&email, &decoy).await).await?
            }
        };
        let verdict = self.hasher.verify(typed, &found.hash, Purpose::SignIn, network).await;
        let verdict = verdict.map_err(Failure::from)?;
        let failed = EventDraft::new(EventKind::SignInFailed, Actor::Stranger);
        let failed = match (found.of, verdict) {
            (
                CredentialOwner::Account { id, epoch, is_disabled: false },
                Verification::Right { outdated },
            ) => {
                if outdated {
                    self.rehash(id, &found.hash, typed, network).await;
                }
                return Ok(SignedIn { account: id, epoch, permit });
            }
            (CredentialOwner::Account { id, .. }, _) => failed.to_account(id),
            // its password opens nothing yet, so the right one is as wrong as any
            (CredentialOwner::SignUp { id }, _) => failed.to_sign_up(id),
            (CredentialOwner::NoAccount, _) => failed,
        };
        let failed = failed.through(attempt.client_id);
        self.record_wrong_password(&mut permit, failed, attempt.caller).await?;
        Err(SignInError::Refused)
    }

    /// The parameters have risen since the password was set (R41). Not worth failing a sign-in for:
    /// the next one tries again.
    async fn rehash(&self, id: AccountId, outdated: &PasswordHash, typed: &[u8], network: Network) {
        let Ok(hash) = self.hasher.hash(typed, Purpose::SignIn, network).await else { return };
        let upgraded =
            self.store.write(async |tx| tx.upgrade_password_hash(id, outdated, &hash).await).await;
        if let Err(error) = upgraded {
            tracing::warn!(error = chain(&error), "a password hash stays as it was");
        }
    }
}
