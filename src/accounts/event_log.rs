//! Noting what happened.

use crate::clock::Clock;
use crate::config::AddressDetail;
use crate::crypto::secret::Entropy;
use crate::metrics::Happenings;
use crate::model::{
    AccountId, Actor, Caller, ClientId, EmailAddress, EventId, EventKind, SessionId, SignUpId,
};
use crate::storage::{Connection, NewEvent, StoreError};

/// One in so many events has those of its kind before it trimmed.
const TRIMMED_BY: u8 = 32;

/// Where what happened is noted, in the transaction that makes it happen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    clock: Clock,
    entropy: Entropy,
    address: AddressDetail,
    metrics: Happenings,
}

/// Something that happens, before the log adds when and from where. Never holds a secret.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    kind: EventKind,
    actor: Actor,
    account: Option<AccountId>,
    email: Option<&'a EmailAddress>,
    sign_up: Option<SignUpId>,
    session: Option<SessionId>,
    client_id: Option<&'a ClientId>,
}

impl<'a> Happening<'a> {
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

    pub const fn to_account(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }

    /// To the account at an address, if there is one; the work is the same if there is none.
    pub const fn to_address(self, email: &'a EmailAddress) -> Self {
        Self { email: Some(email), ..self }
    }

    pub const fn to_sign_up(self, sign_up: SignUpId) -> Self {
        Self { sign_up: Some(sign_up), ..self }
    }

    pub const fn in_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    pub const fn through(self, client_id: Option<&'a ClientId>) -> Self {
        Self { client_id, ..self }
    }
}

impl EventLog {
    pub fn new(clock: Clock, entropy: Entropy, address: AddressDetail) -> Self {
        Self { clock, entropy, address, metrics: Happenings::default() }
    }

    /// What is counted beside what is noted.
    pub fn metrics(&self) -> &Happenings {
        &self.metrics
    }

    /// Notes it: either both it and the note are committed, or neither.
    pub async fn note(
        &self,
        tx: &mut Connection,
        happening: Happening<'_>,
        caller: &Caller,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = EventId::new(self.entropy.uuid_v7(now));
        tx.insert_event(&NewEvent {
            id,
            kind: happening.kind,
            actor: happening.actor,
            at: now,
            account: happening.account,
            email: happening.email,
            sign_up: happening.sign_up,
            session: happening.session,
            client_id: happening.client_id,
            address: caller.address.and_then(|address| self.address.of(address)),
            user_agent: caller.user_agent.as_ref(),
            request_id: caller.request_id.as_deref(),
        })
        .await?;
        self.metrics.event(happening.kind.as_str());
        match is_drawn(id) {
            true => tx.trim_events(id, happening.kind).await,
            false => Ok(()),
        }
    }
}

/// Drawn by the random end of a UUIDv7. What there is to trim depends on whom an event is about; were it
/// done each time, the time would tell (R18).
fn is_drawn(id: EventId) -> bool {
    let [.., last] = *id.uuid().as_bytes();
    last.is_multiple_of(TRIMMED_BY)
}
