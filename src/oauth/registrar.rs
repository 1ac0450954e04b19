//! The registered clients, and oxide-auth's questions about them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use figment::Figment;
use oxide_auth::primitives::registrar::{
    BoundClient, ClientUrl, ExactUrl, PreGrant, RegisteredUrl, RegistrarError,
};
use oxide_auth::primitives::scope::Scope as OxideScope;
use url::Url;
use zeroize::Zeroizing;

use crate::config::{ClientSettings, SettingError, Settings};
use crate::model::{
    Client, ClientAuthentication, ClientId, Digest, GrantType, RegistrationError, Scope,
};
use crate::oauth::{ClientRefusal, Credentials, OAuthError};

/// oxide-auth wants a redirect URI for every client; the grants here never redirect, and this one
/// (RFC 6761 §6.4) leads nowhere.
const NO_REDIRECT: &str = "https://no-redirect.invalid/";

#[expect(clippy::expect_used, reason = "a constant, and used by every request with a token")]
pub(super) static NO_REDIRECT_URL: LazyLock<Url> =
    LazyLock::new(|| NO_REDIRECT.parse().expect("a URL"));

/// Knows the registered clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registrar(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    clients: BTreeMap<String, Client>,
    default_client: Option<String>,
}

impl Registrar {
    /// The clients in the settings; an error names the one that cannot be registered.
    pub fn from_settings(settings: &Settings, figment: &Figment) -> Result<Self, SettingError> {
        let mut clients = BTreeMap::new();
        for (id, described) in &settings.clients {
            let client = register(id, described).map_err(|(key, problem)| {
                let key = format!("vestibule.clients.{id}{key}");
                SettingError::new(figment, &key, problem)
            })?;
            clients.insert(id.clone(), client);
        }
        let default_client = settings.default_client.clone();
        let default = default_client.as_ref().and_then(|id| clients.get(id));
        if default.is_some_and(|client: &Client| !client.is_public()) {
            let problem =
                "a client that authenticates cannot be taken for granted: name a public one";
            return Err(SettingError::new(figment, "vestibule.default_client", problem));
        }
        Ok(Self(Arc::new(Registered { clients, default_client })))
    }

    pub fn find(&self, id: &str) -> Option<&Client> {
        self.0.clients.get(id)
    }

    /// The client that `credentials` prove; without any, the default client, if there is one and it
    /// is public. An unknown client and a wrong secret cost and answer the same (R16).
    pub fn authenticate(&self, credentials: Option<&Credentials>) -> Result<&Client, OAuthError> {
        let Some(credentials) = credentials else {
            let default = self.0.default_client.as_deref().and_then(|id| self.find(id));
            return default
                .filter(|client| client.is_public())
                .ok_or(ClientRefusal::Missing.into());
        };
        let presented = credentials.secret.as_ref().map(|secret| Digest::of(secret.as_bytes()));
        let client = self.find(&credentials.client_id);
        let is_proven = match (client.map(|client| &client.authentication), presented) {
            (Some(ClientAuthentication::Public), None) => true,
            (Some(ClientAuthentication::Confidential { secret }), Some(presented)) => {
                *secret == presented
            }
            // a public client that sends a secret believes to be another kind of client
            _ => false,
        };
        client.filter(|_| is_proven).ok_or(ClientRefusal::Wrong.into())
    }

    /// What the client gets if it asks for `asked`; all that it may have if it asks for nothing.
    pub fn grantable(&self, client: &Client, asked: Option<&Scope>) -> Option<Scope> {
        match asked {
            None => Some(client.scope.clone()),
            Some(asked) if asked.is_within(&client.scope) => Some(asked.clone()),
            Some(_) => None,
        }
    }
}

/// A client as it is described in the settings; the error names the key below the client's.
fn register(
    id: &str,
    described: &ClientSettings,
) -> Result<Client, (&'static str, RegistrationError)> {
    let authentication = match (described.public, &described.secret_sha256) {
        (true, None) => ClientAuthentication::Public,
        (false, Some(hex)) => {
            let mut digest = [0; 32];
            hex::decode_to_slice(hex, &mut digest)
                .map_err(|_| (".secret_sha256", RegistrationError::Digest))?;
            ClientAuthentication::Confidential { secret: Digest::from_bytes(digest) }
        }
        (true, Some(_)) => return Err(("", RegistrationError::PublicWithSecret)),
        (false, None) => return Err(("", RegistrationError::NoAuthentication)),
    };
    let grants: BTreeSet<GrantType> = described
        .grants
        .iter()
        .map(|name| GrantType::parse(name).ok_or_else(|| RegistrationError::Grant(name.clone())))
        .collect::<Result<_, _>>()
        .map_err(|error| (".grants", error))?;
    if grants.is_empty() {
        return Err((".grants", RegistrationError::NoGrant));
    }
    if !grants.contains(&GrantType::Password) {
        return Err((".grants", RegistrationError::RefreshOnly));
    }
    for token in &described.scopes {
        Scope::from_tokens([token])
            .map_err(|_| (".scopes", RegistrationError::Scope(token.clone())))?;
    }
    let scope = Scope::from_tokens(&described.scopes)
        .map_err(|_| (".scopes", RegistrationError::Scope(described.scopes.join(" "))))?;
    let id: ClientId = id.parse().map_err(|error| ("", error))?;
    Ok(Client { id, authentication, grants, scope })
}

/// To oxide-auth's kind of scope. Ours is the stricter one, so this cannot fail in practice; if it
/// did, the flow would refuse.
pub(super) fn to_oxide(scope: &Scope) -> Result<OxideScope, RegistrarError> {
    scope.to_string().parse().map_err(|_| RegistrarError::PrimitiveError)
}

/// From oxide-auth's kind of scope, which keeps no order.
pub(super) fn from_oxide(scope: &OxideScope) -> Result<Scope, OAuthError> {
    Scope::from_tokens(scope.iter()).map_err(|_| OAuthError::Scope)
}

#[async_trait]
impl oxide_auth_async::primitives::Registrar for Registrar {
    async fn bound_redirect<'a>(
        &self,
        bound: ClientUrl<'a>,
    ) -> Result<BoundClient<'a>, RegistrarError> {
        self.find(&bound.client_id).ok_or(RegistrarError::Unspecified)?;
        let url =
            ExactUrl::new(NO_REDIRECT.to_owned()).map_err(|_| RegistrarError::PrimitiveError)?;
        let redirect_uri = Cow::Owned(RegisteredUrl::Exact(url));
        Ok(BoundClient { client_id: bound.client_id, redirect_uri })
    }

    async fn negotiate<'a>(
        &self,
        bound: BoundClient<'a>,
        scope: Option<OxideScope>,
    ) -> Result<PreGrant, RegistrarError> {
        let client = self.find(&bound.client_id).ok_or(RegistrarError::Unspecified)?;
        let asked = scope.as_ref().map(from_oxide).transpose();
        let asked = asked.map_err(|_| RegistrarError::Unspecified)?;
        let granted = self.grantable(client, asked.as_ref()).ok_or(RegistrarError::Unspecified)?;
        Ok(PreGrant {
            client_id: bound.client_id.into_owned(),
            redirect_uri: bound.redirect_uri.into_owned(),
            scope: to_oxide(&granted)?,
        })
    }

    /// oxide-auth asks again what the endpoint has asked before it began the flow.
    async fn check(&self, id: &str, passphrase: Option<&[u8]>) -> Result<(), RegistrarError> {
        let secret = match passphrase {
            None | Some([]) => None,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| RegistrarError::Unspecified)?;
                Some(Zeroizing::new(text.to_owned()))
            }
        };
        let credentials = Credentials { client_id: id.to_owned(), secret };
        let authenticated = self.authenticate(Some(&credentials));
        authenticated.map(drop).map_err(|_| RegistrarError::Unspecified)
    }
}
