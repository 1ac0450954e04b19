//! `/v1/me/events` and `/v1/me/export`: the events of an account, and the export of all stored
//! data.

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::serde::json::Json;
use rocket::{State, get, head, routes};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{Accounts, EventPage};
use crate::config::Settings;
use crate::model::{ClientInfo, Event, EventId};
use crate::web::guards::bearer::{Bearer, RequiredScope};
use crate::web::openapi::document::{described, tag};
use crate::web::responses::download::{AccountExport, Download, SCHEMA};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// The number of events in one answer.
const PAGE_SIZE: i64 = 100;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("history", |rocket| async {
        rocket
            .mount("/v1/me", routes![events, export, export_head])
            .mount("/schemas", routes![schema])
    })
}

described!(events, export, schema);

struct ReadHistory;

impl RequiredScope for ReadHistory {
    const SCOPE: &'static str = "account.read";
}

#[derive(Serialize, ToSchema)]
struct Events {
    /// The latest event comes first.
    events: Vec<Event>,
    /// The value of `before` for the next request, if there are more events.
    #[schema(value_type = Option<String>, required = true, format = "uuid")]
    next: Option<EventId>,
}

/// What happened to the account
///
/// One answer holds up to a hundred events, the latest first.
#[utoipa::path(
    context_path = "/v1/me",
    tag = tag::ACCOUNT,
    operation_id = "listEvents",
    security(("bearer" = ["account.read"])),
    params(("before" = Option<String>, Query, description = "Go on where an earlier answer ended: its `next`.", example = "01890000-0000-7000-8000-000000000002")),
    responses(
        (status = 200, description = "The events.", body = Events),
    ),
    extensions(("x-problems" = json!([problem_type::INVALID_FIELDS]))),
)]
#[get("/events?<before>")]
async fn events(
    bearer: Bearer<ReadHistory>,
    before: Option<&str>,
    accounts: &State<Accounts>,
) -> Result<Json<Events>, Problem> {
    let wrong =
        |_| Problem::field_error("before", "malformed", "is the id of an event, as `next` says it");
    let before = before.map(str::parse).transpose().map_err(wrong)?;
    let EventPage { events, next } =
        accounts.events_of(bearer.account(), before, PAGE_SIZE).await?;
    Ok(Json(Events { events, next }))
}

/// Take along all that is stored
///
/// One document, as a file to keep. It names its JSON schema.
#[utoipa::path(
    context_path = "/v1/me",
    tag = tag::ACCOUNT,
    operation_id = "exportAccount",
    security(("bearer" = ["account.read"])),
    responses(
        (status = 200, description = "All that is stored about the person.", body = AccountExport, headers(("Content-Disposition" = String, description = "A name for the file."))),
    ),
)]
#[get("/export")]
async fn export(
    bearer: Bearer<ReadHistory>,
    caller: ClientInfo,
    accounts: &State<Accounts>,
    settings: &State<Settings>,
) -> Result<Download, Problem> {
    let export = accounts.export(bearer.account(), &caller).await?;
    Ok(Download::new(settings, accounts, export))
}

/// A separate route: Rocket would run the GET route for HEAD, and this one downloads nothing.
#[head("/export")]
async fn export_head(
    bearer: Bearer<ReadHistory>,
    accounts: &State<Accounts>,
    settings: &State<Settings>,
) -> Result<Download, Problem> {
    let export = accounts.look_at_export(bearer.account()).await?;
    Ok(Download::new(settings, accounts, export))
}

/// The form of an export, as a JSON schema
#[utoipa::path(
    context_path = "/schemas",
    tag = tag::OPERATIONS,
    operation_id = "accountExportSchema",
    responses(
        (status = 200, description = "A JSON schema of 2020-12.", body = serde_json::Value, content_type = "application/schema+json"),
    ),
)]
#[get("/account-export.json")]
fn schema() -> (ContentType, &'static str) {
    (ContentType::new("application", "schema+json"), SCHEMA)
}
