//! Events of an account, page by page.

use crate::accounts::Accounts;
use crate::model::{AccountId, Event, EventId};
use crate::storage::{Connection, StoreError};

/// Page of events.
#[derive(Debug)]
pub struct EventPage {
    /// The latest first.
    pub events: Vec<Event>,
    /// Value of `before` for the next page; `None` on the last page.
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
        // one row more than `limit` shows whether there is another page
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
    /// Reads up to `limit` events of the account, before `before`.
    pub async fn events_of(
        &self,
        id: AccountId,
        before: Option<EventId>,
        limit: i64,
    ) -> Result<EventPage, StoreError> {
        self.store.read(async |db| EventPage::read(db, id, before, limit).await).await
    }
}
