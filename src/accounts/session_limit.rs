//! Limit of sessions per account, and the choice of the sessions that end when a sign-in exceeds it
//! (docs/decisions/0038).

use std::time::Duration;

use crate::accounts::{Accounts, EventDraft, PAGE_IDLE_TTL};
use crate::clock::Timestamp;
use crate::model::{AccountId, Actor, ClientInfo, EventKind, PageSessionId, SessionId};
use crate::storage::{Connection, StoreError};

/// A session that is used this long after its sign-in is established. No flood of sign-ins ends it.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(3_600);
/// As [`ESTABLISHED_AFTER`], for browser sign-ins, which live for two hours at most.
const PAGE_ESTABLISHED_AFTER: Duration = Duration::from_secs(10 * 60);

impl Accounts {
    /// Ends the sessions that exceed the limit since `newest` was started, and records an event for
    /// each. The transaction holds the account, so concurrent sign-ins are counted correctly.
    pub async fn end_excess_sessions(
        &self,
        tx: &mut Connection,
        account: AccountId,
        newest: SessionId,
        now: Timestamp,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        let Some(limit) = self.session_limit else { return Ok(()) };
        let excess =
            tx.find_excess_sessions(account, newest, limit, ESTABLISHED_AFTER, now).await?;
        for session in excess {
            if tx.revoke_session(session.id).await? && session.lives {
                let evicted = EventDraft::new(EventKind::SessionEvicted, Actor::Service)
                    .to_account(account)
                    .in_session(session.id)
                    .through(Some(&session.client_id));
                self.events.record(tx, evicted, caller).await?;
            }
        }
        Ok(())
    }

    /// As [`Accounts::end_excess_sessions`], for browser sign-ins.
    pub(super) async fn end_excess_page_sessions(
        &self,
        tx: &mut Connection,
        account: AccountId,
        newest: PageSessionId,
        now: Timestamp,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        let Some(limit) = self.session_limit else { return Ok(()) };
        let (idle, established) = (PAGE_IDLE_TTL, PAGE_ESTABLISHED_AFTER);
        let excess =
            tx.find_excess_page_sessions(account, newest, limit, idle, established, now).await?;
        for session in excess {
            if tx.revoke_page_session(account, session.id).await? && session.lives {
                let evicted = EventDraft::new(EventKind::SessionEvicted, Actor::Service);
                self.events.record(tx, evicted.to_account(account), caller).await?;
            }
        }
        Ok(())
    }
}
