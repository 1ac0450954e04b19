//! `/v1/me`: the account of whoever holds the token.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, patch, routes};
use serde::Serialize;

use super::edge::bearer::{Bearer, Need};
use super::edge::json::JsonObject;
use super::edge::problem::Problem;
use super::edge::slug;
use crate::accounts::{Accounts, ProfileChange, ProfileError};
use crate::clock::Timestamp;
use crate::model::{Account, AccountId, Locale, Name};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("me", |rocket| async { rocket.mount("/v1", routes![show, change]) })
}

/// Reading one's account.
struct ReadAccount;

impl Need for ReadAccount {
    const SCOPE: &'static str = "account.read";
}

/// Changing it.
struct WriteAccount;

impl Need for WriteAccount {
    const SCOPE: &'static str = "account.write";
}

#[derive(Serialize)]
struct Me {
    id: AccountId,
    email: String,
    name: Option<Name>,
    locale: Option<Locale>,
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
            ProfileError::Gone => Self::of(slug::INVALID_TOKEN),
            ProfileError::Store(error) => error.into(),
        }
    }
}

#[get("/me")]
async fn show(
    bearer: Bearer<ReadAccount>,
    accounts: &State<Accounts>,
) -> Result<Json<Me>, Problem> {
    Ok(Json(accounts.profile(bearer.account()).await?.into()))
}

#[patch("/me", data = "<body>")]
async fn change(
    bearer: Bearer<WriteAccount>,
    body: Result<JsonObject, Problem>,
    accounts: &State<Accounts>,
) -> Result<Json<Me>, Problem> {
    let body = body?;
    let mut fields = body.fields();
    let name = fields.change("name", Name::parse).map(Option::flatten);
    let locale = fields.change("locale", Locale::parse);
    fields.finish()?;
    let change = ProfileChange { name, locale };
    Ok(Json(accounts.change_profile(bearer.account(), change).await?.into()))
}
