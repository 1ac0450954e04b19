//! Letters that are held back: they waited when a backup was taken, or had been given up since a letter
//! last left, which a courier may take back; and may have left since.
//!
//! A held letter is one that was given up, with words of our own in the place of the mail server's. So
//! nothing sends it until the operator lets it be tried, and it is forgotten as dead letters are.

use super::{Connection, StoreError, column};
use crate::clock::Timestamp;

/// What stands in the place of a mail server's last words.
pub(super) const HELD_MARKER: &str =
    "held back: it waited when the backup was taken, and may have left since";

/// A request for a new password contests a sign-up that waits for the address, with its letter or
/// without.
const CONTEST: &str = "
    UPDATE sign_ups SET contested_at = COALESCE(contested_at, $1), name = NULL, locale = NULL
    WHERE email IN (SELECT email FROM outbox WHERE kind = 'password-reset'
                    AND sent_at IS NULL AND dead_at IS NULL)";
const HOLD: &str = "
    UPDATE outbox SET dead_at = $1, last_error = $2, lease = NULL, leased_until = NULL
    WHERE sent_at IS NULL
      AND (dead_at IS NULL OR dead_at > COALESCE((SELECT MAX(sent_at) FROM outbox), 0))
      AND (last_error IS NULL OR last_error <> $2)";
/// Links that had been used, stopped or voided since the backup would work again: links of accounts are
/// void, changes of address with them, and links of sign-ups are over. People ask for others.
const VOID: [&str; 3] = [
    "UPDATE account_links SET voided_at = $1 WHERE used_at IS NULL AND voided_at IS NULL",
    "UPDATE email_changes SET voided_at = $1
     WHERE confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL",
    "UPDATE links SET expires_at = $1
     WHERE used_at IS NULL AND disavowed_at IS NULL AND expires_at > $1",
];
/// The end of the year 9999: when a letter in a backup is given up, before a service has begun with it.
const NOT_DATED_YET: Timestamp = Timestamp::from_unix_millis(253_402_300_799_000);
const DATE: &str =
    "UPDATE outbox SET dead_at = $1 WHERE dead_at = $2 AND sent_at IS NULL AND last_error = $3";
const RELEASE: &str = "
    UPDATE outbox SET due_at = $1, tries = 0, dead_at = NULL, last_error = NULL
    WHERE dead_at IS NOT NULL AND sent_at IS NULL AND last_error = $2";
const COUNT: &str =
    "SELECT COUNT(*) AS n FROM outbox WHERE dead_at IS NOT NULL AND last_error = $1";

impl Connection {
    /// Holds back every letter that has not left, but for those that were given up before one last left;
    /// answers how many. No link that was sent before works any more, and no change of address waits.
    pub async fn hold_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        sqlx::query(CONTEST).bind(now.unix_millis()).execute(self.raw()).await?;
        for sql in VOID {
            sqlx::query(sql).bind(now.unix_millis()).execute(self.raw()).await?;
        }
        let hold = sqlx::query(HOLD).bind(now.unix_millis()).bind(HELD_MARKER);
        Ok(hold.execute(self.raw()).await?.rows_affected())
    }

    /// A service begins: letters that are held back in a backup count as given up from now on, however old
    /// that is, so that they are forgotten no sooner than others.
    pub async fn date_held_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let begin = sqlx::query(DATE).bind(now.unix_millis()).bind(NOT_DATED_YET.unix_millis());
        Ok(begin.bind(HELD_MARKER).execute(self.raw()).await?.rows_affected())
    }

    /// Lets every letter that is held back be tried at once; answers how many.
    pub async fn release_held_letters(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let release = sqlx::query(RELEASE).bind(now.unix_millis()).bind(HELD_MARKER);
        Ok(release.execute(self.raw()).await?.rows_affected())
    }

    /// How many letters are held back; looks at all that are kept.
    pub async fn count_held_letters(&mut self) -> Result<i64, StoreError> {
        column::integer(&sqlx::query(COUNT).bind(HELD_MARKER).fetch_one(self.raw()).await?, "n")
    }
}

/// Holds back what waits, and ends the links, in a copy of the database that no store has open.
pub(super) async fn hold_in(
    copy: &mut sqlx::SqliteConnection,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(CONTEST).bind(now.unix_millis()).execute(&mut *copy).await?;
    for sql in VOID {
        sqlx::query(sql).bind(now.unix_millis()).execute(&mut *copy).await?;
    }
    let hold = sqlx::query(HOLD).bind(NOT_DATED_YET.unix_millis()).bind(HELD_MARKER);
    hold.execute(copy).await.map(drop)
}
