//! `POST /oauth/token`: the token endpoint (RFC 6749 §3.2).

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;
use zeroize::Zeroizing;

use super::edge::cors::Concern;
use super::edge::form::{Form, FormError};
use super::edge::oauth::OAuthProblem;
use super::edge::request::Authorization;
use crate::model::{Caller, GrantType, Password, RefreshToken, Scope};
use crate::oauth::{OAuth, OAuthError, PasswordGrant, RefreshGrant, TokenPair};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("token", |rocket| async { rocket.mount("/oauth", routes![token]) })
}

/// A successful answer (RFC 6749 §5.1).
#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: Scope,
}

impl From<TokenPair> for TokenAnswer {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access.reveal(),
            token_type: "Bearer",
            expires_in: pair.expires_in.as_secs(),
            refresh_token: pair.refresh.as_ref().map(RefreshToken::reveal),
            scope: pair.scope,
        }
    }
}

#[post("/token", data = "<form>")]
async fn token(
    authorization: Authorization<'_>,
    concern: Concern<'_>,
    caller: Caller,
    form: Result<Form, FormError>,
    oauth: &State<OAuth>,
) -> Result<Json<TokenAnswer>, OAuthProblem> {
    let form = form?;
    let missing = |what| OAuthError::Malformed(what);
    let named = form.get("grant_type").ok_or(missing("grant_type is missing"))?;
    let grant_type = GrantType::parse(named).ok_or(OAuthError::UnknownGrantType)?;
    let scope = form.get("scope").map(str::parse).transpose().map_err(|_| OAuthError::Scope)?;
    let client = authorization.credentials(&form)?;
    concern.credentials(client.as_ref(), oauth);
    let pair = match grant_type {
        GrantType::Password => {
            let username = form.get("username").ok_or(missing("username is missing"))?.to_owned();
            let password = form.get("password").ok_or(missing("password is missing"))?;
            let password = Password::new(password);
            let request = PasswordGrant { client, username, password, scope, caller };
            oauth.password_grant(&request).await?
        }
        GrantType::RefreshToken => {
            let token = form.get("refresh_token").ok_or(missing("refresh_token is missing"))?;
            let refresh_token = Zeroizing::new(token.to_owned());
            oauth.refresh_grant(&RefreshGrant { client, refresh_token, scope, caller }).await?
        }
    };
    Ok(Json(pair.into()))
}
