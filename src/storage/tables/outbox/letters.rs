//! Outbox, operator's side: lists, retries and removes letters.

use sqlx::any::AnyRow;

use super::held_letters::HELD_MARKER;
use super::posting::LetterId;
use crate::clock::Timestamp;
use crate::model::{AccountId, EmailAddress, Locale};
use crate::storage::engine::{Connection, StoreError, column};
use crate::storage::tables::email_search::EmailSearch;

/// State of a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterState {
    /// In the outbox, without a lease in force.
    Waiting,
    /// A courier holds its lease.
    OnItsWay,
    /// A mail server has accepted the letter.
    Sent,
    /// Given up.
    Dead,
    /// Held back until the operator releases it: a backup was restored.
    Held,
}

/// A letter in the outbox.
#[derive(Clone, Debug)]
pub struct LetterRecord {
    /// Id of the letter.
    pub id: LetterId,
    /// Kind of the letter, as the database stores it.
    pub kind: String,
    /// Recipient.
    pub email: EmailAddress,
    /// Language of the recipient, if known.
    pub locale: Option<Locale>,
    /// The account that the letter is about.
    pub account: Option<AccountId>,
    /// State at the time of the read.
    pub state: LetterState,
    /// Time of posting.
    pub created_at: Timestamp,
    /// Earliest time of the next attempt.
    pub due_at: Timestamp,
    /// Number of attempts that failed through a fault of the letter itself.
    pub tries: i64,
    /// Time at which a mail server accepted the letter.
    pub sent_at: Option<Timestamp>,
    /// Time at which the courier gave the letter up.
    pub dead_at: Option<Timestamp>,
    /// Last words of the mail server, or another error.
    pub last_error: Option<String>,
}

impl LetterRecord {
    fn from_row(row: &AnyRow, now: Timestamp) -> Result<Self, StoreError> {
        let sent_at = column::optional_instant(row, "sent_at")?;
        let dead_at = column::optional_instant(row, "dead_at")?;
        let leased_until = column::optional_instant(row, "leased_until")?;
        let last_error = column::some(row, "last_error", |words| Some(words.to_owned()))?;
        Ok(Self {
            id: column::parsed(row, "id")?,
            kind: column::text(row, "kind")?,
            email: column::parsed(row, "email")?,
            locale: column::optional(row, "locale", Locale::parse)?,
            account: column::optional(row, "account_id", str::parse)?,
            state: match (sent_at, dead_at) {
                (Some(_), _) => LetterState::Sent,
                (None, Some(_)) if last_error.as_deref() == Some(HELD_MARKER) => LetterState::Held,
                (None, Some(_)) => LetterState::Dead,
                (None, None) if leased_until > Some(now) => LetterState::OnItsWay,
                (None, None) => LetterState::Waiting,
            },
            created_at: column::instant(row, "created_at")?,
            due_at: column::instant(row, "due_at")?,
            tries: column::integer(row, "tries")?,
            sent_at,
            dead_at,
            last_error,
        })
    }
}

impl Connection {
    /// The letter with this id, and its state at `now`.
    pub async fn find_letter(
        &mut self,
        id: LetterId,
        now: Timestamp,
    ) -> Result<Option<LetterRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, kind, email, locale, account_id, created_at, due_at, tries, leased_until,
                   sent_at, dead_at, last_error
            FROM outbox WHERE id = $1";
        let row = sqlx::query(SQL).bind(id.to_string()).fetch_optional(self.raw()).await?;
        row.map(|row| LetterRecord::from_row(&row, now)).transpose()
    }

    /// Up to `limit` letters in one of these states, in the order of posting, after `after`, whose
    /// address contains `part` in either spelling of its domain.
    pub async fn find_letters(
        &mut self,
        states: &[LetterState],
        after: Option<LetterId>,
        part: &str,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<LetterRecord>, StoreError> {
        const SQL: &str = "
            SELECT id, kind, email, locale, account_id, created_at, due_at, tries, leased_until,
                   sent_at, dead_at, last_error
            FROM outbox
            WHERE id > $1 AND (email LIKE $2 ESCAPE '!' OR email LIKE '%xn--%')
              AND CASE WHEN sent_at IS NOT NULL THEN $3
                       WHEN dead_at IS NOT NULL AND last_error = $9 THEN $10
                       WHEN dead_at IS NOT NULL THEN $4
                       WHEN leased_until > $5 THEN $6
                       ELSE $7 END = 1
            ORDER BY id LIMIT $8";
        let wanted = |state| i64::from(states.contains(&state));
        let mut after = after.map_or_else(String::new, |id| id.to_string());
        let mut matching = EmailSearch::new(part, limit);
        loop {
            let rows = sqlx::query(SQL)
                .bind(after.clone())
                .bind(matching.pattern())
                .bind(wanted(LetterState::Sent))
                .bind(wanted(LetterState::Dead))
                .bind(now.unix_millis())
                .bind(wanted(LetterState::OnItsWay))
                .bind(wanted(LetterState::Waiting))
                .bind(matching.page())
                .bind(HELD_MARKER)
                .bind(wanted(LetterState::Held))
                .fetch_all(self.raw())
                .await?;
            let rows = rows.iter().map(|row| LetterRecord::from_row(row, now));
            let rows: Vec<LetterRecord> = rows.collect::<Result<_, _>>()?;
            if let Some(last) = rows.last() {
                after = last.id.to_string();
            }
            if !matching.take(rows, |record| &record.email) {
                return Ok(matching.found());
            }
        }
    }

    /// Makes a waiting or dead letter due now, with no tries counted. `false` if it is sent, or on
    /// its way.
    pub async fn retry_letter(&mut self, id: LetterId, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "
            UPDATE outbox SET due_at = $1, tries = 0, dead_at = NULL, lease = NULL, leased_until = NULL,
                last_error = CASE WHEN last_error = $3 THEN NULL ELSE last_error END
            WHERE id = $2 AND sent_at IS NULL AND (lease IS NULL OR leased_until <= $1)";
        let done = sqlx::query(SQL)
            .bind(now.unix_millis())
            .bind(id.to_string())
            .bind(HELD_MARKER)
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// As [`Connection::retry_letter`] for all dead letters except held ones; answers the number of
    /// them.
    pub async fn retry_dead_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "
            UPDATE outbox SET due_at = $1, tries = 0, dead_at = NULL
            WHERE dead_at IS NOT NULL AND sent_at IS NULL
              AND (last_error IS NULL OR last_error <> $2)";
        let done =
            sqlx::query(SQL).bind(now.unix_millis()).bind(HELD_MARKER).execute(self.raw()).await?;
        Ok(done.rows_affected())
    }

    /// Removes a waiting or dead letter. `false` if it is sent, or on its way.
    pub async fn remove_letter(
        &mut self,
        id: LetterId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            DELETE FROM outbox
            WHERE id = $1 AND sent_at IS NULL AND (lease IS NULL OR leased_until <= $2)";
        let done = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
