//! The link in the letter: its page, and the same for programs.
//!
//! `GET` shows and never changes anything: mail scanners open links. The button does it (R43).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};
use serde::Serialize;
use serde_json::{Value, json};

use super::edge::form::{Form, FormError};
use super::edge::json::JsonObject;
use super::edge::pages::{Page, PageProblem, PageResult, PageState, Pages};
use super::edge::problem::Problem;
use super::edge::slug;
use crate::accounts::{Accounts, ActivationError, DisavowalError, LinkStanding};
use crate::clock::Timestamp;
use crate::model::{EmailAddress, SignUp, UserAgent};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("activate", |rocket| async {
        rocket
            .mount("/", routes![show, press, disavow, renew])
            .mount("/v1", routes![activate_json, disavow_json])
    })
}

/// `page/activate.html.tera`
#[derive(Serialize)]
struct WaitingPage<'a> {
    token: &'a str,
    email: &'a str,
    signed_up_at: String,
    contested_at: Option<String>,
    browser: Option<String>,
    password_needed: bool,
    min_length: usize,
    errors: Vec<String>,
}

fn waiting(
    pages: &Pages,
    accounts: &Accounts,
    status: Status,
    token: &str,
    sign_up: &SignUp,
    errors: Vec<String>,
) -> Page {
    let page = WaitingPage {
        token,
        email: sign_up.email.as_str(),
        signed_up_at: sign_up.created_at.spelled_out(),
        contested_at: sign_up.contested_at.map(Timestamp::spelled_out),
        browser: sign_up.user_agent.as_ref().and_then(UserAgent::describe),
        password_needed: sign_up.contested_at.is_some(),
        min_length: accounts.policy.min_length(),
        errors,
    };
    pages.page(status, "activate", &page)
}

fn activated(pages: &Pages, email: Option<&EmailAddress>, already: bool) -> Page {
    let email = email.map(EmailAddress::as_str);
    pages.page(Status::Ok, "activated", &json!({ "email": email, "already": already }))
}

fn expired(pages: &Pages, token: &str) -> Page {
    pages.page(Status::Gone, "link-expired", &json!({ "token": token }))
}

fn plain(pages: &Pages, status: Status, name: &str) -> Page {
    pages.page(status, name, &json!({}))
}

#[get("/activate?<token>")]
async fn show(token: Option<&str>, accounts: &State<Accounts>, pages: &PageState) -> PageResult {
    let token = token.unwrap_or_default();
    Ok(match accounts.inspect_link(token).await? {
        LinkStanding::Waiting(record) => {
            waiting(pages, accounts, Status::Ok, token, &record.sign_up, vec![])
        }
        LinkStanding::AlreadyActive(email) => activated(pages, email.as_ref(), true),
        LinkStanding::Expired => expired(pages, token),
        LinkStanding::Disavowed => plain(pages, Status::NotFound, "disavowed"),
        LinkStanding::AddressTaken => plain(pages, Status::Conflict, "address-taken"),
        LinkStanding::Unknown => plain(pages, Status::NotFound, "link-unknown"),
    })
}

#[post("/activate", data = "<form>")]
async fn press(
    form: Result<Form, FormError>,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    let outcome = accounts.activate(token, form.get("password")).await;
    let error = match outcome {
        Ok(done) => return Ok(activated(pages, done.email.as_ref(), done.already)),
        Err(error) => error,
    };
    Ok(match error {
        ActivationError::PasswordNeeded(sign_up) => {
            waiting(pages, accounts, Status::Conflict, token, &sign_up, vec![])
        }
        ActivationError::Password { sign_up, problem } => {
            let errors = vec![problem.to_string()];
            waiting(pages, accounts, Status::UnprocessableEntity, token, &sign_up, errors)
        }
        ActivationError::AddressTaken => plain(pages, Status::Conflict, "address-taken"),
        ActivationError::Expired => expired(pages, token),
        ActivationError::Disavowed => plain(pages, Status::NotFound, "disavowed"),
        ActivationError::Unknown => plain(pages, Status::NotFound, "link-unknown"),
        ActivationError::Failure(failure) => return Err(failure.into()),
    })
}

#[post("/activate/disavowal", data = "<form>")]
async fn disavow(
    form: Result<Form, FormError>,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    let token = form.get("token").unwrap_or_default();
    Ok(match accounts.disavow(token).await {
        Ok(()) => plain(pages, Status::Ok, "disavowed"),
        Err(DisavowalError::Expired) => expired(pages, token),
        Err(DisavowalError::Unknown) => plain(pages, Status::NotFound, "link-unknown"),
        Err(DisavowalError::AddressTaken) => plain(pages, Status::Conflict, "address-taken"),
        Err(error) => return Err(error.into()),
    })
}

#[post("/activate/new-link", data = "<form>")]
async fn renew(
    form: Result<Form, FormError>,
    accounts: &State<Accounts>,
    pages: &PageState,
) -> PageResult {
    let form = form.map_err(PageProblem::from)?;
    accounts.renew_link(form.get("token").unwrap_or_default()).await?;
    Ok(plain(pages, Status::Accepted, "new-link-sent"))
}

#[post("/activations", data = "<body>")]
async fn activate_json(
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Json<Value>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let token = fields.required_text("token").unwrap_or_default();
    let password = fields.text_of("password");
    fields.finish()?;
    match accounts.activate(token, password).await {
        Ok(_) => Ok(Json(json!({ "status": "active" }))),
        Err(ActivationError::PasswordNeeded(_)) => Err(Problem::of(slug::PASSWORD_NEEDED)),
        Err(ActivationError::Password { problem, .. }) => {
            let mut fields = body.fields();
            fields.refuse("password", &problem);
            Err(fields.finish().err().unwrap_or_else(|| Problem::of(slug::INVALID_FIELDS)))
        }
        Err(ActivationError::AddressTaken) => Err(Problem::of(slug::ADDRESS_TAKEN)),
        Err(ActivationError::Expired) => Err(Problem::of(slug::LINK_EXPIRED)),
        Err(ActivationError::Disavowed | ActivationError::Unknown) => {
            Err(Problem::of(slug::LINK_UNKNOWN))
        }
        Err(ActivationError::Failure(failure)) => Err(failure.into()),
    }
}

#[post("/activations/disavowals", data = "<body>")]
async fn disavow_json(
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let token = fields.required_text("token").unwrap_or_default();
    fields.finish()?;
    accounts.disavow(token).await?;
    Ok(Status::NoContent)
}

impl From<DisavowalError> for Problem {
    fn from(error: DisavowalError) -> Self {
        match error {
            DisavowalError::AlreadyActive => Self::of(slug::ALREADY_ACTIVE),
            DisavowalError::AddressTaken => Self::of(slug::ADDRESS_TAKEN),
            DisavowalError::Expired => Self::of(slug::LINK_EXPIRED),
            DisavowalError::Unknown => Self::of(slug::LINK_UNKNOWN),
            DisavowalError::Store(error) => error.into(),
        }
    }
}
