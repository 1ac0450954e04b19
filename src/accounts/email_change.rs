//! Moving an account to another address: asked for with the password, confirmed by a link in the
//! new mailbox, stopped by one in the old.

use crate::accounts::{Accounts, Happening, ProofError};
use crate::mail::{Cause, Recipient};
use crate::model::{
    AccountId, AccountLinkPurpose, AccountLinkState, Actor, Caller, EmailAddress, EmailChange,
    EmailChangeId, EmailChangeState, EventKind, LinkToken, Locale, Password,
};
use crate::storage::{AccountLinkRecord, AccountRecord, Connection, NewEmailChange, StoreError};

/// Why a change of address was not begun.
#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    #[error("the account has this address already")]
    Unchanged,
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl From<StoreError> for EmailChangeError {
    fn from(error: StoreError) -> Self {
        Self::Proof(error.into())
    }
}

/// What stands behind a link of a change of address, and what its page shows.
#[derive(Debug)]
pub enum EmailChangeStanding {
    /// Its button does what the link is for.
    Pending {
        new_email: EmailAddress,
        locale: Option<Locale>,
    },
    /// The new address has taken effect.
    Confirmed {
        email: EmailAddress,
    },
    /// Whoever reads the old mailbox has stopped it.
    Stopped,
    /// Another account has the address.
    AddressTaken,
    Expired,
    /// No such link, or one that another change or a new password has voided.
    Unknown,
}

/// Why a link did not let a new address take effect, or did not stop it.
#[derive(Debug, thiserror::Error)]
pub enum EmailLinkError {
    #[error("another account has the address")]
    AddressTaken,
    /// To stop it: the new address has taken effect. To confirm it: it was stopped.
    #[error("the change has ended already")]
    Ended,
    #[error("the link has expired")]
    Expired,
    #[error("no such link")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The link's change of address took effect, or was stopped.
#[derive(Debug)]
pub struct EmailChangeDone {
    pub email: EmailAddress,
    pub locale: Option<Locale>,
    /// Whether that was so before.
    pub already: bool,
}

/// Everything that is known about a link.
struct Found {
    change: EmailChange,
    account: AccountRecord,
    link: AccountLinkState,
}

impl Accounts {
    /// Begins a change of address for somebody who knows the current password. A link goes to the
    /// new address, a notice with a link that stops it to the old one. The same is done and
    /// answered if the new address has an account: then that one's owner is told.
    pub async fn request_email_change(
        &self,
        id: AccountId,
        new: &EmailAddress,
        password: &Password,
        caller: &Caller,
    ) -> Result<(), EmailChangeError> {
        let proven = self.prove(id, password, caller).await?;
        self.store
            .write(async |tx| {
                let now = self.clock.now();
                let account = self.hold(tx, &proven).await?;
                if account.account.email == *new {
                    return Err(EmailChangeError::Unchanged);
                }
                tx.void_email_changes(id, now).await?;
                let change = EmailChangeId::new(self.entropy.uuid_v7(now));
                let user_agent = caller.user_agent.as_ref();
                let row = NewEmailChange { id: change, account: id, email: new, user_agent, now };
                tx.insert_email_change(&row).await?;
                let requested = Happening::new(EventKind::EmailChangeRequested, Actor::Owner);
                self.events.note(tx, requested.to_account(id), caller).await?;
                let owner = Recipient::owner(&account.account);
                let link = Cause::email_change(change, now, user_agent);
                self.outbox.post(tx, Recipient { email: new, ..owner }, &link).await?;
                let notice = Cause::email_change_notice(change, now, caller);
                self.outbox.post(tx, owner, &notice).await?;
                Ok(())
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// The changes of the account's address that are remembered, oldest first.
    pub async fn email_changes_of(&self, id: AccountId) -> Result<Vec<EmailChange>, StoreError> {
        self.store.read(async |db| db.find_email_changes_of(id).await).await
    }

    /// What stands behind a link of this purpose. Changes nothing (R43).
    pub async fn inspect_email_change(
        &self,
        token: &str,
        purpose: AccountLinkPurpose,
    ) -> Result<EmailChangeStanding, StoreError> {
        let Some(token) = LinkToken::parse(token) else { return Ok(EmailChangeStanding::Unknown) };
        self.store
            .read(async |db| {
                let Some(found) = self.find_change(db, &token, purpose).await? else {
                    return Ok(EmailChangeStanding::Unknown);
                };
                let Found { change, account, link } = found;
                Ok(match (change.state, link) {
                    (EmailChangeState::Confirmed { .. }, _) => {
                        EmailChangeStanding::Confirmed { email: change.email }
                    }
                    (EmailChangeState::Stopped { .. }, _) => EmailChangeStanding::Stopped,
                    (EmailChangeState::Voided { .. }, _) => EmailChangeStanding::Unknown,
                    (EmailChangeState::Pending, AccountLinkState::Expired) => {
                        EmailChangeStanding::Expired
                    }
                    (EmailChangeState::Pending, _)
                        if db.find_account_by_email(&change.email).await?.is_some() =>
                    {
                        EmailChangeStanding::AddressTaken
                    }
                    (EmailChangeState::Pending, _) => EmailChangeStanding::Pending {
                        new_email: change.email,
                        locale: account.account.locale,
                    },
                })
            })
            .await
    }

    /// Lets the new address take effect. Idempotent. What was on its way to the old address lapses,
    /// links that went there work no more, and its owner is told.
    pub async fn confirm_email_change(
        &self,
        token: &str,
        caller: &Caller,
    ) -> Result<EmailChangeDone, EmailLinkError> {
        let token = LinkToken::parse(token).ok_or(EmailLinkError::Unknown)?;
        let outcome = self
            .store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChange;
                let found = self.hold_change(tx, &token, purpose).await?;
                let Found { change, account, link } = found.ok_or(EmailLinkError::Unknown)?;
                let done = |already| EmailChangeDone {
                    email: change.email.clone(),
                    locale: account.account.locale.clone(),
                    already,
                };
                match (change.state, link) {
                    (EmailChangeState::Confirmed { .. }, _) => return Ok(done(true)),
                    (EmailChangeState::Stopped { .. }, _) => return Err(EmailLinkError::Ended),
                    (EmailChangeState::Voided { .. }, _) => return Err(EmailLinkError::Unknown),
                    (EmailChangeState::Pending, AccountLinkState::Expired) => {
                        return Err(EmailLinkError::Expired);
                    }
                    (EmailChangeState::Pending, _) => {}
                }
                let (id, now) = (account.account.id, self.clock.now());
                if !tx.change_email(id, &change.email).await?
                    || !tx.confirm_email_change(change.id, now).await?
                {
                    return Err(EmailLinkError::Unknown);
                }
                tx.void_account_links(id, now).await?;
                tx.leave_letters_to(&account.account.email, id).await?;
                let changed = Happening::new(EventKind::EmailChanged, Actor::Owner).to_account(id);
                self.events.note(tx, changed, caller).await?;
                let notice = Cause::email_changed(now, &change.email);
                self.outbox.post(tx, Recipient::owner(&account.account), &notice).await?;
                Ok(done(false))
            })
            .await;
        match outcome {
            // another account came to be at the address
            Err(EmailLinkError::Store(error)) if error.is_conflict() => {
                Err(EmailLinkError::AddressTaken)
            }
            Ok(done) => {
                self.outbox.wake();
                Ok(done)
            }
            other => other,
        }
    }

    /// Stops a change of address, by the link in the letter to the old one. Idempotent.
    pub async fn stop_email_change(
        &self,
        token: &str,
        caller: &Caller,
    ) -> Result<EmailChangeDone, EmailLinkError> {
        let token = LinkToken::parse(token).ok_or(EmailLinkError::Unknown)?;
        self.store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChangeStop;
                let found = self.hold_change(tx, &token, purpose).await?;
                let Found { change, account, link } = found.ok_or(EmailLinkError::Unknown)?;
                let done = |already| EmailChangeDone {
                    email: change.email.clone(),
                    locale: account.account.locale.clone(),
                    already,
                };
                match (change.state, link) {
                    (EmailChangeState::Stopped { .. }, _) => return Ok(done(true)),
                    (EmailChangeState::Confirmed { .. }, _) => return Err(EmailLinkError::Ended),
                    (EmailChangeState::Voided { .. }, _) => return Err(EmailLinkError::Unknown),
                    (EmailChangeState::Pending, AccountLinkState::Expired) => {
                        return Err(EmailLinkError::Expired);
                    }
                    (EmailChangeState::Pending, _) => {}
                }
                if !tx.stop_email_change(change.id, self.clock.now()).await? {
                    return Err(EmailLinkError::Unknown);
                }
                let stopped = Happening::new(EventKind::EmailChangeStopped, Actor::Owner);
                self.events.note(tx, stopped.to_account(change.account), caller).await?;
                Ok(done(false))
            })
            .await
    }

    /// Posts a fresh link to the new address of the change that an old link is of, if it still waits.
    /// Says nothing about whether that was done.
    pub async fn renew_email_link(&self, token: &str) -> Result<(), StoreError> {
        let Some(token) = LinkToken::parse(token) else { return Ok(()) };
        self.store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChange;
                let Some(found) = self.find_change(tx, &token, purpose).await? else {
                    return Ok(());
                };
                let Found { change, account, .. } = found;
                if change.state != EmailChangeState::Pending {
                    return Ok(());
                }
                let user_agent = change.user_agent.as_ref();
                let cause = Cause::email_change(change.id, change.requested_at, user_agent);
                let to = Recipient { email: &change.email, ..Recipient::owner(&account.account) };
                self.outbox.post(tx, to, &cause).await
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// The change that a link is of, with an account that this transaction holds: the account first, as everybody does, so
    /// that whoever else ends the change has done so before it is looked at, or waits.
    async fn hold_change(
        &self,
        tx: &mut Connection,
        token: &LinkToken,
        purpose: AccountLinkPurpose,
    ) -> Result<Option<Found>, StoreError> {
        let Some(found) = self.find_change(tx, token, purpose).await? else { return Ok(None) };
        if !tx.lock_account(found.account.account.id).await? {
            return Ok(None);
        }
        self.find_change(tx, token, purpose).await
    }

    /// The change that a link is of; `None` where it is none of this purpose, or of an account that
    /// is disabled.
    async fn find_change(
        &self,
        db: &mut Connection,
        token: &LinkToken,
        purpose: AccountLinkPurpose,
    ) -> Result<Option<Found>, StoreError> {
        let found = db.find_account_link(&token.digest(), purpose, self.clock.now()).await?;
        let Some(AccountLinkRecord { account, email_change: Some(change), state }) = found else {
            return Ok(None);
        };
        let Some(change) = db.find_email_change(change).await? else { return Ok(None) };
        let account = db.find_account(account).await?;
        let account = account.filter(|account| account.disabled_at.is_none());
        Ok(account.map(|account| Found { change, account, link: state }))
    }
}
