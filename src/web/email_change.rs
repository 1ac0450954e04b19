//! The two links of a change of address: one confirms the change, the other stops it.
//!
//! `GET` shows the page and never changes anything, since mail scanners open links. The button
//! sends a `POST` (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, post, routes};

use crate::accounts::{EmailChangeLinkStatus, EmailLinkError, EndedChange, LinkStatus};
use crate::model::{AccountLinkPurpose, ClientInfo, EmailAddress, UserAgent};
use crate::web::guards::form::PostedForm;
use crate::web::guards::link_page::LinkPage;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::LinkBody;
use crate::web::responses::page::{PageProblem, PageResult};
use crate::web::responses::problem_type;
use crate::web::views::links::{
    ConfirmEmail, EmailChangeExpired, EmailChangeStopped, EmailChangeTaken, EmailChangeTooLate,
    EmailConfirmed, EmailStopExpired, LinkUnknown, NewLinkSent, StopEmailChange,
};

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("email change", |rocket| async {
        rocket.mount("/confirm-email", routes![show, confirm, show_stop, stop, renew])
    })
}

described!(show, confirm, show_stop, stop, renew);

fn confirmed(link_page: &LinkPage<'_>, email: &EmailAddress, already: bool) -> PageResult {
    link_page.page(Status::Ok, &EmailConfirmed { email: &email.to_unicode(), already })
}

fn stopped(link_page: &LinkPage<'_>, status: Status, already: bool) -> PageResult {
    link_page.page(status, &EmailChangeStopped { already })
}

fn taken(link_page: &LinkPage<'_>, new_email: &EmailAddress) -> PageResult {
    link_page.page(Status::Conflict, &EmailChangeTaken { new_email: &new_email.to_unicode() })
}

fn unknown(link_page: &LinkPage<'_>) -> PageResult {
    link_page.page(Status::NotFound, &LinkUnknown { of_email_change: true })
}

/// A link that stops a change cannot be renewed, since it works until the change has ended.
fn expired(link_page: &LinkPage<'_>, purpose: AccountLinkPurpose, token: &str) -> PageResult {
    match purpose {
        AccountLinkPurpose::EmailChangeStop => link_page.page(Status::Gone, &EmailStopExpired {}),
        _ => link_page.page(Status::Gone, &EmailChangeExpired { token }),
    }
}

/// The status of a link, and its page in the language of the account's owner.
async fn inspect<'r>(
    link_page: LinkPage<'r>,
    token: &str,
    purpose: AccountLinkPurpose,
) -> Result<(LinkPage<'r>, EmailChangeLinkStatus), PageProblem> {
    let status = link_page.accounts().inspect_email_change(token, purpose).await?;
    Ok((link_page.of(&status, |change| change.locale.as_ref()), status))
}

/// The page for a link that cannot be used: `ended` if the change has ended.
fn refused(
    link_page: &LinkPage<'_>,
    (purpose, token): (AccountLinkPurpose, &str),
    error: EmailLinkError,
    ended: PageResult,
) -> PageResult {
    match error {
        EmailLinkError::Ended => ended,
        EmailLinkError::AddressTaken(new_email) => taken(link_page, &new_email),
        EmailLinkError::Expired => expired(link_page, purpose, token),
        EmailLinkError::Unknown => unknown(link_page),
        EmailLinkError::Store(error) => Err(error.into()),
    }
}

/// The page behind the link that confirms a new address
#[utoipa::path(
    context_path = "/confirm-email",
    tag = tag::PAGES,
    operation_id = "confirmEmailPage",
    params(("token" = Option<String>, Query, description = "The token of the link.", example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")),
    responses(
        (status = 200, description = "A page with one button, or that it is confirmed already."),
        (status = 404, description = "No such link."),
        (status = 409, description = "The address has come to another account."),
        (status = 410, description = "The change was stopped, or the link has expired."),
    ),
    extensions(("x-problems" = json!([problem_type::RATE_LIMITED]))),
)]
#[get("/?<token>")]
async fn show(link_page: LinkPage<'_>, token: Option<&str>) -> PageResult {
    let token = token.unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChange;
    let (link_page, status) = inspect(link_page, token, purpose).await?;
    match status {
        LinkStatus::Live(change) if change.is_taken => taken(&link_page, &change.new_email),
        LinkStatus::Live(change) => {
            let view = ConfirmEmail {
                token,
                new_email: &change.new_email.to_unicode(),
                present: change.present,
                requested_at: change.requested_at.unix_millis(),
                browser: change.user_agent.as_ref().and_then(UserAgent::describe),
            };
            link_page.page(Status::Ok, &view)
        }
        LinkStatus::Ended(EndedChange::Confirmed(email)) => confirmed(&link_page, &email, true),
        LinkStatus::Ended(EndedChange::Stopped) => stopped(&link_page, Status::Gone, true),
        LinkStatus::Expired => expired(&link_page, purpose, token),
        LinkStatus::Unknown => unknown(&link_page),
    }
}

/// Confirm a new address
#[utoipa::path(
    context_path = "/confirm-email",
    tag = tag::PAGES,
    operation_id = "pressConfirmEmail",
    request_body(content = LinkBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The new address counts."),
        (status = 404, description = "No such link."),
        (status = 409, description = "The address has come to another account."),
        (status = 410, description = "The change was stopped, or the link has expired."),
    ),
)]
#[post("/", data = "<form>")]
async fn confirm(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<LinkBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChange;
    // looked up first, because the page after the button uses the language of the page before
    let (link_page, _) = inspect(link_page, token, purpose).await?;
    match link_page.accounts().confirm_email_change(token, &caller).await {
        Ok(done) => confirmed(&link_page, &done.email, done.already),
        Err(error) => {
            let ended = stopped(&link_page, Status::Gone, true);
            refused(&link_page, (purpose, token), error, ended)
        }
    }
}

/// The page behind the link that stops a change of address
#[utoipa::path(
    context_path = "/confirm-email",
    tag = tag::PAGES,
    operation_id = "stopEmailChangePage",
    params(("token" = Option<String>, Query, description = "The token of the link.", example = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M")),
    responses(
        (status = 200, description = "A page with one button, or that it is stopped already."),
        (status = 404, description = "No such link."),
        (status = 409, description = "The address has come to another account."),
        (status = 410, description = "Too late, or the link has expired."),
    ),
    extensions(("x-problems" = json!([problem_type::RATE_LIMITED]))),
)]
#[get("/stop?<token>")]
async fn show_stop(link_page: LinkPage<'_>, token: Option<&str>) -> PageResult {
    let token = token.unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChangeStop;
    let (link_page, status) = inspect(link_page, token, purpose).await?;
    match status {
        LinkStatus::Live(change) => {
            let view = StopEmailChange {
                token,
                new_email: &change.new_email.to_unicode(),
                requested_at: change.requested_at.unix_millis(),
                browser: change.user_agent.as_ref().and_then(UserAgent::describe),
            };
            link_page.page(Status::Ok, &view)
        }
        LinkStatus::Ended(EndedChange::Confirmed(_)) => {
            link_page.page(Status::Gone, &EmailChangeTooLate {})
        }
        LinkStatus::Ended(EndedChange::Stopped) => stopped(&link_page, Status::Ok, true),
        LinkStatus::Expired => expired(&link_page, purpose, token),
        LinkStatus::Unknown => unknown(&link_page),
    }
}

/// Stop a change of address
#[utoipa::path(
    context_path = "/confirm-email",
    tag = tag::PAGES,
    operation_id = "pressStopEmailChange",
    request_body(content = LinkBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The change is stopped."),
        (status = 404, description = "No such link."),
        (status = 409, description = "The address has come to another account."),
        (status = 410, description = "Too late, or the link has expired."),
    ),
)]
#[post("/stop", data = "<form>")]
async fn stop(
    link_page: LinkPage<'_>,
    caller: ClientInfo,
    form: PostedForm<LinkBody>,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChangeStop;
    let (link_page, _) = inspect(link_page, token, purpose).await?;
    match link_page.accounts().stop_email_change(token, &caller).await {
        Ok(done) => stopped(&link_page, Status::Ok, done.already),
        Err(error) => {
            let ended = link_page.page(Status::Gone, &EmailChangeTooLate {});
            refused(&link_page, (purpose, token), error, ended)
        }
    }
}

/// Ask for another link instead of an expired one
#[utoipa::path(
    context_path = "/confirm-email",
    tag = tag::PAGES,
    operation_id = "renewEmailLink",
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
    let (link_page, _) = inspect(link_page, token, AccountLinkPurpose::EmailChange).await?;
    link_page.accounts().renew_email_link(token, &caller).await?;
    link_page.page(Status::Accepted, &NewLinkSent { token, path: "/confirm-email" })
}
