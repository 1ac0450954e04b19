//! Password reset: asking for a letter, and choosing a new password by its link.
//!
//! Invited users choose their first password with the same form, under other texts.
//!
//! `GET` shows the page and never changes anything, since mail scanners open links. The button
//! sends a `POST` (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};

use crate::accounts::{Accounts, LinkStatus, ResetError, ResetLink, ResetLinkStatus};
use crate::model::{ClientInfo, EmailAddress};
use crate::web::fairings::link_rate_limit::LinkAttempt;
use crate::web::guards::form::PostedForm;
use crate::web::guards::json_body::JsonObject;
use crate::web::guards::link_page::LinkPage;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{EmailBody, LinkBody, NewPasswordBody};
use crate::web::responses::page::{PageProblem, PageResult};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::responses::progress::Progress;
use crate::web::views::FieldMessage;
use crate::web::views::links::{
    ChoosePassword, LinkUnknown, NewLinkSent, PasswordChosen, PasswordResetDone, ResetLinkExpired,
    ResetLinkUsed, ResetPassword,
};

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("password reset", |rocket| async {
        rocket
            .mount("/reset-password", routes![show, press, renew])
            .mount("/v1", routes![request, confirm])
    })
}

described!(show, press, renew, request, confirm);

/// The page for the status of a link. `errors` are about the password that was typed there.
fn of_status(
    link_page: &LinkPage<'_>,
    status: Status,
    token: &str,
    link: &ResetLinkStatus,
    errors: Vec<FieldMessage>,
) -> PageResult {
    match link {
        LinkStatus::Live(ResetLink { email, is_first, .. }) => {
            let shown = email.to_unicode();
            let (email, min_length) = (shown.as_str(), link_page.min_length());
            match is_first {
                true => {
                    let view = ChoosePassword { token, email, min_length, errors };
                    link_page.page(status, &view)
                }
                false => {
                    let view = ResetPassword { token, email, min_length, errors };
                    link_page.page(status, &view)
                }
            }
        }
        LinkStatus::Ended(()) => link_page.page(Status::Gone, &ResetLinkUsed {}),
        LinkStatus::Expired => link_page.page(Status::Gone, &ResetLinkExpired { token }),
        LinkStatus::Unknown => {
            link_page.page(Status::NotFound, &LinkUnknown { of_email_change: false })
        }
    }
}

/// The page behind the link of a forgotten password
#[utoipa::path(
    context_path = "/reset-password",
    tag = tag::PAGES,
    operation_id = "resetPasswordPage",
    params(("token" = Option<String>, Query, description = "The token of the link.", example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")),
    responses(
        (status = 200, description = "A page with a form."),
        (status = 404, description = "No such link."),
        (status = 410, description = "The link was used, or has expired."),
    ),
    extensions(("x-problems" = json!([problem_type::RATE_LIMITED]))),
)]
#[get("/?<token>")]
async fn show(link_page: LinkPage<'_>, token: Option<&str>) -> PageResult {
    let token = token.unwrap_or_default();
    let link = link_page.accounts().inspect_reset(token).await?;
    let link_page = link_page.of(&link, |link| link.locale.as_ref());
    of_status(&link_page, Status::Ok, token, &link, vec![])
}

/// Choose a new password by a link
#[utoipa::path(
    context_path = "/reset-password",
    tag = tag::PAGES,
    operation_id = "pressResetPassword",
    request_body(content = NewPasswordBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The password is changed."),
        (status = 404, description = "No such link."),
        (status = 410, description = "The link was used, or has expired."),
        (status = 422, description = "The password cannot be taken; the page says why."),
    ),
)]
#[post("/", data = "<form>")]
async fn press(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<NewPasswordBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    // looked up first, because the page after the button uses the language of the page before
    let before = link_page.accounts().inspect_reset(token).await?;
    let link_page = link_page.of(&before, |link| link.locale.as_ref());
    let typed = form.get("password").unwrap_or_default();
    let status = Status::UnprocessableEntity;
    let (link, errors) = match link_page.accounts().reset_password(token, typed, &caller).await {
        Ok(()) => {
            return match before.live().is_some_and(|link| link.is_first) {
                true => link_page.page(Status::Ok, &PasswordChosen {}),
                false => link_page.page(Status::Ok, &PasswordResetDone {}),
            };
        }
        Err(ResetError::Password(problem)) => {
            (before, vec![FieldMessage::password("password", problem)])
        }
        Err(ResetError::Used) => (LinkStatus::Ended(()), vec![]),
        Err(ResetError::Expired) => (LinkStatus::Expired, vec![]),
        Err(ResetError::Unknown) => (LinkStatus::Unknown, vec![]),
        Err(ResetError::Failure(failure)) => return Err(failure.into()),
    };
    of_status(&link_page, status, token, &link, errors)
}

/// Ask for another link instead of an expired one
#[utoipa::path(
    context_path = "/reset-password",
    tag = tag::PAGES,
    operation_id = "renewReset",
    request_body(content = LinkBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 202, description = "If there is anything to send, it is on its way."),
    ),
)]
#[post("/new-link", data = "<form>")]
async fn renew(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<LinkBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = link_page.accounts().inspect_reset(token).await?;
    link_page.accounts().renew_reset_link(token, &caller).await?;
    let link_page = link_page.of(&before, |link| link.locale.as_ref());
    link_page.page(Status::Accepted, &NewLinkSent { token, path: "/reset-password" })
}

/// Ask for a new password
///
/// Sends a letter with a link if the address has an account. The answer is the same for every
/// address.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::PASSWORDS,
    operation_id = "requestPasswordReset",
    request_body = EmailBody,
    responses(
        (status = 202, description = "If there is an account, a letter is on its way: `reset_pending`.", body = Progress),
    ),
)]
#[post("/password-resets", data = "<body>")]
async fn request(
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Progress>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let email = fields.finish_with(email)?;
    accounts.request_password_reset(&email, &caller).await?;
    // the response is the same for every address (R47)
    Ok(Custom(Status::Accepted, Json(Progress::RESET_PENDING)))
}

/// Choose a new password
///
/// Uses the link of a letter. Every session ends, and none begins.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::PASSWORDS,
    operation_id = "resetPassword",
    request_body = NewPasswordBody,
    responses(
        (status = 204, description = "The password is changed."),
    ),
    extensions(("x-problems" = json!([problem_type::LINK_USED, problem_type::LINK_EXPIRED, problem_type::LINK_UNKNOWN]))),
)]
#[post("/password-resets/confirmations", data = "<body>")]
async fn confirm(
    _try: LinkAttempt,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let token = fields.required_text("token").unwrap_or_default();
    let password = fields.required_text("password").unwrap_or_default();
    fields.finish()?;
    match accounts.reset_password(token, password, &caller).await {
        Ok(()) => Ok(Status::NoContent),
        Err(ResetError::Password(problem)) => Err(Problem::field("password", &problem)),
        Err(ResetError::Used) => Err(Problem::of(problem_type::LINK_USED)),
        Err(ResetError::Expired) => Err(Problem::of(problem_type::LINK_EXPIRED)),
        Err(ResetError::Unknown) => Err(Problem::of(problem_type::LINK_UNKNOWN)),
        Err(ResetError::Failure(failure)) => Err(failure.into()),
    }
}
