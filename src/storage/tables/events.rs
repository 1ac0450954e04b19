//! Table `events`: the event log. Rows are inserted, and removed after their time; they are never
//! changed, except when a sign-up becomes an account.
//!
//! The retention per kind is [`EventKind::kept`].

use sqlx::any::AnyRow;

use crate::clock::Timestamp;
use crate::model::{
    AccountId, Actor, ClientId, EmailAddress, Event, EventId, EventKind, SessionId, SignUpId,
    UserAgent,
};
use crate::storage::engine::{Connection, StoreError, column};

/// Largest number of events that one trim removes: several times the number that comes between two
/// trims.
const MAX_TRIMMED: i64 = 256;
/// The row that an event without an account references. The database looks up each reference, and
/// on PostgreSQL locks its row. With this row an event costs the same time with and without an
/// account (R18).
const NO_ACCOUNT: &str = "00000000-0000-0000-0000-000000000000";

/// A new event.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// Id of the event.
    pub id: EventId,
    /// Kind of the event.
    pub kind: EventKind,
    /// Person or program that caused the event.
    pub actor: Actor,
    /// Time of the event.
    pub at: Timestamp,
    /// Account that the event is about.
    pub account: Option<AccountId>,
    /// Instead of `account`: an address, whose account the database looks up. So the same work is
    /// done for every address, with or without an account.
    pub email: Option<&'a EmailAddress>,
    /// Sign-up that the event is about.
    pub sign_up: Option<SignUpId>,
    /// Session that the event is about.
    pub session: Option<SessionId>,
    /// OAuth client of the request.
    pub client_id: Option<&'a ClientId>,
    /// IP address or network of the request.
    pub address: Option<String>,
    /// Browser or program of the request.
    pub user_agent: Option<&'a UserAgent>,
    /// Id of the request, as in the logs.
    pub request_id: Option<&'a str>,
}

fn from_row(row: &AnyRow) -> Result<Event, StoreError> {
    Ok(Event {
        id: column::parsed(row, "id")?,
        kind: column::parsed(row, "kind")?,
        actor: column::parsed(row, "actor")?,
        at: column::instant(row, "at")?,
        account: column::optional(row, "account_id", str::parse)?,
        sign_up: column::optional(row, "sign_up_id", str::parse)?,
        session_id: column::optional(row, "session_id", str::parse)?,
        client_id: column::optional(row, "client_id", str::parse)?,
        address: column::optional(row, "address", |text| Ok::<_, StoreError>(text.to_owned()))?,
        user_agent: column::some(row, "user_agent", UserAgent::parse)?,
        request_id: column::optional(row, "request_id", |text| {
            Ok::<_, StoreError>(text.to_owned())
        })?,
    })
}

impl Connection {
    /// Inserts an event. An event of an account that is gone is not inserted. The statement looks
    /// for an account in every case, so that each event costs the same work.
    pub async fn insert_event(&mut self, new: &NewEvent<'_>) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO events (id, kind, actor, at, account_id, nobody_id, sign_up_id, session_id,
                                client_id, address, user_agent, request_id)
            SELECT $1, $2, $3, $4, owner.id, CASE WHEN owner.id IS NULL THEN $13 END,
                   $7, $8, $9, $10, $11, $12
            FROM (SELECT COALESCE($5, (SELECT a.id FROM accounts a
                                       WHERE a.email = $6 AND a.deleted_at IS NULL)) AS id) owner
            WHERE (SELECT COUNT(*) FROM accounts a
                   WHERE a.id = COALESCE($5, $13) AND a.deleted_at IS NULL)
                  >= CASE WHEN $5 IS NULL THEN 0 ELSE 1 END";
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.kind.as_str())
            .bind(new.actor.as_str())
            .bind(new.at.unix_millis())
            .bind(new.account.map(|id| id.to_string()))
            .bind(new.email.map(EmailAddress::as_str))
            .bind(new.sign_up.map(|id| id.to_string()))
            .bind(new.session.map(|id| id.to_string()))
            .bind(new.client_id.map(ClientId::as_str))
            .bind(&new.address)
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.request_id)
            .bind(NO_ACCOUNT)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Removes all but the latest [`EventKind::kept`] events of the event's kind: of the same
    /// account, of the same waiting sign-up, and of neither. All three statements run in every
    /// case, so that each event costs the same work (R18). Each has an index, so the work does not
    /// grow with the table.
    pub async fn trim_events(&mut self, id: EventId, kind: EventKind) -> Result<(), StoreError> {
        const OF_ACCOUNT: &str = "
            DELETE FROM events WHERE id IN
                (SELECT e.id FROM events e
                 WHERE e.account_id = (SELECT n.account_id FROM events n WHERE n.id = $1)
                   AND e.kind = $2
                 ORDER BY e.id DESC LIMIT $3 OFFSET $4)";
        const OF_SIGN_UP: &str = "
            DELETE FROM events WHERE id IN
                (SELECT e.id FROM events e
                 WHERE e.sign_up_id = (SELECT n.sign_up_id FROM events n WHERE n.id = $1)
                   AND e.kind = $2 AND e.account_id IS NULL
                 ORDER BY e.id DESC LIMIT $3 OFFSET $4)";
        const OF_NEITHER: &str = "
            DELETE FROM events WHERE id IN
                (SELECT e.id FROM events e
                 WHERE e.kind = $1 AND e.account_id IS NULL AND e.sign_up_id IS NULL
                 ORDER BY e.id DESC LIMIT $2 OFFSET $3)";
        for sql in [OF_ACCOUNT, OF_SIGN_UP] {
            let trim = sqlx::query(sql).bind(id.to_string()).bind(kind.as_str());
            trim.bind(MAX_TRIMMED).bind(kind.kept()).execute(self.raw()).await?;
        }
        let trim = sqlx::query(OF_NEITHER).bind(kind.as_str());
        trim.bind(MAX_TRIMMED).bind(kind.kept()).execute(self.raw()).await?;
        Ok(())
    }

    /// Attaches the events of a sign-up to the account made of it.
    pub async fn attach_events(
        &mut self,
        sign_up: SignUpId,
        account: AccountId,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE events SET account_id = $1, nobody_id = NULL
            WHERE sign_up_id = $2 AND account_id IS NULL";
        sqlx::query(SQL)
            .bind(account.to_string())
            .bind(sign_up.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Up to `limit` events of the account, the latest first; with `before`, only events before
    /// that one.
    pub async fn find_events_of(
        &mut self,
        account: AccountId,
        before: Option<EventId>,
        limit: i64,
    ) -> Result<Vec<Event>, StoreError> {
        const SQL: &str = "
            SELECT id, kind, actor, at, account_id, sign_up_id, session_id, client_id, address,
                   user_agent, request_id
            FROM events WHERE account_id >= $1 AND (account_id, id) < ($1, $2)
            ORDER BY account_id DESC, id DESC LIMIT $3";
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(column::before(before))
            .bind(limit)
            .fetch_all(self.raw())
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// Removes the events of a dropped sign-up.
    pub async fn delete_events_of_sign_up(&mut self, sign_up: SignUpId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM events WHERE sign_up_id = $1 AND account_id IS NULL";
        sqlx::query(SQL).bind(sign_up.to_string()).execute(self.raw()).await?;
        Ok(())
    }

    /// Removes up to `limit` events from before `before`; answers the number of removed rows.
    pub async fn purge_events(&mut self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at <= $1 LIMIT $2)";
        let done =
            sqlx::query(SQL).bind(before.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }
}
