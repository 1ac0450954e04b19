//! The links of a change of address: the one that confirms it, and the one that stops it.
//!
//! `GET` shows and never changes anything: mail scanners open links. The button does it (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, post, routes};

use super::edge::form::{Form, FormError};
use super::edge::pages::{Page, PageProblem, PageResult, PageState, Pages};
use super::edge::views::{
    AddressTaken, ConfirmEmail, EmailChangeExpired, EmailChangeStopped, EmailChangeTooLate,
    EmailConfirmed, LinkUnknown, NewLinkSent, StopEmailChange, View,
};
use crate::accounts::{Accounts, EmailChangeStanding, EmailLinkError};
use crate::messages::Language;
use crate::model::{AccountLinkPurpose, Caller, Locale};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("email change", |rocket| async {
        rocket.mount("/confirm-email", routes![show, confirm, show_stop, stop, renew])
    })
}

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

    fn confirmed(self, email: &str, already: bool) -> Page {
        self.page(Status::Ok, &EmailConfirmed { email, already })
    }

    fn stopped(self, status: Status, already: bool) -> Page {
        self.page(status, &EmailChangeStopped { already })
    }

    fn expired(self) -> Page {
        self.page(Status::Gone, &EmailChangeExpired { token: self.token })
    }

    /// What has ended differently than the link would have it: `ended` is the page for that.
    fn refused(self, error: EmailLinkError, ended: Page) -> PageResult {
        Ok(match error {
            EmailLinkError::Ended => ended,
            EmailLinkError::AddressTaken => self.page(Status::Conflict, &AddressTaken {}),
            EmailLinkError::Expired => self.expired(),
            EmailLinkError::Unknown => self.page(Status::NotFound, &LinkUnknown {}),
            EmailLinkError::Store(error) => return Err(error.into()),
        })
    }
}

#[get("/?<token>")]
async fn show(
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let answers = Answers { pages, language, token };
    let purpose = AccountLinkPurpose::EmailChange;
    Ok(match accounts.inspect_email_change(token, purpose).await? {
        EmailChangeStanding::Pending { new_email, locale } => answers
            .of(locale.as_ref())
            .page(Status::Ok, &ConfirmEmail { token, new_email: new_email.as_str() }),
        EmailChangeStanding::Confirmed { email } => answers.confirmed(email.as_str(), true),
        EmailChangeStanding::Stopped => answers.stopped(Status::Gone, true),
        EmailChangeStanding::AddressTaken => answers.page(Status::Conflict, &AddressTaken {}),
        EmailChangeStanding::Expired => answers.expired(),
        EmailChangeStanding::Unknown => answers.page(Status::NotFound, &LinkUnknown {}),
    })
}

#[post("/", data = "<form>")]
async fn confirm(
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let answers = Answers { pages, language, token };
    match accounts.confirm_email_change(token, &caller).await {
        Ok(done) => {
            let answers = answers.of(done.locale.as_ref());
            Ok(answers.confirmed(done.email.as_str(), done.already))
        }
        Err(error) => answers.refused(error, answers.stopped(Status::Gone, true)),
    }
}

#[get("/stop?<token>")]
async fn show_stop(
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let token = token.unwrap_or_default();
    let answers = Answers { pages, language, token };
    let purpose = AccountLinkPurpose::EmailChangeStop;
    Ok(match accounts.inspect_email_change(token, purpose).await? {
        EmailChangeStanding::Pending { new_email, locale } => answers
            .of(locale.as_ref())
            .page(Status::Ok, &StopEmailChange { token, new_email: new_email.as_str() }),
        EmailChangeStanding::Confirmed { .. } => answers.page(Status::Gone, &EmailChangeTooLate {}),
        EmailChangeStanding::Stopped => answers.stopped(Status::Ok, true),
        // somebody else has the address, so the change cannot take effect anyway
        EmailChangeStanding::AddressTaken => answers.page(Status::Conflict, &AddressTaken {}),
        EmailChangeStanding::Expired => answers.expired(),
        EmailChangeStanding::Unknown => answers.page(Status::NotFound, &LinkUnknown {}),
    })
}

#[post("/stop", data = "<form>")]
async fn stop(
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let answers = Answers { pages, language, token };
    match accounts.stop_email_change(token, &caller).await {
        Ok(done) => {
            let answers = answers.of(done.locale.as_ref());
            Ok(answers.stopped(Status::Ok, done.already))
        }
        Err(error) => answers.refused(error, answers.page(Status::Gone, &EmailChangeTooLate {})),
    }
}

#[post("/new-link", data = "<form>")]
async fn renew(
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    accounts.renew_email_link(form.get("token").unwrap_or_default()).await?;
    Ok(pages.page(language, Status::Accepted, &NewLinkSent {}))
}
