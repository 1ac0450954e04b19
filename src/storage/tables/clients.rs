//! Table `clients`: OAuth clients that the operator registered by the command line.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::email_search::pattern_for;
use crate::clock::Timestamp;
use crate::model::{
    Client, ClientAuthentication, ClientId, ClientLifetimes, GrantType, Origins, PreviousSecret,
};
use crate::storage::engine::{Change, Connection, StoreError, column};

/// A client with the columns of its registration.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// The client.
    pub client: Client,
    /// Time of registration.
    pub created_at: Timestamp,
    /// Time at which the client was disabled; `None` if it is enabled.
    pub disabled_at: Option<Timestamp>,
}

fn from_row(row: &AnyRow) -> Result<ClientRecord, StoreError> {
    let authentication = match column::optional_digest(row, "secret_digest")? {
        None => ClientAuthentication::Public,
        Some(secret) => {
            let previous = column::optional_digest(row, "previous_secret_digest")?;
            let until = column::optional_instant(row, "previous_secret_until")?;
            let previous =
                previous.zip(until).map(|(secret, until)| PreviousSecret { secret, until });
            ClientAuthentication::Confidential { secret, previous }
        }
    };
    let lifetime = |name| -> Result<Option<Duration>, StoreError> {
        let millis = column::optional_integer(row, name)?;
        let lifetime = |millis| u64::try_from(millis).map(Duration::from_millis);
        millis.map(lifetime).transpose().map_err(|error| StoreError::corrupt(name, error))
    };
    let unknown = |word: &str| StoreError::corrupt("grants", format!("unknown grant {word}"));
    let grants = column::text(row, "grants")?;
    let grants = grants.split_whitespace().map(|word| GrantType::parse(word).ok_or(unknown(word)));
    Ok(ClientRecord {
        client: Client {
            id: column::parsed(row, "id")?,
            authentication,
            grants: grants.collect::<Result<_, _>>()?,
            scope: column::parsed(row, "scope")?,
            introspects: column::parsed(row, "introspects")?,
            allowed_origins: column::parsed(row, "allowed_origins")?,
            lifetimes: ClientLifetimes {
                access: lifetime("access_ttl")?,
                idle: lifetime("refresh_idle_ttl")?,
                session: lifetime("session_ttl")?,
            },
        },
        created_at: column::instant(row, "created_at")?,
        disabled_at: column::optional_instant(row, "disabled_at")?,
    })
}

/// Longest origin in bytes; a host name has at most 253 (RFC 1035). The limit protects SQLite,
/// which refuses long patterns.
const LONGEST_ORIGIN: usize = 512;

/// A lifetime as the database stores it, in milliseconds.
fn millis(lifetime: Option<Duration>) -> Option<i64> {
    lifetime.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
}

impl Connection {
    /// Registers the client. `false` if its id is taken.
    pub async fn insert_client(
        &mut self,
        client: &Client,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO clients
                (id, grants, scope, introspects, allowed_origins, secret_digest, access_ttl,
                 refresh_idle_ttl, session_ttl, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (id) DO NOTHING";
        let secret = match &client.authentication {
            ClientAuthentication::Public => None,
            ClientAuthentication::Confidential { secret, .. } => Some(secret.as_bytes().to_vec()),
        };
        let grants: Vec<&str> = client.grants.iter().map(|grant| grant.as_str()).collect();
        let done = sqlx::query(SQL)
            .bind(client.id.as_str())
            .bind(grants.join(" "))
            .bind(client.scope.to_string())
            .bind(client.introspects.as_str())
            .bind(client.allowed_origins.to_string())
            .bind(secret)
            .bind(millis(client.lifetimes.access))
            .bind(millis(client.lifetimes.idle))
            .bind(millis(client.lifetimes.session))
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The client with this id. The statement reads and decodes one row in every case, so that the
    /// time does not tell whether the client exists (R16).
    pub async fn find_client(&mut self, id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        const SQL: &str = "
            SELECT CASE WHEN c.id IS NULL THEN 'unknown' ELSE 'registered' END AS standing,
                   COALESCE(c.id, $1) AS id,
                   COALESCE(c.grants, 'password refresh_token') AS grants,
                   COALESCE(c.scope, 'account.read account.write') AS scope,
                   COALESCE(c.introspects, 'own') AS introspects,
                   COALESCE(c.allowed_origins, '') AS allowed_origins,
                   CASE WHEN c.id IS NULL THEN $2 ELSE c.secret_digest END AS secret_digest,
                   c.previous_secret_digest, c.previous_secret_until, c.access_ttl,
                   c.refresh_idle_ttl, c.session_ttl,
                   COALESCE(c.created_at, 0) AS created_at, c.disabled_at
            FROM (SELECT 1 AS one) asked LEFT JOIN clients c ON c.id = $1";
        let row = sqlx::query(SQL).bind(id.as_str()).bind(vec![0_u8; 32]).fetch_one(self.raw());
        let row = row.await?;
        let record = from_row(&row)?;
        Ok((column::text(&row, "standing")? == "registered").then_some(record))
    }

    /// Up to `limit` clients, ordered by id; with `after`, only clients after that one.
    pub async fn find_clients(
        &mut self,
        after: Option<&ClientId>,
        limit: i64,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, grants, scope, introspects, allowed_origins, secret_digest,
                   previous_secret_digest, previous_secret_until, access_ttl, refresh_idle_ttl,
                   session_ttl, created_at, disabled_at
            FROM clients WHERE id > $1 ORDER BY id LIMIT $2";
        let after = after.map_or("", ClientId::as_str);
        let rows = sqlx::query(SQL).bind(after).bind(limit).fetch_all(self.raw()).await?;
        rows.iter().map(from_row).collect()
    }

    /// The origin as an enabled client registered it, if one allows it.
    pub async fn find_allowed_origin(
        &mut self,
        origin: &str,
    ) -> Result<Option<String>, StoreError> {
        const SQL: &str = "
            SELECT allowed_origins FROM clients
            WHERE disabled_at IS NULL AND ' ' || allowed_origins || ' ' LIKE $1 ESCAPE '!' LIMIT 1";
        if origin.len() > LONGEST_ORIGIN {
            return Ok(None);
        }
        let pattern = pattern_for(&format!(" {origin} "));
        let row = sqlx::query(SQL).bind(pattern).fetch_optional(self.raw()).await?;
        let Some(row) = row else { return Ok(None) };
        let allowed: Origins = column::parsed(&row, "allowed_origins")?;
        // `LIKE` matched a folded text: stored origins are in lower case, and only an exact one
        // counts
        Ok(allowed.find(origin).map(str::to_owned))
    }

    /// Gives a confidential client a new secret. The old secret works until `previous_until`;
    /// without it the old secret is deleted at once, independently of the clock. `false` if there
    /// is no such client, or the client is public.
    pub async fn rotate_client_secret(
        &mut self,
        id: &ClientId,
        secret: &crate::model::Digest,
        previous_until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE clients
            SET previous_secret_digest = CASE WHEN $1 IS NOT NULL THEN secret_digest END,
                previous_secret_until = $1, secret_digest = $2
            WHERE id = $3 AND secret_digest IS NOT NULL";
        let done = sqlx::query(SQL)
            .bind(previous_until.map(Timestamp::unix_millis))
            .bind(secret.as_bytes().to_vec())
            .bind(id.as_str())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes up to `limit` replaced secrets that no longer work; answers the number of them.
    pub async fn purge_client_secrets(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            UPDATE clients SET previous_secret_digest = NULL, previous_secret_until = NULL
            WHERE id IN (SELECT id FROM clients WHERE previous_secret_until <= $1 LIMIT $2)";
        let done = sqlx::query(SQL).bind(now.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }

    /// Disables a client: it gets no tokens, and its present tokens are dead. `false` if there is
    /// no such client, or the client was disabled before.
    pub async fn disable_client(
        &mut self,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE clients SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL";
        self.pending.add(Change::Everything);
        let done =
            sqlx::query(SQL).bind(now.unix_millis()).bind(id.as_str()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Enables a client. `false` if there is no such client, or the client was not disabled.
    pub async fn enable_client(&mut self, id: &ClientId) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE clients SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
        let done = sqlx::query(SQL).bind(id.as_str()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Number of sessions of a client, including ended ones whose rows are not removed yet.
    pub async fn count_sessions_of_client(&mut self, id: &ClientId) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS sessions FROM sessions WHERE client_id = $1";
        let row = sqlx::query(SQL).bind(id.as_str()).fetch_one(self.raw()).await?;
        column::integer(&row, "sessions")
    }

    /// Removes the client. `false` if there is no such client.
    pub async fn delete_client(&mut self, id: &ClientId) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM clients WHERE id = $1";
        self.pending.add(Change::Everything);
        let done = sqlx::query(SQL).bind(id.as_str()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends all sessions of a client; answers the number of them.
    pub async fn purge_sessions_of_client(&mut self, id: &ClientId) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE client_id = $1";
        self.pending.add(Change::Everything);
        let done = sqlx::query(SQL).bind(id.as_str()).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }
}
