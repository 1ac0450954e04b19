//! Browser sign-ins: sessions of the account page, by a cookie that is used for nothing else.

use std::time::Duration;

use crate::accounts::{Accounts, EventDraft, SignInAttempt, SignInError};
use crate::model::{
    AccountId, Actor, ClientInfo, EventKind, PageSession, PageSessionId, PageSessionSecret,
};
use crate::storage::{NewPageSession, PageSessionSummary, StoreError};

/// Idle lifetime of a browser sign-in.
pub const PAGE_IDLE_TTL: Duration = Duration::from_secs(20 * 60);
/// Total lifetime of a browser sign-in.
pub const PAGE_SESSION_TTL: Duration = Duration::from_secs(2 * 3_600);
/// Largest number of browser sign-ins that are shown.
const MAX_PAGE_SESSIONS_SHOWN: i64 = 100;
/// Age at which the recorded last use is written again.
const USE_RECORDED_EVERY: Duration = Duration::from_secs(60);

impl Accounts {
    /// Signs in at the account page, with the same checks as [`Accounts::sign_in`] for OAuth
    /// clients. Returns the secret for the cookie; the database holds its digest.
    pub async fn sign_in_to_page(
        &self,
        attempt: SignInAttempt<'_>,
    ) -> Result<PageSessionSecret, SignInError> {
        let signed_in = self.sign_in(attempt).await?;
        let caller = attempt.caller;
        let secret = PageSessionSecret::new(self.entropy.secret());
        let now = self.clock.now();
        let id = PageSessionId::new(self.entropy.uuid_v7(now));
        let started = self
            .store
            .write(async |tx| {
                // sign-ins of one account run one at a time, so that they are counted
                if !tx.lock_account(signed_in.account).await? {
                    return Ok(false);
                }
                let started = tx
                    .insert_page_session(&NewPageSession {
                        id,
                        digest: secret.digest(),
                        account: signed_in.account,
                        epoch: signed_in.epoch,
                        user_agent: caller.user_agent.as_ref(),
                        now,
                        idle_expires_at: now + PAGE_IDLE_TTL,
                        expires_at: now + PAGE_SESSION_TTL,
                    })
                    .await?;
                if started {
                    let account = signed_in.account;
                    self.end_excess_page_sessions(tx, account, id, now, caller).await?;
                    let event = EventDraft::new(EventKind::SignIn, Actor::Owner);
                    self.events.record(tx, event.to_account(signed_in.account), caller).await?;
                    signed_in.permit.record_success(tx, signed_in.account, now).await?;
                }
                Ok::<_, StoreError>(started)
            })
            .await;
        match started {
            Ok(true) => Ok(secret),
            // the account was deleted or disabled, or its password changed, in between
            Ok(false) => Err(SignInError::Refused),
            Err(error) if error.is_conflict() => Err(SignInError::Refused),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the live session of a cookie.
    pub async fn find_page_session(
        &self,
        secret: &PageSessionSecret,
    ) -> Result<Option<PageSession>, StoreError> {
        let (digest, now) = (secret.digest(), self.clock.now());
        let found = self.store.read(async |db| db.find_page_session(&digest, now).await).await?;
        let Some(session) = found else { return Ok(None) };
        let idle_expires_at = now + PAGE_IDLE_TTL;
        if idle_expires_at.since(session.idle_expires_at) >= USE_RECORDED_EVERY {
            self.store
                .write(async |tx| tx.extend_page_session(&digest, idle_expires_at).await)
                .await?;
        }
        Ok(Some(session))
    }

    /// Browser sign-ins of the account, the latest first, at most 100.
    pub async fn page_sessions_of(
        &self,
        account: AccountId,
    ) -> Result<Vec<PageSessionSummary>, StoreError> {
        let now = self.clock.now();
        self.store
            .read(async |db| {
                db.find_page_sessions_of(account, None, MAX_PAGE_SESSIONS_SHOWN, now).await
            })
            .await
    }

    /// Ends the account's browser sign-in with this id. Does nothing if the sign-in belongs to
    /// another account or has ended.
    pub async fn end_page_session_of(
        &self,
        account: AccountId,
        id: PageSessionId,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        self.store
            .write(async |tx| {
                let ended =
                    tx.lock_account(account).await? && tx.revoke_page_session(account, id).await?;
                if ended {
                    let event = EventDraft::new(EventKind::SignOut, Actor::Owner);
                    self.events.record(tx, event.to_account(account), caller).await?;
                }
                Ok(())
            })
            .await
    }

    /// Signs out at the account page.
    pub async fn end_page_session(
        &self,
        session: &PageSession,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        self.end_page_session_of(session.account, session.id, caller).await
    }
}
