//! Forgotten passwords: asking for a letter, and choosing a new password by its link. And the first
//! password of those who were invited: it is the same form, in other words.
//!
//! `GET` shows and never changes anything: mail scanners open links. The button does it (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};

use super::edge::bodies::{EmailBody, LinkBody, NewPasswordBody, Progress};
use super::edge::contract::{described, tag};
use super::edge::form::{Form, FormError};
use super::edge::json::JsonObject;
use super::edge::link_tries::LinkTry;
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

described!(show, press, renew, request, confirm);

/// Pages in the language of the account's owner while the link is live, else of the request.
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
                let shown = email.shown();
                let (token, email) = (self.token, shown.as_str());
                let min_length = self.accounts.policy.min_length();
                match is_first {
                    true => self.page(status, &ChoosePassword { token, email, min_length, errors }),
                    false => self.page(status, &ResetPassword { token, email, min_length, errors }),
                }
            }
            ResetStanding::Used => self.page(Status::Gone, &ResetLinkUsed {}),
            ResetStanding::Expired => {
                self.page(Status::Gone, &ResetLinkExpired { token: self.token })
            }
            ResetStanding::Unknown => {
                self.page(Status::NotFound, &LinkUnknown { of_email_change: false })
            }
        }
    }

    fn page(self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
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
    let standing = accounts.inspect_reset(token).await?;
    let answers = Answers { pages, accounts, language, token }.of(&standing);
    Ok(answers.standing(Status::Ok, &standing, vec![]))
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
        Err(ResetError::Unknown) => {
            answers.page(Status::NotFound, &LinkUnknown { of_email_change: false })
        }
        Err(ResetError::Failure(failure)) => return Err(failure.into()),
    })
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
    _try: LinkTry,
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
    Ok(answers.page(Status::Accepted, &NewLinkSent { token, path: "/reset-password" }))
}

/// Ask for a new password
///
/// Sends a letter with a link if the address has an account; the answer is the same for every address.
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
    caller: Caller,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Progress>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let email = fields.finish_with(email)?;
    accounts.request_password_reset(&email, &caller).await?;
    // the same whoever the address belongs to (R47)
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
    extensions(("x-problems" = json!([slug::LINK_USED, slug::LINK_EXPIRED, slug::LINK_UNKNOWN]))),
)]
#[post("/password-resets/confirmations", data = "<body>")]
async fn confirm(
    _try: LinkTry,
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
