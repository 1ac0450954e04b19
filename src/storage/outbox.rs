//! The outbox: letters that are to be sent, and how that went.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Connection, StoreError, column};
use crate::clock::Timestamp;
use crate::model::{AccountId, Digest, EmailAddress, Locale, row_id};

row_id! {
    /// Of a letter in the outbox; its Message-ID follows from it.
    LetterId
}

/// A letter to be sent.
#[derive(Debug)]
pub struct NewLetter<'a> {
    pub id: LetterId,
    pub kind: &'static str,
    pub email: &'a EmailAddress,
    pub locale: Option<&'a Locale>,
    /// Whom the letter is about: it goes with the account.
    pub account: Option<AccountId>,
    /// What the letter tells, as JSON; nothing secret.
    pub facts: String,
    pub now: Timestamp,
}

/// A letter as an export tells of it.
#[derive(Clone, Debug)]
pub struct LetterSummary {
    pub kind: String,
    pub email: EmailAddress,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
}

/// A letter that one courier holds the lease of.
#[derive(Clone, Debug)]
pub struct ClaimedLetter {
    pub id: LetterId,
    pub lease: Uuid,
    pub kind: String,
    pub email: EmailAddress,
    pub locale: Option<Locale>,
    pub account: Option<AccountId>,
    pub facts: String,
    pub created_at: Timestamp,
    /// Later than now if it was claimed early.
    pub due_at: Timestamp,
    /// How often it was tried and failed through a fault of its own.
    pub tries: u32,
}

impl ClaimedLetter {
    fn from_row(row: &AnyRow, lease: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: column::parsed(row, "id")?,
            lease,
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

/// The letters that have not left yet.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    pub waiting: i64,
    /// Since when the one that has been due for longest is.
    pub oldest_due: Option<Timestamp>,
}

/// Of an address that letters are counted by.
fn digest_of(email: &EmailAddress) -> Vec<u8> {
    Digest::of(email.as_str().as_bytes()).as_bytes().to_vec()
}

/// What a mail server said may hold anything, and PostgreSQL has no NUL in its texts.
fn without_nul(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
}

impl Connection {
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

    /// The same for a letter that says no more than one of its kind which waits for the address
    /// already: then that one does for both, so that a flood of requests makes one letter, and is tried
    /// within a minute, however long it was to wait. Something is written in either case, so that the
    /// time tells nothing.
    pub async fn insert_letter_once(&mut self, new: &NewLetter<'_>) -> Result<(), StoreError> {
        const WAITING: &str = "
            UPDATE outbox SET due_at = CASE WHEN due_at > $3 THEN $3 ELSE due_at END
            WHERE email = $1 AND kind = $2 AND sent_at IS NULL AND dead_at IS NULL AND lease IS NULL";
        let waiting = sqlx::query(WAITING)
            .bind(new.email.as_str())
            .bind(new.kind)
            .bind((new.now + Duration::from_secs(60)).unix_millis())
            .execute(self.raw())
            .await?;
        match waiting.rows_affected() {
            0 => self.insert_letter(new).await,
            _ => Ok(()),
        }
    }

    /// Takes the lease of up to `limit` letters that are due and that nobody holds. Answers those and
    /// whatever was claimed early under the same lease.
    pub async fn claim_letters(
        &mut self,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        // the outer WHERE repeats the inner one: under READ COMMITTED two couriers may have found
        // the same rows, and the second to lock them must see that they are taken
        const CLAIM: &str = "
            UPDATE outbox SET lease = $1, leased_until = $2
            WHERE id IN (
                SELECT id FROM outbox
                WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
                  AND (lease IS NULL OR leased_until <= $3)
                ORDER BY due_at, id LIMIT $4)
              AND sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
              AND (lease IS NULL OR leased_until <= $3)";
        const CLAIMED: &str = "
            SELECT id, kind, email, locale, account_id, facts, created_at, due_at, tries
            FROM outbox WHERE lease = $1 ORDER BY due_at, id";
        sqlx::query(CLAIM)
            .bind(lease.to_string())
            .bind(until.unix_millis())
            .bind(now.unix_millis())
            .bind(limit)
            .execute(self.raw())
            .await?;
        let rows = sqlx::query(CLAIMED).bind(lease.to_string()).fetch_all(self.raw()).await?;
        rows.iter().map(|row| ClaimedLetter::from_row(row, lease)).collect()
    }

    /// Takes the lease of a letter that waits, due or not, if nobody holds it.
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

    /// Letters that wait and were refused for now at least once.
    pub async fn find_refused_letters(&mut self) -> Result<Vec<LetterId>, StoreError> {
        const SQL: &str = "
            SELECT id FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL AND tries > 0";
        let rows = sqlx::query(SQL).fetch_all(self.raw()).await?;
        rows.iter().map(|row| column::parsed(row, "id")).collect()
    }

    /// These letters are due at once, if they still wait and nobody holds them.
    pub async fn bring_letters_forward(
        &mut self,
        letters: &BTreeSet<LetterId>,
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

    /// Whether anything is due, so that an idle courier writes nothing.
    pub async fn has_due_letters(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "
            SELECT 1 FROM outbox
            WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $1
              AND (lease IS NULL OR leased_until <= $1)
            LIMIT 1";
        let row = sqlx::query(SQL).bind(now.unix_millis()).fetch_optional(self.raw()).await?;
        Ok(row.is_some())
    }

    /// What waits in the outbox; a small index has it.
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

    /// How many letters were given up; looks at all that are kept.
    pub async fn count_dead_letters(&mut self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS n FROM outbox WHERE dead_at IS NOT NULL";
        let row = sqlx::query(SQL).fetch_one(self.raw()).await?;
        column::integer(&row, "n")
    }

    /// When letters left to the address of `letter` since `since`, oldest first; and how many are on
    /// their way to it that were posted before this one. By one statement, so that none is missed
    /// which is sent while they are counted.
    pub async fn letters_counted(
        &mut self,
        letter: &ClaimedLetter,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, usize), StoreError> {
        const SQL: &str = "
            SELECT sent_at FROM letters_sent WHERE digest = $1 AND sent_at > $2
            UNION ALL
            SELECT CAST(NULL AS BIGINT) FROM outbox
            WHERE email = $3 AND id < $4 AND sent_at IS NULL AND dead_at IS NULL
              AND leased_until > $5";
        let rows = sqlx::query(SQL)
            .bind(digest_of(&letter.email))
            .bind(since.unix_millis())
            .bind(letter.email.as_str())
            .bind(letter.id.to_string())
            .bind(now.unix_millis())
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

    /// Notes that a letter has left to the address, for the limit of an hour.
    pub async fn count_letter(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO letters_sent (digest, sent_at) VALUES ($1, $2)";
        sqlx::query(SQL).bind(digest_of(email)).bind(now.unix_millis()).execute(self.raw()).await?;
        Ok(())
    }

    /// Forgets up to `limit` notes of letters that left before `before`; answers how many.
    pub async fn purge_letter_counts(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        // the rows have no key of their own, and need none
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

    /// Whether the lease is still this courier's.
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

    /// Each of the following answers `false` if the lease has passed to another courier.
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

    /// Gives the lease back, to be tried again at `due_at`. `tries` and `error` as they are now.
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

    /// Gives the letter up; it stays visible with what the server said.
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

    /// Drops a letter that turned out to have nobody to go to, or to say nothing new.
    pub async fn drop_letter(&mut self, letter: &ClaimedLetter) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM outbox WHERE id = $1 AND lease = $2";
        let done = sqlx::query(SQL)
            .bind(letter.id.to_string())
            .bind(letter.lease.to_string())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The letters about an account, and those to its address that are about no other, oldest first.
    pub async fn find_letters_about(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
    ) -> Result<Vec<LetterSummary>, StoreError> {
        const SQL: &str = "
            SELECT kind, email, created_at, sent_at, dead_at
            FROM outbox WHERE account_id = $1 OR (email = $2 AND account_id IS NULL) ORDER BY id";
        let rows = sqlx::query(SQL)
            .bind(account.to_string())
            .bind(email.as_str())
            .fetch_all(self.raw())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LetterSummary {
                    kind: column::text(row, "kind")?,
                    email: column::parsed(row, "email")?,
                    created_at: column::instant(row, "created_at")?,
                    sent_at: column::optional_instant(row, "sent_at")?,
                    dead_at: column::optional_instant(row, "dead_at")?,
                })
            })
            .collect()
    }

    /// The account has left this address: what would open it lapses where it has not been sent, and the
    /// rest is remembered as the account's. Notices of what happened before go where they were to go.
    pub async fn leave_letters_to(
        &mut self,
        email: &EmailAddress,
        account: AccountId,
    ) -> Result<(), StoreError> {
        const LAPSE: &str = "
            DELETE FROM outbox
            WHERE email = $1 AND sent_at IS NULL AND (account_id IS NULL OR account_id = $2)
              AND kind IN ('sign-up', 'new-link', 'password-reset', 'operator-reset', 'invitation',
                           'email-change', 'email-change-notice')";
        const KEEP: &str =
            "UPDATE outbox SET account_id = $1 WHERE email = $2 AND account_id IS NULL";
        sqlx::query(LAPSE)
            .bind(email.as_str())
            .bind(account.to_string())
            .execute(self.raw())
            .await?;
        sqlx::query(KEEP)
            .bind(account.to_string())
            .bind(email.as_str())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Forgets every letter to an address, sent or not, but those about an account: they were to
    /// somebody who has left the address, and go with that account.
    pub async fn delete_letters_to(&mut self, email: &EmailAddress) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM outbox WHERE email = $1 AND account_id IS NULL";
        sqlx::query(SQL).bind(email.as_str()).execute(self.raw()).await?;
        Ok(())
    }

    /// Forgets up to `limit` letters sent before `sent`, or given up before `dead`; answers how many.
    pub async fn purge_letters(
        &mut self,
        sent: Timestamp,
        dead: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "
            DELETE FROM outbox WHERE id IN
                (SELECT id FROM outbox WHERE sent_at <= $1 OR dead_at <= $2 LIMIT $3)";
        let done = sqlx::query(SQL)
            .bind(sent.unix_millis())
            .bind(dead.unix_millis())
            .bind(limit)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected())
    }
}
