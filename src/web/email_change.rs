//! The two links of a change of address: one confirms the change, the other stops it.
//!
//! `GET` shows the page and never changes anything, since mail scanners open links. The button
//! sends a `POST` (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, post, routes};

use crate::accounts::{Accounts, EmailChangeLinkStatus, EmailLinkError};
use crate::messages::Language;
use crate::model::{AccountLinkPurpose, ClientInfo, EmailAddress, Locale, UserAgent};
use crate::web::fairings::link_rate_limit::LinkAttempt;
use crate::web::guards::form::{Form, FormError};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::LinkBody;
use crate::web::responses::page::{Page, PageProblem, PageResult, PageState, Pages};
use crate::web::responses::problem_type;
use crate::web::views::View;
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

/// Renders pages in the language of the account's owner, else of the request.
#[derive(Clone, Copy)]
struct EmailChangePages<'a> {
    pages: &'a Pages,
    language: Language,
    token: &'a str,
}

impl EmailChangePages<'_> {
    fn of(self, owner: Option<&Locale>) -> Self {
        Self { language: self.pages.language_of(owner, self.language), ..self }
    }

    fn page(self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
    }

    fn confirmed(self, email: &EmailAddress, already: bool) -> Page {
        self.page(Status::Ok, &EmailConfirmed { email: &email.to_unicode(), already })
    }

    fn stopped(self, status: Status, already: bool) -> Page {
        self.page(status, &EmailChangeStopped { already })
    }

    fn expired(self) -> Page {
        self.page(Status::Gone, &EmailChangeExpired { token: self.token })
    }

    fn taken(self, new_email: &EmailAddress) -> Page {
        self.page(Status::Conflict, &EmailChangeTaken { new_email: &new_email.to_unicode() })
    }

    /// A link that stops a change cannot be renewed, since it works until the change has ended.
    fn stop_expired(self) -> Page {
        self.page(Status::Gone, &EmailStopExpired {})
    }

    /// The page for a link that cannot be used: `ended` if the change has ended, `expired` if the
    /// link has expired.
    fn refused(self, error: EmailLinkError, ended: Page, expired: Page) -> PageResult {
        Ok(match error {
            EmailLinkError::Ended => ended,
            EmailLinkError::AddressTaken(new_email) => self.taken(&new_email),
            EmailLinkError::Expired => expired,
            EmailLinkError::Unknown => {
                self.page(Status::NotFound, &LinkUnknown { of_email_change: true })
            }
            EmailLinkError::Store(error) => return Err(error.into()),
        })
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
async fn show(
    _try: LinkAttempt,
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let link_status = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    let link_pages = EmailChangePages { pages, language, token }.of(link_status.locale());
    Ok(match link_status {
        EmailChangeLinkStatus::Pending { new_email, present, requested_at, user_agent, .. } => {
            let view = ConfirmEmail {
                token,
                new_email: &new_email.to_unicode(),
                present,
                requested_at: requested_at.unix_millis(),
                browser: user_agent.as_ref().and_then(UserAgent::describe),
            };
            link_pages.page(Status::Ok, &view)
        }
        EmailChangeLinkStatus::Confirmed { email } => link_pages.confirmed(&email, true),
        EmailChangeLinkStatus::Stopped => link_pages.stopped(Status::Gone, true),
        EmailChangeLinkStatus::AddressTaken { new_email, .. } => link_pages.taken(&new_email),
        EmailChangeLinkStatus::Expired => link_pages.expired(),
        EmailChangeLinkStatus::Unknown => {
            link_pages.page(Status::NotFound, &LinkUnknown { of_email_change: true })
        }
    })
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    // looked up first, because the page after the button uses the language of the page before
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    let link_pages = EmailChangePages { pages, language, token }.of(before.locale());
    match accounts.confirm_email_change(token, &caller).await {
        Ok(done) => Ok(link_pages.confirmed(&done.email, done.already)),
        Err(error) => {
            link_pages.refused(error, link_pages.stopped(Status::Gone, true), link_pages.expired())
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
async fn show_stop(
    _try: LinkAttempt,
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChangeStop;
    let link_status = accounts.inspect_email_change(token, purpose).await?;
    let link_pages = EmailChangePages { pages, language, token }.of(link_status.locale());
    Ok(match link_status {
        EmailChangeLinkStatus::Pending { new_email, requested_at, user_agent, .. } => {
            let view = StopEmailChange {
                token,
                new_email: &new_email.to_unicode(),
                requested_at: requested_at.unix_millis(),
                browser: user_agent.as_ref().and_then(UserAgent::describe),
            };
            link_pages.page(Status::Ok, &view)
        }
        EmailChangeLinkStatus::Confirmed { .. } => {
            link_pages.page(Status::Gone, &EmailChangeTooLate {})
        }
        EmailChangeLinkStatus::Stopped => link_pages.stopped(Status::Ok, true),
        EmailChangeLinkStatus::AddressTaken { new_email, .. } => link_pages.taken(&new_email),
        EmailChangeLinkStatus::Expired => link_pages.stop_expired(),
        EmailChangeLinkStatus::Unknown => {
            link_pages.page(Status::NotFound, &LinkUnknown { of_email_change: true })
        }
    })
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChangeStop).await?;
    let link_pages = EmailChangePages { pages, language, token }.of(before.locale());
    match accounts.stop_email_change(token, &caller).await {
        Ok(done) => Ok(link_pages.stopped(Status::Ok, done.already)),
        Err(error) => {
            let too_late = link_pages.page(Status::Gone, &EmailChangeTooLate {});
            link_pages.refused(error, too_late, link_pages.stop_expired())
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    accounts.renew_email_link(token, &caller).await?;
    let link_pages = EmailChangePages { pages, language, token }.of(before.locale());
    Ok(link_pages.page(Status::Accepted, &NewLinkSent { token, path: "/confirm-email" }))
}
