//! Event log: records security events of accounts.

use crate::clock::Clock;
use crate::config::AddressDetail;
use crate::crypto::entropy::Entropy;
use crate::metrics::DomainMetrics;
use crate::model::{
    AccountId, Actor, ClientId, ClientInfo, EmailAddress, EventId, EventKind, SessionId, SignUpId,
};
use crate::storage::{Connection, NewEvent, StoreError};

/// One event in `TRIM_ODDS` trims the earlier events of its kind.
const TRIM_ODDS: u8 = 32;

/// Records events in the transaction that causes them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    clock: Clock,
    entropy: Entropy,
    address: AddressDetail,
    metrics: DomainMetrics,
}

/// Event before the log adds its time and address. Never holds a secret.
#[derive(Clone, Copy, Debug)]
pub struct EventDraft<'a> {
    kind: EventKind,
    actor: Actor,
    account: Option<AccountId>,
    email: Option<&'a EmailAddress>,
    sign_up: Option<SignUpId>,
    session: Option<SessionId>,
    client_id: Option<&'a ClientId>,
}

impl<'a> EventDraft<'a> {
    /// Draft of an event without account, sign-up, session or client.
    pub const fn new(kind: EventKind, actor: Actor) -> Self {
        Self {
            kind,
            actor,
            account: None,
            email: None,
            sign_up: None,
            session: None,
            client_id: None,
        }
    }

    /// Sets the account that the event belongs to.
    pub const fn to_account(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Sets the address whose account the event belongs to, if there is one. The work is the same
    /// without an account.
    pub const fn to_address(self, email: &'a EmailAddress) -> Self {
        Self { email: Some(email), ..self }
    }

    /// Sets the waiting sign-up that the event belongs to.
    pub const fn to_sign_up(self, sign_up: SignUpId) -> Self {
        Self { sign_up: Some(sign_up), ..self }
    }

    /// Sets the session of the event.
    pub const fn in_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Sets the OAuth client of the request; `None` at the account page.
    pub const fn through(self, client_id: Option<&'a ClientId>) -> Self {
        Self { client_id, ..self }
    }
}

impl EventLog {
    /// `address` says how much of an address is stored with an event.
    pub fn new(clock: Clock, entropy: Entropy, address: AddressDetail) -> Self {
        Self { clock, entropy, address, metrics: DomainMetrics::default() }
    }

    /// Counters beside the events.
    pub fn metrics(&self) -> &DomainMetrics {
        &self.metrics
    }

    /// Records an event in the transaction that causes it: both are committed, or neither.
    pub async fn record(
        &self,
        tx: &mut Connection,
        event: EventDraft<'_>,
        caller: &ClientInfo,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = EventId::new(self.entropy.uuid_v7(now));
        tx.insert_event(&NewEvent {
            id,
            kind: event.kind,
            actor: event.actor,
            at: now,
            account: event.account,
            email: event.email,
            sign_up: event.sign_up,
            session: event.session,
            client_id: event.client_id,
            address: caller.address.and_then(|address| self.address.of(address)),
            user_agent: caller.user_agent.as_ref(),
            request_id: caller.request_id.as_deref(),
        })
        .await?;
        self.metrics.event(event.kind.as_str());
        match is_trim_due(id) {
            true => tx.trim_events(id, event.kind).await,
            false => Ok(()),
        }
    }
}

/// Draws by the random end of a UUIDv7 whether this event trims. The work of trimming depends on
/// the event's account; trimming at each event would reveal by its time whether there is one (R18).
fn is_trim_due(id: EventId) -> bool {
    let [.., last] = *id.uuid().as_bytes();
    last.is_multiple_of(TRIM_ODDS)
}
