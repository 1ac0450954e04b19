//! Moving an account to another address: asked for with the password, confirmed by a link in the
//! new mailbox, stopped by one in the old.

use crate::accounts::{Accounts, EventDraft, Failure, ReauthenticationError};
use crate::clock::Timestamp;
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    AccountId, AccountLinkPurpose, AccountLinkState, Actor, ClientInfo, EmailAddress, EmailChange,
    EmailChangeId, EmailChangeState, EventKind, LinkToken, Locale, Password, UserAgent,
};
use crate::storage::{AccountLinkRecord, AccountRecord, Connection, NewEmailChange, StoreError};

/// Why a change of address was not begun.
#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    #[error("the account has this address already")]
    Unchanged,
    #[error(transparent)]
    Reauthentication(#[from] ReauthenticationError),
}

impl From<StoreError> for EmailChangeError {
    fn from(error: StoreError) -> Self {
        Self::Reauthentication(error.into())
    }
}

impl From<Failure> for EmailChangeError {
    fn from(failure: Failure) -> Self {
        Self::Reauthentication(failure.into())
    }
}

/// What stands behind a link of a change of address, and what its page shows.
#[derive(Debug)]
pub enum EmailChangeLinkStatus {
    /// Its button does what the link is for.
    Pending {
        new_email: EmailAddress,
        /// Whose account it is, as far as the new mailbox may know.
        present: String,
        requested_at: Timestamp,
        user_agent: Option<UserAgent>,
        locale: Option<Locale>,
    },
    /// The new address has taken effect.
    Confirmed {
        email: EmailAddress,
    },
    /// The reader of the old mailbox, or the owner, has stopped it.
    Stopped,
    /// Another account has the address, so it cannot be confirmed. Stopping it is not affected.
    AddressTaken {
        new_email: EmailAddress,
        locale: Option<Locale>,
    },
    Expired,
    /// No such link, or one that another change or a new password has voided.
    Unknown,
}

impl EmailChangeLinkStatus {
    /// The language of the account's owner, if they said which. A link that is not live tells nothing
    /// of the account's present.
    pub const fn locale(&self) -> Option<&Locale> {
        match self {
            Self::Pending { locale, .. } | Self::AddressTaken { locale, .. } => locale.as_ref(),
            Self::Confirmed { .. } | Self::Stopped | Self::Expired | Self::Unknown => None,
        }
    }
}

/// Why a link did not let a new address take effect, or did not stop it.
#[derive(Debug, thiserror::Error)]
pub enum EmailLinkError {
    #[error("another account has the address")]
    AddressTaken(EmailAddress),
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
    /// Whether that was so before.
    pub already: bool,
}

/// Everything that is known about a link.
struct LinkedChange {
    change: EmailChange,
    account: AccountRecord,
    link: AccountLinkState,
    /// Whether the change can still take effect.
    waits: bool,
}

/// Why a link does not do any more what it is for.
enum ClosedLink {
    Confirmed,
    Stopped,
    Expired,
    Unknown,
}

impl From<ClosedLink> for EmailLinkError {
    fn from(closed: ClosedLink) -> Self {
        match closed {
            ClosedLink::Confirmed | ClosedLink::Stopped => Self::Ended,
            ClosedLink::Expired => Self::Expired,
            ClosedLink::Unknown => Self::Unknown,
        }
    }
}

impl LinkedChange {
    /// Whether the change waits, and the link is live: nothing else may end it. Whether the account is
    /// disabled matters to no other link.
    fn is_open(&self) -> Result<(), ClosedLink> {
        match (self.change.state, self.link) {
            (EmailChangeState::Pending, AccountLinkState::Live) if self.waits => {
                match self.account.disabled_at {
                    None => Ok(()),
                    Some(_) => Err(ClosedLink::Unknown),
                }
            }
            // one that is voided while its change waits had expired, and was renewed
            (
                EmailChangeState::Pending,
                AccountLinkState::Live | AccountLinkState::Expired | AccountLinkState::Voided,
            ) => Err(ClosedLink::Expired),
            (EmailChangeState::Confirmed { .. }, _) => Err(ClosedLink::Confirmed),
            (EmailChangeState::Stopped { .. }, _) => Err(ClosedLink::Stopped),
            (EmailChangeState::Voided { .. }, _)
            | (EmailChangeState::Pending, AccountLinkState::Used) => Err(ClosedLink::Unknown),
        }
    }

    fn done(&self, already: bool) -> EmailChangeDone {
        EmailChangeDone { email: self.change.email.clone(), already }
    }
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
        caller: &ClientInfo,
    ) -> Result<(), EmailChangeError> {
        // what is refused for nothing goes before the hash; below it is compared once more
        let before = self.store.read(async |db| db.find_account(id).await).await?;
        if before.is_some_and(|before| before.account.email == *new) {
            return Err(EmailChangeError::Unchanged);
        }
        self.limits.admit_account_request(id, caller)?;
        let reauthenticated = self.reauthenticate(id, password, caller).await?.account;
        self.limits.count_request(caller)?;
        self.limits.count_account_request(id)?;
        self.store
            .write(async |tx| {
                let now = self.clock.now();
                let account = self.lock_in_epoch(tx, &reauthenticated).await?;
                if account.account.email == *new {
                    return Err(EmailChangeError::Unchanged);
                }
                tx.void_email_changes(id, now).await?;
                let change = EmailChangeId::new(self.entropy.uuid_v7(now));
                let user_agent = caller.user_agent.as_ref();
                let row = NewEmailChange { id: change, account: id, email: new, user_agent, now };
                tx.insert_email_change(&row).await?;
                let requested = EventDraft::new(EventKind::EmailChangeRequested, Actor::Owner);
                self.events.record(tx, requested.to_account(id), caller).await?;
                let owner = Recipient::owner(&account.account);
                let link = LetterRequest::email_change(change, now, user_agent);
                self.outbox.post(tx, Recipient { email: new, ..owner }, &link).await?;
                let notice = LetterRequest::email_change_notice(change, now, user_agent);
                self.outbox.post(tx, owner, &notice).await?;
                Ok(())
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// What stands behind a link of this purpose. Changes nothing (R43).
    pub async fn inspect_email_change(
        &self,
        token: &str,
        purpose: AccountLinkPurpose,
    ) -> Result<EmailChangeLinkStatus, StoreError> {
        let Some(token) = LinkToken::parse(token) else {
            return Ok(EmailChangeLinkStatus::Unknown);
        };
        self.store
            .read(async |db| {
                let Some(found) = self.find_change(db, &token, purpose).await? else {
                    return Ok(EmailChangeLinkStatus::Unknown);
                };
                let open = found.is_open();
                let LinkedChange { change, account, .. } = found;
                let locale = account.account.locale.clone();
                Ok(match open {
                    Ok(())
                        if purpose == AccountLinkPurpose::EmailChange
                            && db.find_account_by_email(&change.email).await?.is_some() =>
                    {
                        EmailChangeLinkStatus::AddressTaken { new_email: change.email, locale }
                    }
                    Ok(()) => EmailChangeLinkStatus::Pending {
                        new_email: change.email,
                        present: account.account.email.masked(),
                        requested_at: change.requested_at,
                        user_agent: change.user_agent,
                        locale,
                    },
                    Err(ClosedLink::Confirmed) => {
                        EmailChangeLinkStatus::Confirmed { email: change.email }
                    }
                    Err(ClosedLink::Stopped) => EmailChangeLinkStatus::Stopped,
                    Err(ClosedLink::Expired) => EmailChangeLinkStatus::Expired,
                    Err(ClosedLink::Unknown) => EmailChangeLinkStatus::Unknown,
                })
            })
            .await
    }

    /// Lets the new address take effect. Idempotent. What was on its way to the old address lapses,
    /// links that went there work no more, and its owner is told.
    pub async fn confirm_email_change(
        &self,
        token: &str,
        caller: &ClientInfo,
    ) -> Result<EmailChangeDone, EmailLinkError> {
        let token = LinkToken::parse(token).ok_or(EmailLinkError::Unknown)?;
        let outcome = self
            .store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChange;
                let before = self.find_change(tx, &token, purpose).await?;
                let before = before.ok_or(EmailLinkError::Unknown)?.account.account.email;
                // the sign-up's row before the account's, as an activation holds them
                tx.lock_sign_up(&before).await?;
                let found = self.hold_change(tx, &token, purpose).await?;
                if found.account.account.email != before && found.is_open().is_ok() {
                    return Err(StoreError::contended().into());
                }
                match found.is_open() {
                    Ok(()) => {}
                    Err(ClosedLink::Confirmed) => return Ok(found.done(true)),
                    Err(closed) => return Err(closed.into()),
                }
                let LinkedChange { change, account, .. } = &found;
                let (id, now) = (account.account.id, self.clock.now());
                // another account came to be at the address
                let taken = |error: StoreError| match error.is_conflict() {
                    true => EmailLinkError::AddressTaken(change.email.clone()),
                    false => error.into(),
                };
                if !tx.change_email(id, &change.email).await.map_err(taken)?
                    || !tx.confirm_email_change(change.id, now).await?
                {
                    return Err(EmailLinkError::Unknown);
                }
                tx.void_account_links(id, now).await?;
                tx.detach_letters(&account.account.email, id, now).await?;
                // those are of the old address
                self.limits.forget_locations(tx, id).await?;
                self.limits.reset_after_mailbox_proof(tx, (id, &change.email), caller, now).await?;
                let changed = EventDraft::new(EventKind::EmailChanged, Actor::Owner).to_account(id);
                self.events.record(tx, changed, caller).await?;
                let notice = LetterRequest::email_changed(now, &change.email);
                self.outbox.post(tx, Recipient::owner(&account.account), &notice).await?;
                Ok(found.done(false))
            })
            .await;
        if outcome.is_ok() {
            self.outbox.wake();
        }
        outcome
    }

    /// Stops a change of address, by the link in the letter to the old one. Idempotent.
    pub async fn stop_email_change(
        &self,
        token: &str,
        caller: &ClientInfo,
    ) -> Result<EmailChangeDone, EmailLinkError> {
        let token = LinkToken::parse(token).ok_or(EmailLinkError::Unknown)?;
        self.store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChangeStop;
                let found = self.hold_change(tx, &token, purpose).await?;
                match found.is_open() {
                    Ok(()) => {}
                    Err(ClosedLink::Stopped) => return Ok(found.done(true)),
                    Err(closed) => return Err(closed.into()),
                }
                let (change, account) = (&found.change, &found.account.account);
                let now = self.clock.now();
                if !tx.stop_email_change(change.id, now).await? {
                    return Err(EmailLinkError::Unknown);
                }
                let reauthenticated = (account.id, &account.email);
                self.limits.reset_after_mailbox_proof(tx, reauthenticated, caller, now).await?;
                let stopped = EventDraft::new(EventKind::EmailChangeStopped, Actor::Owner);
                self.events.record(tx, stopped.to_account(change.account), caller).await?;
                Ok(found.done(false))
            })
            .await
    }

    /// The change of address that waits, if there is one that can still take effect.
    pub async fn pending_email_change(
        &self,
        account: AccountId,
    ) -> Result<Option<EmailChange>, StoreError> {
        self.store.read(async |db| self.find_pending_change(db, account).await).await
    }

    /// Takes back the change of address that waits, for its owner, who is signed in. `false` if there
    /// is none, or it has ended meanwhile.
    pub async fn withdraw_email_change(
        &self,
        account: AccountId,
        caller: &ClientInfo,
    ) -> Result<bool, StoreError> {
        self.store
            .write(async |tx| {
                if !tx.lock_account(account).await? {
                    return Ok(false);
                }
                let pending = self.find_pending_change(tx, account).await?;
                let Some(EmailChange { id, .. }) = pending else { return Ok(false) };
                let stopped = tx.stop_email_change(id, self.clock.now()).await?;
                if stopped {
                    let event = EventDraft::new(EventKind::EmailChangeStopped, Actor::Owner);
                    self.events.record(tx, event.to_account(account), caller).await?;
                }
                Ok(stopped)
            })
            .await
    }

    async fn find_pending_change(
        &self,
        db: &mut Connection,
        account: AccountId,
    ) -> Result<Option<EmailChange>, StoreError> {
        let now = self.clock.now();
        let open = db.find_open_email_change(account).await?;
        Ok(open.filter(|change| change.is_pending(now, self.email_link_ttl)))
    }

    /// Posts a fresh link to the new address of the change that an expired link is of, if it still
    /// waits, and the notice to the old one again. Says nothing about whether that was done.
    ///
    /// Each link can be renewed once: otherwise whoever has an old one could fill both mailboxes.
    pub async fn renew_email_link(&self, token: &str, caller: &ClientInfo) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        let Some(token) = LinkToken::parse(token) else { return Ok(()) };
        let purpose = AccountLinkPurpose::EmailChange;
        let found = self.store.read(async |db| self.find_change(db, &token, purpose).await).await?;
        if let Some(LinkedChange {
            account, waits: true, link: AccountLinkState::Expired, ..
        }) = found
        {
            self.limits.count_account_request(account.account.id)?;
        }
        let renewed = self
            .store
            .write(async |tx| {
                let LinkedChange { change, account, link, waits } =
                    self.hold_change(tx, &token, purpose).await?;
                let now = self.clock.now();
                if !waits
                    || account.disabled_at.is_some()
                    || link != AccountLinkState::Expired
                    || !tx.void_account_link(&token.digest(), purpose, now).await?
                {
                    return Ok(());
                }
                let (id, at, user_agent) =
                    (change.id, change.requested_at, change.user_agent.as_ref());
                let owner = Recipient::owner(&account.account);
                let cause = LetterRequest::email_change(id, at, user_agent);
                self.outbox.post(tx, Recipient { email: &change.email, ..owner }, &cause).await?;
                let notice = LetterRequest::email_change_notice(id, at, user_agent);
                self.outbox.post(tx, owner, &notice).await?;
                Ok(())
            })
            .await;
        match renewed {
            Err(EmailLinkError::Store(error)) => return Err(error.into()),
            // there is nothing to renew, and nobody is told
            Err(_) => {}
            Ok(()) => self.outbox.wake(),
        }
        Ok(())
    }

    /// The change that a link is of, with an account that this transaction holds: the account first,
    /// as everybody does, so that whoever else ends the change has done so before it is looked at,
    /// or waits.
    async fn hold_change(
        &self,
        tx: &mut Connection,
        token: &LinkToken,
        purpose: AccountLinkPurpose,
    ) -> Result<LinkedChange, EmailLinkError> {
        let found = self.find_change(tx, token, purpose).await?.ok_or(EmailLinkError::Unknown)?;
        if !tx.lock_account(found.account.account.id).await? {
            return Err(EmailLinkError::Unknown);
        }
        self.find_change(tx, token, purpose).await?.ok_or(EmailLinkError::Unknown)
    }

    /// The change that a link is of; `None` where it is none of this purpose.
    async fn find_change(
        &self,
        db: &mut Connection,
        token: &LinkToken,
        purpose: AccountLinkPurpose,
    ) -> Result<Option<LinkedChange>, StoreError> {
        let found = db.find_account_link(&token.digest(), purpose, self.clock.now()).await?;
        let Some(AccountLinkRecord { account, email_change: Some(change), state }) = found else {
            return Ok(None);
        };
        let Some(change) = db.find_email_change(change).await? else { return Ok(None) };
        let account = db.find_account(account).await?;
        let waits = change.is_pending(self.clock.now(), self.email_link_ttl);
        Ok(account.map(|account| LinkedChange { change, account, link: state, waits }))
    }
}
