//! Held letters: letters in a restored backup that a courier could still send, and that may have
//! left since the backup.
//!
//! These letters waited when the backup was taken, or were given up after the last letter left; a
//! courier may revive the latter. A held letter is stored as a letter that was given up, with
//! `HELD_MARKER` in place of the mail server's words. So it is not sent until the operator releases
//! it, and it is removed with the dead letters.

use crate::clock::Timestamp;
use crate::model::LetterKind;
use crate::storage::engine::{Connection, StoreError, column};

/// Text in place of a mail server's last words.
pub(super) const HELD_MARKER: &str =
    "held back: it waited when the backup was taken, and may have left since";

/// Contests the sign-ups that wait for an address with a waiting request for a new password: the
/// request contests the sign-up even if its letter does not leave.
const CONTEST: &str = "
    UPDATE sign_ups SET contested_at = COALESCE(contested_at, $1), name = NULL, locale = NULL
    WHERE email IN (SELECT email FROM outbox WHERE kind = $2
                    AND sent_at IS NULL AND dead_at IS NULL)";
const HOLD: &str = "
    UPDATE outbox SET dead_at = $1, last_error = $2, lease = NULL, leased_until = NULL
    WHERE sent_at IS NULL
      AND (dead_at IS NULL OR dead_at > COALESCE((SELECT MAX(sent_at) FROM outbox), 0))
      AND (last_error IS NULL OR last_error <> $2)";
/// Ends links, because links that were used, stopped or voided after the backup would work again.
/// Links and changes of accounts are voided, links of sign-ups expire. People ask for new ones.
const VOID: [&str; 3] = [
    "UPDATE account_links SET voided_at = $1 WHERE used_at IS NULL AND voided_at IS NULL",
    "UPDATE email_changes SET voided_at = $1
     WHERE confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL",
    "UPDATE links SET expires_at = $1
     WHERE used_at IS NULL AND disavowed_at IS NULL AND expires_at > $1",
];
/// End of the year 9999: the time at which a held letter in a backup counts as given up until a
/// service starts with it.
const NOT_DATED_YET: Timestamp = Timestamp::from_unix_millis(253_402_300_799_000);
const DATE: &str =
    "UPDATE outbox SET dead_at = $1 WHERE dead_at = $2 AND sent_at IS NULL AND last_error = $3";
const RELEASE: &str = "
    UPDATE outbox SET due_at = $1, tries = 0, dead_at = NULL, last_error = NULL
    WHERE dead_at IS NOT NULL AND sent_at IS NULL AND last_error = $2";
const COUNT: &str =
    "SELECT COUNT(*) AS n FROM outbox WHERE dead_at IS NOT NULL AND last_error = $1";

impl Connection {
    /// Holds every letter that has not left, except letters given up before the last one left;
    /// answers the number of them. No link that was sent before works any more, and no change of
    /// address waits.
    pub async fn hold_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let reset = LetterKind::PasswordReset.as_str();
        sqlx::query(CONTEST).bind(now.unix_millis()).bind(reset).execute(self.raw()).await?;
        for sql in VOID {
            sqlx::query(sql).bind(now.unix_millis()).execute(self.raw()).await?;
        }
        let hold = sqlx::query(HOLD).bind(now.unix_millis()).bind(HELD_MARKER);
        Ok(hold.execute(self.raw()).await?.rows_affected())
    }

    /// Dates held letters at the start of a service: they count as given up now, however old the
    /// backup is, so that they are kept as long as other dead letters.
    pub async fn date_held_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let begin = sqlx::query(DATE).bind(now.unix_millis()).bind(NOT_DATED_YET.unix_millis());
        Ok(begin.bind(HELD_MARKER).execute(self.raw()).await?.rows_affected())
    }

    /// Makes every held letter due now; answers the number of them.
    pub async fn release_held_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let release = sqlx::query(RELEASE).bind(now.unix_millis()).bind(HELD_MARKER);
        Ok(release.execute(self.raw()).await?.rows_affected())
    }

    /// Number of held letters. The statement scans all kept letters.
    pub async fn count_held_letters(&mut self) -> Result<i64, StoreError> {
        column::integer(&sqlx::query(COUNT).bind(HELD_MARKER).fetch_one(self.raw()).await?, "n")
    }
}

/// Holds the waiting letters and ends the links, in a copy of the database that no store has open.
pub(in crate::storage) async fn hold_in(
    copy: &mut sqlx::SqliteConnection,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let reset = LetterKind::PasswordReset.as_str();
    sqlx::query(CONTEST).bind(now.unix_millis()).bind(reset).execute(&mut *copy).await?;
    for sql in VOID {
        sqlx::query(sql).bind(now.unix_millis()).execute(&mut *copy).await?;
    }
    let hold = sqlx::query(HOLD).bind(NOT_DATED_YET.unix_millis()).bind(HELD_MARKER);
    hold.execute(copy).await.map(drop)
}
