//! Outbox, delivery side: leases of letters and results of deliveries.
//!
//! Only the couriers use these statements. [`super::posting`] is the side of the senders,
//! [`super::letters`] the side of the operator.

use sqlx::any::AnyRow;
use uuid::Uuid;

use super::held_letters::HELD_MARKER;
use super::posting::LetterId;
use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::model::{AccountId, Digest, EmailAddress, Locale};
use crate::storage::engine::{Connection, StoreError, column};

/// A letter whose lease one courier holds.
#[derive(Clone, Debug)]
pub struct ClaimedLetter {
    /// Id of the letter.
    pub id: LetterId,
    /// Id of the lease; a courier uses one for all letters that it claims at once.
    pub lease: Uuid,
    /// End of the lease.
    pub leased_until: Timestamp,
    /// Kind of the letter, as the database stores it.
    pub kind: String,
    /// Recipient.
    pub email: EmailAddress,
    /// Language of the recipient, if known.
    pub locale: Option<Locale>,
    /// Account that the letter is about.
    pub account: Option<AccountId>,
    /// Variables of the letter, as JSON.
    pub facts: String,
    /// Time of posting.
    pub created_at: Timestamp,
    /// Time of the next attempt; later than now if the letter was claimed early.
    pub due_at: Timestamp,
    /// Number of attempts that failed through a fault of the letter itself.
    pub tries: u32,
}

impl ClaimedLetter {
    fn from_row(row: &AnyRow, lease: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: column::parsed(row, "id")?,
            lease,
            leased_until: column::instant(row, "leased_until")?,
            kind: column::text(row, "kind")?,
            email: column::parsed(row, "email")?,
            locale: column::optional(row, "locale", Locale::parse)?,
            account: column::optional(row, "account_id", str::parse)?,
            facts: column::text(row, "facts")?,
            created_at: column::instant(row, "created_at")?,
            due_at: column::instant(row, "due_at")?,
            tries: u32::try_from(column::integer(row, "tries")?).unwrap_or(u32::MAX),
        })
    }
}

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

/// Number of letters that a courier claims at once, separately for letters that were never refused
/// and for refused ones. So letters that fail again and again delay no fresh letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimLimit {
    /// Letters that were never refused.
    pub fresh: usize,
    /// Letters that were refused at least once.
    pub refused: usize,
}

impl ClaimLimit {
    /// Only letters that were never refused.
    pub const fn fresh(fresh: usize) -> Self {
        Self { fresh, refused: 0 }
    }

    /// Only letters that were refused.
    pub const fn refused(refused: usize) -> Self {
        Self { fresh: 0, refused }
    }
}

/// Largest number of domains that a claim can leave out.
pub const MAX_DOMAINS: usize = 4;

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
    /// Claims up to `limit` due letters without a lease. Answers these and the letters that were
    /// claimed early under the same lease.
    pub async fn claim_letters(
        &mut self,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: ClaimLimit,
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        self.claim_letters_beside(lease, now, until, limit, &[]).await
    }

    /// As [`Connection::claim_letters`], without letters to the first [`MAX_DOMAINS`] of `domains`.
    pub async fn claim_letters_beside(
        &mut self,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: ClaimLimit,
        domains: &[String],
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        // the outer WHERE repeats the inner one: under READ COMMITTED two couriers may have found
        // the same rows, and the second to lock them must see that they are taken
        const CLAIM: &str = "
            UPDATE outbox SET lease = $1, leased_until = $2
            WHERE id IN (
                SELECT id FROM outbox
                WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
                  AND (lease IS NULL OR leased_until <= $3) AND (tries > 0) = ($4 = 1)
                  AND email NOT LIKE $6 AND email NOT LIKE $7 AND email NOT LIKE $8
                  AND email NOT LIKE $9
                ORDER BY due_at, id LIMIT $5)
              AND sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
              AND (lease IS NULL OR leased_until <= $3)";
        const CLAIMED: &str = "
            SELECT id, leased_until, kind, email, locale, account_id, facts, created_at, due_at,
                   tries
            FROM outbox WHERE lease = $1 ORDER BY due_at, id";
        // an unused pattern stays empty, and matches no address
        let mut others: [String; MAX_DOMAINS] = Default::default();
        for (other, domain) in others.iter_mut().zip(domains) {
            *other = format!("%@{domain}");
        }
        let [one, two, three, four] = &others;
        for (was_refused, limit) in [(0_i64, limit.fresh), (1, limit.refused)] {
            if limit > 0 {
                sqlx::query(CLAIM)
                    .bind(lease.to_string())
                    .bind(until.unix_millis())
                    .bind(now.unix_millis())
                    .bind(was_refused)
                    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                    .bind(one)
                    .bind(two)
                    .bind(three)
                    .bind(four)
                    .execute(self.raw())
                    .await?;
            }
        }
        let rows = sqlx::query(CLAIMED).bind(lease.to_string()).fetch_all(self.raw()).await?;
        rows.iter().map(|row| ClaimedLetter::from_row(row, lease)).collect()
    }

    /// Claims a waiting letter, due or not, if no courier holds its lease.
    pub async fn claim_letter_early(
        &mut self,
        id: LetterId,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE outbox SET lease = $1, leased_until = $2
            WHERE id = $3 AND sent_at IS NULL AND dead_at IS NULL
              AND (lease IS NULL OR leased_until <= $4)";
        sqlx::query(SQL)
            .bind(lease.to_string())
            .bind(until.unix_millis())
            .bind(id.to_string())
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

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

    /// Whether a letter is due. An idle courier asks this first, so that it writes nothing.
    pub async fn has_due_letters(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "
            SELECT 1 FROM outbox
            WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $1
              AND (lease IS NULL OR leased_until <= $1)
            ORDER BY due_at LIMIT 1";
        let row = sqlx::query(SQL).bind(now.unix_millis()).fetch_optional(self.raw()).await?;
        Ok(row.is_some())
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
