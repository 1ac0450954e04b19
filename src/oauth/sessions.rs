//! Sessions from sign-in to their end: token rotation, and the handling of spent refresh tokens.
//!
//! After a rotation, the live pair derives from the *preceding* refresh token R and a new salt: R'
//! = HMAC(salt, "r" ‖ R) and A' = HMAC(salt, "a" ‖ serial ‖ R). So a client that presents R again
//! (a second tab, a phone that lost the response) gets the very same R', and there is never a
//! second lineage.
//!
//! Each rotation replaces the salt. So a copy of the database yields no token, not even to the
//! holder of an old token, unless that token is the immediate predecessor R.

use std::time::Duration;

use crate::accounts::{EventDraft, SignedIn};
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::mail::{LetterRequest, Recipient};
use crate::model::{
    AccessToken, AccountId, Actor, Client, ClientInfo, Digest, EventKind, GrantType, RefreshToken,
    Scope, Secret, SessionId, SessionSummary, SessionTag,
};
use crate::oauth::{Lifetimes, OAuth, OAuthError};
use crate::storage::{
    AccessSlot, Connection, NewSession, Renewal, Rotation, SessionRecord, StoreError,
    StoreErrorKind,
};

/// Attempts at a refresh, if another request changes the same session meanwhile. In each attempt
/// one of the racing requests succeeds. So to exhaust the attempts takes as many racing requests
/// with different scopes.
const MAX_ATTEMPTS: usize = 16;

/// Page of an account's sessions.
#[derive(Debug)]
pub struct SessionPage {
    /// The latest sign-in first.
    pub sessions: Vec<SessionSummary>,
    /// Value of `before` for the next page; `None` on the last page.
    pub next: Option<SessionId>,
}

impl SessionPage {
    /// Largest number of sessions on one page.
    pub const SIZE: usize = 100;
}

/// Tokens of a successful token response (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// The access token.
    pub access: AccessToken,
    /// `None` for clients that are not registered for the refresh grant.
    pub refresh: Option<RefreshToken>,
    /// Scope of the access token.
    pub scope: Scope,
    /// Lifetime of the access token.
    pub expires_in: Duration,
}

/// Status of a refresh token that has its session's tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefreshTokenStatus {
    Live,
    /// The immediate predecessor of the live token, within the grace time.
    Predecessor,
    /// Spent a moment ago: another request of the same client came first.
    LateRetry,
    /// Spent long ago: a second holder has a copy of the token.
    Stolen,
}

impl OAuth {
    /// Starts a session after a sign-in.
    pub(super) async fn start_session(
        &self,
        signed_in: &SignedIn,
        client: &Client,
        scope: Scope,
        caller: &ClientInfo,
    ) -> Result<TokenPair, OAuthError> {
        let now = self.clock.now();
        let id = SessionId::new(self.entropy.uuid_v7(now));
        let tag = SessionTag::new(self.entropy.bytes());
        let (refresh, access) = (self.entropy.secret(), self.entropy.secret());
        let refreshes = client.may_use(GrantType::RefreshToken);
        let lifetimes = self.lifetimes.of(client);
        let expires_at = now + lifetimes.session;
        // a session that cannot be refreshed ends with its only access token
        let idle = if refreshes { lifetimes.idle } else { lifetimes.access };
        let idle_expires_at = now + idle;
        let access_expires_at = (now + lifetimes.access).min(idle_expires_at).min(expires_at);
        let started = self
            .store
            .write(async |tx| {
                let session = NewSession {
                    id,
                    account: signed_in.account,
                    epoch: signed_in.epoch,
                    client_id: &client.id,
                    client_is_stored: !self.client_registry.declares(&client.id),
                    scope: &scope,
                    user_agent: caller.user_agent.as_ref(),
                    now,
                    idle_expires_at,
                    expires_at,
                    tag_digest: tag.digest(),
                    salt: self.entropy.bytes(),
                    refresh_digest: refresh.digest(),
                    access_digest: access.digest(),
                    access_expires_at,
                };
                // sign-ins of one account run one at a time, so that they are counted
                let started = tx.lock_account(signed_in.account).await?
                    && tx.insert_session(&session).await?;
                if started {
                    let (account, accounts) = (signed_in.account, &self.accounts);
                    accounts.end_excess_sessions(tx, account, id, now, caller).await?;
                    let event = EventDraft::new(EventKind::SignIn, Actor::Owner)
                        .to_account(signed_in.account)
                        .in_session(id)
                        .through(Some(&client.id));
                    self.accounts.events.record(tx, event, caller).await?;
                    signed_in.permit.record_success(tx, signed_in.account, now).await?;
                }
                Ok::<_, StoreError>(started)
            })
            .await;
        let started = match started {
            // the account was deleted in between
            Err(error) if error.is_conflict() => false,
            other => other?,
        };
        if !started {
            // the password was changed, or the account or the client disabled, during this sign-in
            return Err(OAuthError::WrongPassword);
        }
        Ok(TokenPair {
            access: AccessToken { session: id, secret: access },
            refresh: refreshes.then_some(RefreshToken { session: id, secret: refresh, tag }),
            scope,
            expires_in: access_expires_at.since(now),
        })
    }

    /// Finds the live session of a refresh token. Free of effects for any token.
    pub(super) async fn find_by_refresh_token(
        &self,
        token: &str,
    ) -> Result<Option<(RefreshToken, SessionRecord)>, StoreError> {
        let Ok(token) = RefreshToken::parse(token) else { return Ok(None) };
        let found = self.store.read(async |db| db.find_session(token.session).await).await?;
        let live = found.filter(|session| self.is_of_session(&token, session));
        Ok(live.map(|session| (token, session)))
    }

    fn is_of_session(&self, token: &RefreshToken, session: &SessionRecord) -> bool {
        session.tag_digest == token.tag.digest() && self.is_usable(session)
    }

    /// Whether the session's tokens are valid: it is live, and its client is still registered.
    pub(super) fn is_usable(&self, session: &SessionRecord) -> bool {
        session.is_live(self.clock.now())
            && self.client_registry.is_registered(&session.client_id, session.client_enabled)
    }

    /// Finds a live access token of a live session. The caller accepts the token, so this records a
    /// use.
    pub(super) fn accept<'a>(
        &self,
        session: &'a SessionRecord,
        token: &Digest,
    ) -> Option<&'a AccessSlot> {
        let now = self.clock.now();
        let is_over = |slot: &&AccessSlot| slot.expires_at <= session.proven(now);
        let slot = session.access_with(token).filter(|slot| !is_over(slot))?;
        if is_worth_recording(session, slot.serial, now) {
            self.activity.record(session.id, slot.serial, now);
        }
        Some(slot)
    }

    /// Answers a refresh token of the client. `scope` lies within the session's scope. The token's
    /// status decides:
    ///
    /// | Status | Result |
    /// |---|---|
    /// | live | rotates |
    /// | predecessor | repeats the successor |
    /// | late retry | refuses |
    /// | stolen | ends the session |
    pub(super) async fn refresh_session(
        &self,
        client: &Client,
        token: &RefreshToken,
        mut session: SessionRecord,
        scope: &Scope,
        caller: &ClientInfo,
    ) -> Result<TokenPair, OAuthError> {
        let lifetimes = self.lifetimes.of(client);
        for _ in 0..MAX_ATTEMPTS {
            let presented = token.secret.digest();
            let answer = match self.refresh_token_status(&presented, &session) {
                RefreshTokenStatus::Live => self.rotate(&lifetimes, token, &session, scope).await?,
                RefreshTokenStatus::Predecessor => {
                    self.repeat(&lifetimes, token, &session, scope).await?
                }
                RefreshTokenStatus::LateRetry => return Err(OAuthError::RefreshToken),
                RefreshTokenStatus::Stolen => {
                    self.end_stolen_session(&session, caller).await?;
                    return Err(OAuthError::RefreshToken);
                }
            };
            if let Some(pair) = answer {
                return Ok(pair);
            }
            // another request changed the session since it was read: read again
            let found = self.store.read(async |db| db.find_session(token.session).await).await?;
            match found.filter(|session| self.is_of_session(token, session)) {
                Some(found) => session = found,
                None => return Err(OAuthError::RefreshToken),
            }
        }
        Err(StoreError::contended().into())
    }

    pub(super) fn refresh_token_status(
        &self,
        presented: &Digest,
        session: &SessionRecord,
    ) -> RefreshTokenStatus {
        if *presented == session.refresh_digest {
            return RefreshTokenStatus::Live;
        }
        let (clock, grace) = (self.clock.now(), self.lifetimes.reuse_grace);
        let now = session.proven(clock);
        let is_predecessor = session.previous_refresh_digest.as_ref() == Some(presented);
        let pair_is_new = session.first_used_at.is_none_or(|first_used| {
            // if the clock was set back since, the time for which the pair was in use is unknown
            now < first_used + grace && first_used <= clock + MAX_CLOCK_SKEW
        });
        if is_predecessor && pair_is_new && !grace.is_zero() {
            RefreshTokenStatus::Predecessor
        } else if now < session.rotated_at + grace {
            RefreshTokenStatus::LateRetry
        } else {
            RefreshTokenStatus::Stolen
        }
    }

    /// `None` if the session changed meanwhile.
    async fn rotate(
        &self,
        lifetimes: &Lifetimes,
        token: &RefreshToken,
        session: &SessionRecord,
        scope: &Scope,
    ) -> Result<Option<TokenPair>, OAuthError> {
        let salt = self.entropy.bytes();
        let refresh = successor(&token.secret, &salt);
        let idle_expires_at = self.clock.now() + lifetimes.idle;
        let rotation = Rotation { salt, refresh_digest: refresh.digest(), idle_expires_at };
        self.renew(lifetimes, token, session, scope, &salt, refresh, Some(rotation)).await
    }

    /// Repeats the successor, with the same access token while that lives and has the same scope;
    /// otherwise with a new one. `None` if the session changed meanwhile.
    async fn repeat(
        &self,
        lifetimes: &Lifetimes,
        token: &RefreshToken,
        session: &SessionRecord,
        scope: &Scope,
    ) -> Result<Option<TokenPair>, OAuthError> {
        let now = session.proven(self.clock.now());
        let refresh = successor(&token.secret, &session.salt);
        // previous access token too: of two tabs with different scopes, each gets its own token
        // again
        for slot in std::iter::once(&session.access).chain(&session.previous_access) {
            let access = access_secret(&token.secret, &session.salt, slot.serial);
            let fits = slot.scope == *scope && slot.expires_at > now;
            // a slot without a digest was revoked
            if fits && slot.digest == Some(access.digest()) {
                return Ok(Some(TokenPair {
                    access: AccessToken { session: session.id, secret: access },
                    refresh: Some(RefreshToken { secret: refresh, ..token.clone() }),
                    scope: scope.clone(),
                    expires_in: slot.expires_at.since(now),
                }));
            }
        }
        self.renew(lifetimes, token, session, scope, &session.salt, refresh, None).await
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the one statement")]
    async fn renew(
        &self,
        lifetimes: &Lifetimes,
        token: &RefreshToken,
        session: &SessionRecord,
        scope: &Scope,
        salt: &[u8; 32],
        refresh: Secret,
        rotation: Option<Rotation>,
    ) -> Result<Option<TokenPair>, OAuthError> {
        let now = self.clock.now();
        let access = access_secret(&token.secret, salt, session.access.serial + 1);
        let idle_end = rotation.as_ref().map_or(session.idle_expires_at, |r| r.idle_expires_at);
        let access_expires_at = (now + lifetimes.access).min(idle_end).min(session.expires_at);
        let renewal = Renewal {
            access_digest: access.digest(),
            access_scope: scope,
            access_expires_at,
            rotation,
            client_is_stored: !self.client_registry.declares(&session.client_id),
            now,
        };
        let renewed = self.store.renew_session(session, &renewal).await?;
        Ok(renewed.then(|| TokenPair {
            access: AccessToken { session: session.id, secret: access },
            refresh: Some(RefreshToken { secret: refresh, ..token.clone() }),
            scope: scope.clone(),
            expires_in: access_expires_at.since(now),
        }))
    }

    /// Ends the session, and tells the owner in the same transaction. Further stolen tokens of the
    /// session change nothing.
    async fn end_stolen_session(
        &self,
        session: &SessionRecord,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let client = session.client_id.to_string();
        let cause = LetterRequest::session_ended(now, client, session.user_agent.as_ref());
        let ended = self
            .store
            .write(async |tx| {
                let ended = tx.lock_account(session.account).await?
                    && tx.revoke_session(session.id).await?;
                if ended {
                    let to = Recipient {
                        email: &session.email,
                        locale: session.locale.as_ref(),
                        account: Some(session.account),
                    };
                    self.outbox.post(tx, to, &cause).await?;
                    let event = EventDraft::new(EventKind::RefreshTokenStolen, Actor::Service)
                        .to_account(session.account)
                        .in_session(session.id)
                        .through(Some(&session.client_id));
                    self.accounts.events.record(tx, event, caller).await?;
                }
                Ok::<_, StoreError>(ended)
            })
            .await?;
        if ended {
            tracing::warn!(session = %session.id, "refresh token reuse detected: session ended");
            self.outbox.wake();
        }
        Ok(())
    }

    /// A page of the account's live sessions, the latest sign-in first; with `before`, the sessions
    /// before it. The page has up to [`SessionPage::SIZE`] sessions. Sessions of unregistered
    /// clients are left out.
    pub async fn sessions_of(
        &self,
        account: AccountId,
        before: Option<SessionId>,
    ) -> Result<SessionPage, StoreError> {
        let now = self.clock.now();
        // one row more than `SIZE` shows whether there is another page
        let limit = i64::try_from(SessionPage::SIZE).unwrap_or(i64::MAX).saturating_add(1);
        let find =
            async |db: &mut Connection| db.find_sessions_of(account, before, limit, now).await;
        let mut sessions = self.store.read(find).await?;
        let is_more = sessions.len() > SessionPage::SIZE;
        sessions.truncate(SessionPage::SIZE);
        let next = sessions.last().map(|session| session.id).filter(|_| is_more);
        sessions.retain(|session| {
            self.client_registry.is_registered(&session.client_id, session.client_enabled)
        });
        Ok(SessionPage { sessions, next })
    }

    /// Ends one of the account's sessions. `false` if the account has no such session.
    pub async fn end_session(
        &self,
        account: AccountId,
        id: SessionId,
        caller: &ClientInfo,
    ) -> Result<bool, StoreError> {
        self.store
            .write(async |tx| {
                let ended =
                    tx.lock_account(account).await? && tx.revoke_session_of(account, id).await?;
                if ended {
                    let event = EventDraft::new(EventKind::SignOut, Actor::Owner)
                        .to_account(account)
                        .in_session(id);
                    self.accounts.events.record(tx, event, caller).await?;
                }
                Ok(ended)
            })
            .await
    }

    /// Writes the uses of sessions since the last flush.
    pub async fn flush_activity(&self) -> Result<(), StoreError> {
        let used = self.activity.take();
        if used.is_empty() {
            return Ok(());
        }
        let written = self
            .store
            .write_best_effort(async |tx| {
                for (session, usage) in &used {
                    tx.record_session_use(*session, usage.serial, usage.at).await?;
                }
                Ok::<_, StoreError>(())
            })
            .await;
        if written.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unavailable) {
            self.activity.put_back(used);
        }
        written
    }
}

/// R' = HMAC(salt, "r" ‖ R)
fn successor(secret: &Secret, salt: &[u8; 32]) -> Secret {
    secret.derive(salt, b"r")
}

/// A' = HMAC(salt, "a" ‖ serial ‖ R)
fn access_secret(secret: &Secret, salt: &[u8; 32], serial: i64) -> Secret {
    let mut label = [0; 9];
    label[0] = b'a';
    label[1..].copy_from_slice(&serial.to_be_bytes());
    secret.derive(salt, &label)
}

/// Whether recording a use now would add information.
fn is_worth_recording(session: &SessionRecord, serial: i64, now: Timestamp) -> bool {
    let pair_was_unused = session.first_used_at.is_none() && serial >= session.rotation_serial;
    pair_was_unused || now.since(session.last_used_at) >= Duration::from_secs(60)
}
