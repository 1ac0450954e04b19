//! `/v1/me`: the account of the access token.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, get, patch, post, put, routes};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{
    Accounts, EmailChangeError, OwnSession, ProfileChange, ProfileError, ReauthenticationError,
};
use crate::clock::Timestamp;
use crate::model::{
    Account, AccountId, ClientInfo, EmailAddress, Locale, Name, Password, PersonalData,
};
use crate::web::guards::bearer::{Bearer, RequiredScope};
use crate::web::guards::json_body::JsonObject;
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::{
    EmailChangeBody, PasswordBody, PasswordChangeBody, ProfileBody,
};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;
use crate::web::responses::progress::Progress;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("me", |rocket| async {
        rocket.mount("/v1", routes![show, change, change_password, change_email, delete])
    })
}

described!(show, change, change_password, change_email, delete);

/// The scope for reading the account.
struct ReadAccount;

impl RequiredScope for ReadAccount {
    const SCOPE: &'static str = "account.read";
}

/// The scope for changing the account.
struct WriteAccount;

impl RequiredScope for WriteAccount {
    const SCOPE: &'static str = "account.write";
}

#[derive(Serialize, ToSchema)]
struct Me {
    #[schema(value_type = String, format = "uuid")]
    id: AccountId,
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(value_type = Option<String>, required = true, example = "Ada Lovelace")]
    name: Option<Name>,
    /// A language tag (BCP 47).
    #[schema(value_type = Option<String>, required = true, example = "en")]
    locale: Option<Locale>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl From<Account> for Me {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            email: account.email.to_string(),
            name: account.name,
            locale: account.locale,
            created_at: account.created_at,
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Gone => Self::of(problem_type::INVALID_TOKEN),
            ProfileError::Store(error) => error.into(),
        }
    }
}

/// Read the account
#[utoipa::path(
    context_path = "/v1",
    tag = tag::ACCOUNT,
    operation_id = "readAccount",
    security(("bearer" = ["account.read"])),
    responses(
        (status = 200, description = "The account.", body = Me),
    ),
)]
#[get("/me")]
async fn show(bearer: Bearer<ReadAccount>) -> Json<Me> {
    Json(bearer.owner().clone().into())
}

/// Change name or language
///
/// A missing member keeps its value; null removes the value.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::ACCOUNT,
    operation_id = "changeAccount",
    security(("bearer" = ["account.write"])),
    request_body = ProfileBody,
    responses(
        (status = 200, description = "The account as it is now.", body = Me),
    ),
)]
#[patch("/me", data = "<body>")]
async fn change(
    bearer: Bearer<WriteAccount>,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Json<Me>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let name = fields.change("name", Name::parse).map(Option::flatten);
    let locale = fields.change("locale", Locale::parse);
    fields.finish()?;
    let change = ProfileChange { name, locale };
    Ok(Json(accounts.change_profile(bearer.account(), change, &caller).await?.into()))
}

/// The problem for a failed reauthentication. `field` is the field of the current password.
fn refused(error: ReauthenticationError, field: &'static str) -> Problem {
    match error {
        ReauthenticationError::Wrong => {
            Problem::field_error(field, "wrong-password", "is not the current password")
        }
        ReauthenticationError::Gone => Problem::of(problem_type::INVALID_TOKEN),
        ReauthenticationError::Failure(failure) => failure.into(),
    }
}

/// Change the password
///
/// Every other session ends, and a notice is mailed.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::ACCOUNT,
    operation_id = "changePassword",
    security(("bearer" = ["account.write"])),
    request_body = PasswordChangeBody,
    responses(
        (status = 204, description = "The password is changed."),
    ),
)]
#[put("/me/password", data = "<body>")]
async fn change_password(
    bearer: Bearer<WriteAccount>,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let current = fields.required_text("current_password").map(Password::new);
    let judge = |typed: &str| accounts.policy.judge(typed, PersonalData::of(bearer.owner()));
    let new = fields.required("new_password", judge);
    let (current, new) = fields.finish_with(current.zip(new))?;
    let own = OwnSession::Token(bearer.session());
    let changed = accounts.change_password(bearer.account(), own, &current, &new, &caller).await;
    changed.map_err(|error| refused(error, "current_password"))?;
    Ok(Status::NoContent)
}

/// Change the address
///
/// Sends a link to the new address and a notice to the old one. The address changes when the link
/// is used.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::ACCOUNT,
    operation_id = "changeEmail",
    security(("bearer" = ["account.write"])),
    request_body = EmailChangeBody,
    responses(
        (status = 202, description = "The change waits: `confirmation_pending`.", body = Progress),
    ),
)]
#[post("/me/email", data = "<body>")]
async fn change_email(
    bearer: Bearer<WriteAccount>,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Progress>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let password = fields.required_text("password").map(Password::new);
    let (email, password) = fields.finish_with(email.zip(password))?;
    let requested =
        accounts.request_email_change(bearer.account(), &email, &password, &caller).await;
    requested.map_err(|error| match error {
        EmailChangeError::Unchanged => {
            Problem::field_error("email", "unchanged", "is the address of the account already")
        }
        EmailChangeError::Reauthentication(error) => refused(error, "password"),
    })?;
    // the response is the same for every new address
    Ok(Custom(Status::Accepted, Json(Progress::CONFIRMATION_PENDING)))
}

/// Delete the account
///
/// Account, sessions and personal data are deleted at once, and a notice is mailed.
#[utoipa::path(
    context_path = "/v1",
    tag = tag::ACCOUNT,
    operation_id = "deleteAccount",
    security(("bearer" = ["account.write"])),
    request_body = PasswordBody,
    responses(
        (status = 204, description = "The account is gone."),
    ),
)]
#[post("/me/deletion", data = "<body>")]
async fn delete(
    bearer: Bearer<WriteAccount>,
    caller: ClientInfo,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Status, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let password = fields.required_text("password").map(Password::new);
    let password = fields.finish_with(password)?;
    let deleted = accounts.delete(bearer.account(), &password, &caller).await;
    deleted.map_err(|error| refused(error, "password"))?;
    Ok(Status::NoContent)
}
