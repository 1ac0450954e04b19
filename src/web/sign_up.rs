//! `POST /v1/accounts` and `POST /v1/activation-mails`: signing up, and another letter.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde_json::{Value, json};

use super::edge::json::JsonObject;
use super::edge::problem::Problem;
use crate::accounts::{Accounts, SignUpRequest};
use crate::model::{Caller, EmailAddress, Locale, Name};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("sign-up", |rocket| async {
        rocket.mount("/v1", routes![sign_up, activation_mail])
    })
}

/// The same whoever the address belongs to (R34).
fn accepted() -> Custom<Json<Value>> {
    Custom(Status::Accepted, Json(json!({ "status": "activation_pending" })))
}

#[post("/accounts", data = "<body>")]
async fn sign_up(
    caller: Caller,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Value>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    let judge = |typed: &str| accounts.policy.judge(typed, email.as_ref());
    let password = fields.required("password", judge);
    let name = fields.optional("name", Name::parse).flatten();
    let locale = fields.optional("locale", Locale::parse);
    fields.finish()?;
    if let (Some(email), Some(password)) = (email, password) {
        accounts.sign_up(SignUpRequest { email, password, name, locale, caller }).await?;
    }
    Ok(accepted())
}

#[post("/activation-mails", data = "<body>")]
async fn activation_mail(
    caller: Caller,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Custom<Json<Value>>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let email = fields.required("email", EmailAddress::parse);
    fields.finish()?;
    if let Some(email) = email {
        accounts.send_new_link(&email, caller.locale.as_ref()).await?;
    }
    Ok(accepted())
}
