//! `POST /v1/accounts` and `POST /v1/activation-mails`: signing up, and asking for another letter.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, post, routes};

use crate::accounts::{Accounts, SignUpRequest};
use crate::model::{ClientInfo, EmailAddress, Locale, Name, PersonalData};
use crate::web::guards::json_body::JsonObject;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{EmailBody, SignUpBody};
use crate::web::responses::problem::Problem;
use crate::web::responses::progress::Progress;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("sign-up", |rocket| async {
        rocket.mount("/v1", routes![sign_up, activation_mail])
    })
}

described!(sign_up, activation_mail);

/// The response is the same for every address (R34).
fn accepted() -> Custom<Json<Progress>> {
    Custom(Status::Accepted, Json(Progress::ACTIVATION_PENDING))
}

/// Sign up
///
/// Sends a letter with a link. The answer is the same for known and unknown addresses. The account
/// exists when the link has been used.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::SIGN_UP,
    operation_id = "signUp",
    request_body = SignUpBody,
    responses(
        (status = 202, description = "A letter is on its way: `activation_pending`.", body = Progress),
    ),
)]
#[post("/accounts", data = "<body>")]
async fn sign_up(
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Progress>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let name = fields.optional("name", Name::parse).flatten();
    let owner = PersonalData { email: email.as_ref(), name: name.as_ref() };
    let password = fields.required("password", |typed| accounts.policy.judge(typed, owner));
    let locale = fields.optional("locale", Locale::parse);
    fields.finish()?;
    if let (Some(email), Some(password)) = (email, password) {
        accounts.sign_up(SignUpRequest { email, password, name, locale, caller }).await?;
    }
    Ok(accepted())
}

/// Ask for another letter
///
/// Sends a new link if a sign-up waits for the address. The answer is the same for every address.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::SIGN_UP,
    operation_id = "sendActivationMail",
    request_body = EmailBody,
    responses(
        (status = 202, description = "If a sign-up waits, a letter is on its way: `activation_pending`.", body = Progress),
    ),
)]
#[post("/activation-mails", data = "<body>")]
async fn activation_mail(
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Progress>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    fields.finish()?;
    if let Some(email) = email {
        accounts.send_new_link(&email, &caller).await?;
    }
    Ok(accepted())
}
