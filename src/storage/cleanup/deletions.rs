//! Deletions: removes the rows of an account, a client or a sign-up in batches, before the row that
//! they reference (docs/decisions/0037).
//!
//! One `DELETE` with a cascade would hold the rows, and on SQLite the writing connection, for a
//! time that grows with the account.

use super::batches::{BatchWork, INITIAL_BATCH};
use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, EmailAddress, LetterKind, SignUpId};
use crate::storage::engine::{Change, Connection, Store, StoreError, column};

/// Rows of an account besides its events, table by table. A referencing table comes before the
/// table that it references.
///
/// `BETWEEN` with `ORDER BY` makes PostgreSQL take the index on the account. With `=` the order would
/// mean nothing to it, and for an account with a large part of a table it would read the whole
/// table, once for each batch, past all rows of others.
const ACCOUNT_TABLES: [&str; 7] = [
    "DELETE FROM sessions WHERE id IN
         (SELECT id FROM sessions
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM page_sessions WHERE digest IN
         (SELECT digest FROM page_sessions
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM links WHERE digest IN
         (SELECT digest FROM links
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM account_links WHERE digest IN
         (SELECT digest FROM account_links
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM email_changes WHERE id IN
         (SELECT id FROM email_changes
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM outbox WHERE id IN
         (SELECT id FROM outbox
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
    "DELETE FROM places WHERE digest IN
         (SELECT digest FROM places
          WHERE account_id BETWEEN $1 AND $1 ORDER BY account_id LIMIT $2)",
];

impl Store {
    /// Removes all rows of a closed account, and then the account's row; answers the number of
    /// removed rows. The work may be interrupted between any two batches, and started again.
    pub async fn finish_deletion(&self, account: AccountId) -> Result<u64, StoreError> {
        let rows = self.in_batches(BatchWork::OfAccount { account, last: String::new() }).await?;
        let row = self.write_best_effort(async |tx| tx.delete_account(account).await).await?;
        Ok(rows + u64::from(row))
    }

    /// Ends all sessions of a client that is disabled or gone; answers the number of them.
    pub async fn end_sessions_of_client(&self, client: &ClientId) -> Result<u64, StoreError> {
        self.in_batches(BatchWork::OfClient(client.clone())).await
    }

    /// Removes the rows of sessions that a raised epoch has ended.
    pub async fn purge_ended_sessions_of(&self, account: AccountId) -> Result<u64, StoreError> {
        self.in_batches(BatchWork::EndedOf(account)).await
    }

    /// Ends all sessions, including sign-ins at the account page; answers the number of them.
    pub async fn end_all_sessions(&self) -> Result<u64, StoreError> {
        self.in_batches(BatchWork::AllSessions).await
    }

    /// Removes the letters to an address that are about no account, and the links and events of the
    /// sign-up that waits for it, until few enough are left for one transaction. A waiting request
    /// for a new password stays: it contests the sign-up. Each batch finds its rows in the order of
    /// an index; a sort would read all rows.
    pub async fn purge_excess_of(&self, email: &EmailAddress) -> Result<(), StoreError> {
        const LINKS: &str = "
            DELETE FROM links WHERE digest IN
                (SELECT digest FROM links WHERE sign_up_id = $1 LIMIT $2 OFFSET $3)";
        self.in_batches(BatchWork::ExcessLetters(email.clone())).await?;
        let waiting = self.read(async |db| db.find_sign_up_by_email(email).await).await?;
        let Some(waiting) = waiting else { return Ok(()) };
        let id = waiting.sign_up.id;
        self.in_batches(BatchWork::Excess { sql: LINKS, of: id.to_string() }).await?;
        self.purge_excess_events_of(id).await
    }

    /// Removes the events of a waiting sign-up until few enough are left for one transaction.
    pub async fn purge_excess_events_of(&self, sign_up: SignUpId) -> Result<(), StoreError> {
        const EVENTS: &str = "
            DELETE FROM events WHERE id IN
                (SELECT id FROM events WHERE sign_up_id = $1 AND account_id IS NULL
                 ORDER BY kind, id LIMIT $2 OFFSET $3)";
        self.in_batches(BatchWork::Excess { sql: EVENTS, of: sign_up.to_string() }).await.map(drop)
    }
}

/// Number of rows that are left for the transaction that removes the referenced row.
const EXCESS_THRESHOLD: i64 = 5 * INITIAL_BATCH;

impl Connection {
    /// Closes an account for good: its tokens and links are dead, its address is free, no query
    /// finds it, and no rows are added to it. [`Store::finish_deletion`] removes its rows. `false`
    /// if the account is gone, or has left `epoch`.
    pub async fn close_account(
        &mut self,
        id: AccountId,
        epoch: Option<i64>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // unique, because ids are; and no mail leaves for `.invalid` (RFC 6761)
        const SQL: &str = "
            UPDATE accounts
            SET deleted_at = $1, disabled_at = COALESCE(disabled_at, $1), epoch = epoch + 1,
                email = id || '@deleted.invalid', name = NULL, locale = NULL
            WHERE id = $2 AND epoch = COALESCE($3, epoch) AND deleted_at IS NULL";
        self.pending.add(Change::Account(id));
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .bind(epoch)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Up to `limit` closed accounts whose row still exists.
    pub async fn find_closed_accounts(&mut self, limit: i64) -> Result<Vec<AccountId>, StoreError> {
        const SQL: &str = "
            SELECT id FROM accounts WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $1";
        let rows = sqlx::query(SQL).bind(limit).fetch_all(self.raw()).await?;
        rows.iter().map(|row| column::parsed(row, "id")).collect()
    }

    /// Removes up to `limit` rows of an account; answers the number of removed rows. `last` is the
    /// id of the last removed event, where the next batch starts: without it PostgreSQL would step
    /// over all the removed rows again.
    pub async fn delete_part_of_account(
        &mut self,
        account: AccountId,
        last: &mut String,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const NEXT: &str = "
            SELECT MAX(id) AS last FROM
                (SELECT id FROM events WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3) AS part";
        const EVENTS: &str = "DELETE FROM events WHERE account_id = $1 AND id > $2 AND id <= $3";
        let account = account.to_string();
        let mut touched = 0;
        let next = sqlx::query(NEXT).bind(&account).bind(last.as_str()).bind(limit);
        let next = next.fetch_one(self.raw()).await?;
        if let Some(next) = column::some(&next, "last", |id| Some(id.to_owned()))? {
            let events = sqlx::query(EVENTS).bind(&account).bind(last.as_str()).bind(&next);
            touched += events.execute(self.raw()).await?.rows_affected();
            *last = next;
        }
        for sql in ACCOUNT_TABLES {
            let left = limit.saturating_sub_unsigned(touched);
            if left <= 0 {
                break;
            }
            let part = sqlx::query(sql).bind(&account).bind(left);
            touched += part.execute(self.raw()).await?.rows_affected();
        }
        Ok(touched)
    }

    /// Removes the row of an account, and by cascade the rows that still reference it. `false` if
    /// it is gone.
    pub async fn delete_account(&mut self, id: AccountId) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM accounts WHERE id = $1";
        self.pending.add(Change::Account(id));
        let done = sqlx::query(SQL).bind(id.to_string()).execute(self.raw()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes up to `limit` rows of sessions that a raised epoch has ended, including sign-ins at
    /// the account page; answers the number of removed rows.
    pub async fn purge_ended_sessions_of(
        &mut self,
        account: AccountId,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SESSIONS: &str = "
            DELETE FROM sessions WHERE id IN
                (SELECT s.id FROM sessions s JOIN accounts a ON a.id = s.account_id
                 WHERE s.account_id = $1 AND s.epoch <> a.epoch LIMIT $2)";
        const PAGE_SESSIONS: &str = "
            DELETE FROM page_sessions WHERE digest IN
                (SELECT p.digest FROM page_sessions p JOIN accounts a ON a.id = p.account_id
                 WHERE p.account_id = $1 AND p.epoch <> a.epoch LIMIT $2)";
        let mut touched = 0;
        for sql in [SESSIONS, PAGE_SESSIONS] {
            let left = limit.saturating_sub_unsigned(touched);
            let ended = sqlx::query(sql).bind(account.to_string()).bind(left);
            touched += ended.execute(self.raw()).await?.rows_affected();
        }
        Ok(touched)
    }

    pub(super) async fn end_part_of_all_sessions(&mut self, limit: i64) -> Result<u64, StoreError> {
        const SESSIONS: &str =
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions LIMIT $1)";
        const PAGE_SESSIONS: &str = "
            DELETE FROM page_sessions WHERE digest IN (SELECT digest FROM page_sessions LIMIT $1)";
        self.pending.add(Change::Everything);
        let mut ended = 0;
        for sql in [SESSIONS, PAGE_SESSIONS] {
            let left = limit.saturating_sub_unsigned(ended);
            ended += sqlx::query(sql).bind(left).execute(self.raw()).await?.rows_affected();
        }
        Ok(ended)
    }

    /// Removes up to `limit` rows by a statement that leaves [`EXCESS_THRESHOLD`] rows of the owner
    /// `of`.
    pub(super) async fn purge_excess(
        &mut self,
        sql: &'static str,
        of: &str,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let purge_excess = sqlx::query(sql).bind(of).bind(limit).bind(EXCESS_THRESHOLD);
        Ok(purge_excess.execute(self.raw()).await?.rows_affected())
    }

    pub(super) async fn purge_excess_letters(
        &mut self,
        to: &EmailAddress,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM outbox WHERE id IN
                (SELECT id FROM outbox
                 WHERE email = $1 AND account_id IS NULL
                   AND (kind <> $4 OR sent_at IS NOT NULL)
                 ORDER BY sent_at LIMIT $2 OFFSET $3)";
        let purge = sqlx::query(SQL).bind(to.as_str()).bind(limit).bind(EXCESS_THRESHOLD);
        let purge = purge.bind(LetterKind::PasswordReset.as_str());
        Ok(purge.execute(self.raw()).await?.rows_affected())
    }

    pub(super) async fn delete_dead_sessions_of_client(
        &mut self,
        client: &ClientId,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM sessions WHERE id IN
                (SELECT id FROM sessions WHERE client_id = $1
                 AND NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = $1 AND c.disabled_at IS NULL)
                 LIMIT $2)";
        let done = sqlx::query(SQL).bind(client.as_str()).bind(limit).execute(self.raw()).await?;
        if done.rows_affected() > 0 {
            self.pending.add(Change::Everything);
        }
        Ok(done.rows_affected())
    }
}
