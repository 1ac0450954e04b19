//! `GET /.well-known/oauth-authorization-server`: authorization server metadata (RFC 8414).

use rocket::fairing::AdHoc;
use rocket::http::uri::fmt::Path;
use rocket::http::uri::{Origin, Segments};
use rocket::serde::json::Json;
use rocket::{State, get, routes};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Settings;
use crate::model::GrantType;
use crate::web::openapi::document::{described, tag};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("metadata", |rocket| async {
        rocket.mount("/.well-known", routes![metadata, metadata_below])
    })
}

described!(metadata, metadata_below);

/// The metadata of RFC 8414 §2, limited to implemented features.
#[derive(Serialize, ToSchema)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    /// The scopes of this service. Operators define other scopes for their own APIs.
    #[schema(value_type = Vec<String>)]
    scopes_supported: [&'static str; 2],
    grant_types_supported: Vec<&'static str>,
    /// Required by RFC 8414. It is empty, since there is no authorization endpoint.
    #[schema(value_type = Vec<String>)]
    response_types_supported: [&'static str; 0],
    #[schema(value_type = Vec<String>)]
    token_endpoint_auth_methods_supported: [&'static str; 3],
    #[schema(value_type = Vec<String>)]
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    #[schema(value_type = Vec<String>)]
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    service_documentation: String,
}

impl Metadata {
    fn new(settings: &Settings) -> Self {
        let issuer = settings.public_url.as_str();
        let all = ["client_secret_basic", "client_secret_post", "none"];
        Self {
            token_endpoint: format!("{issuer}/oauth/token"),
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            scopes_supported: ["account.read", "account.write"],
            grant_types_supported: GrantType::ALL.map(GrantType::as_str).into(),
            response_types_supported: [],
            token_endpoint_auth_methods_supported: all,
            revocation_endpoint_auth_methods_supported: all,
            introspection_endpoint_auth_methods_supported: [
                "client_secret_basic",
                "client_secret_post",
            ],
            service_documentation: format!("{issuer}/docs"),
            issuer: issuer.to_owned(),
        }
    }
}

/// What this authorization server can do
///
/// RFC 8414. Only implemented features are listed.
#[utoipa::path(
    context_path = "/.well-known",
    tag = tag::OAUTH,
    operation_id = "metadata",
    responses(
        (status = 200, description = "The metadata.", body = Metadata),
    ),
)]
#[get("/oauth-authorization-server")]
fn metadata(settings: &State<Settings>) -> Json<Metadata> {
    Json(Metadata::new(settings))
}

/// The same, below the path of an issuer
///
/// If an issuer has a path, its metadata is at the well-known address of its host, followed by that
/// path (RFC 8414 §3.1).
#[utoipa::path(
    context_path = "/.well-known",
    tag = tag::OAUTH,
    operation_id = "metadataOfPath",
    params(("path" = String, Path, description = "The path of the issuer.", example = "accounts")),
    responses(
        (status = 200, description = "The metadata.", body = Metadata),
    ),
    extensions(("x-problems" = json!([problem_type::NOT_FOUND]))),
)]
#[get("/oauth-authorization-server/<path..>")]
fn metadata_below(
    path: Segments<'_, Path>,
    uri: &Origin<'_>,
    settings: &State<Settings>,
) -> Result<Json<Metadata>, Problem> {
    // the raw path is compared below, since these segments are decoded
    let _ = path;
    let own = settings.public_url.base_path();
    let below = uri.path().as_str().strip_prefix("/.well-known/oauth-authorization-server");
    match !own.is_empty() && below == Some(own) {
        true => Ok(metadata(settings)),
        false => Err(Problem::of(problem_type::NOT_FOUND)),
    }
}
