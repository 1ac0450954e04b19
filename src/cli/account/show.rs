//! `vestibule account show`: shows an account with its sessions and events.

use serde::Serialize;
use vestibule::accounts::Accounts;
use vestibule::clock::Timestamp;
use vestibule::model::{Event, PageSessionId, SessionSummary, UserAgent};
use vestibule::storage::{AccountRecord, PageSessionSummary};

use crate::cli::CommandError;
use crate::cli::common::{ShownAccount, browser, or_dash};
use crate::cli::output::print_result;
use crate::cli::table::{printable, table};

/// Number of events to show.
const EVENTS_SHOWN: i64 = 20;

#[derive(Serialize)]
struct ShownDetails {
    account: ShownAccount,
    /// Number of sign-ins: sessions, and sign-ins at the account page. The latest hundred of each
    /// kind follow.
    signed_in: i64,
    sessions: Vec<SessionSummary>,
    page_sessions: Vec<ShownPageSession>,
    /// The latest event comes first.
    events: Vec<Event>,
}

#[derive(Serialize)]
struct ShownPageSession {
    id: PageSessionId,
    created_at: Timestamp,
    expires_at: Timestamp,
    user_agent: Option<UserAgent>,
}

impl From<PageSessionSummary> for ShownPageSession {
    fn from(session: PageSessionSummary) -> Self {
        let PageSessionSummary { id, created_at, expires_at, user_agent } = session;
        Self { id, created_at, expires_at, user_agent }
    }
}

pub async fn run(
    accounts: &Accounts,
    account: AccountRecord,
    json: bool,
) -> Result<(), CommandError> {
    let account = ShownAccount::from(account);
    let sign_ins = accounts.active_sign_ins_of(account.id).await?;
    let events = accounts.events_of(account.id, None, EVENTS_SHOWN).await?.events;
    let shown = ShownDetails {
        account,
        signed_in: sign_ins.count,
        sessions: sign_ins.sessions,
        page_sessions: sign_ins.page_sessions.into_iter().map(Into::into).collect(),
        events,
    };
    print_result(json, &shown, in_words)
}

fn in_words(shown: &ShownDetails) -> String {
    let ShownDetails { account, signed_in: count, sessions, page_sessions, events } = shown;
    let state = match account.disabled_at {
        Some(since) => format!("disabled since {}", since.rfc3339()),
        None => account.state().to_owned(),
    };
    let mut parts = vec![
        [
            format!("id        {}", account.id),
            format!("address   {}", account.email.to_unicode()),
            format!("name      {}", printable(&or_dash(account.name.as_ref()))),
            format!("language  {}", or_dash(account.locale.as_ref())),
            format!("created   {}", account.created_at.rfc3339()),
            format!("state     {state}"),
        ]
        .join("\n"),
    ];
    parts.push(if sessions.is_empty() && page_sessions.is_empty() {
        "No sign-ins.".to_owned()
    } else {
        sign_in_table(sessions, page_sessions)
    });
    let shown = sessions.len() + page_sessions.len();
    let more = count.saturating_sub(i64::try_from(shown).unwrap_or(i64::MAX));
    if more > 0 {
        parts.push(format!("{more} earlier sign-ins are not listed."));
    }
    parts.push(event_table(events));
    parts.join("\n\n")
}

fn sign_in_table(sessions: &[SessionSummary], page_sessions: &[ShownPageSession]) -> String {
    let by_token = sessions.iter().map(|session| {
        [
            session.client_id.to_string(),
            session.created_at.rfc3339(),
            session.last_used_at.rfc3339(),
            session.expires_at.rfc3339(),
            browser(session.user_agent.as_ref()),
        ]
    });
    let at_the_page = page_sessions.iter().map(|session| {
        [
            "(account page)".to_owned(),
            session.created_at.rfc3339(),
            "-".to_owned(),
            session.expires_at.rfc3339(),
            browser(session.user_agent.as_ref()),
        ]
    });
    let rows: Vec<_> = by_token.chain(at_the_page).collect();
    table(["SIGNED IN THROUGH", "SINCE", "LAST USED", "ENDS", "BROWSER"], &rows)
}

fn event_table(events: &[Event]) -> String {
    if events.is_empty() {
        return "No events.".to_owned();
    }
    let row = |event: &Event| {
        [
            event.at.rfc3339(),
            event.kind.to_string(),
            event.actor.to_string(),
            or_dash(event.client_id.as_ref()),
            or_dash(event.address.as_ref()),
            browser(event.user_agent.as_ref()),
        ]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    table(["WHEN", "WHAT", "BY", "CLIENT", "FROM", "BROWSER"], &rows)
}
