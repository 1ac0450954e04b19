//! `/v1/me/events` and `/v1/me/export`: what happened to an account, and all that is stored of it.

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::serde::json::Json;
use rocket::{State, get, head, routes};
use serde::Serialize;

use super::edge::bearer::{Bearer, Need};
use super::edge::export::Download;
use super::edge::problem::Problem;
use crate::accounts::{Accounts, EventPage};
use crate::config::Settings;
use crate::model::{Caller, Event, EventId};

/// Events in one answer, at most and by default.
const PAGE: i64 = 100;

/// The form of an export (JSON Schema 2020-12).
const SCHEMA: &str = include_str!("../../schemas/account-export.json");

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("history", |rocket| async {
        rocket
            .mount("/v1/me", routes![events, export, export_head])
            .mount("/schemas", routes![schema])
    })
}

struct ReadHistory;

impl Need for ReadHistory {
    const SCOPE: &'static str = "account.read";
}

#[derive(Serialize)]
struct Events {
    /// The latest first.
    events: Vec<Event>,
    /// Where to go on, as `before`, if there is more.
    next: Option<EventId>,
}

#[get("/events?<before>")]
async fn events(
    bearer: Bearer<ReadHistory>,
    before: Option<&str>,
    accounts: &State<Accounts>,
) -> Result<Json<Events>, Problem> {
    let wrong =
        |_| Problem::field_error("before", "malformed", "is the id of an event, as `next` says it");
    let before = before.map(str::parse).transpose().map_err(wrong)?;
    let EventPage { events, next } = accounts.events_of(bearer.account(), before, PAGE).await?;
    Ok(Json(Events { events, next }))
}

#[get("/export")]
async fn export(
    bearer: Bearer<ReadHistory>,
    caller: Caller,
    accounts: &State<Accounts>,
    settings: &State<Settings>,
) -> Result<Download, Problem> {
    let export = accounts.export(bearer.account(), &caller).await?;
    Ok(Download::new(settings, export))
}

/// A route of its own, since Rocket would run the one for GET, and nothing is downloaded here.
#[head("/export")]
async fn export_head(
    bearer: Bearer<ReadHistory>,
    accounts: &State<Accounts>,
    settings: &State<Settings>,
) -> Result<Download, Problem> {
    let export = accounts.look_at_export(bearer.account()).await?;
    Ok(Download::new(settings, export))
}

#[get("/account-export.json")]
fn schema() -> (ContentType, &'static str) {
    (ContentType::new("application", "schema+json"), SCHEMA)
}
