//! The links of a change of address: the one that confirms it, and the one that stops it.
//!
//! `GET` shows and never changes anything: mail scanners open links. The button does it (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, post, routes};

use super::edge::bodies::LinkBody;
use super::edge::contract::{described, tag};
use super::edge::form::{Form, FormError};
use super::edge::link_tries::LinkTry;
use super::edge::pages::{Page, PageProblem, PageResult, PageState, Pages};
use super::edge::slug;
use super::edge::views::{
    ConfirmEmail, EmailChangeExpired, EmailChangeStopped, EmailChangeTaken, EmailChangeTooLate,
    EmailConfirmed, EmailStopExpired, LinkUnknown, NewLinkSent, StopEmailChange, View,
};
use crate::accounts::{Accounts, EmailChangeStanding, EmailLinkError};
use crate::messages::Language;
use crate::model::{AccountLinkPurpose, Caller, EmailAddress, Locale, UserAgent};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("email change", |rocket| async {
        rocket.mount("/confirm-email", routes![show, confirm, show_stop, stop, renew])
    })
}

described!(show, confirm, show_stop, stop, renew);

/// Pages in the language of the account's owner, else of the request.
#[derive(Clone, Copy)]
struct Answers<'a> {
    pages: &'a Pages,
    language: Language,
    token: &'a str,
}

impl Answers<'_> {
    fn of(self, owner: Option<&Locale>) -> Self {
        Self { language: self.pages.language_of(owner, self.language), ..self }
    }

    fn page(self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
    }

    fn confirmed(self, email: &EmailAddress, already: bool) -> Page {
        self.page(Status::Ok, &EmailConfirmed { email: &email.shown(), already })
    }

    fn stopped(self, status: Status, already: bool) -> Page {
        self.page(status, &EmailChangeStopped { already })
    }

    fn expired(self) -> Page {
        self.page(Status::Gone, &EmailChangeExpired { token: self.token })
    }

    fn taken(self, new_email: &EmailAddress) -> Page {
        self.page(Status::Conflict, &EmailChangeTaken { new_email: &new_email.shown() })
    }

    /// A link that stops a change is not renewed: it works until the change is over.
    fn stop_expired(self) -> Page {
        self.page(Status::Gone, &EmailStopExpired {})
    }

    /// What has ended differently than the link would have it: `ended` is the page for that, and
    /// `expired` the one for a link that is too old.
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
    extensions(("x-problems" = json!([slug::RATE_LIMITED]))),
)]
#[get("/?<token>")]
async fn show(
    _try: LinkTry,
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let standing = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    let answers = Answers { pages, language, token }.of(standing.locale());
    Ok(match standing {
        EmailChangeStanding::Pending { new_email, present, requested_at, user_agent, .. } => {
            let view = ConfirmEmail {
                token,
                new_email: &new_email.shown(),
                present,
                requested_at: requested_at.unix_millis(),
                browser: user_agent.as_ref().and_then(UserAgent::describe),
            };
            answers.page(Status::Ok, &view)
        }
        EmailChangeStanding::Confirmed { email } => answers.confirmed(&email, true),
        EmailChangeStanding::Stopped => answers.stopped(Status::Gone, true),
        EmailChangeStanding::AddressTaken { new_email, .. } => answers.taken(&new_email),
        EmailChangeStanding::Expired => answers.expired(),
        EmailChangeStanding::Unknown => {
            answers.page(Status::NotFound, &LinkUnknown { of_email_change: true })
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
    _try: LinkTry,
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    // looked at first, because what comes after a button is said in the language of its page
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    let answers = Answers { pages, language, token }.of(before.locale());
    match accounts.confirm_email_change(token, &caller).await {
        Ok(done) => Ok(answers.confirmed(&done.email, done.already)),
        Err(error) => {
            answers.refused(error, answers.stopped(Status::Gone, true), answers.expired())
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
    extensions(("x-problems" = json!([slug::RATE_LIMITED]))),
)]
#[get("/stop?<token>")]
async fn show_stop(
    _try: LinkTry,
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let purpose = AccountLinkPurpose::EmailChangeStop;
    let standing = accounts.inspect_email_change(token, purpose).await?;
    let answers = Answers { pages, language, token }.of(standing.locale());
    Ok(match standing {
        EmailChangeStanding::Pending { new_email, requested_at, user_agent, .. } => {
            let view = StopEmailChange {
                token,
                new_email: &new_email.shown(),
                requested_at: requested_at.unix_millis(),
                browser: user_agent.as_ref().and_then(UserAgent::describe),
            };
            answers.page(Status::Ok, &view)
        }
        EmailChangeStanding::Confirmed { .. } => answers.page(Status::Gone, &EmailChangeTooLate {}),
        EmailChangeStanding::Stopped => answers.stopped(Status::Ok, true),
        EmailChangeStanding::AddressTaken { new_email, .. } => answers.taken(&new_email),
        EmailChangeStanding::Expired => answers.stop_expired(),
        EmailChangeStanding::Unknown => {
            answers.page(Status::NotFound, &LinkUnknown { of_email_change: true })
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
    _try: LinkTry,
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChangeStop).await?;
    let answers = Answers { pages, language, token }.of(before.locale());
    match accounts.stop_email_change(token, &caller).await {
        Ok(done) => Ok(answers.stopped(Status::Ok, done.already)),
        Err(error) => {
            let too_late = answers.page(Status::Gone, &EmailChangeTooLate {});
            answers.refused(error, too_late, answers.stop_expired())
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
    _try: LinkTry,
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = accounts.inspect_email_change(token, AccountLinkPurpose::EmailChange).await?;
    accounts.renew_email_link(token, &caller).await?;
    let answers = Answers { pages, language, token }.of(before.locale());
    Ok(answers.page(Status::Accepted, &NewLinkSent { token, path: "/confirm-email" }))
}
