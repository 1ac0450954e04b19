//! Account page: the event history, and the export of all stored data.

use rocket::http::Status;
use rocket::{Route, State, get, head, routes};

use super::guard::{AccountResult, PageRefusal, Visitor, no_profile};
use crate::config::Settings;
use crate::model::{ClientInfo, Event, UserAgent};
use crate::web::openapi::document::{described, tag};
use crate::web::responses::download::{AccountExport, Download};
use crate::web::views::MessageKey;
use crate::web::views::account::{EventView, EventsPage};

/// The number of events on a page.
const PAGE_SIZE: i64 = 50;

/// The routes of this module, for the mount `/account`.
pub(super) fn routes() -> Vec<Route> {
    routes![events, export, export_head]
}

described!(events, export);

/// What happened to the account, as a page
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "eventsPage",
    security(("cookie" = [])),
    params(("before" = Option<String>, Query, description = "Go on where an earlier page ended.", example = "01890000-0000-7000-8000-000000000002")),
    responses(
        (status = 200, description = "The page."),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/events?<before>")]
async fn events(user: Visitor<'_>, before: Option<&str>) -> AccountResult {
    let user = user?;
    // the id of the last event of the previous page; an invalid id shows the first page
    let before = before.and_then(|id| id.parse().ok());
    let page = user.accounts().events_of(user.session.account, before, PAGE_SIZE).await?;
    let view = EventsPage {
        events: page.events.iter().map(event_view).collect(),
        next: page.next.map(|id| id.to_string()),
    };
    user.page(Status::Ok, &view)
}

fn event_view(event: &Event) -> EventView {
    EventView {
        what: MessageKey::new("event", event.kind.as_str()),
        who: MessageKey::new("actor", event.actor.as_str()),
        at: event.at.unix_millis(),
        browser: event.user_agent.as_ref().and_then(UserAgent::describe),
        address: event.address.clone(),
        app: event.client_id.as_ref().map(ToString::to_string),
    }
}

/// All that is stored, as a file
#[utoipa::path(
    context_path = "/account",
    tag = tag::ACCOUNT_PAGE,
    operation_id = "exportFile",
    security(("cookie" = [])),
    responses(
        (status = 200, description = "All that is stored about the person.", body = AccountExport, headers(("Content-Disposition" = String, description = "A name for the file."))),
        (status = 303, description = "Nobody is signed in: to the sign-in."),
    ),
)]
#[get("/export")]
async fn export(
    user: Visitor<'_>,
    caller: ClientInfo,
    settings: &State<Settings>,
) -> Result<Download, PageRefusal> {
    let user = user?;
    let export = user.accounts().export(user.session.account, &caller).await;
    Ok(Download::new(settings, user.accounts(), export.map_err(no_profile)?))
}

/// A separate route: Rocket would run the GET route for HEAD, and this one downloads nothing.
#[head("/export")]
async fn export_head(
    user: Visitor<'_>,
    settings: &State<Settings>,
) -> Result<Download, PageRefusal> {
    let user = user?;
    let export = user.accounts().look_at_export(user.session.account).await;
    Ok(Download::new(settings, user.accounts(), export.map_err(no_profile)?))
}
