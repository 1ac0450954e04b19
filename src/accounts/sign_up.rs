//! Sign-up: stores a waiting row and posts a letter.

use std::time::Duration;

use crate::accounts::{Accounts, EventDraft, Failure, SIGN_UP_TTL};
use crate::crypto::hasher::{PasswordHash, Purpose, Verification};
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    Actor, ClientInfo, EmailAddress, EventKind, Locale, Name, NewPassword, SignUp, SignUpId,
};
use crate::storage::{Connection, NewSignUp, SignUpRecord, StoreError};

/// Sign-up as the client sent it.
#[derive(Debug)]
pub struct SignUpRequest {
    /// Address to sign up.
    pub email: EmailAddress,
    /// Password, which has passed the policy.
    pub password: NewPassword,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// Client information of the request.
    pub caller: ClientInfo,
}

/// Result of the comparison with a sign-up that may wait already. Every case computes one hash.
enum Comparison {
    /// No sign-up waits; `hash` is for the new one. `over` is a sign-up that has expired.
    First { hash: PasswordHash, over: Option<SignUpId> },
    /// A sign-up with the same password waits.
    Same(SignUpId),
    /// A sign-up with another password waits.
    Other(SignUpId),
    /// A sign-up waits, but ends before a new link would. `hash` is for the sign-up that replaces
    /// it.
    Ending { id: SignUpId, hash: PasswordHash },
}

impl Accounts {
    /// Stores the sign-up and posts a letter. The response and the work are the same whether the
    /// address is new, waiting, or an account's: the courier finds that out (R34).
    ///
    /// | Sign-up for a waiting address | Result |
    /// |---|---|
    /// | same password | another letter |
    /// | another password | the sign-up is contested |
    /// | less than a link's lifetime before the end | replaces the sign-up, and is contested |
    ///
    /// - A contested sign-up lets no stranger plant a password for another person (R35).
    /// - The first two do not extend the sign-up: it ends [`SIGN_UP_TTL`] after it was made.
    pub async fn sign_up(&self, request: SignUpRequest) -> Result<(), Failure> {
        self.hasher.admit(Purpose::SignUp, request.caller.network())?;
        let counted = self.limits.count_sign_up(&request.caller)?;
        let outcome = self.sign_up_counted(&request).await;
        // an explicit refund, not a drop: if the client disconnects, the work is done and stays
        // counted
        if matches!(outcome, Err(Failure::Busy { .. })) {
            self.limits.refund_sign_up(counted);
        }
        outcome
    }

    async fn sign_up_counted(&self, request: &SignUpRequest) -> Result<(), Failure> {
        let locked = self.limits.lock_sign_up(&request.email, request.caller.network()).await;
        let _locked = locked.ok_or(Failure::Busy { retry_after: Duration::from_secs(1) })?;
        loop {
            let comparison = self.compare(request).await?;
            // the row may have gone or come since the comparison: compare again
            if self
                .store
                .write(async |tx| self.store_sign_up(tx, request, &comparison).await)
                .await?
            {
                self.outbox.wake();
                return Ok(());
            }
        }
    }

    /// Posts a new link if a sign-up waits for the address; the courier finds out whether. The
    /// sign-up keeps its password and its name: this request is for the person who has just signed
    /// up. The letter is in the caller's language if the sign-up has none.
    pub async fn send_new_link(
        &self,
        email: &EmailAddress,
        caller: &ClientInfo,
    ) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        let to = Recipient::unknown(email, caller.locale.as_ref());
        self.store
            .write(async |tx| self.outbox.post(tx, to, &LetterRequest::NewLink).await)
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// Hashes the password exactly once in every case.
    async fn compare(&self, request: &SignUpRequest) -> Result<Comparison, Failure> {
        let password = request.password.password().as_bytes();
        let waiting =
            self.store.read(async |db| db.find_sign_up_by_email(&request.email).await).await?;
        let (now, network) = (self.clock.now(), request.caller.network());
        let Some(SignUpRecord { sign_up: SignUp { id, .. }, password_hash, expires_at }) = waiting
        else {
            let hash = self.hasher.hash(password, Purpose::SignUp, network).await?;
            return Ok(Comparison::First { hash, over: None });
        };
        if expires_at < now + self.activation_ttl {
            let hash = self.hasher.hash(password, Purpose::SignUp, network).await?;
            if expires_at > now {
                return Ok(Comparison::Ending { id, hash });
            }
            self.store.purge_excess_events_of(id).await?;
            return Ok(Comparison::First { hash, over: Some(id) });
        }
        match self.hasher.verify(password, &password_hash, Purpose::SignUp, network).await? {
            Verification::Right { .. } => Ok(Comparison::Same(id)),
            Verification::Wrong => Ok(Comparison::Other(id)),
        }
    }

    /// Writes the sign-up. `false` if the comparison no longer holds; then nothing was written.
    async fn store_sign_up(
        &self,
        tx: &mut Connection,
        request: &SignUpRequest,
        comparison: &Comparison,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let SignUpRequest { email, name, locale, caller, .. } = request;
        let (name, locale) = (name.as_ref(), locale.as_ref());
        let id = match comparison {
            Comparison::First { .. } => SignUpId::new(self.entropy.uuid_v7(now)),
            Comparison::Same(id) | Comparison::Other(id) | Comparison::Ending { id, .. } => *id,
        };
        let new = |password_hash| NewSignUp {
            id,
            email,
            password_hash,
            name,
            locale,
            user_agent: caller.user_agent.as_ref(),
            now,
            expires_at: now + SIGN_UP_TTL,
        };
        let kept = match comparison {
            Comparison::First { hash, over } => {
                if let Some(over) = over {
                    tx.purge_sign_up(*over, now).await?;
                }
                tx.insert_sign_up(&new(hash)).await?
            }
            Comparison::Same(_) => tx.repeat_sign_up(id, name, locale).await?,
            Comparison::Other(_) => tx.contest_sign_up(id, now).await?,
            Comparison::Ending { hash, .. } => {
                tx.replace_sign_up(&new(hash), now + self.activation_ttl).await?
            }
        };
        if kept {
            let event = EventDraft::new(EventKind::SignUp, Actor::Stranger).to_sign_up(id);
            self.events.record(tx, event, caller).await?;
            let to = Recipient::unknown(email, locale.or(caller.locale.as_ref()));
            self.outbox.post(tx, to, &LetterRequest::sign_up(now, caller)).await?;
        }
        Ok(kept)
    }
}
