//! What happened to an account, for whoever may read it.

use crate::accounts::Accounts;
use crate::model::{AccountId, Event, EventId};
use crate::storage::{Connection, StoreError};

/// A part of what happened.
#[derive(Debug)]
pub struct EventPage {
    /// The latest first.
    pub events: Vec<Event>,
    /// Where to go on, as `before`; `None` if there is nothing more.
    pub next: Option<EventId>,
}

impl EventPage {
    /// Reads up to `limit` events of the account, before `before`.
    pub(super) async fn read(
        db: &mut Connection,
        id: AccountId,
        before: Option<EventId>,
        limit: i64,
    ) -> Result<Self, StoreError> {
        // one more than asked for tells whether there is more
        let mut events = db.find_events_of(id, before, limit + 1).await?;
        let is_more = i64::try_from(events.len()).is_ok_and(|count| count > limit);
        if is_more {
            events.pop();
        }
        let next = events.last().map(|event| event.id).filter(|_| is_more);
        Ok(Self { events, next })
    }
}

impl Accounts {
    /// What happened to the account: up to `limit` events before `before`.
    pub async fn events_of(
        &self,
        id: AccountId,
        before: Option<EventId>,
        limit: i64,
    ) -> Result<EventPage, StoreError> {
        self.store.read(async |db| EventPage::read(db, id, before, limit).await).await
    }
}
