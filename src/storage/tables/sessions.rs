//! Table `sessions`: one row per sign-in, updated by each refresh.
//!
//! A row holds the digests of the session's live and preceding tokens. The rules of renewal are in
//! `oauth`; the statements here only compare and set.

use sqlx::any::AnyRow;

use crate::clock::Timestamp;
use crate::model::{
    Account, AccountId, ClientId, Digest, EmailAddress, Locale, Name, Scope, SessionId,
    SessionSummary, UserAgent,
};
use crate::storage::engine::{Change, Connection, Store, StoreError, column};

/// An access token of a session: the live one or the preceding one.
#[derive(Clone, Debug)]
pub struct AccessSlot {
    /// Number of the access token within its session.
    pub serial: i64,
    /// `None` after its revocation.
    pub digest: Option<Digest>,
    /// Scope of the token.
    pub scope: Scope,
    /// End of the token.
    pub expires_at: Timestamp,
    /// Time of issue; `None` for tokens from before this column existed.
    pub issued_at: Option<Timestamp>,
}

/// A session with the columns of its account and client that decide about it.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Id of the session.
    pub id: SessionId,
    /// Account of the session.
    pub account: AccountId,
    /// Address of the account.
    pub email: EmailAddress,
    /// Name of the account.
    pub name: Option<Name>,
    /// Language of the account.
    pub locale: Option<Locale>,
    /// Time at which the account was created.
    pub account_created_at: Timestamp,
    /// Client of the session.
    pub client_id: ClientId,
    /// Scope of the sign-in, which bounds the scope of each access token.
    pub scope: Scope,
    /// Last recorded use of the session: of an access token, by a renewal, or the sign-in.
    pub last_used_at: Timestamp,
    /// Program of the sign-in.
    pub user_agent: Option<UserAgent>,
    /// End of the session if it is not renewed.
    pub idle_expires_at: Timestamp,
    /// End of the session in any case.
    pub expires_at: Timestamp,
    /// Whether the account is enabled and still in the epoch of the sign-in.
    pub account_stands: bool,
    /// Whether the account is disabled.
    pub account_disabled: bool,
    /// Whether the client is enabled; `None` if the client is not in the database.
    pub client_enabled: Option<bool>,
    /// Digest of the tag at the end of each refresh token of the session.
    pub tag_digest: Digest,
    /// Salt with which the live token pair is derived.
    pub salt: [u8; 32],
    /// Digest of the live refresh token.
    pub refresh_digest: Digest,
    /// Digest of the preceding refresh token.
    pub previous_refresh_digest: Option<Digest>,
    /// Time of the last rotation of the refresh token, or of the sign-in.
    pub rotated_at: Timestamp,
    /// First use of the live token pair.
    pub first_used_at: Option<Timestamp>,
    /// Access tokens from this serial number on belong to the live token pair.
    pub rotation_serial: i64,
    /// The live access token.
    pub access: AccessSlot,
    /// The preceding access token.
    pub previous_access: Option<AccessSlot>,
}

/// A new session.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Id of the session.
    pub id: SessionId,
    /// Account of the session.
    pub account: AccountId,
    /// The account's epoch when the password was checked.
    pub epoch: i64,
    /// Client of the session.
    pub client_id: &'a ClientId,
    /// Whether the client is in the database; then it must exist and be enabled.
    pub client_is_stored: bool,
    /// Granted scope.
    pub scope: &'a Scope,
    /// Program of the sign-in.
    pub user_agent: Option<&'a UserAgent>,
    /// Time of the sign-in.
    pub now: Timestamp,
    /// End of the session if it is not renewed.
    pub idle_expires_at: Timestamp,
    /// End of the session in any case.
    pub expires_at: Timestamp,
    /// Digest of the tag at the end of each refresh token of the session.
    pub tag_digest: Digest,
    /// Salt of the first token pair.
    pub salt: [u8; 32],
    /// Digest of the first refresh token.
    pub refresh_digest: Digest,
    /// Digest of the first access token.
    pub access_digest: Digest,
    /// End of the first access token.
    pub access_expires_at: Timestamp,
}

/// A new access token for a session; with `rotation`, a new refresh token as well.
#[derive(Debug)]
pub struct Renewal<'a> {
    /// Digest of the new access token.
    pub access_digest: Digest,
    /// Scope of the new access token.
    pub access_scope: &'a Scope,
    /// End of the new access token.
    pub access_expires_at: Timestamp,
    /// New refresh token, if it is rotated.
    pub rotation: Option<Rotation>,
    /// As in [`NewSession`].
    pub client_is_stored: bool,
    /// Time of the renewal.
    pub now: Timestamp,
}

/// The new refresh token, and the new idle end of the session.
#[derive(Debug)]
pub struct Rotation {
    /// Salt of the new token pair.
    pub salt: [u8; 32],
    /// Digest of the new refresh token.
    pub refresh_digest: Digest,
    /// New end of the session if it is not renewed.
    pub idle_expires_at: Timestamp,
}

impl SessionRecord {
    /// Whether the tokens of the session are valid at `now`. The caller must check that the client
    /// is still registered.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.account_stands && now < self.idle_expires_at && now < self.expires_at
    }

    /// `now`, but never before the session's last use or rotation. So a clock that was set back
    /// does not go behind times that the session proves.
    pub fn proven(&self, now: Timestamp) -> Timestamp {
        now.max(self.last_used_at).max(self.rotated_at)
    }

    /// The account as its owner may see it.
    pub fn owner(&self) -> Account {
        Account {
            id: self.account,
            email: self.email.clone(),
            name: self.name.clone(),
            locale: self.locale.clone(),
            created_at: self.account_created_at,
        }
    }

    /// The live or preceding access token with this digest, even if it has expired.
    pub fn access_with(&self, digest: &Digest) -> Option<&AccessSlot> {
        std::iter::once(&self.access)
            .chain(&self.previous_access)
            .find(|slot| slot.digest.as_ref() == Some(digest))
    }

    fn from_row(row: &AnyRow) -> Result<Self, StoreError> {
        let disabled_at = column::optional_instant(row, "disabled_at")?;
        let same_epoch = column::integer(row, "epoch")? == column::integer(row, "account_epoch")?;
        let previous_scope = column::optional(row, "previous_access_scope", str::parse)?;
        Ok(Self {
            id: column::parsed(row, "id")?,
            account: column::parsed(row, "account_id")?,
            email: column::parsed(row, "email")?,
            name: column::optional(row, "name", Name::parse)?.flatten(),
            locale: column::optional(row, "locale", Locale::parse)?,
            account_created_at: column::instant(row, "account_created_at")?,
            client_id: column::parsed(row, "client_id")?,
            scope: column::parsed(row, "scope")?,
            last_used_at: column::instant(row, "last_used_at")?,
            user_agent: column::some(row, "user_agent", UserAgent::parse)?,
            idle_expires_at: column::instant(row, "idle_expires_at")?,
            expires_at: column::instant(row, "expires_at")?,
            account_stands: same_epoch && disabled_at.is_none(),
            account_disabled: disabled_at.is_some(),
            client_enabled: client_enabled(row)?,
            tag_digest: column::digest(row, "tag_digest")?,
            salt: column::bytes(row, "salt")?,
            refresh_digest: column::digest(row, "refresh_digest")?,
            previous_refresh_digest: column::optional_digest(row, "previous_refresh_digest")?,
            rotated_at: column::instant(row, "rotated_at")?,
            first_used_at: column::optional_instant(row, "first_used_at")?,
            rotation_serial: column::integer(row, "rotation_serial")?,
            access: AccessSlot {
                serial: column::integer(row, "access_serial")?,
                digest: column::optional_digest(row, "access_digest")?,
                scope: column::parsed(row, "access_scope")?,
                expires_at: column::instant(row, "access_expires_at")?,
                issued_at: column::optional_instant(row, "access_issued_at")?,
            },
            previous_access: match (
                column::optional_integer(row, "previous_access_serial")?,
                previous_scope,
                column::optional_instant(row, "previous_access_expires_at")?,
            ) {
                (Some(serial), Some(scope), Some(expires_at)) => Some(AccessSlot {
                    serial,
                    digest: column::optional_digest(row, "previous_access_digest")?,
                    scope,
                    expires_at,
                    issued_at: column::optional_instant(row, "previous_access_issued_at")?,
                }),
                _ => None,
            },
        })
    }
}

/// Whether the client joined to the session is enabled; `None` without a client in the database.
fn client_enabled(row: &AnyRow) -> Result<Option<bool>, StoreError> {
    let stored = column::some(row, "stored_client", |_| Some(()))?;
    let disabled_at = column::optional_instant(row, "client_disabled_at")?;
    Ok(stored.map(|()| disabled_at.is_none()))
}

impl Store {
    /// Renews the session if it is live and unchanged since `read`: a compare-and-swap on the
    /// refresh token and the serial number of the access token. The live access token becomes the
    /// preceding one as the row has it now, so a revocation in between stays.
    pub async fn renew_session(
        &self,
        read: &SessionRecord,
        renewal: &Renewal<'_>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sessions
            SET previous_access_serial = access_serial,
                previous_access_digest = access_digest,
                previous_access_scope = access_scope,
                previous_access_expires_at = access_expires_at,
                previous_access_issued_at = access_issued_at,
                access_serial = access_serial + 1,
                access_digest = $1, access_scope = $2, access_expires_at = $3,
                access_issued_at = $4,
                last_used_at =
                    CASE WHEN $8 IS NULL AND last_used_at > $4 THEN last_used_at ELSE $4 END,
                previous_refresh_digest =
                    CASE WHEN $8 IS NULL THEN previous_refresh_digest ELSE refresh_digest END,
                refresh_digest = COALESCE($8, refresh_digest),
                salt = COALESCE($9, salt),
                idle_expires_at = COALESCE($10, idle_expires_at),
                rotation_serial =
                    CASE WHEN $8 IS NULL THEN rotation_serial ELSE access_serial + 1 END,
                rotated_at = CASE WHEN $8 IS NULL THEN rotated_at ELSE $4 END,
                first_used_at = CASE WHEN $8 IS NULL THEN first_used_at END
            WHERE id = $5 AND refresh_digest = $6 AND access_serial = $7
              AND idle_expires_at > $4 AND expires_at > $4
              AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = sessions.account_id
                          AND a.epoch = sessions.epoch AND a.disabled_at IS NULL)
              AND ($11 IS NULL OR EXISTS (SELECT 1 FROM clients c
                                          WHERE c.id = $11 AND c.disabled_at IS NULL))";
        let rotation = renewal.rotation.as_ref();
        let statement = sqlx::query(SQL)
            .bind(renewal.access_digest.as_bytes().to_vec())
            .bind(renewal.access_scope.to_string())
            .bind(renewal.access_expires_at.unix_millis())
            .bind(renewal.now.unix_millis())
            .bind(read.id.to_string())
            .bind(read.refresh_digest.as_bytes().to_vec())
            .bind(read.access.serial)
            .bind(rotation.map(|rotation| rotation.refresh_digest.as_bytes().to_vec()))
            .bind(rotation.map(|rotation| rotation.salt.to_vec()))
            .bind(rotation.map(|rotation| rotation.idle_expires_at.unix_millis()))
            .bind(renewal.client_is_stored.then(|| read.client_id.to_string()));
        Ok(self.run(statement, Change::Session(read.id)).await? == 1)
    }
}

impl Connection {
    /// The session with this id, ended or not, if its row exists.
    pub async fn find_session(
        &mut self,
        id: SessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        const SQL: &str = "
            SELECT s.id, s.account_id, s.client_id, s.scope, s.epoch, s.last_used_at,
                   s.user_agent, s.idle_expires_at, s.expires_at, s.tag_digest, s.salt,
                   s.refresh_digest, s.previous_refresh_digest, s.rotated_at, s.first_used_at,
                   s.access_serial, s.rotation_serial, s.access_digest, s.access_scope,
                   s.access_expires_at, s.previous_access_serial, s.previous_access_digest,
                   s.previous_access_scope, s.previous_access_expires_at, s.access_issued_at,
                   s.previous_access_issued_at,
                   a.email, a.name, a.locale, a.created_at AS account_created_at,
                   a.epoch AS account_epoch, a.disabled_at,
                   c.id AS stored_client, c.disabled_at AS client_disabled_at
            FROM sessions s JOIN accounts a ON a.id = s.account_id
                 LEFT JOIN clients c ON c.id = s.client_id
            WHERE s.id = $1";
        let row = sqlx::query(SQL).bind(id.to_string()).fetch_optional(self.raw()).await?;
        row.as_ref().map(SessionRecord::from_row).transpose()
    }

    /// Starts a session. `false` if the account is gone, disabled, or no longer in the epoch in
    /// which the password was checked; or if the client is gone or disabled.
    pub async fn insert_session(&mut self, new: &NewSession<'_>) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO sessions
                (id, account_id, client_id, scope, epoch, created_at, last_used_at, user_agent,
                 idle_expires_at, expires_at, tag_digest, salt, refresh_digest, rotated_at,
                 access_serial, rotation_serial, access_digest, access_scope, access_expires_at,
                 access_issued_at)
            SELECT $1, a.id, $3, $4, a.epoch, $5, $5, $6, $7, $8, $9, $10, $11, $5,
                   0, 0, $12, $4, $13, $5
            FROM accounts a WHERE a.id = $2 AND a.epoch = $14 AND a.disabled_at IS NULL
              AND ($15 IS NULL OR EXISTS (SELECT 1 FROM clients c
                                          WHERE c.id = $15 AND c.disabled_at IS NULL))";
        let done = sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.account.to_string())
            .bind(new.client_id.as_str())
            .bind(new.scope.to_string())
            .bind(new.now.unix_millis())
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.idle_expires_at.unix_millis())
            .bind(new.expires_at.unix_millis())
            .bind(new.tag_digest.as_bytes().to_vec())
            .bind(new.salt.to_vec())
            .bind(new.refresh_digest.as_bytes().to_vec())
            .bind(new.access_digest.as_bytes().to_vec())
            .bind(new.access_expires_at.unix_millis())
            .bind(new.epoch)
            .bind(new.client_is_stored.then(|| new.client_id.as_str()))
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records a use of an access token. If the token belongs to the live pair, this also marks the
    /// pair as used. The record is written in the background, so a renewal may have come first.
    pub async fn record_session_use(
        &mut self,
        id: SessionId,
        serial: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE sessions
            SET last_used_at = CASE WHEN last_used_at < $1 THEN $1 ELSE last_used_at END,
                first_used_at = CASE WHEN first_used_at IS NULL AND rotation_serial <= $2
                                     THEN $1 ELSE first_used_at END
            WHERE id = $3";
        sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(serial)
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Revokes one access token, live or preceding; the session continues. `false` if the token was
    /// gone.
    pub async fn revoke_access(
        &mut self,
        id: SessionId,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sessions
            SET access_digest =
                    CASE WHEN access_digest = $1 THEN NULL ELSE access_digest END,
                previous_access_digest =
                    CASE WHEN previous_access_digest = $1 THEN NULL ELSE previous_access_digest END
            WHERE id = $2 AND (access_digest = $1 OR previous_access_digest = $1)";
        self.pending.add(Change::Session(id));
        let done = sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a session and all its tokens. `false` if the session was gone.
    pub async fn revoke_session(&mut self, id: SessionId) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE id = $1";
        self.pending.add(Change::Session(id));
        let done = sqlx::query(SQL).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a session of the account. `false` if the account has no such session.
    pub async fn revoke_session_of(
        &mut self,
        account: AccountId,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE id = $1 AND account_id = $2";
        self.pending.add(Change::Session(id));
        let done = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(account.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves the session to the account's next epoch. `false` if the session has ended.
    pub async fn move_session_to_next_epoch(
        &mut self,
        id: SessionId,
        account: AccountId,
        from_epoch: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE sessions SET epoch = epoch + 1 WHERE id = $1 AND account_id = $2 AND epoch = $3";
        let done = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(account.to_string())
            .bind(from_epoch)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Up to `limit` live sessions of the account, the latest sign-in first; with `before`, only
    /// sessions before that one.
    pub async fn find_sessions_of(
        &mut self,
        account: AccountId,
        before: Option<SessionId>,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        const SQL: &str = "
            SELECT s.id, s.client_id, s.scope, s.created_at, s.last_used_at, s.user_agent,
                   s.idle_expires_at, s.expires_at,
                   c.id AS stored_client, c.disabled_at AS client_disabled_at
            FROM sessions s LEFT JOIN clients c ON c.id = s.client_id
            WHERE s.account_id >= $1 AND (s.account_id, s.id) < ($1, $3)
              AND s.idle_expires_at > $2 AND s.expires_at > $2
              AND s.epoch = (SELECT epoch FROM accounts WHERE id = $1 AND disabled_at IS NULL)
            ORDER BY s.account_id DESC, s.id DESC LIMIT $4";
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(now.unix_millis())
            .bind(column::before(before))
            .bind(limit)
            .fetch_all(self.raw())
            .await?;
        rows.iter()
            .map(|row| {
                let idle_end = column::instant(row, "idle_expires_at")?;
                Ok(SessionSummary {
                    id: column::parsed(row, "id")?,
                    client_id: column::parsed(row, "client_id")?,
                    scope: column::parsed(row, "scope")?,
                    created_at: column::instant(row, "created_at")?,
                    last_used_at: column::instant(row, "last_used_at")?,
                    expires_at: idle_end.min(column::instant(row, "expires_at")?),
                    user_agent: column::some(row, "user_agent", UserAgent::parse)?,
                    client_enabled: client_enabled(row)?,
                })
            })
            .collect()
    }

    /// Number of sessions, including ended ones whose rows are not removed yet.
    pub async fn count_sessions(&mut self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM sessions").fetch_one(self.raw()).await?;
        column::integer(&row, "n")
    }

    /// Removes up to `limit` sessions past their idle or absolute end; answers the number of
    /// removed rows.
    pub async fn purge_sessions(&mut self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM sessions WHERE id IN
                (SELECT id FROM sessions WHERE expires_at <= $1 OR idle_expires_at <= $1 LIMIT $2)";
        let done = sqlx::query(SQL).bind(now.unix_millis()).bind(limit).execute(self.raw()).await?;
        // a batch that removed no row changes nothing that a cache holds
        if done.rows_affected() > 0 {
            self.pending.add(Change::Everything);
        }
        Ok(done.rows_affected())
    }
}
