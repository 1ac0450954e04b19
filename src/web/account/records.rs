//! What happened, and a copy of all that is stored.

use rocket::http::{Header, Status};
use rocket::serde::json::Json;
use rocket::{Responder, Route, State, get, routes};

use super::guard::{AccountResult, AccountsState, Answer, PageUser, Refusal};
use crate::accounts::ProfileError;
use crate::config::Settings;
use crate::messages::Language;
use crate::model::{Caller, Event, UserAgent};
use crate::web::edge::account_views::{EventView, Events};
use crate::web::edge::export::Document;
use crate::web::edge::pages::PageState;
use crate::web::edge::views::Chosen;

/// Events on one page.
const ON_A_PAGE: i64 = 50;

pub(super) fn routes() -> Vec<Route> {
    routes![events, export]
}

#[get("/events?<before>")]
async fn events(
    user: Result<PageUser, Refusal>,
    before: Option<&str>,
    language: Language,
    accounts: &AccountsState,
    pages: &PageState,
) -> AccountResult {
    let user = user?;
    // where the page before ended; nonsense begins at the beginning
    let before = before.and_then(|id| id.parse().ok());
    let events = accounts.events_of(user.session.account, before, ON_A_PAGE).await?;
    let is_full = i64::try_from(events.len()).is_ok_and(|count| count == ON_A_PAGE);
    let next = events.last().filter(|_| is_full).map(|event| event.id.to_string());
    let view = Events { events: events.iter().map(event_view).collect(), next };
    let language = pages.language_of(user.session.locale.as_ref(), language);
    Ok(Answer::Page(pages.page(language, Status::Ok, &view)))
}

fn event_view(event: &Event) -> EventView {
    EventView {
        what: Chosen::new("event", event.kind.as_str()),
        who: Chosen::new("actor", event.actor.as_str()),
        at: event.at.unix_millis(),
        browser: event.user_agent.as_ref().and_then(UserAgent::describe),
        address: event.address.clone(),
        app: event.client_id.as_ref().map(ToString::to_string),
    }
}

/// A file for the browser to keep.
#[derive(Responder)]
struct Download {
    document: Json<Document>,
    disposition: Header<'static>,
    caching: Header<'static>,
}

#[get("/export")]
async fn export(
    user: Result<PageUser, Refusal>,
    caller: Caller,
    accounts: &AccountsState,
    settings: &State<Settings>,
) -> Result<Download, Refusal> {
    let export = match accounts.export(user?.session.account, &caller).await {
        Ok(export) => export,
        Err(ProfileError::Gone) => return Err(Refusal::SignIn),
        Err(ProfileError::Store(error)) => return Err(error.into()),
    };
    Ok(Download {
        document: Json(Document::new(settings, export)),
        disposition: Document::disposition(),
        caching: Header::new("Cache-Control", "no-store"),
    })
}
