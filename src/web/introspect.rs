//! `POST /oauth/introspect`: the introspection endpoint (RFC 7662).

use std::borrow::Cow;

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;
use utoipa::openapi::{AllOfBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::model::{AccountId, ClientId, Scope};
use crate::oauth::{Introspected, Introspection, OAuth, OAuthError, TokenKind};
use crate::web::fairings::cors::RequestClient;
use crate::web::guards::authorization::Authorization;
use crate::web::guards::form::{Form, FormError};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::IntrospectionForm;
use crate::web::responses::oauth_error::OAuthErrorResponse;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("introspect", |rocket| async { rocket.mount("/oauth", routes![introspect]) })
}

described!(introspect);

/// The response (RFC 7662 §2.2). For an invalid token, `active` is its only member.
#[derive(Serialize)]
struct IntrospectionResponse {
    active: bool,
    #[serde(flatten)]
    token: Option<Active>,
}

impl PartialSchema for IntrospectionResponse {
    fn schema() -> RefOr<Schema> {
        let active = |is_active: bool| {
            let schema = ObjectBuilder::new().schema_type(Type::Boolean);
            let schema = schema.enum_values(Some([is_active]));
            ObjectBuilder::new().property("active", schema).required("active")
        };
        let live = AllOfBuilder::new().item(Ref::from_schema_name("Active")).item(active(true));
        RefOr::T(OneOfBuilder::new().item(active(false)).item(live).into())
    }
}

impl ToSchema for IntrospectionResponse {
    fn name() -> Cow<'static, str> {
        "Introspection".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Active::name().into_owned(), Active::schema()));
        Active::schemas(schemas);
    }
}

#[derive(Serialize, ToSchema)]
struct Active {
    #[schema(value_type = String, example = "account.read")]
    scope: Scope,
    #[schema(value_type = String, example = "web")]
    client_id: ClientId,
    /// The address of the account.
    #[schema(example = "ada@example.org")]
    username: String,
    /// For access tokens, as in the response of the token endpoint (RFC 6749 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "Bearer")]
    token_type: Option<&'static str>,
    /// In seconds since 1970 (RFC 7519 §2), as `iat` is.
    #[schema(example = 1_795_426_860)]
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1_795_425_960)]
    iat: Option<i64>,
    /// The id of the account.
    #[schema(value_type = String, format = "uuid")]
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

/// Ask what a token is
///
/// RFC 7662, for confidential clients. A client sees the tokens that were issued to it, or the
/// tokens of all clients if it is registered with `introspects = "all"`.
#[utoipa::path(
    context_path = "/oauth",
    tag = tag::OAUTH,
    operation_id = "introspect",
    security(("client" = []), ()),
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What the token is; of one that does not count, `active` alone.", body = IntrospectionResponse),
    ),
)]
#[post("/introspect", data = "<form>")]
async fn introspect(
    authorization: Authorization<'_>,
    concern: RequestClient<'_>,
    form: Result<Form<IntrospectionForm>, FormError>,
    oauth: &State<OAuth>,
    settings: &State<Settings>,
) -> Result<Json<IntrospectionResponse>, OAuthErrorResponse> {
    let form = form?;
    let token = form.get("token").ok_or(OAuthError::Malformed("token is missing"))?;
    let token = Zeroizing::new(token.to_owned());
    let client = authorization.credentials(&form)?;
    concern.credentials(client.as_ref(), oauth);
    let found = oauth.introspect(&Introspection { client, token }).await?;
    let issuer = settings.public_url.as_str();
    let token = found.map(|token| Active::new(token, issuer));
    Ok(Json(IntrospectionResponse { active: token.is_some(), token }))
}
