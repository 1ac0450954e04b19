//! Repair of outbox rows whose times lie in the future after the clock was set back. Without it
//! such a letter would wait for as long as the clock was ahead.

use std::time::Duration;

use crate::clock::{MAX_CLOCK_SKEW, Timestamp};
use crate::storage::engine::{Connection, StoreError};

/// Longest delay of a letter: the longest pause between two attempts, with its random part.
const MAX_LETTER_DELAY: Duration = Duration::from_secs(16 * 3_600);
/// Longest lease of a courier.
const MAX_LEASE: Duration = Duration::from_secs(3_600);

const DUE: &str = "
    UPDATE outbox SET due_at = $1
    WHERE sent_at IS NULL AND dead_at IS NULL AND due_at > $2";
/// `lease > ''` and not `IS NOT NULL`, so that SQLite uses the index as well.
const RELEASE: &str = "
    UPDATE outbox SET lease = NULL, leased_until = NULL
    WHERE lease > '' AND leased_until > $1";
const FORGET: &str = "DELETE FROM letters_sent WHERE sent_at > $1";

impl Connection {
    /// Makes letters due that were postponed or claimed before the clock was set back, and removes
    /// the records of letters sent then. Answers the number of touched rows.
    pub async fn repair_after_set_back(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let due = sqlx::query(DUE)
            .bind(now.unix_millis())
            .bind((now + MAX_LETTER_DELAY).unix_millis())
            .execute(self.raw())
            .await?;
        let released = sqlx::query(RELEASE).bind((now + MAX_LEASE).unix_millis());
        let released = released.execute(self.raw()).await?;
        let forgotten = sqlx::query(FORGET).bind((now + MAX_CLOCK_SKEW).unix_millis());
        let forgotten = forgotten.execute(self.raw()).await?;
        Ok(due.rows_affected() + released.rows_affected() + forgotten.rows_affected())
    }
}
