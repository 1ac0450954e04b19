//! The activation link of a sign-up: its page, and the same for programs.
//!
//! `GET` shows the page and never changes anything, since mail scanners open links. The button
//! sends a `POST` (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};

use crate::accounts::{
    Accounts, Activated as Outcome, ActivationError, DisavowalError, EndedSignUp, LinkStatus,
};
use crate::clock::Timestamp;
use crate::model::{ClientInfo, EmailAddress, SignUp, UserAgent};
use crate::web::fairings::link_rate_limit::LinkAttempt;
use crate::web::guards::form::PostedForm;
use crate::web::guards::json_body::JsonObject;
use crate::web::guards::link_page::LinkPage;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{ActivationBody, LinkBody};
use crate::web::responses::page::{PageProblem, PageResult};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::responses::progress::Progress;
use crate::web::views::FieldMessage;
use crate::web::views::links::{
    Activate, ActivatedPage, AddressTaken, Disavowed, LinkExpired, LinkUnknown, NewLinkSent,
};

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("activate", |rocket| async {
        rocket
            .mount("/", routes![show, press, disavow, renew])
            .mount("/v1", routes![activate_json, disavow_json])
    })
}

described!(show, press, disavow, renew, activate_json, disavow_json);

/// The page of a waiting sign-up, with errors about the password that was typed there.
fn waiting(
    link_page: &LinkPage<'_>,
    status: Status,
    token: &str,
    sign_up: &SignUp,
    errors: Vec<FieldMessage>,
) -> PageResult {
    let view = Activate {
        token,
        email: &sign_up.email.to_unicode(),
        signed_up_at: sign_up.created_at.unix_millis(),
        contested_at: sign_up.contested_at.map(Timestamp::unix_millis),
        browser: sign_up.user_agent.as_ref().and_then(UserAgent::describe),
        password_needed: sign_up.contested_at.is_some(),
        min_length: link_page.min_length(),
        errors,
    };
    link_page.page(status, &view)
}

/// The page of an active account. It shows the address only if this request activated the account.
fn activated(link_page: &LinkPage<'_>, email: Option<&EmailAddress>) -> PageResult {
    let email = email.map(EmailAddress::to_unicode);
    link_page.page(Status::Ok, &ActivatedPage { email: email.as_deref() })
}

/// The page of a sign-up that has ended.
fn ended(link_page: &LinkPage<'_>, sign_up: EndedSignUp) -> PageResult {
    match sign_up {
        EndedSignUp::AlreadyActive => activated(link_page, None),
        EndedSignUp::Disavowed => link_page.page(Status::NotFound, &Disavowed {}),
        EndedSignUp::AddressTaken => link_page.page(Status::Conflict, &AddressTaken {}),
    }
}

fn expired(link_page: &LinkPage<'_>, token: &str) -> PageResult {
    link_page.page(Status::Gone, &LinkExpired { token })
}

fn unknown(link_page: &LinkPage<'_>) -> PageResult {
    link_page.page(Status::NotFound, &LinkUnknown { of_email_change: false })
}

/// The page in the language of the sign-up.
async fn in_own_language<'r>(
    link_page: LinkPage<'r>,
    token: &str,
) -> Result<LinkPage<'r>, PageProblem> {
    let status = link_page.accounts().inspect_link(token).await?;
    Ok(link_page.of(&status, |waiting| waiting.sign_up.locale.as_ref()))
}

/// The page behind the link of a sign-up
#[utoipa::path(
    tag = tag::PAGES,
    operation_id = "activatePage",
    params(("token" = Option<String>, Query, description = "The token of the link.", example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")),
    responses(
        (status = 200, description = "A page with one button, or that the account is active already."),
        (status = 404, description = "No such link, or a sign-up that was dropped."),
        (status = 409, description = "The address has come to an account by another way."),
        (status = 410, description = "The link has expired; there is a button for another."),
    ),
    extensions(("x-problems" = json!([problem_type::RATE_LIMITED]))),
)]
#[get("/activate?<token>")]
async fn show(link_page: LinkPage<'_>, token: Option<&str>) -> PageResult {
    let token = token.unwrap_or_default();
    let status = link_page.accounts().inspect_link(token).await?;
    let link_page = link_page.of(&status, |waiting| waiting.sign_up.locale.as_ref());
    match status {
        LinkStatus::Live(record) => waiting(&link_page, Status::Ok, token, &record.sign_up, vec![]),
        LinkStatus::Ended(sign_up) => ended(&link_page, sign_up),
        LinkStatus::Expired => expired(&link_page, token),
        LinkStatus::Unknown => unknown(&link_page),
    }
}

/// Confirm the address of a sign-up
#[utoipa::path(
    tag = tag::PAGES,
    operation_id = "pressActivate",
    request_body(content = ActivationBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The account is active."),
        (status = 404, description = "No such link, or a sign-up that was dropped."),
        (status = 409, description = "A password is needed, or the address has an account by now."),
        (status = 410, description = "The link has expired."),
        (status = 422, description = "The password cannot be taken; the page says why."),
    ),
)]
#[post("/activate", data = "<form>")]
async fn press(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<ActivationBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let link_page = in_own_language(link_page, token).await?;
    let outcome = link_page.accounts().activate(token, form.get("password"), &caller).await;
    match outcome {
        Ok(Outcome::Now(email)) => activated(&link_page, Some(&email)),
        Ok(Outcome::Before) => activated(&link_page, None),
        Err(ActivationError::PasswordNeeded(sign_up)) => {
            waiting(&link_page, Status::Conflict, token, &sign_up, vec![])
        }
        Err(ActivationError::Password { sign_up, problem }) => {
            let errors = vec![FieldMessage::password("password", problem)];
            waiting(&link_page, Status::UnprocessableEntity, token, &sign_up, errors)
        }
        Err(ActivationError::Ended(sign_up)) => ended(&link_page, sign_up),
        Err(ActivationError::Expired) => expired(&link_page, token),
        Err(ActivationError::Unknown) => unknown(&link_page),
        Err(ActivationError::Failure(failure)) => Err(failure.into()),
    }
}

/// Drop a sign-up that was not one's own
#[utoipa::path(
    tag = tag::PAGES,
    operation_id = "pressDisavow",
    request_body(content = LinkBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The sign-up is gone."),
        (status = 404, description = "No such link."),
        (status = 409, description = "The account is there already."),
        (status = 410, description = "The link has expired."),
    ),
    extensions(("x-problems" = json!([problem_type::ALREADY_ACTIVE]))),
)]
#[post("/activate/disavowal", data = "<form>")]
async fn disavow(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<LinkBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let link_page = in_own_language(link_page, token).await?;
    match link_page.accounts().disavow(token, &caller).await {
        Ok(()) => link_page.page(Status::Ok, &Disavowed {}),
        Err(DisavowalError::Expired) => expired(&link_page, token),
        Err(DisavowalError::Unknown) => unknown(&link_page),
        Err(DisavowalError::AddressTaken) => ended(&link_page, EndedSignUp::AddressTaken),
        Err(error) => Err(error.into()),
    }
}

/// Ask for another link instead of an expired one
#[utoipa::path(
    tag = tag::PAGES,
    operation_id = "renewActivation",
    request_body(content = LinkBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 202, description = "If there is anything to send, it is on its way."),
    ),
)]
#[post("/activate/new-link", data = "<form>")]
async fn renew(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<LinkBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    link_page.accounts().renew_link(token, &caller).await?;
    link_page.page(Status::Accepted, &NewLinkSent { token, path: "/activate" })
}

/// Activate an account
///
/// Uses the link of a letter. Repeating the request gives the same answer.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::SIGN_UP,
    operation_id = "activate",
    request_body = ActivationBody,
    responses(
        (status = 200, description = "The account is `active`.", body = Progress),
    ),
    extensions(("x-problems" = json!([problem_type::PASSWORD_NEEDED, problem_type::ADDRESS_TAKEN, problem_type::LINK_EXPIRED, problem_type::LINK_UNKNOWN]))),
)]
#[post("/activations", data = "<body>")]
async fn activate_json(
    _try: LinkAttempt,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Json<Progress>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let token = fields.required_text("token").unwrap_or_default();
    let password = fields.text_of("password");
    fields.finish()?;
    match accounts.activate(token, password, &caller).await {
        Ok(_) => Ok(Json(Progress::ACTIVE)),
        Err(ActivationError::PasswordNeeded(_)) => Err(Problem::of(problem_type::PASSWORD_NEEDED)),
        Err(ActivationError::Password { problem, .. }) => Err(Problem::field("password", &problem)),
        Err(ActivationError::Ended(EndedSignUp::AddressTaken)) => {
            Err(Problem::of(problem_type::ADDRESS_TAKEN))
        }
        Err(ActivationError::Expired) => Err(Problem::of(problem_type::LINK_EXPIRED)),
        Err(ActivationError::Ended(_) | ActivationError::Unknown) => {
            Err(Problem::of(problem_type::LINK_UNKNOWN))
        }
        Err(ActivationError::Failure(failure)) => Err(failure.into()),
    }
}

/// Drop a sign-up
///
/// For a recipient who got a letter but did not sign up. No account is made from the sign-up.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::SIGN_UP,
    operation_id = "disavow",
    request_body = LinkBody,
    responses(
        (status = 204, description = "The sign-up is gone."),
    ),
    extensions(("x-problems" = json!([problem_type::ALREADY_ACTIVE, problem_type::ADDRESS_TAKEN, problem_type::LINK_EXPIRED, problem_type::LINK_UNKNOWN]))),
)]
#[post("/activations/disavowals", data = "<body>")]
async fn disavow_json(
    _try: LinkAttempt,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let token = fields.required_text("token").unwrap_or_default();
    fields.finish()?;
    accounts.disavow(token, &caller).await?;
    Ok(Status::NoContent)
}

impl From<DisavowalError> for Problem {
    fn from(error: DisavowalError) -> Self {
        match error {
            DisavowalError::AlreadyActive => Self::of(problem_type::ALREADY_ACTIVE),
            DisavowalError::AddressTaken => Self::of(problem_type::ADDRESS_TAKEN),
            DisavowalError::Expired => Self::of(problem_type::LINK_EXPIRED),
            DisavowalError::Unknown => Self::of(problem_type::LINK_UNKNOWN),
            DisavowalError::Store(error) => error.into(),
        }
    }
}
