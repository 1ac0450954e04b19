//! Forgotten passwords: asking for a letter, and choosing a new password by its link. And the first
//! password of those who were invited: it is the same form, in other words.
//!
//! `GET` shows and never changes anything: mail scanners open links. The button does it (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};
use serde_json::{Value, json};

use super::edge::form::{Form, FormError};
use super::edge::json::JsonObject;
use super::edge::pages::{Page, PageProblem, PageResult, PageState, Pages};
use super::edge::problem::Problem;
use super::edge::slug;
use super::edge::views::{
    ChoosePassword, FieldMessage, LinkUnknown, NewLinkSent, PasswordChosen, PasswordResetDone,
    ResetLinkExpired, ResetLinkUsed, ResetPassword, View,
};
use crate::accounts::{Accounts, ResetError, ResetStanding};
use crate::messages::Language;
use crate::model::{Caller, EmailAddress};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("password reset", |rocket| async {
        rocket
            .mount("/reset-password", routes![show, press, renew])
            .mount("/v1", routes![request, confirm])
    })
}

/// Pages in the language of the account's owner, else of the request.
#[derive(Clone, Copy)]
struct Answers<'a> {
    pages: &'a Pages,
    accounts: &'a Accounts,
    language: Language,
    token: &'a str,
}

impl Answers<'_> {
    fn of(self, standing: &ResetStanding) -> Self {
        Self { language: self.pages.language_of(standing.locale(), self.language), ..self }
    }

    /// What stands behind the link; `errors` are of the password that was typed there.
    fn standing(self, status: Status, standing: &ResetStanding, errors: Vec<FieldMessage>) -> Page {
        match standing {
            ResetStanding::Live { email, is_first, .. } => {
                let (token, email) = (self.token, email.as_str());
                let min_length = self.accounts.policy.min_length();
                match is_first {
                    true => self.page(status, &ChoosePassword { token, email, min_length, errors }),
                    false => self.page(status, &ResetPassword { token, email, min_length, errors }),
                }
            }
            ResetStanding::Used { .. } => self.page(Status::Gone, &ResetLinkUsed {}),
            ResetStanding::Expired { .. } => {
                self.page(Status::Gone, &ResetLinkExpired { token: self.token })
            }
            ResetStanding::Unknown => self.page(Status::NotFound, &LinkUnknown {}),
        }
    }

    fn page(self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
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
    let standing = accounts.inspect_reset(token).await?;
    let answers = Answers { pages, accounts, language, token }.of(&standing);
    Ok(answers.standing(Status::Ok, &standing, vec![]))
}

#[post("/", data = "<form>")]
async fn press(
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    // looked at first, because what comes after a button is said in the language of its page
    let before = accounts.inspect_reset(token).await?;
    let answers = Answers { pages, accounts, language, token }.of(&before);
    let typed = form.get("password").unwrap_or_default();
    Ok(match accounts.reset_password(token, typed, &caller).await {
        Ok(()) if matches!(before, ResetStanding::Live { is_first: true, .. }) => {
            answers.page(Status::Ok, &PasswordChosen {})
        }
        Ok(()) => answers.page(Status::Ok, &PasswordResetDone {}),
        Err(ResetError::Password(problem)) => {
            let errors = vec![FieldMessage::password("password", problem)];
            answers.standing(Status::UnprocessableEntity, &before, errors)
        }
        Err(ResetError::Used) => answers.page(Status::Gone, &ResetLinkUsed {}),
        Err(ResetError::Expired) => answers.page(Status::Gone, &ResetLinkExpired { token }),
        Err(ResetError::Unknown) => answers.page(Status::NotFound, &LinkUnknown {}),
        Err(ResetError::Failure(failure)) => return Err(failure.into()),
    })
}

#[post("/new-link", data = "<form>")]
async fn renew(
    caller: Caller,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let before = accounts.inspect_reset(token).await?;
    accounts.renew_reset_link(token, &caller).await?;
    let answers = Answers { pages, accounts, language, token }.of(&before);
    Ok(answers.page(Status::Accepted, &NewLinkSent {}))
}

#[post("/password-resets", data = "<body>")]
async fn request(
    caller: Caller,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Value>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let email = fields.finish_with(email)?;
    accounts.request_password_reset(&email, &caller).await?;
    // the same whoever the address belongs to (R47)
    Ok(Custom(Status::Accepted, Json(json!({ "status": "reset_pending" }))))
}

#[post("/password-resets/confirmations", data = "<body>")]
async fn confirm(
    caller: Caller,
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
        Err(ResetError::Used) => Err(Problem::of(slug::LINK_USED)),
        Err(ResetError::Expired) => Err(Problem::of(slug::LINK_EXPIRED)),
        Err(ResetError::Unknown) => Err(Problem::of(slug::LINK_UNKNOWN)),
        Err(ResetError::Failure(failure)) => Err(failure.into()),
    }
}
