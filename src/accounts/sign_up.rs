//! Signing up: a row that waits, and a letter.

use std::time::Duration;

use crate::accounts::{Accounts, Failure, Happening, SIGN_UP_TTL};
use crate::crypto::hasher::{PasswordHash, Purpose, Verdict};
use crate::mail::{Cause, Recipient};
use crate::model::{
    Actor, Caller, EmailAddress, EventKind, Locale, Name, NewPassword, SignUp, SignUpId,
};
use crate::storage::{Connection, NewSignUp, SignUpRecord, StoreError};

/// A sign-up as somebody sent it.
#[derive(Debug)]
pub struct SignUpRequest {
    pub email: EmailAddress,
    pub password: NewPassword,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    pub caller: Caller,
}

/// What was found out about a sign-up that may wait already. One hash is computed in every case.
enum Finding {
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
            self.limits.give_sign_up_back(counted);
        }
        outcome
    }

    async fn sign_up_counted(&self, request: &SignUpRequest) -> Result<(), Failure> {
        let turn = self.turns.take(&request.email, request.caller.network()).await;
        let _turn = turn.ok_or(Failure::Busy { retry_after: Duration::from_secs(1) })?;
        loop {
            let finding = self.compare(request).await?;
            // the row that was compared may be gone by now, or one may have come: then once more
            if self.store.write(async |tx| self.keep(tx, request, &finding).await).await? {
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
        caller: &Caller,
    ) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        let to = Recipient::unknown(email, caller.locale.as_ref());
        self.store.write(async |tx| self.outbox.post(tx, to, &Cause::NewLink).await).await?;
        self.outbox.wake();
        Ok(())
    }

    /// Hashes the password once, whatever there is to compare it with.
    async fn compare(&self, request: &SignUpRequest) -> Result<Finding, Failure> {
        let password = request.password.password().as_bytes();
        let waiting =
            self.store.read(async |db| db.find_sign_up_by_email(&request.email).await).await?;
        let (now, network) = (self.clock.now(), request.caller.network());
        let Some(SignUpRecord { sign_up: SignUp { id, .. }, password_hash, expires_at }) = waiting
        else {
            let hash = self.hasher.hash(password, Purpose::SignUp, network).await?;
            return Ok(Finding::First { hash, over: None });
        };
        if expires_at < now + self.activation_ttl {
            let hash = self.hasher.hash(password, Purpose::SignUp, network).await?;
            if expires_at > now {
                return Ok(Finding::Ending { id, hash });
            }
            self.store.shed_excess_events_of(id).await?;
            return Ok(Finding::First { hash, over: Some(id) });
        }
        match self.hasher.verify(password, &password_hash, Purpose::SignUp, network).await? {
            Verdict::Right { .. } => Ok(Finding::Same(id)),
            Verdict::Wrong => Ok(Finding::Other(id)),
        }
    }

    /// `false` if the finding no longer holds; then nothing was written.
    async fn keep(
        &self,
        tx: &mut Connection,
        request: &SignUpRequest,
        finding: &Finding,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let SignUpRequest { email, name, locale, caller, .. } = request;
        let (name, locale) = (name.as_ref(), locale.as_ref());
        let id = match finding {
            Finding::First { .. } => SignUpId::new(self.entropy.uuid_v7(now)),
            Finding::Same(id) | Finding::Other(id) | Finding::Ending { id, .. } => *id,
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
        let kept = match finding {
            Finding::First { hash, over } => {
                if let Some(over) = over {
                    tx.purge_sign_up(*over, now).await?;
                }
                tx.insert_sign_up(&new(hash)).await?
            }
            Finding::Same(_) => tx.repeat_sign_up(id, name, locale).await?,
            Finding::Other(_) => tx.contest_sign_up(id, now).await?,
            Finding::Ending { hash, .. } => {
                tx.replace_sign_up(&new(hash), now + self.activation_ttl).await?
            }
        };
        if kept {
            let happening = Happening::new(EventKind::SignUp, Actor::Stranger).to_sign_up(id);
            self.events.note(tx, happening, caller).await?;
            let to = Recipient::unknown(email, locale.or(caller.locale.as_ref()));
            self.outbox.post(tx, to, &Cause::sign_up(now, caller)).await?;
        }
        Ok(kept)
    }
}
