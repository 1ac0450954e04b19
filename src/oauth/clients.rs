//! Registry of OAuth clients: those in the settings, and those in the database.

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

/// Knows the registered clients: those in the settings, and those in the database, which the command
/// line registers. Where both have one of the same id, that in the settings counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientRegistry(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    declared: BTreeMap<String, Arc<Client>>,
    default_client: Option<String>,
}

impl ClientRegistry {
    /// The clients in the settings; an error names the one that cannot be registered.
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
            let problem =
                "a client that authenticates cannot be taken for granted: name a public one";
            return Err(SettingError::new(figment, "vestibule.default_client", problem));
        }
        Ok(Self(Arc::new(Registered { declared, default_client })))
    }

    /// The clients in the settings.
    pub fn declared(&self) -> impl Iterator<Item = &Client> {
        self.0.declared.values().map(Arc::as_ref)
    }

    /// Whether tokens of a client count: it is in the settings, or in the database and enabled, as a
    /// look-up of the session has found out.
    pub(super) fn is_registered(&self, id: &ClientId, enabled_in_database: Option<bool>) -> bool {
        self.declares(id) || enabled_in_database == Some(true)
    }

    /// Whether the client is in the settings: then what the database says of it does not count.
    pub(super) fn declares(&self, id: &ClientId) -> bool {
        self.0.declared.contains_key(id.as_str())
    }

    /// The id of the client that serves requests which name none.
    pub(super) fn default_client(&self) -> Option<&str> {
        self.0.default_client.as_deref()
    }

    /// The enabled client with this id. The database is asked in every case, so that the time of a
    /// refusal does not tell which ids stand in the settings (R16).
    async fn find(&self, store: &Store, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
        // what cannot be an id is asked of no database: one of the engines takes no NUL
        let Ok(parsed) = id.parse::<ClientId>() else { return Ok(None) };
        let stored = store.read(async |db| db.find_client(&parsed).await).await?;
        if let Some(declared) = self.0.declared.get(id) {
            return Ok(Some(Arc::clone(declared)));
        }
        let enabled = stored.filter(|record| record.disabled_at.is_none());
        Ok(enabled.map(|record| Arc::new(record.client)))
    }

    /// The client that `credentials` prove; without any, the default client, if there is one. An
    /// unknown client and a wrong secret cost and answer the same (R16).
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
        // whoever is who they say may know that they stand in the settings
        if let Some(declared) = self.0.declared.get(&credentials.client_id).filter(is_proven) {
            return Ok(Arc::clone(declared));
        }
        let client = self.find(store, &credentials.client_id).await?;
        client.filter(|client| is_proven(&client)).ok_or(credentials.refusal().into())
    }

    /// The origin as it is registered, if the client that a live token was issued to allows it. Which
    /// clients stand in the settings is no secret from its bearer, and the database is asked for none of
    /// them.
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

    /// The origin as it is registered, if the client allows it; if nothing is known of the client, if
    /// any client does: browsers ask before they say which client they are (Fetch §4.8).
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

/// A client as it is described in the settings, or to the command line in the same words; the error
/// names the key below the client's.
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
    // a resource server that only asks about others' tokens (RFC 7662) signs nobody in
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
