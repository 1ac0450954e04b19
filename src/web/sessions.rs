//! `/v1/me/sessions`: lists the sessions of an account, and ends them.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, delete, get, routes};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Accounts;
use crate::model::{Actor, ClientInfo, SessionId, SessionSummary};
use crate::oauth::{OAuth, SessionPage};
use crate::web::guards::bearer::{Bearer, RequiredScope};
use crate::web::openapi::document::{described, tag};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("sessions", |rocket| async {
        rocket.mount("/v1/me", routes![list, end_one, end_all])
    })
}

described!(list, end_one, end_all);

struct ReadSessions;

impl RequiredScope for ReadSessions {
    const SCOPE: &'static str = "account.read";
}

struct EndSessions;

impl RequiredScope for EndSessions {
    const SCOPE: &'static str = "account.write";
}

#[derive(Serialize, ToSchema)]
struct Sessions {
    /// The session with the latest sign-in comes first.
    sessions: Vec<Listed>,
    /// The value of `before` for the next request, if there are more sessions.
    #[schema(value_type = Option<String>, required = true, format = "uuid")]
    next: Option<SessionId>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ListedSession)]
struct Listed {
    #[serde(flatten)]
    session: SessionSummary,
    /// Whether the token of this request belongs to the session.
    current: bool,
}

/// List where one is signed in
///
/// One answer holds up to a hundred sessions, the latest sign-in first.
#[utoipa::path(
    context_path = "/v1/me",
    tag = tag::ACCOUNT,
    operation_id = "listSessions",
    security(("bearer" = ["account.read"])),
    params(("before" = Option<String>, Query, description = "Go on where an earlier answer ended: its `next`.", example = "01890000-0000-7000-8000-000000000002")),
    responses(
        (status = 200, description = "The sessions.", body = Sessions),
    ),
    extensions(("x-problems" = json!([problem_type::INVALID_FIELDS]))),
)]
#[get("/sessions?<before>")]
async fn list(
    bearer: Bearer<ReadSessions>,
    before: Option<&str>,
    oauth: &State<OAuth>,
) -> Result<Json<Sessions>, Problem> {
    let wrong = |_| {
        Problem::field_error("before", "malformed", "is the id of a session, as `next` says it")
    };
    let before = before.map(str::parse).transpose().map_err(wrong)?;
    let SessionPage { sessions, next } = oauth.sessions_of(bearer.account(), before).await?;
    let listed = |session: SessionSummary| {
        let current = session.id == bearer.session();
        Listed { session, current }
    };
    Ok(Json(Sessions { sessions: sessions.into_iter().map(listed).collect(), next }))
}

/// Sign out there
#[utoipa::path(
    context_path = "/v1/me",
    tag = tag::ACCOUNT,
    operation_id = "endSession",
    security(("bearer" = ["account.write"])),
    params(("id" = String, Path, description = "The id of the session.", example = "01890000-0000-7000-8000-000000000002")),
    responses(
        (status = 204, description = "The session has ended."),
    ),
    extensions(("x-problems" = json!([problem_type::NOT_FOUND]))),
)]
#[delete("/sessions/<id>")]
async fn end_one(
    bearer: Bearer<EndSessions>,
    caller: ClientInfo,
    id: &str,
    oauth: &State<OAuth>,
) -> Result<Status, Problem> {
    let not_found = || Problem::of(problem_type::NOT_FOUND).detail("You have no such session.");
    let id = id.parse().map_err(|_| not_found())?;
    match oauth.end_session(bearer.account(), id, &caller).await? {
        true => Ok(Status::NoContent),
        false => Err(not_found()),
    }
}

/// Sign out everywhere
///
/// Every session ends, including the session of this request's token.
#[utoipa::path(
    context_path = "/v1/me",
    tag = tag::ACCOUNT,
    operation_id = "endSessions",
    security(("bearer" = ["account.write"])),
    responses(
        (status = 204, description = "Every session has ended."),
    ),
)]
#[delete("/sessions")]
async fn end_all(
    bearer: Bearer<EndSessions>,
    caller: ClientInfo,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    accounts.end_sessions(bearer.account(), Actor::Owner, &caller).await?;
    Ok(Status::NoContent)
}
