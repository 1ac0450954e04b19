//! `POST /oauth/token`: the token endpoint (RFC 6749 §3.2).

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::model::{ClientInfo, GrantType, Password, RefreshToken, Scope};
use crate::oauth::{
    Credentials, OAuth, OAuthError, PasswordGrant, RefreshGrant, ScopeRefusal, TokenPair,
};
use crate::web::fairings::cors::RequestClient;
use crate::web::guards::authorization::Authorization;
use crate::web::guards::form::{Form, FormError};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::TokenForm;
use crate::web::responses::oauth_error::{OAuthErrorResponse, PLUS_HINT};
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("token", |rocket| async { rocket.mount("/oauth", routes![token]) })
}

described!(token);

/// A success response (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    #[schema(example = "vat_AZAAAAAAcAC…")]
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// In seconds.
    #[schema(example = 900)]
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// For clients that are registered for the refresh grant.
    #[schema(value_type = String, required = false, example = "vrt_AZAAAAAAcAC…")]
    refresh_token: Option<String>,
    /// The scope of the tokens.
    #[schema(value_type = String, example = "account.read account.write")]
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

/// Get tokens
///
/// The password grant (RFC 6749 §4.3) signs a user in and begins a session. The refresh grant (§6)
/// replaces the tokens of a session with new ones. Confidential clients authenticate by HTTP Basic
/// or in the body; public clients send their `client_id` alone. A client that is refused and sent
/// neither an `Authorization` header nor a secret gets 400 `invalid_client` without a challenge.
/// Any other refused client gets 401 with a challenge.
#[utoipa::path(
    context_path = "/oauth",
    tag = tag::OAUTH,
    operation_id = "token",
    security(("client" = []), ()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens.", body = TokenAnswer),
    ),
    extensions(("x-problems" = json!([problem_type::CLIENT_WITHOUT_SECRET, problem_type::INVALID_GRANT, problem_type::UNAUTHORIZED_CLIENT, problem_type::UNSUPPORTED_GRANT_TYPE, problem_type::INVALID_SCOPE]))),
)]
#[post("/token", data = "<form>")]
async fn token(
    authorization: Authorization<'_>,
    concern: RequestClient<'_>,
    caller: ClientInfo,
    form: Result<Form<TokenForm>, FormError>,
    oauth: &State<OAuth>,
) -> Result<Json<TokenAnswer>, OAuthErrorResponse> {
    let form = form?;
    let missing = |what| OAuthError::Malformed(what);
    let named = form.get("grant_type").ok_or(missing("grant_type is missing"))?;
    let grant_type = GrantType::parse(named).ok_or(OAuthError::UnknownGrantType)?;
    let scope = form.get("scope").map(str::parse).transpose();
    let scope = scope.map_err(|_| with_hint(ScopeRefusal::Malformed.into(), &form))?;
    let client = authorization.credentials(&form)?;
    concern.credentials(client.as_ref(), oauth);
    let pair = grant(grant_type, client, scope, &form, caller, oauth).await;
    Ok(Json(pair.map_err(|error| with_hint(error, &form))?.into()))
}

async fn grant(
    grant_type: GrantType,
    client: Option<Credentials>,
    scope: Option<Scope>,
    form: &Form<TokenForm>,
    caller: ClientInfo,
    oauth: &OAuth,
) -> Result<TokenPair, OAuthError> {
    let missing = |what| OAuthError::Malformed(what);
    match grant_type {
        GrantType::Password => {
            let username = form.get("username").ok_or(missing("username is missing"))?.to_owned();
            let password = form.get("password").ok_or(missing("password is missing"))?;
            let password = Password::new(password);
            let request = PasswordGrant { client, username, password, scope, caller };
            oauth.password_grant(&request).await
        }
        GrantType::RefreshToken => {
            let token = form.get("refresh_token").ok_or(missing("refresh_token is missing"))?;
            let refresh_token = Zeroizing::new(token.to_owned());
            oauth.refresh_grant(&RefreshGrant { client, refresh_token, scope, caller }).await
        }
    }
}

/// Adds a hint that a `+` was read as a blank, if that is the likely cause of the error. The hint
/// depends on the request alone, and so reveals nothing about any account.
fn with_hint(error: OAuthError, form: &Form<TokenForm>) -> OAuthErrorResponse {
    let is_likely = match error {
        OAuthError::Scope(_) => form.had_plus("scope"),
        OAuthError::WrongPassword => {
            form.seems_unencoded() && (form.had_plus("username") || form.had_plus("password"))
        }
        _ => false,
    };
    let problem = OAuthErrorResponse::from(error);
    if is_likely { problem.hint(PLUS_HINT) } else { problem }
}
