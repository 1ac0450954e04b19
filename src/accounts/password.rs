//! Change of the password, reset of a forgotten password, and choice of the first password by an
//! invitation.

use crate::accounts::reauthentication::Reauthenticated;
use crate::accounts::{Accounts, EventDraft, Failure, LinkStatus, ReauthenticationError};
use crate::crypto::hasher::Purpose;
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    AccountId, AccountLinkPurpose, AccountLinkState, Actor, ClientInfo, Digest, EmailAddress,
    EventKind, LinkToken, Locale, NewPassword, Password, PasswordError, PersonalData, SessionId,
};
use crate::storage::{AccountRecord, StoreError};

/// Attempts at a change, if the stored hash is upgraded meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// Session from which a change is made. This session continues; every other session ends.
#[derive(Clone, Copy, Debug)]
pub enum OwnSession {
    /// Session of an access token.
    Token(SessionId),
    /// Session of the account page's cookie.
    Page(Digest),
}

/// State of a link to choose a password. It has ended if this link or another one was used, or the
/// password was changed since.
pub type ResetLinkStatus = LinkStatus<ResetLink, ()>;

/// Link that lets its holder choose a password.
#[derive(Debug)]
pub struct ResetLink {
    /// Address of the account.
    pub email: EmailAddress,
    /// Language of the account's owner.
    pub locale: Option<Locale>,
    /// Whether the owner has never had a password (invitation).
    pub is_first: bool,
}

/// Link to choose a password, with its account.
enum FoundLink {
    Live(AccountRecord, AccountLinkPurpose),
    /// A used or an expired link stays so when the account is disabled.
    Used,
    Expired(AccountRecord, AccountLinkPurpose),
    /// No such link, or a live link of a disabled account.
    Unknown,
}

/// Reason why no new password was set.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The policy refuses the password.
    #[error("the password cannot be set: {0}")]
    Password(#[from] PasswordError),
    /// The link was used.
    #[error("the link was used")]
    Used,
    /// The link has expired.
    #[error("the link has expired")]
    Expired,
    /// No such link.
    #[error("the link is unknown")]
    Unknown,
    /// The service could not finish the reset.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ResetError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

impl Accounts {
    /// Changes the password, for a signed-in caller who knows the current one. Every other session
    /// ends, links in earlier letters are voided, and the owner is told (R42).
    pub async fn change_password(
        &self,
        id: AccountId,
        own: OwnSession,
        current: &Password,
        new: &NewPassword,
        caller: &ClientInfo,
    ) -> Result<(), ReauthenticationError> {
        for _ in 0..MAX_ATTEMPTS {
            let Reauthenticated { account, permit } =
                self.reauthenticate(id, current, caller).await?;
            let (typed, network) = (new.password().as_bytes(), caller.network());
            let hash = self.hasher.hash(typed, Purpose::SignIn, network).await;
            let hash = hash.map_err(Failure::from)?;
            let changed = self.store.write(async |tx| {
                if !tx.change_password(&account, &hash).await? {
                    return Ok(false);
                }
                // a session that has ended in the meantime changes no password
                let goes_on = match own {
                    OwnSession::Token(session) => {
                        tx.move_session_to_next_epoch(session, id, account.epoch).await?
                    }
                    OwnSession::Page(digest) => {
                        tx.move_page_session_to_next_epoch(&digest, id, account.epoch).await?
                    }
                };
                if !goes_on {
                    return Err(ReauthenticationError::Gone);
                }
                self.clear_after_new_epoch(tx, id).await?;
                permit.remember_location(tx, id, self.clock.now()).await?;
                let changed = EventDraft::new(EventKind::PasswordChanged, Actor::Owner);
                self.events.record(tx, changed.to_account(id), caller).await?;
                // read the owner's address while holding the row, so that it is current
                let owner = tx.find_account(id).await?.ok_or(ReauthenticationError::Gone)?;
                let cause = LetterRequest::password_changed(self.clock.now(), caller, false);
                self.outbox.post(tx, Recipient::owner(&owner.account), &cause).await?;
                Ok(true)
            });
            if changed.await? {
                self.purge_ended_sessions(id).await;
                self.outbox.wake();
                return Ok(());
            }
        }
        Err(StoreError::contended().into())
    }

    /// Posts a link to choose a new password. The courier, not this request, finds out whether the
    /// address has an account (R47). The request alone changes nothing.
    pub async fn request_password_reset(
        &self,
        email: &EmailAddress,
        caller: &ClientInfo,
    ) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        let requested = EventDraft::new(EventKind::PasswordResetRequested, Actor::Stranger);
        let cause = LetterRequest::password_reset(self.clock.now(), caller);
        let ask = async || {
            self.store
                .write(async |tx| {
                    self.events.record(tx, requested.to_address(email), caller).await?;
                    let to = Recipient::unknown(email, caller.locale.as_ref());
                    self.outbox.post(tx, to, &cause).await
                })
                .await
        };
        match ask().await {
            // the account was deleted during the request: now the address is unknown
            Err(error) if error.is_conflict() => ask().await?,
            asked => asked?,
        }
        self.outbox.wake();
        Ok(())
    }

    /// Posts a new link for an expired link, to the same owner and for the same purpose. Does not
    /// tell whether it did so.
    pub async fn renew_reset_link(&self, token: &str, caller: &ClientInfo) -> Result<(), Failure> {
        match self.find_reset_link(token).await? {
            FoundLink::Expired(owner, AccountLinkPurpose::Invitation) => {
                self.invite_again(&owner, caller).await
            }
            FoundLink::Expired(owner, _) => {
                self.request_password_reset(&owner.account.email, caller).await
            }
            FoundLink::Live(..) | FoundLink::Used | FoundLink::Unknown => Ok(()),
        }
    }

    async fn invite_again(
        &self,
        owner: &AccountRecord,
        caller: &ClientInfo,
    ) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        let id = owner.account.id;
        let requested = EventDraft::new(EventKind::PasswordResetRequested, Actor::Stranger);
        self.store
            .write(async |tx| {
                if tx.lock_account_in_epoch(id, owner.epoch).await? {
                    self.events.record(tx, requested.to_account(id), caller).await?;
                    let to = Recipient::owner(&owner.account);
                    self.outbox.post(tx, to, &LetterRequest::Invitation).await?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// Reads the state of a link. Changes nothing (R43).
    pub async fn inspect_reset(&self, token: &str) -> Result<ResetLinkStatus, StoreError> {
        Ok(match self.find_reset_link(token).await? {
            FoundLink::Live(AccountRecord { account, .. }, purpose) => {
                ResetLinkStatus::Live(ResetLink {
                    email: account.email,
                    locale: account.locale,
                    is_first: purpose == AccountLinkPurpose::Invitation,
                })
            }
            FoundLink::Used => ResetLinkStatus::Ended(()),
            FoundLink::Expired(..) => ResetLinkStatus::Expired,
            FoundLink::Unknown => ResetLinkStatus::Unknown,
        })
    }

    /// Sets the password that was typed behind a link. Every session ends, the response signs in no
    /// caller, and the owner is told (R47). An owner who chooses the first password gets no letter.
    pub async fn reset_password(
        &self,
        token: &str,
        typed: &str,
        caller: &ClientInfo,
    ) -> Result<(), ResetError> {
        // first by the input alone, before any read
        self.policy.judge(typed, PersonalData::default())?;
        let (owner, purpose) = match self.find_reset_link(token).await? {
            FoundLink::Live(owner, purpose) => (owner, purpose),
            FoundLink::Used => return Err(ResetError::Used),
            FoundLink::Expired(..) => return Err(ResetError::Expired),
            FoundLink::Unknown => return Err(ResetError::Unknown),
        };
        let new = self.policy.judge(typed, PersonalData::of(&owner.account))?;
        let (typed, network) = (new.password().as_bytes(), caller.network());
        // the link proves the mailbox, so this is no sign-up of a stranger
        self.hasher.admit(Purpose::SignIn, network).map_err(Failure::from)?;
        let hash = self.hasher.hash(typed, Purpose::SignIn, network).await;
        let hash = hash.map_err(Failure::from)?;
        let digest = LinkToken::parse(token).ok_or(ResetError::Unknown)?.digest();
        self.store
            .write(async |tx| {
                let (id, now) = (owner.account.id, self.clock.now());
                // lock the account first, as every transaction does: concurrent changes wait here
                if !tx.reset_password(id, &hash).await? {
                    return Err(ResetError::Unknown);
                }
                if !tx.consume_account_link(&digest, purpose, now).await? {
                    return Err(ResetError::Used);
                }
                self.clear_after_new_epoch(tx, id).await?;
                let email = &owner.account.email;
                self.limits.reset_after_mailbox_proof(tx, (id, email), caller, now).await?;
                let reset = EventDraft::new(EventKind::PasswordReset, Actor::Owner);
                self.events.record(tx, reset.to_account(id), caller).await?;
                // after an invitation there was no password that could have changed
                if purpose != AccountLinkPurpose::Invitation {
                    let owner = tx.find_account(id).await?.ok_or(ResetError::Unknown)?;
                    let cause = LetterRequest::password_changed(now, caller, true);
                    self.outbox.post(tx, Recipient::owner(&owner.account), &cause).await?;
                }
                Ok(())
            })
            .await?;
        self.purge_ended_sessions(owner.account.id).await;
        self.outbox.wake();
        Ok(())
    }

    async fn find_reset_link(&self, token: &str) -> Result<FoundLink, StoreError> {
        let Some(token) = LinkToken::parse(token) else { return Ok(FoundLink::Unknown) };
        let (digest, now) = (token.digest(), self.clock.now());
        self.store
            .read(async |db| {
                let mut purpose = AccountLinkPurpose::PasswordReset;
                let mut link = db.find_account_link(&digest, purpose, now).await?;
                if link.is_none() {
                    purpose = AccountLinkPurpose::Invitation;
                    link = db.find_account_link(&digest, purpose, now).await?;
                }
                let Some(link) = link else { return Ok(FoundLink::Unknown) };
                let Some(owner) = db.find_account(link.account).await? else {
                    return Ok(FoundLink::Unknown);
                };
                Ok(match link.state {
                    AccountLinkState::Live if owner.disabled_at.is_some() => FoundLink::Unknown,
                    AccountLinkState::Live => FoundLink::Live(owner, purpose),
                    AccountLinkState::Used | AccountLinkState::Voided => FoundLink::Used,
                    // the account has had a password since, so a renewal is no invitation
                    AccountLinkState::Expired if link.is_voided => {
                        FoundLink::Expired(owner, AccountLinkPurpose::PasswordReset)
                    }
                    AccountLinkState::Expired => FoundLink::Expired(owner, purpose),
                })
            })
            .await
    }
}
