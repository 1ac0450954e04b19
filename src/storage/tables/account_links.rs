//! Table `account_links`: links in letters to the owners of accounts, by digest.

use crate::clock::Timestamp;
use crate::model::{AccountId, AccountLinkPurpose, AccountLinkState, Digest, EmailChangeId};
use crate::storage::engine::{Connection, StoreError, column};

/// A link to the owner of an account, and its state.
#[derive(Clone, Debug)]
pub struct AccountLinkRecord {
    /// Account whose owner the link is for.
    pub account: AccountId,
    /// Change of address that the link confirms or stops, if it is for one.
    pub email_change: Option<EmailChangeId>,
    /// A new password, a new address or a disabling has ended the link, live or expired.
    pub is_voided: bool,
    /// State at the time of the read.
    pub state: AccountLinkState,
}

/// A new link.
#[derive(Debug)]
pub struct NewAccountLink<'a> {
    /// Digest of the link's secret.
    pub digest: &'a Digest,
    /// The one action that the link allows.
    pub purpose: AccountLinkPurpose,
    /// Account whose owner the link is for.
    pub account: AccountId,
    /// Change of address that the link confirms or stops, if it is for one.
    pub email_change: Option<EmailChangeId>,
    /// Time of creation.
    pub now: Timestamp,
    /// Time from which the link no longer works.
    pub expires_at: Timestamp,
}

/// Position of a link in a list. Links have no ids, so lists order them by time and digest.
#[derive(Clone, Copy, Debug)]
pub struct LinkKey {
    /// Time of creation, which comes first in the order.
    pub minted_at: Timestamp,
    /// Digest of the link's secret, which orders links of the same time.
    pub digest: Digest,
}

impl LinkKey {
    /// Exclusive upper bound for the links before `before`, as column values; without `before`, a
    /// bound above all links.
    pub(super) fn columns(before: Option<Self>) -> (i64, Vec<u8>) {
        before.map_or((i64::MAX, Vec::new()), |key| {
            (key.minted_at.unix_millis(), key.digest.as_bytes().to_vec())
        })
    }
}

/// A link as an export of the account shows it.
#[derive(Clone, Debug)]
pub struct AccountLinkSummary {
    /// Digest of the link's secret; it must not be shown.
    pub digest: Digest,
    /// The action that the link allows, as the database stores it.
    pub purpose: String,
    /// Time of creation.
    pub minted_at: Timestamp,
    /// Time from which the link no longer works.
    pub expires_at: Timestamp,
    /// Time of use.
    pub used_at: Option<Timestamp>,
    /// Time at which the link was voided or disavowed.
    pub voided_at: Option<Timestamp>,
}

impl AccountLinkSummary {
    /// Position of the link in a list.
    pub fn key(&self) -> LinkKey {
        LinkKey { minted_at: self.minted_at, digest: self.digest }
    }
}

impl Connection {
    /// Inserts a link.
    pub async fn insert_account_link(
        &mut self,
        new: &NewAccountLink<'_>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO account_links
                (digest, purpose, account_id, email_change_id, minted_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(SQL)
            .bind(new.digest.as_bytes().to_vec())
            .bind(new.purpose.as_str())
            .bind(new.account.to_string())
            .bind(new.email_change.map(|id| id.to_string()))
            .bind(new.now.unix_millis())
            .bind(new.expires_at.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// The link, if it has this purpose, and its state at `now`.
    pub async fn find_account_link(
        &mut self,
        digest: &Digest,
        purpose: AccountLinkPurpose,
        now: Timestamp,
    ) -> Result<Option<AccountLinkRecord>, StoreError> {
        const SQL: &str = "
            SELECT account_id, email_change_id, expires_at, used_at, voided_at
            FROM account_links WHERE digest = $1 AND purpose = $2";
        let row = sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(purpose.as_str())
            .fetch_optional(self.raw())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let voided_at = column::optional_instant(&row, "voided_at")?;
        Ok(Some(AccountLinkRecord {
            account: column::parsed(&row, "account_id")?,
            email_change: column::optional(&row, "email_change_id", str::parse)?,
            is_voided: voided_at.is_some(),
            state: AccountLinkState::at(
                now,
                column::instant(&row, "expires_at")?,
                column::optional_instant(&row, "used_at")?,
                voided_at,
            ),
        }))
    }

    /// Consumes the link. `false` if it was not live at `now`, or another request consumed it
    /// first.
    pub async fn consume_account_link(
        &mut self,
        digest: &Digest,
        purpose: AccountLinkPurpose,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE account_links SET used_at = $1
            WHERE digest = $2 AND purpose = $3
              AND used_at IS NULL AND voided_at IS NULL AND expires_at > $1";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(digest.as_bytes().to_vec())
            .bind(purpose.as_str())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Voids the link. `false` if it was used or voided before.
    pub async fn void_account_link(
        &mut self,
        digest: &Digest,
        purpose: AccountLinkPurpose,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE account_links SET voided_at = $1
            WHERE digest = $2 AND purpose = $3 AND used_at IS NULL AND voided_at IS NULL";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(digest.as_bytes().to_vec())
            .bind(purpose.as_str())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Voids all links to the owner: the password or the address has changed.
    pub async fn void_account_links(
        &mut self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE account_links SET voided_at = $1
            WHERE account_id = $2 AND used_at IS NULL AND voided_at IS NULL";
        sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(account.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Up to `limit` links to the owner of the account, the latest first; with `before`, only links
    /// before that one. Links to an address that the account only wanted to move to are left out:
    /// their existence depends on the owner of that address.
    pub async fn find_account_links_of(
        &mut self,
        account: AccountId,
        before: Option<LinkKey>,
        limit: i64,
    ) -> Result<Vec<AccountLinkSummary>, StoreError> {
        const SQL: &str = "
            SELECT digest, purpose, minted_at, expires_at, used_at, voided_at
            FROM account_links
            WHERE account_id = $1
              AND (purpose <> 'email-change'
                   OR EXISTS (SELECT 1 FROM email_changes c
                              JOIN accounts a ON a.id = c.account_id AND a.email = c.email
                              WHERE c.id = account_links.email_change_id))
              AND (minted_at, digest) < ($2, $3)
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
                    purpose: column::text(row, "purpose")?,
                    minted_at: column::instant(row, "minted_at")?,
                    expires_at: column::instant(row, "expires_at")?,
                    used_at: column::optional_instant(row, "used_at")?,
                    voided_at: column::optional_instant(row, "voided_at")?,
                })
            })
            .collect()
    }

    /// Removes up to `limit` links that expired before `before`; answers the number of removed
    /// rows.
    pub async fn purge_account_links(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM account_links WHERE digest IN
                (SELECT digest FROM account_links WHERE expires_at <= $1 LIMIT $2)";
        let done =
            sqlx::query(SQL).bind(before.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }
}
