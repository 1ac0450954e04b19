//! Client administration by the operator's command line.
//!
//! Each action is safe while the service runs, on any node: clients are read at each request, and
//! the token cache keeps an access token for one second. Clients of the settings are listed here
//! but changed only in the settings.

use std::iter::Peekable;
use std::time::Duration;
use std::vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::accounts::EventDraft;
use crate::clock::Timestamp;
use crate::config::ClientSettings;
use crate::crypto::entropy::Entropy;
use crate::model::{
    Actor, Client, ClientAuthentication, ClientId, ClientInfo, Digest, EventKind, PreviousSecret,
    RegistrationError,
};
use crate::oauth::OAuth;
use crate::oauth::client_registry::register;
use crate::storage::{ClientRecord, Connection, StoreError};

/// Creates a client secret of 256 random bits, in unreserved characters only: not every library
/// encodes the secret that it sends (RFC 6749 §2.3.1).
pub fn new_client_secret(entropy: Entropy) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
}

/// Place of a client's registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisteredIn {
    /// In the settings.
    Settings,
    /// In the database, by the command line.
    Database {
        /// Time of the registration.
        created_at: Timestamp,
        /// Time at which the client was disabled.
        disabled_at: Option<Timestamp>,
        /// The settings have a client with the same id, which wins.
        is_shadowed: bool,
    },
}

/// Client with the place of its registration.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    /// The client.
    pub client: Client,
    /// Place of the registration.
    pub registered_in: RegisteredIn,
}

/// Client that can be registered but is not yet. The operator sees its secret first.
#[derive(Clone, Debug)]
pub struct PreparedClient {
    client: Client,
    created_at: Timestamp,
}

impl PreparedClient {
    /// The client as it will be registered.
    pub fn registered(&self) -> RegisteredClient {
        let registered_in = RegisteredIn::Database {
            created_at: self.created_at,
            disabled_at: None,
            is_shadowed: false,
        };
        RegisteredClient { client: self.client.clone(), registered_in }
    }
}

/// New secret of a client, not yet valid. The operator sees the secret first.
#[derive(Clone, Debug)]
pub struct PreparedRotation {
    /// The client after the rotation.
    pub client: RegisteredClient,
    secret: Digest,
    /// Last instant at which the present secret works.
    pub old_secret_until: Timestamp,
}

impl PreparedRotation {
    /// Instant until which the present secret is kept; `None` if it ends at once.
    fn kept_until(&self) -> Option<Timestamp> {
        match &self.client.client.authentication {
            ClientAuthentication::Confidential { previous: Some(previous), .. } => {
                Some(previous.until)
            }
            _ => None,
        }
    }
}

/// Result of a removal.
#[derive(Debug)]
pub struct RemovedClient {
    /// The client before its removal.
    pub client: RegisteredClient,
    /// Number of sessions that ended with the client.
    pub ended: u64,
}

/// Reason why an action on a client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No such client.
    #[error("the client does not exist")]
    Unknown,
    /// A client with this id exists already.
    #[error("a client with this id exists already")]
    Taken,
    /// The client is in the settings, and can be changed only there.
    #[error("the client is in the settings, which take precedence: change it there")]
    InSettings,
    /// A public client has no secret.
    #[error("the client is public, and has no secret")]
    Public,
    /// With the name of the wrong setting; empty if the whole client is wrong.
    #[error("{}{error}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
    Registration { key: &'static str, error: RegistrationError },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All clients in the order of their ids, read page by page.
#[derive(Debug)]
pub struct ClientList<'a> {
    oauth: &'a OAuth,
    /// Clients of the settings that are on no page yet.
    declared: Peekable<vec::IntoIter<&'a Client>>,
    /// The last client of the database on a page so far.
    after: Option<ClientId>,
    is_over: bool,
}

impl ClientList<'_> {
    /// Largest number of the database's clients on a page.
    pub const PAGE: i64 = 500;

    /// The next page, with the clients of the settings at their place in the order; `None` at the
    /// end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<RegisteredClient>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let after = self.after.as_ref();
        let stored = self.oauth.store.read(async |db| db.find_clients(after, Self::PAGE).await);
        let stored = stored.await?;
        self.is_over = i64::try_from(stored.len()).is_ok_and(|count| count < Self::PAGE);
        let mut page = Vec::new();
        for record in stored {
            let id = record.client.id.clone();
            // with the same id in both, the client of the settings comes first
            while let Some(client) = self.declared.next_if(|client| client.id <= id) {
                page.push(in_settings(client));
            }
            page.push(self.oauth.in_database(record));
            self.after = Some(id);
        }
        if self.is_over {
            page.extend(self.declared.by_ref().map(in_settings));
        }
        Ok(Some(page))
    }
}

impl OAuth {
    /// Lists all clients, from the first page on.
    pub fn list_clients(&self) -> ClientList<'_> {
        let declared: Vec<&Client> = self.client_registry.declared().collect();
        let declared = declared.into_iter().peekable();
        ClientList { oauth: self, declared, after: None, is_over: false }
    }

    /// Finds the client that is in effect, with the number of its sessions.
    pub async fn find_registered_client(
        &self,
        id: &ClientId,
    ) -> Result<(RegisteredClient, i64), ClientError> {
        let declared = self.client_registry.declared().find(|client| client.id == *id);
        let (stored, sessions) = self
            .store
            .read(async |db| {
                Ok::<_, StoreError>((
                    db.find_client(id).await?,
                    db.count_sessions_of_client(id).await?,
                ))
            })
            .await?;
        let client = declared.map(in_settings);
        let client = client.or_else(|| stored.map(|record| self.in_database(record)));
        Ok((client.ok_or(ClientError::Unknown)?, sessions))
    }

    /// Checks the client that [`OAuth::add_client`] would register, by the same rules as a client
    /// in the settings. Writes nothing.
    pub async fn prepare_client(
        &self,
        id: &str,
        described: &ClientSettings,
    ) -> Result<PreparedClient, ClientError> {
        let client = register(id, described).map_err(|(key, error)| ClientError::Registration {
            key: key.trim_start_matches('.'),
            error,
        })?;
        if self.client_registry.declares(&client.id) {
            return Err(ClientError::InSettings);
        }
        if self.store.read(async |db| db.find_client(&client.id).await).await?.is_some() {
            return Err(ClientError::Taken);
        }
        Ok(PreparedClient { client, created_at: self.clock.now() })
    }

    /// Registers a client.
    pub async fn add_client(&self, prepared: &PreparedClient) -> Result<(), ClientError> {
        let PreparedClient { client, created_at } = prepared;
        // sessions of an earlier client with the same id
        self.store.end_sessions_of_client(&client.id).await?;
        self.store
            .write(async |tx| {
                if !tx.insert_client(client, *created_at).await? {
                    return Err(ClientError::Taken);
                }
                // sessions of sign-ins that were under way when the earlier client was removed
                tx.purge_sessions_of_client(&client.id).await?;
                Ok(self.record_client_event(tx, EventKind::ClientAdded, &client.id).await?)
            })
            .await
    }

    /// Prepares a new secret for a client. The present secret works until `keep_old` from now.
    /// Writes nothing; [`OAuth::rotate_client_secret`] does.
    pub async fn prepare_rotation(
        &self,
        id: &ClientId,
        secret: Digest,
        keep_old: Duration,
    ) -> Result<PreparedRotation, ClientError> {
        let found = self.store.read(async |db| Ok(self.stored(db, id).await)).await?;
        let mut record = found?;
        let old_secret_until = self.clock.now() + keep_old;
        let ClientAuthentication::Confidential { secret: old, .. } = record.client.authentication
        else {
            return Err(ClientError::Public);
        };
        // a secret that ends at once is not kept: a clock that is set back could revive it
        let previous = (!keep_old.is_zero())
            .then_some(PreviousSecret { secret: old, until: old_secret_until });
        record.client.authentication = ClientAuthentication::Confidential { secret, previous };
        Ok(PreparedRotation { client: self.in_database(record), secret, old_secret_until })
    }

    /// Gives a client its prepared secret. The present secret works for the prepared time; an
    /// earlier one stops at once.
    pub async fn rotate_client_secret(
        &self,
        prepared: &PreparedRotation,
    ) -> Result<(), ClientError> {
        let id = &prepared.client.client.id;
        self.store
            .write(async |tx| {
                self.stored(tx, id).await?;
                let until = prepared.kept_until();
                if !tx.rotate_client_secret(id, &prepared.secret, until).await? {
                    return Err(ClientError::Public);
                }
                Ok(self.record_client_event(tx, EventKind::ClientSecretRotated, id).await?)
            })
            .await
    }

    /// Disables the client: it gets no tokens, and its present tokens are invalid for good. `false`
    /// if it was disabled before.
    pub async fn disable_client(&self, id: &ClientId) -> Result<bool, ClientError> {
        let disabled = self
            .store
            .write(async |tx| {
                self.stored(tx, id).await?;
                let disabled = tx.disable_client(id, self.clock.now()).await?;
                if disabled {
                    self.record_client_event(tx, EventKind::ClientDisabled, id).await?;
                }
                Ok::<_, ClientError>(disabled)
            })
            .await?;
        // the sessions have ended already; after an interruption, `enable_client` removes the rest
        // first
        self.store.end_sessions_of_client(id).await?;
        Ok(disabled)
    }

    /// Enables the client again; earlier tokens stay invalid. `false` if it was not disabled.
    pub async fn enable_client(&self, id: &ClientId) -> Result<bool, ClientError> {
        self.store.read(async |db| Ok(self.stored(db, id).await)).await??;
        self.store.end_sessions_of_client(id).await?;
        self.store
            .write(async |tx| {
                self.stored(tx, id).await?;
                let enabled = tx.enable_client(id).await?;
                if enabled {
                    // session of a sign-in that was under way when the client was disabled
                    tx.purge_sessions_of_client(id).await?;
                    self.record_client_event(tx, EventKind::ClientEnabled, id).await?;
                }
                Ok(enabled)
            })
            .await
    }

    /// Removes the client and ends its sessions. A client of the settings with the same id stays,
    /// with its sessions. After an interruption the client is disabled, and can be removed again.
    pub async fn remove_client(&self, id: &ClientId) -> Result<RemovedClient, ClientError> {
        let is_declared = self.client_registry.declares(id);
        let record = self
            .store
            .write(async |tx| {
                let Some(record) = tx.find_client(id).await? else {
                    return Err(match is_declared {
                        true => ClientError::InSettings,
                        false => ClientError::Unknown,
                    });
                };
                // from here on no session is added
                if !is_declared {
                    tx.disable_client(id, self.clock.now()).await?;
                }
                Ok(record)
            })
            .await?;
        let ended = match is_declared {
            true => 0,
            false => self.store.end_sessions_of_client(id).await?,
        };
        self.store
            .write(async |tx| {
                if !tx.delete_client(id).await? {
                    return Err(ClientError::Unknown);
                }
                let late = if is_declared { 0 } else { tx.purge_sessions_of_client(id).await? };
                self.record_client_event(tx, EventKind::ClientRemoved, id).await?;
                Ok(RemovedClient { client: self.in_database(record.clone()), ended: ended + late })
            })
            .await
    }

    /// Finds a client of the database that may be changed.
    async fn stored(
        &self,
        tx: &mut Connection,
        id: &ClientId,
    ) -> Result<ClientRecord, ClientError> {
        if self.client_registry.declares(id) {
            return Err(ClientError::InSettings);
        }
        tx.find_client(id).await?.ok_or(ClientError::Unknown)
    }

    fn in_database(&self, record: ClientRecord) -> RegisteredClient {
        let ClientRecord { client, created_at, disabled_at } = record;
        let is_shadowed = self.client_registry.declares(&client.id);
        let registered_in = RegisteredIn::Database { created_at, disabled_at, is_shadowed };
        RegisteredClient { client, registered_in }
    }

    async fn record_client_event(
        &self,
        tx: &mut Connection,
        kind: EventKind,
        id: &ClientId,
    ) -> Result<(), StoreError> {
        let event = EventDraft::new(kind, Actor::Operator).through(Some(id));
        self.accounts.events.record(tx, event, &ClientInfo::operator()).await
    }
}

fn in_settings(client: &Client) -> RegisteredClient {
    RegisteredClient { client: client.clone(), registered_in: RegisteredIn::Settings }
}
