//! Signing up: a row that waits, and a letter.

use std::time::Duration;

use crate::accounts::{Accounts, EventDraft, Failure, SIGN_UP_TTL};
use crate::crypto::hasher::{PasswordHash, Purpose, Verification};
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    Actor, ClientInfo, EmailAddress, EventKind, Locale, Name, NewPassword, SignUp, SignUpId,
};
use crate::storage::{Connection, NewSignUp, SignUpRecord, StoreError};

/// A sign-up as somebody sent it.
#[derive(Debug)]
pub struct SignUpRequest {
    pub email: EmailAddress,
    pub password: NewPassword,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub caller: ClientInfo,
}

/// What was found out about a sign-up that may wait already. One hash is computed in every case.
enum Comparison {
    /// None waits: here is the hash for one. There may be one that waited too long.
    First { hash: PasswordHash, over: Option<SignUpId> },
    /// One waits, and this is its password.
    Same(SignUpId),
    /// One waits with another password.
    Other(SignUpId),
    /// One waits and ends too soon for a link of it to be worth much: here is the hash for another.
    Ending { id: SignUpId, hash: PasswordHash },
}

impl Accounts {
    /// Keeps the sign-up waiting and posts a letter. Answers alike, after the same work, whether
    /// the address is new, waiting, or an account's: the courier finds that out (R34).
    ///
    /// A second sign-up with the same password is another letter; one with another password makes
    /// the sign-up contested, so that nobody plants a password for somebody else (R35). Neither makes
    /// the sign-up wait longer: it ends [`SIGN_UP_TTL`] after it was made. One that is made when less
    /// than the life of a link is left of that replaces it and is contested.
    pub async fn sign_up(&self, request: SignUpRequest) -> Result<(), Failure> {
        self.hasher.admit(Purpose::SignUp, request.caller.network())?;
        let counted = self.limits.count_sign_up(&request.caller)?;
        let outcome = self.sign_up_counted(&request).await;
        // said, and not by dropping something: a client that goes away has had the work done
        if matches!(outcome, Err(Failure::Busy { .. })) {
            self.limits.refund_sign_up(counted);
        }
        outcome
    }

    async fn sign_up_counted(&self, request: &SignUpRequest) -> Result<(), Failure> {
        let locked = self.sign_up_mutex.lock(&request.email, request.caller.network()).await;
        let _locked = locked.ok_or(Failure::Busy { retry_after: Duration::from_secs(1) })?;
        loop {
            let comparison = self.compare(request).await?;
            // the row that was compared may be gone by now, or one may have come: then once more
            if self.store.write(async |tx| self.keep(tx, request, &comparison).await).await? {
                self.outbox.wake();
                return Ok(());
            }
        }
    }

    /// Posts a fresh link if a sign-up waits for the address; the courier finds out whether. The
    /// sign-up stays as it is, and so do its password and its name: this is for the one who has just
    /// signed up. The letter is in the caller's language if the sign-up has none.
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

    /// Hashes the password once, whatever there is to compare it with.
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

    /// `false` if the finding no longer holds; then nothing was written.
    async fn keep(
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
