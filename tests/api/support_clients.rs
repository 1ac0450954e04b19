//! Helpers for tests of clients: they register clients while the service runs, and ask about
//! tokens.

use std::time::Duration;

use rocket::http::{Header, Status};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vestibule::config::{ClientSettings, Introspects};
use vestibule::model::{ClientId, Digest};
use vestibule::oauth::{ClientError, OAuth};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{ADA, Tokens, assert_no_store, basic, post_form_with, tokens};

/// The secret of `shop`, and of every confidential client that these tests add.
pub const SECRET: &str = "shop secret";

/// A resource server that may introspect all tokens.
pub const API: &str = "[default.vestibule.clients.api]\n\
    secret_sha256 = \"335c3bbcf32031bcdb9e2f7aabeff5c9b34009746f7aa45e08816271c9a766e5\"\n\
    grants = [\"password\"]\nscopes = [\"account.read\"]\nintrospects = \"all\"\n";

pub fn sha256(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

pub fn id(text: &str) -> ClientId {
    text.parse().expect("a client id")
}

/// A public client with both grants.
pub fn public() -> ClientSettings {
    ClientSettings {
        public: true,
        secret_sha256: None,
        grants: vec!["password".to_owned(), "refresh_token".to_owned()],
        scopes: vec!["account.read".to_owned(), "account.write".to_owned()],
        introspects: Introspects::Own,
        allowed_origins: vec![],
        access_ttl: None,
        refresh_idle_ttl: None,
        session_ttl: None,
    }
}

/// A client with [`SECRET`] and both grants.
pub fn confidential() -> ClientSettings {
    ClientSettings { public: false, secret_sha256: Some(sha256(SECRET)), ..public() }
}

pub async fn add(app: &TestApp, id: &str, described: &ClientSettings) {
    try_to_add(app.oauth(), id, described).await.expect("a client that can be registered");
}

pub async fn try_to_add(
    oauth: &OAuth,
    id: &str,
    described: &ClientSettings,
) -> Result<(), ClientError> {
    oauth.add_client(&oauth.prepare_client(id, described).await?).await
}

/// Gives the client another secret; the old one works for `keep_old`.
pub async fn rotate(
    oauth: &OAuth,
    id: &ClientId,
    secret: &Digest,
    keep_old: Duration,
) -> Result<(), ClientError> {
    oauth.rotate_client_secret(&oauth.prepare_rotation(id, *secret, keep_old).await?).await
}

/// Ada signs in through a client that authenticates by this header.
pub async fn sign_in_with(app: &TestApp, header: Header<'static>) -> Tokens {
    let fields = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
    tokens(post_form_with(app, "/oauth/token", header, &fields).await).await
}

/// Presents a refresh token as a client that authenticates by this header.
pub async fn refresh_with<'a>(
    app: &'a TestApp,
    header: Header<'static>,
    token: &str,
) -> rocket::local::asynchronous::LocalResponse<'a> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    post_form_with(app, "/oauth/token", header, &fields).await
}

/// The answer that a client with [`SECRET`] gets about a token.
pub async fn introspect(app: &TestApp, client: &str, token: &str) -> Value {
    let fields = [("token", token)];
    let response = post_form_with(app, "/oauth/introspect", basic(client, SECRET), &fields).await;
    assert_eq!(response.status(), Status::Ok);
    assert_no_store(&response);
    response.into_json().await.expect("JSON")
}
