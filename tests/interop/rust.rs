//! The crate `oauth2` against the service, as its documentation shows it.

use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IntrospectionUrl, RefreshToken, RequestTokenError, ResourceOwnerPassword,
    ResourceOwnerUsername, RevocationUrl, Scope, TokenIntrospectionResponse as _,
    TokenResponse as _, TokenUrl,
};

use crate::service::{self, PASSWORD, Service};
use crate::{EMAIL, SECRET};

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

/// Rows of the client, the operation, and its result.
pub type Rows = Vec<[String; 3]>;

#[tokio::main(flavor = "current_thread")]
pub async fn run(service: &Service) -> Rows {
    let mut rows = vec![["", "errors are", "ErrorResponse.error()"].map(str::to_owned)];
    for (name, id, secret, style) in [
        ("web, public", "web", None, AuthType::RequestBody),
        ("shop, client_secret_basic", "shop", Some(SECRET), AuthType::BasicAuth),
        ("shop, client_secret_post", "shop", Some(SECRET), AuthType::RequestBody),
    ] {
        let mut visit = Visit { service, name, rows: &mut rows };
        visit.run(id, secret, style).await;
    }
    rows
}

struct Visit<'a> {
    service: &'a Service,
    name: &'static str,
    rows: &'a mut Rows,
}

impl Visit<'_> {
    fn client(&self, id: &str, secret: Option<&str>, style: AuthType) -> Client {
        let url = |path| self.service.url(path);
        // the crate revokes over TLS only, which `send` then leaves off
        let revocation = url("/oauth/revoke").replacen("http:", "https:", 1);
        let client = BasicClient::new(ClientId::new(id.to_owned()))
            .set_auth_type(style)
            .set_token_uri(TokenUrl::new(url("/oauth/token")).expect("a URL"))
            .set_introspection_url(IntrospectionUrl::new(url("/oauth/introspect")).expect("a URL"))
            .set_revocation_url(RevocationUrl::new(revocation).expect("a URL"));
        match secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.to_owned())),
            None => client,
        }
    }

    async fn run(&mut self, id: &str, secret: Option<&str>, style: AuthType) {
        let client = self.client(id, secret, style.clone());

        let first = sign_in(&client, EMAIL, PASSWORD, &[]).await.expect("tokens");
        assert!(first.expires_in().is_some() && first.scopes().is_some(), "{first:?}");
        self.done("sign-in", "ok");

        assert_eq!(self.use_token(first.access_token()), 200);
        self.done("use", "ok");

        let second = refresh(&client, refresh_token(&first)).await.expect("tokens");
        assert_ne!(refresh_token(&second).secret(), refresh_token(&first).secret());
        assert_eq!(self.use_token(second.access_token()), 200);
        self.done("refresh", "ok");

        if secret.is_some() {
            let asked = client.introspect(second.access_token()).request_async(&send).await;
            let known = asked.expect("an answer");
            assert!(known.active() && known.exp().is_some() && known.iat().is_some());
            assert_eq!(known.client_id(), Some(client.client_id()));
            assert_eq!(known.username(), Some(EMAIL));
            assert_eq!(known.scopes(), second.scopes());
        }
        let revocation = client.revoke_token(refresh_token(&second).into()).expect("a request");
        revocation.request_async(&send).await.expect("a revocation");
        self.done("revocation", "ok");
        let status = self.use_token(second.access_token());
        assert_eq!(status, 401);
        self.done("revoked token", &status.to_string());
        if secret.is_some() {
            let asked = client.introspect(second.access_token()).request_async(&send).await;
            assert!(!asked.expect("an answer").active());
            self.done("introspection", "ok");
        }

        let stranger = self.client(id, Some("not-the-right-secret"), style);
        let refused = sign_in(&stranger, EMAIL, PASSWORD, &[]).await;
        self.refused("wrong secret", BasicErrorResponseType::InvalidClient, refused);
        let refused = sign_in(&client, EMAIL, "not the right password", &[]).await;
        self.refused("wrong password", BasicErrorResponseType::InvalidGrant, refused);
        let refused = sign_in(&client, EMAIL, PASSWORD, &["account.read", "admin"]).await;
        self.refused("too much scope", BasicErrorResponseType::InvalidScope, refused);
        let refused = client.exchange_client_credentials().request_async(&send).await;
        self.refused("unknown grant", BasicErrorResponseType::UnsupportedGrantType, refused);
        let kiosk = self.client("kiosk", None, AuthType::RequestBody);
        let refused = refresh(&kiosk, refresh_token(&first)).await;
        self.refused("grant not allowed", BasicErrorResponseType::UnauthorizedClient, refused);
        let refused = sign_in(&client, "a\0b", PASSWORD, &[]).await;
        self.refused("broken request", BasicErrorResponseType::InvalidRequest, refused);

        // a thief has copied a refresh token, and uses it after its owner did
        let stolen = sign_in(&client, EMAIL, PASSWORD, &[]).await.expect("tokens");
        let fresh = refresh(&client, refresh_token(&stolen)).await.expect("tokens");
        let refused = refresh(&client, refresh_token(&stolen)).await;
        self.refused("spent refresh token", BasicErrorResponseType::InvalidGrant, refused);
        let refused = refresh(&client, refresh_token(&fresh)).await;
        self.refused("after the theft", BasicErrorResponseType::InvalidGrant, refused);
    }

    /// The crate has no client for resources.
    fn use_token(&self, token: &AccessToken) -> u16 {
        let bearer = format!("Bearer {}", token.secret());
        let headers = [("Authorization", bearer.as_str())];
        service::request(self.service.port, "GET", "/v1/me", &headers, "").status
    }

    fn done(&mut self, operation: &str, seen: &str) {
        self.rows.push([self.name, operation, seen].map(str::to_owned));
    }

    /// Checks the crate's error for an error answer of the service.
    fn refused(&mut self, operation: &str, expected: BasicErrorResponseType, answer: Answer) {
        let error = match answer {
            Err(RequestTokenError::ServerResponse(error)) => error,
            other => panic!("{}: {operation}: {other:?}", self.name),
        };
        assert_eq!(*error.error(), expected, "{}: {operation}", self.name);
        assert!(error.error_description().is_some() && error.error_uri().is_some(), "{error:?}");
        self.done(operation, error.error().as_ref());
    }
}

type Answer = Result<BasicTokenResponse, RequestTokenError<io::Error, BasicErrorResponse>>;

async fn sign_in(client: &Client, username: &str, password: &str, scopes: &[&str]) -> Answer {
    let username = ResourceOwnerUsername::new(username.to_owned());
    let password = ResourceOwnerPassword::new(password.to_owned());
    client
        .exchange_password(&username, &password)
        .add_scopes(scopes.iter().map(|&token| Scope::new(token.to_owned())))
        .request_async(&send)
        .await
}

async fn refresh(client: &Client, token: &RefreshToken) -> Answer {
    client.exchange_refresh_token(token).request_async(&send).await
}

fn refresh_token(tokens: &BasicTokenResponse) -> &RefreshToken {
    tokens.refresh_token().expect("a refresh token")
}

/// The HTTP client that the crate gets.
async fn send(request: HttpRequest) -> io::Result<HttpResponse> {
    let (mut head, body) = request.into_parts();
    let plain = head.uri.to_string().replacen("https:", "http:", 1);
    head.uri = plain.parse().map_err(io::Error::other)?;
    let body = Full::new(io::Cursor::new(body));
    let request = oauth2::http::Request::from_parts(head, body);
    let answer = Http::builder(TokioExecutor::new()).build_http().request(request).await;
    let (head, body) = answer.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(HttpResponse::from_parts(head, body.to_vec()))
}
