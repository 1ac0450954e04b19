//! Table `email_changes`: changes of address. An account has at most one waiting change, and any
//! number of ended ones.

use sqlx::any::AnyRow;

use crate::clock::Timestamp;
use crate::model::{
    AccountId, EmailAddress, EmailChange, EmailChangeId, EmailChangeState, UserAgent,
};
use crate::storage::engine::{Connection, StoreError, column};

/// A new change of address, which waits for its link.
#[derive(Debug)]
pub struct NewEmailChange<'a> {
    /// Id of the change.
    pub id: EmailChangeId,
    /// Account that moves.
    pub account: AccountId,
    /// New address.
    pub email: &'a EmailAddress,
    /// Browser or program that asked for the change.
    pub user_agent: Option<&'a UserAgent>,
    /// Time of the request.
    pub now: Timestamp,
}

fn from_row(row: &AnyRow) -> Result<EmailChange, StoreError> {
    let confirmed = column::optional_instant(row, "confirmed_at")?;
    let stopped = column::optional_instant(row, "stopped_at")?;
    let voided = column::optional_instant(row, "voided_at")?;
    let state = match (confirmed, stopped, voided) {
        (Some(at), _, _) => EmailChangeState::Confirmed { at },
        (None, Some(at), _) => EmailChangeState::Stopped { at },
        (None, None, Some(at)) => EmailChangeState::Voided { at },
        (None, None, None) => EmailChangeState::Pending,
    };
    Ok(EmailChange {
        id: column::parsed(row, "id")?,
        account: column::parsed(row, "account_id")?,
        email: column::parsed(row, "email")?,
        user_agent: column::some(row, "user_agent", UserAgent::parse)?,
        requested_at: column::instant(row, "requested_at")?,
        state,
    })
}

impl Connection {
    /// Inserts a waiting change. The account must have no other waiting change.
    pub async fn insert_email_change(
        &mut self,
        new: &NewEmailChange<'_>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO email_changes (id, account_id, email, user_agent, requested_at)
            VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.account.to_string())
            .bind(new.email.as_str())
            .bind(new.user_agent.map(UserAgent::as_str))
            .bind(new.now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// The change with this id, if it is still kept.
    pub async fn find_email_change(
        &mut self,
        id: EmailChangeId,
    ) -> Result<Option<EmailChange>, StoreError> {
        const SQL: &str = "
            SELECT id, account_id, email, user_agent, requested_at, confirmed_at, stopped_at,
                   voided_at
            FROM email_changes WHERE id = $1";
        let row = sqlx::query(SQL).bind(id.to_string()).fetch_optional(self.raw()).await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Up to `limit` changes of the account's address, the latest first; with `before`, only
    /// changes before that one.
    pub async fn find_email_changes_of(
        &mut self,
        account: AccountId,
        before: Option<EmailChangeId>,
        limit: i64,
    ) -> Result<Vec<EmailChange>, StoreError> {
        // `id || ''` keeps the planner from scanning the ids of all accounts in order to avoid a
        // sort
        const SQL: &str = "
            SELECT id, account_id, email, user_agent, requested_at, confirmed_at, stopped_at,
                   voided_at
            FROM email_changes WHERE account_id = $1 AND id || '' < $2
            ORDER BY id || '' DESC LIMIT $3";
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(column::before(before))
            .bind(limit)
            .fetch_all(self.raw())
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// The change of the account's address that has not ended, if there is one. Such a change may
    /// be too old to be confirmed.
    pub async fn find_open_email_change(
        &mut self,
        account: AccountId,
    ) -> Result<Option<EmailChange>, StoreError> {
        const SQL: &str = "
            SELECT id, account_id, email, user_agent, requested_at, confirmed_at, stopped_at,
                   voided_at
            FROM email_changes
            WHERE account_id = $1
              AND confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL";
        let row = sqlx::query(SQL).bind(account.to_string()).fetch_optional(self.raw()).await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Confirms a waiting change. `false` if it no longer waits.
    pub async fn confirm_email_change(
        &mut self,
        id: EmailChangeId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE email_changes SET confirmed_at = $1
            WHERE id = $2 AND confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stops a waiting change. `false` if it no longer waits.
    pub async fn stop_email_change(
        &mut self,
        id: EmailChangeId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE email_changes SET stopped_at = $1
            WHERE id = $2 AND confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Voids the waiting change of the account's address, if there is one.
    pub async fn void_email_changes(
        &mut self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE email_changes SET voided_at = $1
            WHERE account_id = $2
              AND confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL";
        sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(account.to_string())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Removes changes requested before `before`, and before each of them its links: up to `limit`
    /// rows in all. Answers the number of removed rows.
    pub async fn purge_email_changes(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const LINKS: &str = "
            DELETE FROM account_links WHERE digest IN
                (SELECT l.digest FROM email_changes c
                 JOIN account_links l ON l.email_change_id = c.id
                 WHERE c.requested_at <= $1 LIMIT $2)";
        const CHANGES: &str = "
            DELETE FROM email_changes WHERE id IN
                (SELECT c.id FROM email_changes c WHERE c.requested_at <= $1
                 AND NOT EXISTS (SELECT 1 FROM account_links l WHERE l.email_change_id = c.id)
                 LIMIT $2)";
        let mut forgotten = 0;
        for sql in [LINKS, CHANGES] {
            let left = limit.saturating_sub_unsigned(forgotten);
            let forget = sqlx::query(sql).bind(before.unix_millis()).bind(left);
            forgotten += forget.execute(self.raw()).await?.rows_affected();
        }
        Ok(forgotten)
    }
}
