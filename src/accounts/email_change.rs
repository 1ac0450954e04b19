//! Change of an account's address. The owner requests it with the password. A link in the new
//! mailbox confirms it; a link in the old mailbox stops it.

use crate::accounts::{Accounts, EventDraft, Failure, LinkStatus, ReauthenticationError};
use crate::clock::Timestamp;
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    AccountId, AccountLinkPurpose, AccountLinkState, Actor, ClientInfo, EmailAddress, EmailChange,
    EmailChangeId, EmailChangeState, EventKind, LinkToken, Locale, Password, UserAgent,
};
use crate::storage::{AccountLinkRecord, AccountRecord, Connection, NewEmailChange, StoreError};

/// Reason why a change of address was not begun.
#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    /// The new address is the present one.
    #[error("the account has this address already")]
    Unchanged,
    /// Reauthentication failed.
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

/// State of a link of a change of address.
pub type EmailChangeLinkStatus = LinkStatus<LiveChange, EndedChange>;

/// Change of address that the button confirms or stops, by the link's purpose.
#[derive(Debug)]
pub struct LiveChange {
    /// The new address.
    pub new_email: EmailAddress,
    /// The account's address, as much of it as the new mailbox may see.
    pub present: String,
    /// Time of the request for the change.
    pub requested_at: Timestamp,
    /// Browser of the request for the change.
    pub user_agent: Option<UserAgent>,
    /// Language of the account's owner.
    pub locale: Option<Locale>,
    /// Whether another account has the new address, so that the change cannot be confirmed. It can
    /// still be stopped.
    pub is_taken: bool,
}

/// How a change of address ended.
#[derive(Debug)]
pub enum EndedChange {
    /// The new address, now in effect.
    Confirmed(EmailAddress),
    /// The recipient of the old address, or the owner, has stopped the change.
    Stopped,
}

/// Reason why a link neither confirmed nor stopped a change.
#[derive(Debug, thiserror::Error)]
pub enum EmailLinkError {
    /// Another account has the new address.
    #[error("another account has the address")]
    AddressTaken(EmailAddress),
    /// On stopping: the new address has taken effect. On confirming: the change was stopped.
    #[error("the change has ended already")]
    Ended,
    /// The link has expired.
    #[error("the link has expired")]
    Expired,
    /// No such link.
    #[error("the link is unknown")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The link's change of address took effect, or was stopped.
#[derive(Debug)]
pub struct EmailChangeDone {
    /// The new address.
    pub email: EmailAddress,
    /// Whether an earlier request had done the same.
    pub already: bool,
}

/// A link with its change and its account.
struct LinkedChange {
    change: EmailChange,
    account: AccountRecord,
    link: AccountLinkState,
    /// Whether the change can still take effect.
    waits: bool,
}

/// Reason why a link no longer works.
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
    /// Whether the change is pending and the link is live. Only a link that is open in this way
    /// depends on whether the account is disabled.
    fn is_open(&self) -> Result<(), ClosedLink> {
        match (self.change.state, self.link) {
            (EmailChangeState::Pending, AccountLinkState::Live) if self.waits => {
                match self.account.disabled_at {
                    None => Ok(()),
                    Some(_) => Err(ClosedLink::Unknown),
                }
            }
            // a voided link of a pending change had expired and was renewed
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
    /// Begins a change of address, for a caller who knows the current password.
    ///
    /// - A link goes to the new address.
    /// - A notice with a link that stops the change goes to the old address.
    ///
    /// If the new address has an account, the work and the response are the same; then the notice
    /// goes to that account's owner.
    pub async fn request_email_change(
        &self,
        id: AccountId,
        new: &EmailAddress,
        password: &Password,
        caller: &ClientInfo,
    ) -> Result<(), EmailChangeError> {
        // refuse before the hash if possible; the transaction below compares once more
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

    /// Reads the state of a link with this purpose. Changes nothing (R43).
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
                Ok(match open {
                    Ok(()) => EmailChangeLinkStatus::Live(LiveChange {
                        present: account.account.email.masked(),
                        requested_at: change.requested_at,
                        user_agent: change.user_agent,
                        locale: account.account.locale,
                        is_taken: purpose == AccountLinkPurpose::EmailChange
                            && db.find_account_by_email(&change.email).await?.is_some(),
                        new_email: change.email,
                    }),
                    Err(ClosedLink::Confirmed) => {
                        EmailChangeLinkStatus::Ended(EndedChange::Confirmed(change.email))
                    }
                    Err(ClosedLink::Stopped) => EmailChangeLinkStatus::Ended(EndedChange::Stopped),
                    Err(ClosedLink::Expired) => EmailChangeLinkStatus::Expired,
                    Err(ClosedLink::Unknown) => EmailChangeLinkStatus::Unknown,
                })
            })
            .await
    }

    /// Lets the new address take effect. Idempotent. Letters to the old address that have not left
    /// lapse, links sent there no longer work, and the owner is told at the old address.
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
                // lock the sign-up's row before the account's, as an activation does
                tx.lock_sign_up(&before).await?;
                let found = self.lock_change(tx, &token, purpose).await?;
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
                // another account with this address was created
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
                // the known locations belong to the old address
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

    /// Stops a change of address by the link in the letter to the old address. Idempotent.
    pub async fn stop_email_change(
        &self,
        token: &str,
        caller: &ClientInfo,
    ) -> Result<EmailChangeDone, EmailLinkError> {
        let token = LinkToken::parse(token).ok_or(EmailLinkError::Unknown)?;
        self.store
            .write(async |tx| {
                let purpose = AccountLinkPurpose::EmailChangeStop;
                let found = self.lock_change(tx, &token, purpose).await?;
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

    /// The pending change of address, if one can still take effect.
    pub async fn pending_email_change(
        &self,
        account: AccountId,
    ) -> Result<Option<EmailChange>, StoreError> {
        self.store.read(async |db| self.find_pending_change(db, account).await).await
    }

    /// Withdraws the pending change of address, for its signed-in owner. `false` if there is none
    /// or it has ended meanwhile.
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

    /// Posts a new link to the new address of an expired link's change, if the change is still
    /// pending, and the notice to the old address again. Does not tell whether it did so.
    ///
    /// Each link can be renewed once: otherwise the holder of an old link could flood both
    /// mailboxes.
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
                    self.lock_change(tx, &token, purpose).await?;
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
            // nothing to renew; the response does not tell
            Err(_) => {}
            Ok(()) => self.outbox.wake(),
        }
        Ok(())
    }

    /// The change of a link, with its account locked for this transaction. Every transaction locks
    /// the account first. So a transaction that ends the same change has either finished before
    /// this read, or waits.
    async fn lock_change(
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

    /// The change of a link; `None` if the link has another purpose.
    async fn find_change(
        &self,
        db: &mut Connection,
        token: &LinkToken,
        purpose: AccountLinkPurpose,
    ) -> Result<Option<LinkedChange>, StoreError> {
        let found = db.find_account_link(&token.digest(), purpose, self.clock.now()).await?;
        let Some(AccountLinkRecord { account, email_change: Some(change), state, .. }) = found
        else {
            return Ok(None);
        };
        let Some(change) = db.find_email_change(change).await? else { return Ok(None) };
        let account = db.find_account(account).await?;
        let waits = change.is_pending(self.clock.now(), self.email_link_ttl);
        Ok(account.map(|account| LinkedChange { change, account, link: state, waits }))
    }
}
