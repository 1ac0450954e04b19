//! Changing the password, and choosing a new one by a link when the old one is forgotten.

use crate::accounts::{Accounts, Failure, Happening, ProofError};
use crate::crypto::hasher::Purpose;
use crate::mail::{Cause, Recipient};
use crate::model::{
    AccountId, AccountLinkPurpose, AccountLinkState, Actor, Caller, Digest, EmailAddress,
    EventKind, LinkToken, Locale, NewPassword, Password, PasswordError, SessionId,
};
use crate::storage::{AccountRecord, Connection, StoreError};

/// How often a change is begun again because the stored hash was made anew meanwhile.
const ATTEMPTS: usize = 3;

/// The sign-in that a change is made from. It goes on; every other one ends.
#[derive(Clone, Copy, Debug)]
pub enum OwnSession {
    /// By a token.
    Token(SessionId),
    /// By the account page's cookie.
    Page(Digest),
}

/// What stands behind a link to choose a new password.
#[derive(Debug)]
pub enum ResetStanding {
    Live {
        email: EmailAddress,
        locale: Option<Locale>,
    },
    /// It, or another one, was used, or the password was changed since.
    Used,
    Expired,
    Unknown,
}

/// Why no new password was set.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error("the password cannot be set: {0}")]
    Password(#[from] PasswordError),
    #[error("the link was used")]
    Used,
    #[error("the link has expired")]
    Expired,
    #[error("no such link")]
    Unknown,
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ResetError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

impl Accounts {
    /// Changes the password of somebody who is signed in and knows the current one. Every other
    /// sign-in ends, and so does whatever was begun by a letter; the owner is told (R42).
    pub async fn change_password(
        &self,
        id: AccountId,
        own: OwnSession,
        current: &Password,
        new: &NewPassword,
        caller: &Caller,
    ) -> Result<(), ProofError> {
        for _ in 0..ATTEMPTS {
            let account = self.prove(id, current, caller).await?;
            let hash = self.hasher.hash(new.password().as_bytes(), Purpose::SignIn).await;
            let hash = hash.map_err(Failure::from)?;
            let changed = self.store.write(async |tx| {
                if !tx.change_password(&account, &hash).await? {
                    return Ok(false);
                }
                // a session that has ended in the meantime changes no password
                let goes_on = match own {
                    OwnSession::Token(session) => {
                        tx.carry_session(session, id, account.epoch).await?
                    }
                    OwnSession::Page(digest) => {
                        tx.carry_page_session(&digest, id, account.epoch).await?
                    }
                };
                if !goes_on {
                    return Err(ProofError::Gone);
                }
                self.begin_epoch(tx, id).await?;
                let changed = Happening::new(EventKind::PasswordChanged, Actor::Owner);
                self.events.note(tx, changed.to_account(id), caller).await?;
                // the row is held by now, so this is where they are reached
                let owner = tx.find_account(id).await?.ok_or(ProofError::Gone)?;
                let cause = Cause::password_changed(self.clock.now(), caller, false);
                self.outbox.post(tx, Recipient::owner(&owner.account), &cause).await?;
                Ok(true)
            });
            if changed.await? {
                self.outbox.wake();
                return Ok(());
            }
        }
        Err(StoreError::contended().into())
    }

    /// Posts a link to choose a new password, whoever the address belongs to: the courier finds out
    /// (R47). The request alone changes nothing.
    pub async fn request_password_reset(
        &self,
        email: &EmailAddress,
        caller: &Caller,
    ) -> Result<(), StoreError> {
        let requested = Happening::new(EventKind::PasswordResetRequested, Actor::Stranger);
        let cause = Cause::password_reset(self.clock.now(), caller);
        let ask = async || {
            self.store
                .write(async |tx| {
                    self.events.note(tx, requested.to_address(email), caller).await?;
                    let to = Recipient::unknown(email, caller.locale.as_ref());
                    self.outbox.post(tx, to, &cause).await
                })
                .await
        };
        match ask().await {
            // the account was deleted in the midst of it: now the address is unknown
            Err(error) if error.is_conflict() => ask().await?,
            asked => asked?,
        }
        self.outbox.wake();
        Ok(())
    }

    /// Posts a fresh link to the owner that an old one is of. Says nothing about whether that was done.
    pub async fn renew_reset_link(&self, token: &str, caller: &Caller) -> Result<(), StoreError> {
        match self.inspect_reset_link(token).await? {
            (ResetStanding::Expired, Some(owner)) => {
                self.request_password_reset(&owner.account.email, caller).await
            }
            _ => Ok(()),
        }
    }

    /// What stands behind a link. Changes nothing (R43).
    pub async fn inspect_reset(&self, token: &str) -> Result<ResetStanding, StoreError> {
        Ok(self.inspect_reset_link(token).await?.0)
    }

    /// Sets the password that was typed behind a link. Every sign-in ends, nobody is signed in, and
    /// the owner is told (R47).
    pub async fn reset_password(
        &self,
        token: &str,
        typed: &str,
        caller: &Caller,
    ) -> Result<(), ResetError> {
        // by the input alone, before anything is looked up
        self.policy.judge(typed, None)?;
        let (standing, owner) = self.inspect_reset_link(token).await?;
        let owner = match (standing, owner) {
            (ResetStanding::Live { .. }, Some(owner)) => owner,
            (ResetStanding::Used, _) => return Err(ResetError::Used),
            (ResetStanding::Expired, _) => return Err(ResetError::Expired),
            (ResetStanding::Live { .. } | ResetStanding::Unknown, _) => {
                return Err(ResetError::Unknown);
            }
        };
        let new = self.policy.judge(typed, Some(&owner.account.email))?;
        self.hasher.admit(Purpose::SignUp).map_err(Failure::from)?;
        let hash = self.hasher.hash(new.password().as_bytes(), Purpose::SignUp).await;
        let hash = hash.map_err(Failure::from)?;
        let digest = LinkToken::parse(token).ok_or(ResetError::Unknown)?.digest();
        self.store
            .write(async |tx| {
                let (id, now) = (owner.account.id, self.clock.now());
                // the account first, as everybody does: whoever else changes it waits here
                if !tx.reset_password(id, &hash).await? {
                    return Err(ResetError::Unknown);
                }
                let purpose = AccountLinkPurpose::PasswordReset;
                if !tx.consume_account_link(&digest, purpose, now).await? {
                    return Err(ResetError::Used);
                }
                self.begin_epoch(tx, id).await?;
                let reset = Happening::new(EventKind::PasswordReset, Actor::Owner);
                self.events.note(tx, reset.to_account(id), caller).await?;
                let owner = tx.find_account(id).await?.ok_or(ResetError::Unknown)?;
                let cause = Cause::password_changed(now, caller, true);
                self.outbox.post(tx, Recipient::owner(&owner.account), &cause).await?;
                Ok(())
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// What has to go once an account is in a new epoch: the rows of sessions that are dead by now,
    /// the links in earlier letters, a change of address that somebody else may have begun.
    pub(super) async fn begin_epoch(
        &self,
        tx: &mut Connection,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        tx.purge_sessions_of(account).await?;
        tx.purge_page_sessions_of(account).await?;
        tx.void_account_links(account, now).await?;
        tx.void_email_changes(account, now).await
    }

    async fn inspect_reset_link(
        &self,
        token: &str,
    ) -> Result<(ResetStanding, Option<AccountRecord>), StoreError> {
        let unknown = (ResetStanding::Unknown, None);
        let Some(token) = LinkToken::parse(token) else { return Ok(unknown) };
        let (digest, now) = (token.digest(), self.clock.now());
        self.store
            .read(async |db| {
                let purpose = AccountLinkPurpose::PasswordReset;
                let Some(link) = db.find_account_link(&digest, purpose, now).await? else {
                    return Ok(unknown);
                };
                let owner = db.find_account(link.account).await?;
                // of a disabled account no more is said than of none
                let Some(owner) = owner.filter(|owner| owner.disabled_at.is_none()) else {
                    return Ok(unknown);
                };
                let standing = match link.state {
                    AccountLinkState::Live => ResetStanding::Live {
                        email: owner.account.email.clone(),
                        locale: owner.account.locale.clone(),
                    },
                    AccountLinkState::Used | AccountLinkState::Voided => ResetStanding::Used,
                    AccountLinkState::Expired => ResetStanding::Expired,
                };
                Ok((standing, Some(owner)))
            })
            .await
    }
}
