//! Signing up: a row that waits, and a letter.

use std::time::Duration;

use crate::accounts::{Accounts, Failure, Happening, SIGN_UP_TTL};
use crate::crypto::hasher::{PasswordHash, Purpose, Verdict};
use crate::mail::{Cause, Recipient};
use crate::model::{Actor, Caller, EmailAddress, EventKind, Locale, Name, NewPassword, SignUpId};
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

/// What the password's hash said about a sign-up that may wait already.
enum Finding {
    /// None waits: here is the hash for one.
    First(PasswordHash),
    /// One waits, and this is its password.
    Same(SignUpRecord),
    /// One waits with another password.
    Other(SignUpRecord),
}

impl Accounts {
    /// Keeps the sign-up waiting and posts a letter. Answers alike, after the same work, whether
    /// the address is new, waiting, or an account's: the courier finds that out (R34).
    ///
    /// A second sign-up with the same password is another letter; one with another password makes
    /// the sign-up contested, so that nobody plants a password for somebody else (R35).
    pub async fn sign_up(&self, request: SignUpRequest) -> Result<(), Failure> {
        self.hasher.admit(Purpose::SignUp, request.caller.network())?;
        self.limits.count_sign_up(&request.caller)?;
        let outcome = self.sign_up_counted(&request).await;
        // said, and not by dropping something: who goes away has had the work done
        if matches!(outcome, Err(Failure::Busy { .. })) {
            self.limits.give_sign_up_back(&request.caller);
        }
        outcome
    }

    async fn sign_up_counted(&self, request: &SignUpRequest) -> Result<(), Failure> {
        let turn = self.turns.take(&request.email).await;
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
    /// letter is in `locale` if the sign-up has none.
    pub async fn send_new_link(
        &self,
        email: &EmailAddress,
        locale: Option<&Locale>,
        caller: &Caller,
    ) -> Result<(), Failure> {
        self.limits.count_request(caller)?;
        self.store
            .write(async |tx| {
                self.outbox.post(tx, Recipient::unknown(email, locale), &Cause::NewLink).await
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }

    /// Hashes the password once, whatever there is to compare it with.
    async fn compare(&self, request: &SignUpRequest) -> Result<Finding, Failure> {
        let password = request.password.password().as_bytes();
        let waiting =
            self.store.read(async |db| db.find_sign_up_by_email(&request.email).await).await?;
        let network = request.caller.network();
        let Some(waiting) = waiting else {
            let hash = self.hasher.hash(password, Purpose::SignUp, network).await?;
            return Ok(Finding::First(hash));
        };
        let stored = &waiting.password_hash;
        match self.hasher.verify(password, stored, Purpose::SignUp, network).await? {
            Verdict::Right { .. } => Ok(Finding::Same(waiting)),
            Verdict::Wrong => Ok(Finding::Other(waiting)),
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
        let expires_at = now + SIGN_UP_TTL;
        let SignUpRequest { email, name, locale, caller, .. } = request;
        let (name, locale) = (name.as_ref(), locale.as_ref());
        let id = match finding {
            Finding::First(_) => SignUpId::new(self.entropy.uuid_v7(now)),
            Finding::Same(waiting) | Finding::Other(waiting) => waiting.sign_up.id,
        };
        let kept = match finding {
            Finding::First(password_hash) => {
                tx.insert_sign_up(&NewSignUp {
                    id,
                    email,
                    password_hash,
                    name,
                    locale,
                    user_agent: caller.user_agent.as_ref(),
                    now,
                    expires_at,
                })
                .await?
            }
            Finding::Same(_) => tx.repeat_sign_up(id, name, locale, expires_at).await?,
            Finding::Other(_) => tx.contest_sign_up(id, now, expires_at).await?,
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
