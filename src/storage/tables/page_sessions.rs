//! Table `page_sessions`: sign-ins at the account page, by the digest of the cookie's secret.

use sqlx::any::AnyRow;

use crate::clock::Timestamp;
use crate::model::{AccountId, Digest, Locale, Name, PageSession, PageSessionId, UserAgent};
use crate::storage::engine::{Connection, StoreError, column};

/// A sign-in at the account page.
#[derive(Debug)]
pub struct NewPageSession<'a> {
    /// Id of the sign-in.
    pub id: PageSessionId,
    /// Digest of the cookie's secret.
    pub digest: Digest,
    /// Account of the sign-in.
    pub account: AccountId,
    /// The account's epoch when the password was checked.
    pub epoch: i64,
    /// Browser of the sign-in.
    pub user_agent: Option<&'a UserAgent>,
    /// Time of the sign-in.
    pub now: Timestamp,
    /// End of the sign-in if it is not used.
    pub idle_expires_at: Timestamp,
    /// End of the sign-in in any case.
    pub expires_at: Timestamp,
}

/// A sign-in at the account page as its owner may see it.
#[derive(Clone, Debug)]
pub struct PageSessionSummary {
    /// Id of the sign-in.
    pub id: PageSessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// The earlier one of the idle end and the absolute end.
    pub expires_at: Timestamp,
    /// Browser of the sign-in.
    pub user_agent: Option<UserAgent>,
}

fn from_row(row: &AnyRow) -> Result<PageSession, StoreError> {
    Ok(PageSession {
        id: column::parsed(row, "id")?,
        digest: column::digest(row, "digest")?,
        account: column::parsed(row, "account_id")?,
        email: column::parsed(row, "email")?,
        name: column::optional(row, "name", Name::parse)?.flatten(),
        locale: column::optional(row, "locale", Locale::parse)?,
        epoch: column::integer(row, "epoch")?,
        idle_expires_at: column::instant(row, "idle_expires_at")?,
        expires_at: column::instant(row, "expires_at")?,
    })
}

impl Connection {
    /// Inserts a sign-in. `false` if the account is gone, disabled, or no longer in the epoch in
    /// which the password was checked.
    pub async fn insert_page_session(
        &mut self,
        new: &NewPageSession<'_>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            INSERT INTO page_sessions
                (digest, id, account_id, epoch, user_agent, created_at, idle_expires_at, expires_at)
            SELECT $1, $8, a.id, a.epoch, $3, $4, $5, $6
            FROM accounts a WHERE a.id = $2 AND a.epoch = $7 AND a.disabled_at IS NULL";
        let done = sqlx::query(SQL)
            .bind(new.digest.as_bytes().to_vec())
            .bind(new.account.to_string())
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.now.unix_millis())
            .bind(new.idle_expires_at.unix_millis())
            .bind(new.expires_at.unix_millis())
            .bind(new.epoch)
            .bind(new.id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The sign-in of a cookie, if it is live at `now`.
    pub async fn find_page_session(
        &mut self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<PageSession>, StoreError> {
        const SQL: &str = "
            SELECT p.id, p.digest, p.account_id, p.epoch, p.idle_expires_at, p.expires_at,
                   a.email, a.name, a.locale
            FROM page_sessions p JOIN accounts a ON a.id = p.account_id AND a.epoch = p.epoch
            WHERE p.digest = $1 AND p.idle_expires_at > $2 AND p.expires_at > $2
              AND a.disabled_at IS NULL";
        let row = sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(now.unix_millis())
            .fetch_optional(self.raw())
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Sets the idle end of the sign-in, after a use.
    pub async fn extend_page_session(
        &mut self,
        digest: &Digest,
        idle_expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE page_sessions SET idle_expires_at = $1 WHERE digest = $2";
        sqlx::query(SQL)
            .bind(idle_expires_at.unix_millis())
            .bind(digest.as_bytes().to_vec())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Moves the sign-in to the account's next epoch. `false` if the sign-in has ended.
    pub async fn move_page_session_to_next_epoch(
        &mut self,
        digest: &Digest,
        account: AccountId,
        from_epoch: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE page_sessions SET epoch = epoch + 1
            WHERE digest = $1 AND account_id = $2 AND epoch = $3";
        let done = sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(account.to_string())
            .bind(from_epoch)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the account's sign-in with this id. `false` if it was gone, or belongs to another
    /// account.
    pub async fn revoke_page_session(
        &mut self,
        account: AccountId,
        id: PageSessionId,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM page_sessions WHERE id = $1 AND account_id = $2";
        let done = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(account.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Up to `limit` live sign-ins of the account at its page, the latest first; with `before`,
    /// only sign-ins before that one.
    pub async fn find_page_sessions_of(
        &mut self,
        account: AccountId,
        before: Option<PageSessionId>,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<PageSessionSummary>, StoreError> {
        const SQL: &str = "
            SELECT id, created_at, idle_expires_at, expires_at, user_agent
            FROM page_sessions
            WHERE account_id >= $1 AND (account_id, id) < ($1, $3)
              AND idle_expires_at > $2 AND expires_at > $2
              AND epoch = (SELECT epoch FROM accounts WHERE id = $1)
            ORDER BY account_id DESC, id DESC LIMIT $4";
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
                Ok(PageSessionSummary {
                    id: column::parsed(row, "id")?,
                    created_at: column::instant(row, "created_at")?,
                    expires_at: idle_end.min(column::instant(row, "expires_at")?),
                    user_agent: column::some(row, "user_agent", UserAgent::parse)?,
                })
            })
            .collect()
    }

    /// Removes up to `limit` sign-ins past their idle or absolute end; answers the number of
    /// removed rows.
    pub async fn purge_page_sessions(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM page_sessions WHERE digest IN
                (SELECT digest FROM page_sessions
                 WHERE expires_at <= $1 OR idle_expires_at <= $1 LIMIT $2)";
        let done = sqlx::query(SQL).bind(now.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }
}
