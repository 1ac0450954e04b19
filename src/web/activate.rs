//! The activation link of a sign-up: its page, and the same for programs.
//!
//! `GET` shows the page and never changes anything, since mail scanners open links. The button
//! sends a `POST` (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};

use crate::accounts::{
    Accounts, Activated as Outcome, ActivationError, ActivationLinkStatus, DisavowalError,
};
use crate::clock::Timestamp;
use crate::messages::Language;
use crate::model::{ClientInfo, EmailAddress, SignUp, UserAgent};
use crate::web::fairings::link_rate_limit::LinkAttempt;
use crate::web::guards::form::{Form, FormError};
use crate::web::guards::json_body::JsonObject;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{ActivationBody, LinkBody};
use crate::web::responses::page::{Page, PageProblem, PageResult, PageState, Pages};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::responses::progress::Progress;
use crate::web::views::links::{
    Activate, ActivatedPage, AddressTaken, Disavowed, LinkExpired, LinkUnknown, NewLinkSent,
};
use crate::web::views::{FieldMessage, View};

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("activate", |rocket| async {
        rocket
            .mount("/", routes![show, press, disavow, renew])
            .mount("/v1", routes![activate_json, disavow_json])
    })
}

described!(show, press, disavow, renew, activate_json, disavow_json);

/// Renders pages in the language of the sign-up, else of the request.
#[derive(Clone, Copy)]
struct ActivationPages<'a> {
    pages: &'a Pages,
    accounts: &'a Accounts,
    language: Language,
    token: &'a str,
}

impl<'a> ActivationPages<'a> {
    fn to(pages: &'a Pages, accounts: &'a Accounts, language: Language, token: &'a str) -> Self {
        Self { pages, accounts, language, token }
    }

    fn of(self, sign_up: &SignUp) -> Self {
        let language = self.pages.language_of(sign_up.locale.as_ref(), self.language);
        Self { language, ..self }
    }

    /// Looks the link up to learn the language of its page. The page after the button uses the same
    /// language.
    async fn of_link(self) -> Result<Self, PageProblem> {
        Ok(match self.accounts.inspect_link(self.token).await? {
            ActivationLinkStatus::Waiting(record) => self.of(&record.sign_up),
            _ => self,
        })
    }

    fn waiting(self, status: Status, sign_up: &SignUp, errors: Vec<FieldMessage>) -> Page {
        let link_pages = self.of(sign_up);
        let view = Activate {
            token: self.token,
            email: &sign_up.email.to_unicode(),
            signed_up_at: sign_up.created_at.unix_millis(),
            contested_at: sign_up.contested_at.map(Timestamp::unix_millis),
            browser: sign_up.user_agent.as_ref().and_then(UserAgent::describe),
            password_needed: sign_up.contested_at.is_some(),
            min_length: self.accounts.policy.min_length(),
            errors,
        };
        link_pages.page(status, &view)
    }

    /// The account is active. The page shows the address only if this request activated the
    /// account.
    fn activated(self, email: Option<&EmailAddress>) -> Page {
        let email = email.map(EmailAddress::to_unicode);
        self.page(Status::Ok, &ActivatedPage { email: email.as_deref() })
    }

    fn expired(self) -> Page {
        self.page(Status::Gone, &LinkExpired { token: self.token })
    }

    fn disavowed(self) -> Page {
        self.page(Status::NotFound, &Disavowed {})
    }

    fn address_taken(self) -> Page {
        self.page(Status::Conflict, &AddressTaken {})
    }

    fn unknown(self) -> Page {
        self.page(Status::NotFound, &LinkUnknown { of_email_change: false })
    }

    fn page(self, status: Status, view: &impl View) -> Page {
        self.pages.page(self.language, status, view)
    }
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
async fn show(
    _try: LinkAttempt,
    token: Option<&str>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let link_pages = ActivationPages::to(pages, accounts, language, token.unwrap_or_default());
    Ok(match accounts.inspect_link(link_pages.token).await? {
        ActivationLinkStatus::Waiting(record) => {
            link_pages.waiting(Status::Ok, &record.sign_up, vec![])
        }
        ActivationLinkStatus::AlreadyActive => link_pages.activated(None),
        ActivationLinkStatus::Expired => link_pages.expired(),
        ActivationLinkStatus::Disavowed => link_pages.disavowed(),
        ActivationLinkStatus::AddressTaken => link_pages.address_taken(),
        ActivationLinkStatus::Unknown => link_pages.unknown(),
    })
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let link_pages = ActivationPages::to(pages, accounts, language, token).of_link().await?;
    let outcome = accounts.activate(token, form.get("password"), &caller).await;
    let error = match outcome {
        Ok(Outcome::Now(email)) => return Ok(link_pages.activated(Some(&email))),
        Ok(Outcome::Before) => return Ok(link_pages.activated(None)),
        Err(error) => error,
    };
    Ok(match error {
        ActivationError::PasswordNeeded(sign_up) => {
            link_pages.waiting(Status::Conflict, &sign_up, vec![])
        }
        ActivationError::Password { sign_up, problem } => {
            let errors = vec![FieldMessage::password("password", problem)];
            link_pages.waiting(Status::UnprocessableEntity, &sign_up, errors)
        }
        ActivationError::AddressTaken => link_pages.address_taken(),
        ActivationError::Expired => link_pages.expired(),
        ActivationError::Disavowed => link_pages.disavowed(),
        ActivationError::Unknown => link_pages.unknown(),
        ActivationError::Failure(failure) => return Err(failure.into()),
    })
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let link_pages = ActivationPages::to(pages, accounts, language, token).of_link().await?;
    Ok(match accounts.disavow(token, &caller).await {
        Ok(()) => link_pages.page(Status::Ok, &Disavowed {}),
        Err(DisavowalError::Expired) => link_pages.expired(),
        Err(DisavowalError::Unknown) => link_pages.unknown(),
        Err(DisavowalError::AddressTaken) => link_pages.address_taken(),
        Err(error) => return Err(error.into()),
    })
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
    _try: LinkAttempt,
    caller: ClientInfo,
    form: Result<Form, FormError>,
    language: Language,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    accounts.renew_link(token, &caller).await?;
    Ok(pages.page(language, Status::Accepted, &NewLinkSent { token, path: "/activate" }))
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
        Err(ActivationError::AddressTaken) => Err(Problem::of(problem_type::ADDRESS_TAKEN)),
        Err(ActivationError::Expired) => Err(Problem::of(problem_type::LINK_EXPIRED)),
        Err(ActivationError::Disavowed | ActivationError::Unknown) => {
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
