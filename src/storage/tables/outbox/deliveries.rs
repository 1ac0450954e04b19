//! Outbox, delivery side: results of deliveries.
//!
//! Only couriers use the statements of this file and of [`super::claims`]. [`super::posting`] is the
//! side of the senders, [`super::letters`] the side of the operator.

use super::claims::ClaimedLetter;
use super::held_letters::HELD_MARKER;
use super::posting::LetterId;
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::model::{Digest, EmailAddress};
use crate::storage::engine::{Connection, StoreError, column};

/// A letter that a mail server refused, and that has not left.
#[derive(Clone, Debug)]
pub struct RefusedLetter {
    /// Id of the letter.
    pub id: LetterId,
    /// Recipient.
    pub email: EmailAddress,
    /// Number of attempts that failed through a fault of the letter itself.
    pub tries: u32,
    /// True if the courier gave the letter up.
    pub is_dead: bool,
    /// Last words of the mail server.
    pub last_error: Option<String>,
}

/// Digest by which letters to an address are counted. A kind that is counted by itself is part of
/// the digest.
fn digest_of(email: &EmailAddress, kind: Option<&str>) -> Vec<u8> {
    let digest = match kind {
        // unambiguous: no address contains a space
        Some(kind) => Digest::of(format!("{kind} {email}").as_bytes()),
        None => Digest::of(email.as_str().as_bytes()),
    };
    digest.as_bytes().to_vec()
}

/// Replaces NUL, which a mail server may send and PostgreSQL's text type refuses.
fn without_nul(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
}

impl Connection {
    /// Waiting letters that were refused at least once, and up to 1000 letters that were given up
    /// since a letter last left. Held letters are left out.
    pub async fn find_refused_letters(&mut self) -> Result<Vec<RefusedLetter>, StoreError> {
        const WAITING: &str = "
            SELECT id, email, tries, dead_at, last_error FROM outbox
            WHERE sent_at IS NULL AND dead_at IS NULL AND tries > 0";
        const DEAD: &str = "
            SELECT id, email, tries, dead_at, last_error FROM outbox
            WHERE dead_at > COALESCE((SELECT MAX(sent_at) FROM outbox), 0)
              AND (last_error IS NULL OR last_error <> $1)
            ORDER BY dead_at DESC LIMIT 1000";
        let mut rows = sqlx::query(WAITING).fetch_all(self.raw()).await?;
        rows.extend(sqlx::query(DEAD).bind(HELD_MARKER).fetch_all(self.raw()).await?);
        rows.iter()
            .map(|row| {
                Ok(RefusedLetter {
                    id: column::parsed(row, "id")?,
                    email: column::parsed(row, "email")?,
                    tries: u32::try_from(column::integer(row, "tries")?).unwrap_or(u32::MAX),
                    is_dead: column::optional_instant(row, "dead_at")?.is_some(),
                    last_error: column::some(row, "last_error", |words| Some(words.to_owned()))?,
                })
            })
            .collect()
    }

    /// Makes these letters due now, if they still wait and no courier holds them.
    pub async fn bring_letters_forward(
        &mut self,
        letters: &[LetterId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE outbox SET due_at = $1
            WHERE id = $2 AND due_at > $1 AND sent_at IS NULL AND dead_at IS NULL AND lease IS NULL";
        for id in letters {
            sqlx::query(SQL)
                .bind(now.unix_millis())
                .bind(id.to_string())
                .execute(self.raw())
                .await?;
        }
        Ok(())
    }

    /// Makes these letters due at `due_at`, if they are given up and not held; keeps their number
    /// of tries.
    pub async fn revive_letters(
        &mut self,
        letters: &[LetterId],
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE outbox SET due_at = $1, dead_at = NULL
            WHERE id = $2 AND dead_at IS NOT NULL AND sent_at IS NULL
              AND (last_error IS NULL OR last_error <> $3)";
        for id in letters {
            sqlx::query(SQL)
                .bind(due_at.unix_millis())
                .bind(id.to_string())
                .bind(HELD_MARKER)
                .execute(self.raw())
                .await?;
        }
        Ok(())
    }

    /// Sent times of letters to the address of `letter` since `since`, oldest first, and the number
    /// of letters to it that are in delivery and were posted before this one.
    ///
    /// - `counted` are the kinds that count together, with the kind under which a separately
    ///   counted letter is recorded.
    /// - A sent time more than `MAX_CLOCK_SKEW` in the future is from before the clock was set
    ///   back, and is not counted.
    /// - One statement reads both, so that it misses no letter that is sent in between.
    pub async fn letters_counted(
        &mut self,
        letter: &ClaimedLetter,
        (kind, counted): (Option<&str>, &[&str]),
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, usize), StoreError> {
        const SQL: &str = "
            SELECT sent_at FROM letters_sent
            WHERE digest = $1 AND sent_at > $2 AND sent_at <= $7
            UNION ALL
            SELECT CAST(NULL AS BIGINT) FROM outbox
            WHERE email = $3 AND id < $4 AND sent_at IS NULL AND dead_at IS NULL
              AND leased_until > $5 AND $6 LIKE '%|' || kind || '|%'";
        let rows = sqlx::query(SQL)
            .bind(digest_of(&letter.email, kind))
            .bind(since.unix_millis())
            .bind(letter.email.as_str())
            .bind(letter.id.to_string())
            .bind(now.unix_millis())
            .bind(format!("|{}|", counted.join("|")))
            .bind((now + MAX_CLOCK_SKEW).unix_millis())
            .fetch_all(self.raw())
            .await?;
        let instants: Vec<Option<Timestamp>> = rows
            .iter()
            .map(|row| column::optional_instant(row, "sent_at"))
            .collect::<Result<_, _>>()?;
        let mut sent: Vec<Timestamp> = instants.iter().copied().flatten().collect();
        sent.sort_unstable();
        let ahead = instants.len() - sent.len();
        Ok((sent, ahead))
    }

    /// Records a sent letter for the hourly limit of its address; with `kind`, for the limit of a
    /// kind that is counted by itself.
    pub async fn count_letter(
        &mut self,
        email: &EmailAddress,
        kind: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO letters_sent (digest, sent_at) VALUES ($1, $2)";
        sqlx::query(SQL)
            .bind(digest_of(email, kind))
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Removes up to `limit` records of letters sent before `before`; answers the number of removed
    /// rows.
    pub async fn purge_letter_counts(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        // by time, because the rows have no key
        const SQL: &str = "
            DELETE FROM letters_sent WHERE sent_at <=
                (SELECT MAX(sent_at) FROM
                    (SELECT sent_at FROM letters_sent WHERE sent_at <= $1
                     ORDER BY sent_at LIMIT $2) AS oldest)";
        let done =
            sqlx::query(SQL).bind(before.unix_millis()).bind(limit).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }

    /// Whether a later letter of the same kind, about the same account, waits for the same address.
    pub async fn is_superseded(&mut self, letter: &ClaimedLetter) -> Result<bool, StoreError> {
        const SQL: &str = "
            SELECT 1 FROM outbox
            WHERE email = $1 AND kind = $2 AND id > $3 AND sent_at IS NULL AND dead_at IS NULL
              AND COALESCE(account_id, '') = $4
            LIMIT 1";
        let account = letter.account.map(|id| id.to_string()).unwrap_or_default();
        let row = sqlx::query(SQL)
            .bind(letter.email.as_str())
            .bind(&letter.kind)
            .bind(letter.id.to_string())
            .bind(account)
            .fetch_optional(self.raw())
            .await?;
        Ok(row.is_some())
    }

    /// Whether this courier still holds the lease.
    pub async fn holds_lease(
        &mut self,
        letter: &ClaimedLetter,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            SELECT 1 FROM outbox WHERE id = $1 AND lease = $2 AND leased_until > $3";
        let row = sqlx::query(SQL)
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .bind(now.unix_millis())
            .fetch_optional(self.raw())
            .await?;
        Ok(row.is_some())
    }

    /// Marks the letter as sent. `mark_sent`, `postpone_letter`, `mark_dead` and `drop_letter`
    /// answer `false` if another courier holds the lease by now.
    pub async fn mark_sent(
        &mut self,
        letter: &ClaimedLetter,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE outbox SET sent_at = $1, lease = NULL, leased_until = NULL, last_error = NULL
            WHERE id = $2 AND lease = $3";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns the lease. The next attempt is at `due_at`, with `tries` and `error` as the new
    /// values.
    pub async fn postpone_letter(
        &mut self,
        letter: &ClaimedLetter,
        due_at: Timestamp,
        tries: u32,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE outbox
            SET due_at = $1, tries = $2, last_error = COALESCE($3, last_error),
                lease = NULL, leased_until = NULL
            WHERE id = $4 AND lease = $5";
        let done = sqlx::query(SQL)
            .bind(due_at.unix_millis())
            .bind(i64::from(tries))
            .bind(error.map(without_nul))
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives the letter up. The row stays visible, with the server's last words.
    pub async fn mark_dead(
        &mut self,
        letter: &ClaimedLetter,
        now: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE outbox
            SET dead_at = $1, tries = tries + 1, last_error = $2, lease = NULL, leased_until = NULL
            WHERE id = $3 AND lease = $4";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(without_nul(error))
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes a letter that has no recipient any more, or says nothing new.
    pub async fn drop_letter(&mut self, letter: &ClaimedLetter) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM outbox WHERE id = $1 AND lease = $2";
        let done = sqlx::query(SQL)
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
