//! `POST /oauth/revoke`: the revocation endpoint (RFC 7009).

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, post, routes};
use zeroize::Zeroizing;

use crate::model::ClientInfo;
use crate::oauth::{OAuth, OAuthError, Revocation};
use crate::web::fairings::cors::RequestClient;
use crate::web::guards::authorization::Authorization;
use crate::web::guards::form::{Form, FormError};
use crate::web::openapi::document::{described, tag};
use crate::web::openapi::schemas::RevocationForm;
use crate::web::responses::oauth_error::OAuthErrorResponse;
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("revoke", |rocket| async { rocket.mount("/oauth", routes![revoke]) })
}

described!(revoke);

/// Revoke a token
///
/// RFC 7009. Revoking an access token ends that token, revoking a refresh token ends the session.
/// An unknown token counts as revoked. Clients are refused as at the token endpoint.
#[utoipa::path(
    context_path = "/oauth",
    tag = tag::OAUTH,
    operation_id = "revoke",
    security(("client" = []), ()),
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token does not work any more. The body is empty."),
    ),
    extensions(("x-problems" = json!([problem_type::CLIENT_WITHOUT_SECRET, problem_type::INVALID_GRANT]))),
)]
#[post("/revoke", data = "<form>")]
async fn revoke(
    authorization: Authorization<'_>,
    concern: RequestClient<'_>,
    caller: ClientInfo,
    form: Result<Form<RevocationForm>, FormError>,
    oauth: &State<OAuth>,
) -> Result<Status, OAuthErrorResponse> {
    let form = form?;
    let token = form.get("token").ok_or(OAuthError::Malformed("token is missing"))?;
    let token = Zeroizing::new(token.to_owned());
    let client = authorization.credentials(&form)?;
    concern.credentials(client.as_ref(), oauth);
    oauth.revoke(&Revocation { client, token, caller }).await?;
    Ok(Status::Ok)
}
