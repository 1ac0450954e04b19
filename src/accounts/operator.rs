//! Account administration by the operator's command line.
//!
//! The operator's actions follow the same rules as the owner's: one transaction each, one event
//! each, and a letter where the owner has to know. Each action is safe while the service runs, on
//! any node. The service sees the change with its next read.

use std::str::FromStr;

use crate::accounts::{Accounts, EventDraft, Failure};
use crate::crypto::hasher::Purpose;
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    AccountId, Actor, ClientInfo, EmailAddress, EmailError, EventKind, Locale, Name, NewPassword,
    Secret, SessionSummary, SignUp, SignUpId, trim_pasted,
};
use crate::storage::{
    AccountRecord, Connection, NewAccount, PageSessionSummary, SignUpRecord, StoreError,
};

/// Account or sign-up that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdOrEmail<Id> {
    /// By its id.
    Id(Id),
    /// By its address.
    Email(EmailAddress),
}

/// Reason why a text names no account or sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdOrEmailError {
    /// The text has no `@` and is no id.
    #[error("expected an address or an id")]
    Id,
    /// The text has an `@` and is no address.
    #[error(transparent)]
    Email(#[from] EmailError),
}

impl<Id: FromStr> FromStr for IdOrEmail<Id> {
    type Err = IdOrEmailError;

    /// Parses an address, folded as at sign-up; without an `@`, an id.
    fn from_str(text: &str) -> Result<Self, IdOrEmailError> {
        if text.contains('@') {
            return Ok(Self::Email(EmailAddress::parse(text)?));
        }
        trim_pasted(text).parse().map(Self::Id).map_err(|_| IdOrEmailError::Id)
    }
}

/// Account that the operator creates.
#[derive(Debug)]
pub struct AccountToCreate {
    /// Address, which the operator vouches for.
    pub email: EmailAddress,
    /// Name, if the operator gives one.
    pub name: Option<Name>,
    /// Language of letters and pages, if the operator gives one.
    pub locale: Option<Locale>,
    /// Without a password, the owner gets a letter with a link to choose one.
    pub password: Option<NewPassword>,
}

/// Reason why an account was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The address has an account already.
    #[error("the address has an account already")]
    AddressTaken,
    /// The service could not finish the creation.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for CreateError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Live sign-ins of an account.
#[derive(Debug)]
pub struct ActiveSignIns {
    /// Number of all live sign-ins.
    pub count: i64,
    /// The latest sign-ins, at most [`ActiveSignIns::MAX_SHOWN`] of each kind.
    pub sessions: Vec<SessionSummary>,
    /// The latest browser sign-ins, at most [`ActiveSignIns::MAX_SHOWN`].
    pub page_sessions: Vec<PageSessionSummary>,
}

impl ActiveSignIns {
    /// Largest number of sign-ins of each kind that are shown.
    pub const MAX_SHOWN: i64 = 100;
}

impl Accounts {
    /// Finds the account that the operator names.
    pub async fn find_named(
        &self,
        named: &IdOrEmail<AccountId>,
    ) -> Result<Option<AccountRecord>, StoreError> {
        self.store
            .read(async |db| match named {
                IdOrEmail::Id(id) => db.find_account(*id).await,
                IdOrEmail::Email(email) => db.find_account_by_email(email).await,
            })
            .await
    }

    /// Up to `limit` accounts whose address contains `part`, in the order of creation.
    pub async fn list(
        &self,
        after: Option<AccountId>,
        part: &str,
        limit: i64,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        self.store.read(async |db| db.find_accounts(after, part, limit).await).await
    }

    /// Reads the live sign-ins of an account.
    pub async fn active_sign_ins_of(&self, id: AccountId) -> Result<ActiveSignIns, StoreError> {
        let now = self.clock.now();
        self.store
            .read(async |db| {
                Ok(ActiveSignIns {
                    count: db.count_live_sessions_of(id, now).await?,
                    sessions: db.find_sessions_of(id, None, ActiveSignIns::MAX_SHOWN, now).await?,
                    page_sessions: db
                        .find_page_sessions_of(id, None, ActiveSignIns::MAX_SHOWN, now)
                        .await?,
                })
            })
            .await
    }

    /// Disables the account: no sign-in, no refresh, and its tokens are invalid. `false` if the
    /// account is gone or was disabled before.
    pub async fn disable(&self, id: AccountId) -> Result<bool, StoreError> {
        let disabled = self
            .store
            .write(async |tx| {
                let disabled = tx.disable_account(id, self.clock.now()).await?;
                if disabled {
                    self.clear_after_new_epoch(tx, id).await?;
                    let event = EventDraft::new(EventKind::AccountDisabled, Actor::Operator);
                    self.events.record(tx, event.to_account(id), &ClientInfo::operator()).await?;
                }
                Ok::<_, StoreError>(disabled)
            })
            .await?;
        self.purge_ended_sessions(id).await;
        Ok(disabled)
    }

    /// Lets the owner sign in again. `false` if the account is gone or was not disabled.
    pub async fn enable(&self, id: AccountId) -> Result<bool, StoreError> {
        self.store
            .write(async |tx| {
                let enabled = tx.enable_account(id).await?;
                if enabled {
                    let event = EventDraft::new(EventKind::AccountEnabled, Actor::Operator);
                    self.events.record(tx, event.to_account(id), &ClientInfo::operator()).await?;
                }
                Ok(enabled)
            })
            .await
    }

    /// Posts a letter with a link to choose a new password. Nothing changes until the link is used.
    /// `false` if the account is gone or disabled: then no link would work.
    pub async fn send_reset(&self, account: &AccountRecord) -> Result<bool, StoreError> {
        let id = account.account.id;
        let requested = EventDraft::new(EventKind::PasswordResetRequested, Actor::Operator);
        let sent = self
            .store
            .write(async |tx| {
                if !tx.lock_account(id).await? {
                    return Ok(false);
                }
                let owner = tx.find_account(id).await?;
                let Some(owner) = owner.filter(|owner| owner.disabled_at.is_none()) else {
                    return Ok(false);
                };
                self.events.record(tx, requested.to_account(id), &ClientInfo::operator()).await?;
                let to = Recipient::owner(&owner.account);
                self.outbox.post(tx, to, &LetterRequest::OperatorReset).await?;
                Ok::<_, StoreError>(true)
            })
            .await?;
        self.outbox.wake();
        Ok(sent)
    }

    /// Creates an account for an address that the operator vouches for. Drops a sign-up that waits
    /// for the address. Without a password the owner gets a letter to choose one.
    pub async fn create(&self, new: &AccountToCreate) -> Result<AccountId, CreateError> {
        // check first, so that a refused creation removes nothing
        let there = self.store.read(async |db| db.find_account_by_email(&new.email).await).await?;
        if there.is_some() {
            return Err(CreateError::AddressTaken);
        }
        let unguessable: Secret = self.entropy.secret();
        let password = new.password.as_ref().map(|password| password.password().as_bytes());
        let password = password.unwrap_or(unguessable.as_bytes());
        let network = ClientInfo::operator().network();
        let hash = self.hasher.hash(password, Purpose::SignUp, network).await;
        let hash = hash.map_err(Failure::from)?;
        let now = self.clock.now();
        let id = AccountId::new(self.entropy.uuid_v7(now));
        self.store.purge_excess_of(&new.email).await?;
        self.store
            .write(async |tx| {
                self.forget_sign_up(tx, &new.email).await?;
                let made = tx
                    .insert_account(&NewAccount {
                        id,
                        email: &new.email,
                        password_hash: &hash,
                        name: new.name.as_ref(),
                        locale: new.locale.as_ref(),
                        now,
                    })
                    .await?;
                if !made {
                    return Err(CreateError::AddressTaken);
                }
                self.limits.reset_for_new_account(tx, &new.email).await?;
                let event = EventDraft::new(EventKind::AccountCreated, Actor::Operator);
                self.events.record(tx, event.to_account(id), &ClientInfo::operator()).await?;
                if new.password.is_none() {
                    let locale = new.locale.as_ref();
                    let to =
                        Recipient { account: Some(id), ..Recipient::unknown(&new.email, locale) };
                    self.outbox.post(tx, to, &LetterRequest::Invitation).await?;
                }
                Ok(())
            })
            .await?;
        self.outbox.wake();
        Ok(id)
    }

    /// Up to `limit` waiting sign-ups whose address contains `part`, in the order of creation.
    pub async fn list_sign_ups(
        &self,
        after: Option<SignUpId>,
        part: &str,
        limit: i64,
    ) -> Result<Vec<SignUpRecord>, StoreError> {
        self.store.read(async |db| db.find_sign_ups(after, part, limit).await).await
    }

    /// Posts a letter with a new link to the address of a waiting sign-up, and makes the sign-up
    /// contested. The person cannot sign in, so the password is chosen behind the link. Returns the
    /// sign-up; `None` if there is no such sign-up.
    pub async fn send_sign_up_link(
        &self,
        named: &IdOrEmail<SignUpId>,
    ) -> Result<Option<SignUp>, StoreError> {
        let requested = EventDraft::new(EventKind::PasswordResetRequested, Actor::Operator);
        let (now, caller) = (self.clock.now(), ClientInfo::operator());
        let posted = self.store.write(async |tx| {
            let waiting = match named {
                IdOrEmail::Email(email) => tx.find_sign_up_by_email(email).await?,
                IdOrEmail::Id(id) => tx.find_sign_up(*id).await?,
            };
            let Some(SignUpRecord { sign_up, .. }) = waiting else { return Ok(None) };
            if !tx.contest_sign_up(sign_up.id, now).await? {
                return Ok(None);
            }
            self.events.record(tx, requested.to_sign_up(sign_up.id), &caller).await?;
            let to = Recipient::unknown(&sign_up.email, None);
            self.outbox.post(tx, to, &LetterRequest::password_reset(now, &caller)).await?;
            Ok::<_, StoreError>(tx.find_sign_up(sign_up.id).await?.map(|record| record.sign_up))
        });
        let posted = posted.await?;
        self.outbox.wake();
        Ok(posted)
    }

    /// Drops a waiting sign-up; its links are unknown from then on. Returns the dropped sign-up;
    /// `None` if there is no such sign-up.
    pub async fn drop_sign_up(
        &self,
        named: &IdOrEmail<SignUpId>,
    ) -> Result<Option<SignUp>, StoreError> {
        let find = async |db: &mut Connection| match named {
            IdOrEmail::Email(email) => db.find_sign_up_by_email(email).await,
            IdOrEmail::Id(id) => db.find_sign_up(*id).await,
        };
        let Some(waiting) = self.store.read(find).await? else { return Ok(None) };
        self.store.purge_excess_of(&waiting.sign_up.email).await?;
        self.store
            .write(async |tx| {
                let waiting = find(tx).await?;
                let Some(SignUpRecord { sign_up, .. }) = waiting else { return Ok(None) };
                if !self.forget_sign_up(tx, &sign_up.email).await? {
                    return Ok(None);
                }
                let event = EventDraft::new(EventKind::SignUpDropped, Actor::Operator);
                self.events.record(tx, event, &ClientInfo::operator()).await?;
                Ok(Some(sign_up))
            })
            .await
    }
}
