//! Paged lists of an export. One mechanism reads all of them.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::model::{
    AccountId, ClientId, EmailChange, EmailChangeId, Event, EventId, PageSessionId, Scope,
    SessionId, SessionSummary, UserAgent,
};
use crate::storage::{
    AccountLinkSummary, Connection, LetterId, LetterSummary, LinkKey, PageSessionSummary,
    StoreError,
};

/// List of an export, by the name of its JSON member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportList {
    /// Sessions of OAuth clients.
    Sessions,
    /// Browser sign-ins.
    PageSessions,
    /// Changes of the address.
    EmailChanges,
    /// Links in letters.
    Links,
    /// Letters of the outbox.
    Letters,
    /// Security events.
    Events,
}

impl ExportList {
    /// Name of the list's member in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::PageSessions => "page_sessions",
            Self::EmailChanges => "email_changes",
            Self::Links => "links",
            Self::Letters => "letters",
            Self::Events => "events",
        }
    }
}

/// Rows of an export's lists that are held in memory at a time.
#[derive(Debug)]
pub struct ExportPart {
    /// In the order of the lists. A long list has pages in several parts.
    pub pages: Vec<ExportPage>,
    /// Start of the next part; `None` in the last part.
    pub next: Option<ExportPlace>,
}

/// Rows of one list, the latest first.
#[derive(Debug)]
pub struct ExportPage {
    /// The list of the rows.
    pub list: ExportList,
    /// The rows.
    pub rows: Vec<ExportedRow>,
}

/// Position in the lists of an account. All rows before it are read.
#[derive(Clone, Copy, Debug)]
pub struct ExportPlace {
    account: AccountId,
    exported_at: Timestamp,
    cursor: Cursor,
}

impl ExportPlace {
    /// Start of the first list. The export has the sign-ins that are live at `now`.
    pub(super) const fn first(account: AccountId, now: Timestamp) -> Self {
        Self { account, exported_at: now, cursor: Cursor::Sessions(None) }
    }
}

impl ExportPart {
    /// Largest number of rows in a part.
    pub const ROWS: usize = 500;

    /// Reads the rows after a position. `None` if the account is gone.
    pub(super) async fn read(
        db: &mut Connection,
        from: ExportPlace,
    ) -> Result<Option<Self>, StoreError> {
        let mut part = Self { pages: Vec::new(), next: Some(from) };
        let mut room = Self::ROWS;
        while room > 0
            && let Some(place) = part.next
        {
            let TablePage { rows, next } = place.cursor.read(db, place, room).await?;
            room = room.saturating_sub(rows.len());
            part.pages.push(ExportPage { list: place.cursor.list(), rows });
            part.next = next.map(|cursor| ExportPlace { cursor, ..place });
        }
        // check last: a deletion first closes the account and then removes its rows
        Ok(db.find_account(from.account).await?.map(|_| part))
    }
}

/// Position in the tables: the next page begins before this row. Tables follow each other in this
/// order.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    Sessions(Option<SessionId>),
    PageSessions(Option<PageSessionId>),
    EmailChanges(Option<EmailChangeId>),
    ActivationLinks(Option<LinkKey>),
    AccountLinks(Option<LinkKey>),
    Letters(Option<LetterId>),
    Events(Option<EventId>),
}

struct TablePage {
    rows: Vec<ExportedRow>,
    next: Option<Cursor>,
}

impl Cursor {
    const fn list(self) -> ExportList {
        match self {
            Self::Sessions(_) => ExportList::Sessions,
            Self::PageSessions(_) => ExportList::PageSessions,
            Self::EmailChanges(_) => ExportList::EmailChanges,
            Self::ActivationLinks(_) | Self::AccountLinks(_) => ExportList::Links,
            Self::Letters(_) => ExportList::Letters,
            Self::Events(_) => ExportList::Events,
        }
    }

    /// Reads up to `limit` rows of the table, and the position of the next page.
    async fn read(
        self,
        db: &mut Connection,
        ExportPlace { account: of, exported_at: now, .. }: ExportPlace,
        limit: usize,
    ) -> Result<TablePage, StoreError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(match self {
            Self::Sessions(before) => {
                let rows = db.find_sessions_of(of, before, most, now).await?;
                page(
                    rows,
                    limit,
                    |row| Self::Sessions(Some(row.id)),
                    Some(Self::PageSessions(None)),
                )
            }
            Self::PageSessions(before) => {
                let rows = db.find_page_sessions_of(of, before, most, now).await?;
                let then = Some(Self::EmailChanges(None));
                page(rows, limit, |row| Self::PageSessions(Some(row.id)), then)
            }
            Self::EmailChanges(before) => {
                let rows = db.find_email_changes_of(of, before, most).await?;
                let then = Some(Self::ActivationLinks(None));
                page(rows, limit, |row| Self::EmailChanges(Some(row.id)), then)
            }
            Self::ActivationLinks(before) => {
                let rows = db.find_activation_links_of(of, before, most).await?;
                let then = Some(Self::AccountLinks(None));
                page(rows, limit, |row| Self::ActivationLinks(Some(row.key())), then)
            }
            Self::AccountLinks(before) => {
                let rows = db.find_account_links_of(of, before, most).await?;
                let then = Some(Self::Letters(None));
                page(rows, limit, |row| Self::AccountLinks(Some(row.key())), then)
            }
            Self::Letters(before) => {
                let rows = db.find_letters_about(of, before, most).await?;
                page(rows, limit, |row| Self::Letters(Some(row.id)), Some(Self::Events(None)))
            }
            Self::Events(before) => {
                let rows = db.find_events_of(of, before, most).await?;
                page(rows, limit, |row| Self::Events(Some(row.id)), None)
            }
        })
    }
}

/// Converts rows of a table for export. After a full page the same table continues after its last
/// row; otherwise `then` follows.
fn page<R: Into<ExportedRow>>(
    rows: Vec<R>,
    limit: usize,
    behind: impl FnOnce(&R) -> Cursor,
    then: Option<Cursor>,
) -> TablePage {
    let last = rows.last().filter(|_| rows.len() >= limit);
    let next = last.map(behind).or(then);
    TablePage { rows: rows.into_iter().map(Into::into).collect(), next }
}

/// Row of one of the lists.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ExportedRow {
    /// Row of [`ExportList::Sessions`].
    Session(ExportedSession),
    /// Row of [`ExportList::PageSessions`].
    PageSession(ExportedPageSession),
    /// Row of [`ExportList::EmailChanges`].
    EmailChange(ExportedEmailChange),
    /// Row of [`ExportList::Links`].
    Link(ExportedLink),
    /// Row of [`ExportList::Letters`].
    Letter(ExportedLetter),
    /// Row of [`ExportList::Events`].
    Event(Event),
}

/// Live session in an export.
#[derive(Debug, Serialize)]
pub struct ExportedSession {
    /// Id of the session.
    pub id: SessionId,
    /// Client that signed in.
    pub client_id: ClientId,
    /// Scope of the session.
    pub scope: Scope,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// Last recorded use.
    pub last_used_at: Timestamp,
    /// The earlier of the idle and the absolute end.
    pub expires_at: Timestamp,
    /// Browser of the sign-in.
    pub user_agent: Option<UserAgent>,
}

/// Live browser sign-in in an export.
#[derive(Debug, Serialize)]
pub struct ExportedPageSession {
    /// Id of the browser sign-in.
    pub id: PageSessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// End of the sign-in.
    pub expires_at: Timestamp,
    /// Browser of the sign-in.
    pub user_agent: Option<UserAgent>,
}

/// Change of address in an export.
#[derive(Debug, Serialize)]
pub struct ExportedEmailChange {
    /// The new address.
    pub email: String,
    /// Time of the request.
    pub requested_at: Timestamp,
    /// State, as [`EmailChangeState::as_str`](crate::model::EmailChangeState::as_str) names it.
    pub state: &'static str,
    /// Time of the end, if the change has ended.
    pub ended_at: Option<Timestamp>,
    /// Browser of the request, if the client sent one.
    pub user_agent: Option<UserAgent>,
}

/// Link in a letter, in an export.
#[derive(Debug, Serialize)]
pub struct ExportedLink {
    /// Purpose of the link.
    pub purpose: String,
    /// Time of creation.
    pub minted_at: Timestamp,
    /// Time of expiry.
    pub expires_at: Timestamp,
    /// Time of use.
    pub used_at: Option<Timestamp>,
    /// Time at which the link was voided or disavowed.
    pub voided_at: Option<Timestamp>,
}

/// Letter of the outbox in an export.
#[derive(Debug, Serialize)]
pub struct ExportedLetter {
    /// Kind of letter.
    pub kind: String,
    /// Recipient.
    pub to: String,
    /// Time at which the letter was posted to the outbox.
    pub created_at: Timestamp,
    /// Time at which a mail server accepted the letter.
    pub sent_at: Option<Timestamp>,
    /// Time at which delivery was given up.
    pub given_up_at: Option<Timestamp>,
}

impl From<SessionSummary> for ExportedRow {
    fn from(session: SessionSummary) -> Self {
        Self::Session(ExportedSession {
            id: session.id,
            client_id: session.client_id,
            scope: session.scope,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
        })
    }
}

impl From<PageSessionSummary> for ExportedRow {
    fn from(session: PageSessionSummary) -> Self {
        let PageSessionSummary { id, created_at, expires_at, user_agent } = session;
        Self::PageSession(ExportedPageSession { id, created_at, expires_at, user_agent })
    }
}

impl From<EmailChange> for ExportedRow {
    fn from(change: EmailChange) -> Self {
        Self::EmailChange(ExportedEmailChange {
            email: change.email.to_string(),
            requested_at: change.requested_at,
            state: change.state.as_str(),
            ended_at: change.state.ended_at(),
            user_agent: change.user_agent,
        })
    }
}

impl From<AccountLinkSummary> for ExportedRow {
    fn from(link: AccountLinkSummary) -> Self {
        Self::Link(ExportedLink {
            purpose: link.purpose,
            minted_at: link.minted_at,
            expires_at: link.expires_at,
            used_at: link.used_at,
            voided_at: link.voided_at,
        })
    }
}

impl From<LetterSummary> for ExportedRow {
    fn from(letter: LetterSummary) -> Self {
        Self::Letter(ExportedLetter {
            kind: letter.kind,
            to: letter.email.to_string(),
            created_at: letter.created_at,
            sent_at: letter.sent_at,
            given_up_at: letter.dead_at,
        })
    }
}

impl From<Event> for ExportedRow {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}
