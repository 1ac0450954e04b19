//! Sign-in: checks an address and a password.

use crate::accounts::{Accounts, AttemptPermit, EventDraft, Failure};
use crate::crypto::hasher::{PasswordHash, Purpose, Verification};
use crate::model::{
    AccountId, Actor, ClientId, ClientInfo, EmailAddress, EventKind, Network, Password, trim_pasted,
};
use crate::storage::{CredentialOwner, PasswordCredentials, StoreError, chain};

/// Result of a sign-in: the caller has proved to own the account.
#[derive(Debug)]
pub struct SignedIn {
    /// Id of the account.
    pub account: AccountId,
    /// The account's epoch when the password was checked. A session of an older epoch has ended.
    pub epoch: i64,
    /// Records the success in the transaction that creates the session.
    pub permit: AttemptPermit,
}

/// Reason why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// One response for several reasons (R18): a wrong password, an unknown address, a disabled
    /// account, or a waiting sign-up with any password. Strangers can make a sign-up for any
    /// address. A response that told of the sign-up would tell which addresses have an account.
    #[error("the address or the password is wrong, or the address is not yet confirmed")]
    Refused,
    /// The service could not check the password.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Address and password as typed.
#[derive(Clone, Copy, Debug)]
pub struct SignInAttempt<'a> {
    /// Trimmed and folded as addresses are.
    pub username: &'a str,
    /// The typed password.
    pub password: &'a Password,
    /// The OAuth client; `None` at the account page.
    pub client_id: Option<&'a ClientId>,
    /// Client information of the request.
    pub caller: &'a ClientInfo,
}

impl Accounts {
    /// Checks an address and a password, within the limits of failures (R20). Every sign-in
    /// computes one hash, and every failed one is recorded, so that the time reveals nothing (R18).
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

    /// Whether the hasher would accept a sign-in now. Callers ask before any work is done (R51).
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
        // the same is read and checked for every address
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
            // a waiting sign-up opens nothing, so even its right password is refused
            (CredentialOwner::SignUp { id }, _) => failed.to_sign_up(id),
            (CredentialOwner::NoAccount, _) => failed,
        };
        let failed = failed.through(attempt.client_id);
        self.record_wrong_password(&mut permit, failed, attempt.caller).await?;
        Err(SignInError::Refused)
    }

    /// Upgrades a hash whose parameters are below the current ones (R41). A failure does not fail
    /// the sign-in: the next sign-in tries again.
    async fn rehash(&self, id: AccountId, outdated: &PasswordHash, typed: &[u8], network: Network) {
        let Ok(hash) = self.hasher.hash(typed, Purpose::SignIn, network).await else { return };
        let upgraded =
            self.store.write(async |tx| tx.upgrade_password_hash(id, outdated, &hash).await).await;
        if let Err(error) = upgraded {
            tracing::warn!(error = chain(&error), "a password hash was not upgraded");
        }
    }
}
