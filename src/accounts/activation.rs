//! Activation: the link of a waiting sign-up creates the account.

use crate::accounts::{Accounts, EventDraft, Failure, LinkStatus};
use crate::crypto::hasher::{PasswordHash, Purpose};
use crate::model::{
    AccountId, Actor, ClientInfo, EmailAddress, EventKind, LinkState, LinkToken, NewPassword,
    PasswordError, PersonalData, SignUp,
};
use crate::storage::{Connection, LinkRecord, NewAccount, SignUpRecord, StoreError};

/// State of an activation link: the sign-up that its button turns into an account.
pub type ActivationLinkStatus = LinkStatus<SignUpRecord, EndedSignUp>;

/// How a sign-up ended before its link was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndedSignUp {
    /// The account exists, through this link or another link of the same sign-up. Later changes of
    /// the account, such as another address, do not matter here.
    AlreadyActive,
    /// The recipient of the letter has said "This wasn't me".
    Disavowed,
    /// The address got an account in another way.
    AddressTaken,
}

/// The account exists.
#[derive(Debug)]
pub enum Activated {
    /// This use of the link created the account, with the address that the link went to.
    Now(EmailAddress),
    /// The account existed before.
    Before,
}

/// Reason why a link created no account.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The sign-up is contested: the holder of the link has to choose the password.
    #[error("the sign-up needs a password")]
    PasswordNeeded(SignUp),
    /// The policy refuses the chosen password.
    #[error("the password cannot be set: {problem}")]
    Password { sign_up: SignUp, problem: PasswordError },
    /// The sign-up has ended without an account.
    #[error("the sign-up has ended: {0:?}")]
    Ended(EndedSignUp),
    /// The link has expired.
    #[error("the link has expired")]
    Expired,
    /// No such link.
    #[error("the link is unknown")]
    Unknown,
    /// The service could not finish the activation.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ActivationError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Reason why a sign-up could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum DisavowalError {
    /// The link was used, so the account exists.
    #[error("the account is active already")]
    AlreadyActive,
    /// The address got an account in another way.
    #[error("the address has an account already")]
    AddressTaken,
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

/// Result of one attempt to consume a sign-up.
enum Consumed {
    Account,
    /// The sign-up has changed since it was read.
    Changed,
    AddressTaken,
}

impl Accounts {
    /// Reads the state of a link. Changes nothing (R43).
    pub async fn inspect_link(&self, token: &str) -> Result<ActivationLinkStatus, StoreError> {
        match LinkToken::parse(token) {
            Some(token) => self.inspect(&token).await,
            None => Ok(ActivationLinkStatus::Unknown),
        }
    }

    async fn inspect(&self, token: &LinkToken) -> Result<ActivationLinkStatus, StoreError> {
        let (digest, now) = (token.digest(), self.clock.now());
        self.store
            .read(async |db| {
                let Some(link) = db.find_activation_link(&digest, now).await? else {
                    return Ok(ActivationLinkStatus::Unknown);
                };
                if let Some(waiting) = find_waiting_sign_up(db, &link).await? {
                    return Ok(ActivationLinkStatus::Live(waiting));
                }
                // the transaction that removed the sign-up has marked the link first, so read the
                // link again
                let link = db.find_activation_link(&digest, now).await?;
                Ok(link.map_or(ActivationLinkStatus::Unknown, |link| ended(&link)))
            })
            .await
    }

    /// Uses a link. Idempotent: a used link gives the same answer again. `password` counts, and is
    /// checked, only if the sign-up is contested.
    pub async fn activate(
        &self,
        token: &str,
        password: Option<&str>,
        caller: &ClientInfo,
    ) -> Result<Activated, ActivationError> {
        let token = LinkToken::parse(token).ok_or(ActivationError::Unknown)?;
        loop {
            let waiting = match self.inspect(&token).await? {
                ActivationLinkStatus::Live(waiting) => waiting,
                ActivationLinkStatus::Ended(EndedSignUp::AlreadyActive) => {
                    return Ok(Activated::Before);
                }
                ActivationLinkStatus::Ended(ended) => return Err(ActivationError::Ended(ended)),
                ActivationLinkStatus::Expired => return Err(ActivationError::Expired),
                ActivationLinkStatus::Unknown => return Err(ActivationError::Unknown),
            };
            let chosen = match waiting.sign_up.contested_at {
                Some(_) => Some(self.choose(&waiting.sign_up, password, caller).await?),
                None => None,
            };
            self.store.purge_excess_events_of(waiting.sign_up.id).await?;
            let consumed = self
                .store
                .write(async |tx| self.consume(tx, &waiting, chosen.as_ref(), caller).await);
            match consumed.await {
                Ok(Consumed::Account) => return Ok(Activated::Now(waiting.sign_up.email)),
                // another request used, contested or dropped the sign-up meanwhile: read again
                Ok(Consumed::Changed) => {}
                Ok(Consumed::AddressTaken) => {
                    return Err(ActivationError::Ended(EndedSignUp::AddressTaken));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Drops the sign-up of a link ("This wasn't me"). Idempotent.
    pub async fn disavow(&self, token: &str, caller: &ClientInfo) -> Result<(), DisavowalError> {
        let token = LinkToken::parse(token).ok_or(DisavowalError::Unknown)?;
        let now = self.clock.now();
        self.store
            .write(async |tx| {
                let link = tx.find_activation_link(&token.digest(), now).await?;
                let link = link.ok_or(DisavowalError::Unknown)?;
                match link.state {
                    LinkState::Used { .. } => Err(DisavowalError::AlreadyActive),
                    LinkState::Disavowed { .. } => Ok(()),
                    LinkState::Expired { .. } => Err(DisavowalError::Expired),
                    LinkState::Live { .. } if tx.consume_sign_up(link.sign_up, true).await? => {
                        tx.disavow_links(link.sign_up, now).await?;
                        let dropped = EventDraft::new(EventKind::SignUpDropped, Actor::Owner);
                        self.events.record(tx, dropped.to_sign_up(link.sign_up), caller).await?;
                        Ok(())
                    }
                    LinkState::Live { .. } => {
                        match tx.find_activation_link(&token.digest(), now).await? {
                            // another request has done the same first
                            Some(LinkRecord { state: LinkState::Disavowed { .. }, .. }) => Ok(()),
                            Some(LinkRecord { state: LinkState::Used { .. }, .. }) => {
                                Err(DisavowalError::AlreadyActive)
                            }
                            _ => Err(DisavowalError::AddressTaken),
                        }
                    }
                }
            })
            .await
    }

    /// Posts a new link to the address of an old link's sign-up. Does not tell whether the sign-up
    /// still waits.
    ///
    /// The holder of an old link need not be the person who signed up. So this counts as a request
    /// for a new password, and the sign-up becomes contested.
    pub async fn renew_link(&self, token: &str, caller: &ClientInfo) -> Result<(), Failure> {
        let Some(token) = LinkToken::parse(token) else { return Ok(()) };
        let now = self.clock.now();
        let waiting = self
            .store
            .read(async |db| match db.find_activation_link(&token.digest(), now).await? {
                Some(link) => db.find_sign_up(link.sign_up).await,
                None => Ok(None),
            })
            .await?;
        match waiting {
            Some(SignUpRecord { sign_up, .. }) => {
                self.request_password_reset(&sign_up.email, caller).await
            }
            None => Ok(()),
        }
    }

    async fn choose(
        &self,
        sign_up: &SignUp,
        password: Option<&str>,
        caller: &ClientInfo,
    ) -> Result<PasswordHash, ActivationError> {
        let Some(typed) = password.filter(|typed| !typed.is_empty()) else {
            return Err(ActivationError::PasswordNeeded(sign_up.clone()));
        };
        let owner = PersonalData { email: Some(&sign_up.email), name: sign_up.name.as_ref() };
        let judged: NewPassword = self
            .policy
            .judge(typed, owner)
            .map_err(|problem| ActivationError::Password { sign_up: sign_up.clone(), problem })?;
        let (typed, network) = (judged.password().as_bytes(), caller.network());
        // the link proves the mailbox, so this is no sign-up of a stranger
        let hashed = self.hasher.hash(typed, Purpose::SignIn, network).await;
        hashed.map_err(|error| ActivationError::Failure(error.into()))
    }

    async fn consume(
        &self,
        tx: &mut Connection,
        waiting: &SignUpRecord,
        chosen: Option<&PasswordHash>,
        caller: &ClientInfo,
    ) -> Result<Consumed, StoreError> {
        let now = self.clock.now();
        let SignUp { id: sign_up, email, name, locale, .. } = &waiting.sign_up;
        if !tx.consume_sign_up(*sign_up, chosen.is_some()).await? {
            return Ok(Consumed::Changed);
        }
        let id = AccountId::new(self.entropy.uuid_v7(now));
        let made = tx
            .insert_account(&NewAccount {
                id,
                email,
                password_hash: chosen.unwrap_or(&waiting.password_hash),
                name: name.as_ref(),
                locale: locale.as_ref(),
                now,
            })
            .await?;
        if !made {
            return Ok(Consumed::AddressTaken);
        }
        tx.consume_links(*sign_up, id, now).await?;
        tx.attach_events(*sign_up, id).await?;
        self.limits.reset_after_mailbox_proof(tx, (id, email), caller, now).await?;
        let event = EventDraft::new(EventKind::Activation, Actor::Owner).to_account(id);
        self.events.record(tx, event, caller).await?;
        Ok(Consumed::Account)
    }
}

/// The sign-up from which a live link can create an account, if the address still has none.
async fn find_waiting_sign_up(
    db: &mut Connection,
    link: &LinkRecord,
) -> Result<Option<SignUpRecord>, StoreError> {
    let LinkState::Live { .. } = link.state else { return Ok(None) };
    let Some(waiting) = db.find_sign_up(link.sign_up).await? else { return Ok(None) };
    let account = db.find_account_by_email(&waiting.sign_up.email).await?;
    Ok(account.is_none().then_some(waiting))
}

/// The final state of a link without a waiting sign-up.
fn ended(link: &LinkRecord) -> ActivationLinkStatus {
    let ended = match link.state {
        LinkState::Expired { .. } => return ActivationLinkStatus::Expired,
        LinkState::Used { .. } => EndedSignUp::AlreadyActive,
        LinkState::Disavowed { .. } => EndedSignUp::Disavowed,
        LinkState::Live { .. } => EndedSignUp::AddressTaken,
    };
    ActivationLinkStatus::Ended(ended)
}
