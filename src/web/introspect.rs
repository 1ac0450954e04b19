//! `POST /oauth/introspect`: the introspection endpoint (RFC 7662).

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;
use zeroize::Zeroizing;

use super::edge::cors::Concern;
use super::edge::form::{Form, FormError};
use super::edge::oauth::OAuthProblem;
use super::edge::request::Authorization;
use crate::config::Settings;
use crate::model::{AccountId, ClientId, Scope};
use crate::oauth::{Introspected, Introspection, OAuth, OAuthError, TokenKind};

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("introspect", |rocket| async { rocket.mount("/oauth", routes![introspect]) })
}

/// RFC 7662 §2.2. A token that does not count has `active` and nothing else.
#[derive(Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    token: Option<Active>,
}

#[derive(Serialize)]
struct Active {
    scope: Scope,
    client_id: ClientId,
    username: String,
    /// Of access tokens, as the token endpoint says it (RFC 6749 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// In seconds since 1970 (RFC 7519 §2), as is `iat`.
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    sub: AccountId,
    iss: String,
}

impl Active {
    fn new(token: Introspected, issuer: &str) -> Self {
        Self {
            scope: token.scope,
            client_id: token.client_id,
            username: token.username.to_string(),
            token_type: (token.kind == TokenKind::Access).then_some("Bearer"),
            exp: token.expires_at.unix_millis().div_euclid(1_000),
            iat: token.issued_at.map(|at| at.unix_millis().div_euclid(1_000)),
            sub: token.account,
            iss: issuer.to_owned(),
        }
    }
}

#[post("/introspect", data = "<form>")]
async fn introspect(
    authorization: Authorization<'_>,
    concern: Concern<'_>,
    form: Result<Form, FormError>,
    oauth: &State<OAuth>,
    settings: &State<Settings>,
) -> Result<Json<Answer>, OAuthProblem> {
    let form = form?;
    let token = form.get("token").ok_or(OAuthError::Malformed("token is missing"))?;
    let token = Zeroizing::new(token.to_owned());
    let client = authorization.credentials(&form)?;
    concern.credentials(client.as_ref(), oauth);
    let found = oauth.introspect(&Introspection { client, token }).await?;
    let issuer = settings.public_url.as_str();
    let token = found.map(|token| Active::new(token, issuer));
    Ok(Json(Answer { active: token.is_some(), token }))
}
