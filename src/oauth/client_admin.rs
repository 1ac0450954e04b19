//! What the operator does with registered clients, by the command line.
//!
//! All of it is safe while the service runs, on any node: clients are read at each request, and access
//! tokens that were found live are remembered for a second. Clients in the settings are shown here and
//! changed there.

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
use crate::oauth::clients::register;
use crate::storage::{ClientRecord, Connection, StoreError};

/// A client secret with 256 random bits, in unreserved characters only: not every library encodes
/// what it sends (RFC 6749 §2.3.1).
pub fn new_client_secret(entropy: Entropy) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
}

/// Where a client is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisteredIn {
    Settings,
    Database {
        created_at: Timestamp,
        disabled_at: Option<Timestamp>,
        /// One of the same id stands in the settings, and that is the one which counts.
        is_shadowed: bool,
    },
}

/// A client, wherever it is registered.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    pub client: Client,
    pub registered_in: RegisteredIn,
}

/// A client that can be registered, and is not yet: its secret is shown first.
#[derive(Clone, Debug)]
pub struct PreparedClient {
    client: Client,
    created_at: Timestamp,
}

impl PreparedClient {
    /// The client as it will be.
    pub fn registered(&self) -> RegisteredClient {
        let registered_in = RegisteredIn::Database {
            created_at: self.created_at,
            disabled_at: None,
            is_shadowed: false,
        };
        RegisteredClient { client: self.client.clone(), registered_in }
    }
}

/// Another secret for a client that does not count yet: it is shown first.
#[derive(Clone, Debug)]
pub struct PreparedRotation {
    /// As it will be.
    pub client: RegisteredClient,
    secret: Digest,
    /// Until when the present secret will work.
    pub old_secret_until: Timestamp,
}

impl PreparedRotation {
    /// Until when the present secret is kept; `None` if it ends at once.
    fn kept_until(&self) -> Option<Timestamp> {
        match &self.client.client.authentication {
            ClientAuthentication::Confidential { previous: Some(previous), .. } => {
                Some(previous.until)
            }
            _ => None,
        }
    }
}

/// What became of a removed client.
#[derive(Debug)]
pub struct RemovedClient {
    /// As it was.
    pub client: RegisteredClient,
    /// How many sessions ended with it.
    pub ended: u64,
}

/// Why nothing was done to a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("there is no such client")]
    Unknown,
    #[error("there is such a client already")]
    Taken,
    #[error("it stands in the settings, and those count: change it there")]
    InSettings,
    #[error("it is a public client, and has no secret")]
    Public,
    /// With the name of the setting that is wrong; none, if it is the whole.
    #[error("{}{error}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
    Registration { key: &'static str, error: RegistrationError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All clients in the order of their ids, read page by page.
#[derive(Debug)]
pub struct ClientList<'a> {
    oauth: &'a OAuth,
    /// Those in the settings that are on no page yet.
    declared: Peekable<vec::IntoIter<&'a Client>>,
    /// The last client of the database that is on a page.
    after: Option<ClientId>,
    is_over: bool,
}

impl ClientList<'_> {
    /// Clients of the database on a page, at most.
    pub const PAGE: i64 = 500;

    /// The next page, with those of the settings that belong there; `None` at the end.
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
            // the one that counts before the one that does not
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
    /// All clients, from the first page on.
    pub fn list_clients(&self) -> ClientList<'_> {
        let declared: Vec<&Client> = self.client_registry.declared().collect();
        let declared = declared.into_iter().peekable();
        ClientList { oauth: self, declared, after: None, is_over: false }
    }

    /// The client that counts, with how many sessions it has.
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

    /// The client that [`OAuth::add_client`] would register: described as it would be in the settings,
    /// and held to the same. Nothing is written yet.
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
        // of one that had the id before
        self.store.end_sessions_of_client(&client.id).await?;
        self.store
            .write(async |tx| {
                if !tx.insert_client(client, *created_at).await? {
                    return Err(ClientError::Taken);
                }
                // if a sign-in was under way when that was removed
                tx.purge_sessions_of_client(&client.id).await?;
                Ok(self.note_client(tx, EventKind::ClientAdded, &client.id).await?)
            })
            .await
    }

    /// The client as [`OAuth::rotate_client_secret`] would leave it, with another secret, and the
    /// present one until `keep_old` from now. Nothing is written yet.
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
        // one that ends at once is not kept: a clock that is set back could let it work again
        let previous = (!keep_old.is_zero())
            .then_some(PreviousSecret { secret: old, until: old_secret_until });
        record.client.authentication = ClientAuthentication::Confidential { secret, previous };
        Ok(PreparedRotation { client: self.in_database(record), secret, old_secret_until })
    }

    /// Gives a client another secret. The one before works on for as long as was prepared; one that was
    /// before that does not.
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
                Ok(self.note_client(tx, EventKind::ClientSecretRotated, id).await?)
            })
            .await
    }

    /// The client gets no tokens from now on, and those that it has are dead for good. `false` if it
    /// was disabled before.
    pub async fn disable_client(&self, id: &ClientId) -> Result<bool, ClientError> {
        let disabled = self
            .store
            .write(async |tx| {
                self.stored(tx, id).await?;
                let disabled = tx.disable_client(id, self.clock.now()).await?;
                if disabled {
                    self.note_client(tx, EventKind::ClientDisabled, id).await?;
                }
                Ok::<_, ClientError>(disabled)
            })
            .await?;
        // dead by now; where this is interrupted, the rest goes before the client is enabled again
        self.store.end_sessions_of_client(id).await?;
        Ok(disabled)
    }

    /// The client may get tokens again; what was dead stays dead. `false` if it was not disabled.
    pub async fn enable_client(&self, id: &ClientId) -> Result<bool, ClientError> {
        self.store.read(async |db| Ok(self.stored(db, id).await)).await??;
        self.store.end_sessions_of_client(id).await?;
        self.store
            .write(async |tx| {
                self.stored(tx, id).await?;
                let enabled = tx.enable_client(id).await?;
                if enabled {
                    // of a sign-in that was under way when it was disabled
                    tx.purge_sessions_of_client(id).await?;
                    self.note_client(tx, EventKind::ClientEnabled, id).await?;
                }
                Ok(enabled)
            })
            .await
    }

    /// Removes the client and ends its sessions. One of the same id in the settings is left alone,
    /// with its sessions. Where it is interrupted the client is disabled, and can be removed again.
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
                self.note_client(tx, EventKind::ClientRemoved, id).await?;
                Ok(RemovedClient { client: self.in_database(record.clone()), ended: ended + late })
            })
            .await
    }

    /// The client of the database that is to be changed.
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

    async fn note_client(
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
