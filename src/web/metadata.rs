//! `GET /.well-known/oauth-authorization-server`: what this server can do (RFC 8414).

use rocket::fairing::AdHoc;
use rocket::http::uri::Origin;
use rocket::serde::json::Json;
use rocket::{State, get, routes};
use serde::Serialize;

use super::edge::problem::Problem;
use super::edge::slug;
use crate::config::Settings;
use crate::model::GrantType;

pub fn stage() -> AdHoc {
    AdHoc::on_ignite("metadata", |rocket| async {
        rocket.mount("/.well-known", routes![metadata, metadata_below])
    })
}

/// RFC 8414 §2. Only what works is there.
#[derive(Serialize)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    grant_types_supported: Vec<&'static str>,
    /// Needed by RFC 8414; there is no authorization endpoint that could answer one.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
}

impl Metadata {
    fn new(settings: &Settings) -> Self {
        let issuer = settings.public_url.as_str();
        let all = ["client_secret_basic", "client_secret_post", "none"];
        Self {
            token_endpoint: format!("{issuer}/oauth/token"),
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            grant_types_supported: GrantType::ALL.map(GrantType::as_str).into(),
            response_types_supported: [],
            token_endpoint_auth_methods_supported: all,
            revocation_endpoint_auth_methods_supported: all,
            introspection_endpoint_auth_methods_supported: [
                "client_secret_basic",
                "client_secret_post",
            ],
            issuer: issuer.to_owned(),
        }
    }
}

#[get("/oauth-authorization-server")]
fn metadata(settings: &State<Settings>) -> Json<Metadata> {
    Json(Metadata::new(settings))
}

/// Of an issuer with a path, the metadata is at the well-known address of its host with that path
/// behind it (§3.1).
#[get("/oauth-authorization-server/<_..>")]
fn metadata_below(uri: &Origin<'_>, settings: &State<Settings>) -> Result<Json<Metadata>, Problem> {
    let own = settings.public_url.base_path();
    let below = uri.path().as_str().strip_prefix("/.well-known/oauth-authorization-server");
    match !own.is_empty() && below == Some(own) {
        true => Ok(metadata(settings)),
        false => Err(Problem::of(slug::NOT_FOUND)),
    }
}
