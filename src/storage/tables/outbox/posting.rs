//! Outbox, sending side: inserts letters, limits their number, and removes them after their time.
//!
//! The insert belongs to the transaction of the change that causes the letter, so neither exists
//! without the other. [`super::deliveries`] is the side of the couriers.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::{AccountId, EmailAddress, LetterKind, Locale, row_id};
use crate::storage::engine::{Connection, StoreError, column};

row_id! {
    /// Id of a letter in the outbox; its Message-ID follows from it.
    LetterId
}

/// A new letter.
#[derive(Debug)]
pub struct NewLetter<'a> {
    /// Id of the letter.
    pub id: LetterId,
    /// Kind of the letter, as the database stores it.
    pub kind: &'static str,
    /// Recipient.
    pub email: &'a EmailAddress,
    /// Language of the recipient, if known.
    pub locale: Option<&'a Locale>,
    /// The account that the letter is about. The letter is removed with it.
    pub account: Option<AccountId>,
    /// Variables of the letter, as JSON, without secrets.
    pub facts: String,
    /// Time of posting.
    pub now: Timestamp,
}

/// A letter as an export of the account shows it.
#[derive(Clone, Debug)]
pub struct LetterSummary {
    /// Id of the letter.
    pub id: LetterId,
    /// Kind of the letter, as the database stores it.
    pub kind: String,
    /// Recipient.
    pub email: EmailAddress,
    /// Time of posting.
    pub created_at: Timestamp,
    /// Time at which a mail server accepted the letter.
    pub sent_at: Option<Timestamp>,
    /// Time at which the courier gave the letter up.
    pub dead_at: Option<Timestamp>,
}

/// Letters that have not left yet.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Number of letters that wait, due or not.
    pub waiting: i64,
    /// Due time of the letter that has been due for longest.
    pub oldest_due: Option<Timestamp>,
}

impl Connection {
    /// Inserts a letter, due at once.
    pub async fn insert_letter(&mut self, new: &NewLetter<'_>) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO outbox (id, kind, email, locale, facts, created_at, due_at, tries, account_id)
            VALUES ($1, $2, $3, $4, $5, $6, $6, 0, $7)";
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.kind)
            .bind(new.email.as_str())
            .bind(new.locale.map(Locale::as_str))
            .bind(&new.facts)
            .bind(new.now.unix_millis())
            .bind(new.account.map(|id| id.to_string()))
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Inserts a letter unless one of its kind, about the same account, waits for the address. Then
    /// the waiting letter gets the new facts instead, so a flood of requests makes one letter.
    ///
    /// The waiting letter is due within 60 s, however long it had to wait. A letter that has failed
    /// keeps its due time: requests of strangers must not use up its tries. The statements write a
    /// row in either case, so that the time tells nothing.
    pub async fn insert_letter_once(&mut self, new: &NewLetter<'_>) -> Result<(), StoreError> {
        const WAITING: &str = "
            UPDATE outbox
            SET facts = $1, locale = $2,
                due_at = CASE WHEN due_at > $3 AND tries = 0 THEN $3 ELSE due_at END
            WHERE email = $4 AND kind = $5 AND COALESCE(account_id, '') = $6
              AND sent_at IS NULL AND dead_at IS NULL AND lease IS NULL";
        let waiting = sqlx::query(WAITING)
            .bind(&new.facts)
            .bind(new.locale.map(Locale::as_str))
            .bind((new.now + Duration::from_secs(60)).unix_millis())
            .bind(new.email.as_str())
            .bind(new.kind)
            .bind(new.account.map(|id| id.to_string()).unwrap_or_default())
            .execute(self.raw())
            .await?;
        match waiting.rows_affected() {
            0 => self.insert_letter(new).await,
            _ => Ok(()),
        }
    }

    /// Inserts a notice, of which up to `most` of a kind wait for an address about the same
    /// account. One more replaces the latest, so a flood of causes makes a bounded number of
    /// letters.
    pub async fn insert_notice(
        &mut self,
        new: &NewLetter<'_>,
        most: i64,
    ) -> Result<(), StoreError> {
        const LATEST: &str = "
            DELETE FROM outbox WHERE id IN
                (SELECT id FROM outbox
                 WHERE email = $1 AND kind = $2 AND COALESCE(account_id, '') = $3
                   AND sent_at IS NULL AND dead_at IS NULL AND lease IS NULL
                 ORDER BY id || '' LIMIT $4 OFFSET $5)";
        sqlx::query(LATEST)
            .bind(new.email.as_str())
            .bind(new.kind)
            .bind(new.account.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::MAX)
            .bind(most - 1)
            .execute(self.raw())
            .await?;
        self.insert_letter(new).await
    }

    /// Counts the waiting letters, by a small index.
    pub async fn count_outbox(&mut self, now: Timestamp) -> Result<Backlog, StoreError> {
        const SQL: &str = "
            SELECT
                (SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL) AS waiting,
                (SELECT MIN(due_at) FROM outbox
                 WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $1) AS oldest_due";
        let row = sqlx::query(SQL).bind(now.unix_millis()).fetch_one(self.raw()).await?;
        Ok(Backlog {
            waiting: column::integer(&row, "waiting")?,
            oldest_due: column::optional_instant(&row, "oldest_due")?,
        })
    }

    /// Number of letters that were given up. The statement scans all kept letters.
    pub async fn count_dead_letters(&mut self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS n FROM outbox WHERE dead_at IS NOT NULL";
        let row = sqlx::query(SQL).fetch_one(self.raw()).await?;
        column::integer(&row, "n")
    }

    /// Up to `limit` letters about the account, and to its address if they are about no other
    /// account, the latest first; with `before`, only letters before that one. Letters to an
    /// address that the account only wanted to move to are left out: their fate depends on the
    /// owner of that address.
    pub async fn find_letters_about(
        &mut self,
        account: AccountId,
        before: Option<LetterId>,
        limit: i64,
    ) -> Result<Vec<LetterSummary>, StoreError> {
        // `id || ''` keeps the planner from scanning the ids of all letters in order to avoid a
        // sort
        const SQL: &str = "
            SELECT id, kind, email, created_at, sent_at, dead_at
            FROM outbox
            WHERE ((account_id = $1
                    AND (kind <> $4
                         OR email = (SELECT a.email FROM accounts a WHERE a.id = $1)))
                   OR (email = (SELECT a.email FROM accounts a WHERE a.id = $1)
                       AND account_id IS NULL))
              AND id || '' < $2
            ORDER BY id || '' DESC LIMIT $3";
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(column::before(before))
            .bind(limit)
            .bind(LetterKind::EmailChange.as_str())
            .fetch_all(self.raw())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LetterSummary {
                    id: column::parsed(row, "id")?,
                    kind: column::text(row, "kind")?,
                    email: column::parsed(row, "email")?,
                    created_at: column::instant(row, "created_at")?,
                    sent_at: column::optional_instant(row, "sent_at")?,
                    dead_at: column::optional_instant(row, "dead_at")?,
                })
            })
            .collect()
    }

    /// Detaches letters from an address that the account has left. Unsent letters that would open
    /// the account are removed. The others become letters about the account. Notices of earlier
    /// events still go to the old address.
    ///
    /// A sign-up that waits for the address becomes contested: a removed request for a new password
    /// may have marked it so. [`Connection::lock_sign_up`] must come before the lock of the
    /// account.
    pub async fn detach_letters(
        &mut self,
        email: &EmailAddress,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const LAPSE: &str = "
            DELETE FROM outbox
            WHERE email = $1 AND sent_at IS NULL AND (account_id IS NULL OR account_id = $2)
              AND $3 LIKE '%|' || kind || '|%'";
        const KEEP: &str =
            "UPDATE outbox SET account_id = $1 WHERE email = $2 AND account_id IS NULL";
        sqlx::query(LAPSE)
            .bind(email.as_str())
            .bind(account.to_string())
            .bind(format!("|{}|", LetterKind::names(LetterKind::has_link).join("|")))
            .execute(self.raw())
            .await?;
        sqlx::query(KEEP)
            .bind(account.to_string())
            .bind(email.as_str())
            .execute(self.raw())
            .await?;
        // must follow the deletion: a request in between contests the sign-up by its own letter, or
        // by this statement
        self.contest_sign_up_of(email, now).await
    }

    /// Removes all letters to an address, sent or not, except those about an account: their
    /// recipient has left the address, and they are removed with that account. A sign-up that waits
    /// for the address becomes contested, as by [`Connection::detach_letters`].
    pub async fn delete_letters_to(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM outbox WHERE email = $1 AND account_id IS NULL";
        sqlx::query(SQL).bind(email.as_str()).execute(self.raw()).await?;
        self.contest_sign_up_of(email, now).await
    }

    /// Removes up to `limit` letters sent before `sent` or given up before `dead`; answers the
    /// number of removed rows.
    pub async fn purge_letters(
        &mut self,
        sent: Timestamp,
        dead: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SENT: &str = "
            DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at <= $1 LIMIT $2)";
        const DEAD: &str = "
            DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE dead_at <= $1 LIMIT $2)";
        let mut forgotten = 0;
        for (sql, before) in [(SENT, sent), (DEAD, dead)] {
            let left = limit.saturating_sub_unsigned(forgotten);
            let forget = sqlx::query(sql).bind(before.unix_millis()).bind(left);
            forgotten += forget.execute(self.raw()).await?.rows_affected();
        }
        Ok(forgotten)
    }
}
