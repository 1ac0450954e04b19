//! Table `links`: activation links in letters, by digest.

use super::account_links::{AccountLinkSummary, LinkKey};
use crate::clock::Timestamp;
use crate::model::{AccountId, Digest, LinkState, SignUpId};
use crate::storage::engine::{Connection, StoreError, column};

/// The purpose of activation links, the only purpose in this table.
const ACTIVATION: &str = "activation";

/// An activation link and its state.
#[derive(Clone, Debug)]
pub struct LinkRecord {
    /// Sign-up that the link confirms.
    pub sign_up: SignUpId,
    /// The account that this link, or another link of the same sign-up, made.
    pub account: Option<AccountId>,
    /// State at the time of the read.
    pub state: LinkState,
}

impl Connection {
    /// Inserts an activation link of a sign-up.
    pub async fn insert_activation_link(
        &mut self,
        digest: &Digest,
        sign_up: SignUpId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO links (digest, purpose, sign_up_id, minted_at, expires_at)
            VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(ACTIVATION)
            .bind(sign_up.to_string())
            .bind(now.unix_millis())
            .bind(expires_at.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// The link and its state at `now`.
    pub async fn find_activation_link(
        &mut self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<LinkRecord>, StoreError> {
        const SQL: &str = "
            SELECT sign_up_id, account_id, expires_at, used_at, disavowed_at
            FROM links WHERE digest = $1 AND purpose = $2";
        let row = sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(ACTIVATION)
            .fetch_optional(self.raw())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(LinkRecord {
            sign_up: column::parsed(&row, "sign_up_id")?,
            account: column::optional(&row, "account_id", str::parse)?,
            state: LinkState::at(
                now,
                column::instant(&row, "expires_at")?,
                column::optional_instant(&row, "used_at")?,
                column::optional_instant(&row, "disavowed_at")?,
            ),
        }))
    }

    /// Marks every link of the sign-up as used: the account was made.
    pub async fn consume_links(
        &mut self,
        sign_up: SignUpId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE links SET used_at = $1, account_id = $2
            WHERE sign_up_id = $3 AND used_at IS NULL AND disavowed_at IS NULL";
        sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(account.to_string())
            .bind(sign_up.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Marks every link of the sign-up as disavowed: the recipient of the letter did not sign up.
    pub async fn disavow_links(
        &mut self,
        sign_up: SignUpId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE links SET disavowed_at = $1
            WHERE sign_up_id = $2 AND used_at IS NULL AND disavowed_at IS NULL";
        sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(sign_up.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Removes the links of a sign-up, so that the address leaves no trace.
    pub async fn delete_links_of_sign_up(&mut self, sign_up: SignUpId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM links WHERE sign_up_id = $1";
        sqlx::query(SQL).bind(sign_up.to_string()).execute(self.raw()).await?;
        Ok(())
    }

    /// Up to `limit` activation links of the account, the latest first; with `before`, only links
    /// before that one. The links belong to sign-ups that became the account, and to a sign-up that
    /// waits under its address.
    pub async fn find_activation_links_of(
        &mut self,
        account: AccountId,
        before: Option<LinkKey>,
        limit: i64,
    ) -> Result<Vec<AccountLinkSummary>, StoreError> {
        // with an OR in its place PostgreSQL goes through all links
        const SQL: &str = "
            SELECT digest, minted_at, expires_at, used_at, disavowed_at
            FROM (SELECT digest, minted_at, expires_at, used_at, disavowed_at
                  FROM links WHERE account_id = $1
                  UNION
                  SELECT l.digest, l.minted_at, l.expires_at, l.used_at, l.disavowed_at
                  FROM accounts a
                  JOIN sign_ups s ON s.email = a.email
                  JOIN links l ON l.sign_up_id = s.id
                  WHERE a.id = $1) of_account
            WHERE (minted_at, digest) < ($2, $3)
            ORDER BY minted_at DESC, digest DESC LIMIT $4";
        let (minted_at, digest) = LinkKey::columns(before);
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(minted_at)
            .bind(digest)
            .bind(limit)
            .fetch_all(self.raw())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AccountLinkSummary {
                    digest: column::digest(row, "digest")?,
                    purpose: ACTIVATION.to_owned(),
                    minted_at: column::instant(row, "minted_at")?,
                    expires_at: column::instant(row, "expires_at")?,
                    used_at: column::optional_instant(row, "used_at")?,
                    voided_at: column::optional_instant(row, "disavowed_at")?,
                })
            })
            .collect()
    }

    /// Removes up to `limit` links that expired before `before`; answers the number of removed
    /// rows.
    pub async fn purge_links(&mut self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM links WHERE digest IN
                (SELECT digest FROM links WHERE expires_at <= $1 LIMIT $2)";
        let done =
            sqlx::query(SQL).bind(before.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }
}
