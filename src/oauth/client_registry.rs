//! Registry of OAuth clients: the clients of the settings and of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use figment::Figment;

use crate::clock::Timestamp;
use crate::config::{ClientSettings, Lifetime, SettingError, Settings};
use crate::model::{
    Client, ClientAuthentication, ClientId, ClientLifetimes, Digest, GrantType, Origins,
    RegistrationError, Scope,
};
use crate::oauth::{ClientRefusal, Credentials, OAuthError};
use crate::storage::{Store, StoreError};

/// Finds registered clients. Operators declare clients in the settings, or register them in the
/// database by the command line. If both have the same id, the settings win. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientRegistry(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    declared: BTreeMap<String, Arc<Client>>,
    default_client: Option<String>,
}

impl ClientRegistry {
    /// Registers the clients of the settings. An error names the key of the invalid client.
    pub fn from_settings(settings: &Settings, figment: &Figment) -> Result<Self, SettingError> {
        let mut declared = BTreeMap::new();
        for (id, described) in &settings.clients {
            let client = register(id, described).map_err(|(key, problem)| {
                let key = format!("vestibule.clients.{id}{key}");
                SettingError::new(figment, &key, problem)
            })?;
            declared.insert(id.clone(), Arc::new(client));
        }
        let default_client = settings.default_client.clone();
        let default = default_client.as_ref().and_then(|id| declared.get(id));
        if default.is_some_and(|client: &Arc<Client>| !client.is_public()) {
            let problem = "expected a public client: a confidential client has to authenticate";
            return Err(SettingError::new(figment, "vestibule.default_client", problem));
        }
        Ok(Self(Arc::new(Registered { declared, default_client })))
    }

    /// The clients of the settings.
    pub fn declared(&self) -> impl Iterator<Item = &Client> {
        self.0.declared.values().map(Arc::as_ref)
    }

    /// Whether tokens of a client are valid: the client is in the settings, or enabled in the
    /// database. The look-up of the session reads `enabled_in_database`.
    pub(super) fn is_registered(&self, id: &ClientId, enabled_in_database: Option<bool>) -> bool {
        self.declares(id) || enabled_in_database == Some(true)
    }

    /// Whether the client is in the settings. If so, its row in the database does not count.
    pub(super) fn declares(&self, id: &ClientId) -> bool {
        self.0.declared.contains_key(id.as_str())
    }

    /// Id of the default client, which serves requests without a client id.
    pub(super) fn default_client(&self) -> Option<&str> {
        self.0.default_client.as_deref()
    }

    /// Finds the enabled client with this id. The database is read in every case, so that the time
    /// of a refusal does not reveal which ids are in the settings (R16).
    async fn find(&self, store: &Store, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
        // a text that cannot be an id reaches no database: one of the engines takes no NUL
        let Ok(parsed) = id.parse::<ClientId>() else { return Ok(None) };
        let stored = store.read(async |db| db.find_client(&parsed).await).await?;
        if let Some(declared) = self.0.declared.get(id) {
            return Ok(Some(Arc::clone(declared)));
        }
        let enabled = stored.filter(|record| record.disabled_at.is_none());
        Ok(enabled.map(|record| Arc::new(record.client)))
    }

    /// Authenticates the client of `credentials`; without any, returns the default client, if there
    /// is one. An unknown client and a wrong secret cost the same and get the same response (R16).
    pub(super) async fn authenticate(
        &self,
        store: &Store,
        now: Timestamp,
        credentials: Option<&Credentials>,
    ) -> Result<Arc<Client>, OAuthError> {
        let Some(credentials) = credentials else {
            let default = self.0.default_client.as_ref();
            let default = default.and_then(|id| self.0.declared.get(id));
            return default.cloned().ok_or(ClientRefusal::Missing.into());
        };
        let presented = credentials.secret.as_ref().map(|secret| Digest::of(secret.as_bytes()));
        let is_proven =
            |client: &&Arc<Client>| client.authentication.is_proven_by(presented.as_ref(), now);
        // an authenticated client may learn by the time that it is in the settings
        if let Some(declared) = self.0.declared.get(&credentials.client_id).filter(is_proven) {
            return Ok(Arc::clone(declared));
        }
        let client = self.find(store, &credentials.client_id).await?;
        client.filter(|client| is_proven(&client)).ok_or(credentials.refusal().into())
    }

    /// The origin as registered, if the client of a live token allows it. The bearer of a token may
    /// learn whether its client is in the settings, so such a client needs no read of the database.
    pub(super) async fn find_origin_of(
        &self,
        store: &Store,
        client: &str,
        origin: &str,
    ) -> Result<Option<String>, StoreError> {
        match self.0.declared.get(client) {
            Some(declared) => Ok(declared.allowed_origins.find(origin).map(str::to_owned)),
            None => self.find_origin(store, Some(client), origin).await,
        }
    }

    /// The origin as registered, if the client allows it. Without a client, if any client allows
    /// it: browsers send the preflight before they name a client (Fetch §4.8).
    pub(super) async fn find_origin(
        &self,
        store: &Store,
        client: Option<&str>,
        origin: &str,
    ) -> Result<Option<String>, StoreError> {
        if let Some(id) = client {
            let client = self.find(store, id).await?;
            let allowed = client.as_ref().and_then(|client| client.allowed_origins.find(origin));
            return Ok(allowed.map(str::to_owned));
        }
        let declared = self.declared().find_map(|client| client.allowed_origins.find(origin));
        if let Some(declared) = declared {
            return Ok(Some(declared.to_owned()));
        }
        store.read(async |db| db.find_allowed_origin(origin).await).await
    }
}

/// Builds a client from its settings, or from the command line's options of the same names. The
/// error names the key below the client's.
pub(super) fn register(
    id: &str,
    described: &ClientSettings,
) -> Result<Client, (&'static str, RegistrationError)> {
    let authentication = match (described.public, &described.secret_sha256) {
        (true, None) => ClientAuthentication::Public,
        (false, Some(hex)) => {
            let mut digest = [0; 32];
            hex::decode_to_slice(hex, &mut digest)
                .map_err(|_| (".secret_sha256", RegistrationError::Digest))?;
            let secret = Digest::from_bytes(digest);
            ClientAuthentication::Confidential { secret, previous: None }
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
    // a resource server that only introspects tokens (RFC 7662) needs no grant
    if grants.is_empty() && described.public {
        return Err((".grants", RegistrationError::NoGrant));
    }
    if !grants.is_empty() && !grants.contains(&GrantType::Password) {
        return Err((".grants", RegistrationError::RefreshOnly));
    }
    for token in &described.scopes {
        Scope::from_tokens([token])
            .map_err(|_| (".scopes", RegistrationError::Scope(token.clone())))?;
    }
    let scope = Scope::from_tokens(&described.scopes)
        .map_err(|_| (".scopes", RegistrationError::Scope(described.scopes.join(" "))))?;
    let id: ClientId = id.parse().map_err(|error| ("", error))?;
    let allowed_origins = Origins::from_texts(&described.allowed_origins)
        .map_err(|error| (".allowed_origins", error.into()))?;
    for (key, ttl) in [
        (".access_ttl", described.access_ttl),
        (".refresh_idle_ttl", described.refresh_idle_ttl),
        (".session_ttl", described.session_ttl),
    ] {
        if ttl.is_some_and(|ttl| ttl.duration() < Duration::from_secs(1)) {
            return Err((key, RegistrationError::Lifetime));
        }
    }
    let lifetimes = ClientLifetimes {
        access: described.access_ttl.map(Lifetime::duration),
        idle: described.refresh_idle_ttl.map(Lifetime::duration),
        session: described.session_ttl.map(Lifetime::duration),
    };
    let introspects = described.introspects;
    Ok(Client { id, authentication, grants, scope, introspects, allowed_origins, lifetimes })
}
