//! Work in batches: transactions of a few rows each, with the database left to others in between.
//!
//! A batch holds rows on PostgreSQL, and on SQLite the one connection that writes. How many rows go in
//! one follows from how long the last took, so a slow disk gets small batches and not long ones.

use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, Store, StoreError};
use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId};

/// Rows of the first batch.
pub(super) const INITIAL_BATCH: i64 = 200;
const MIN_BATCH: i64 = 25;
const MAX_BATCH: i64 = 2_000;
/// How long a batch should take, its commit included.
const TARGET_DURATION: Duration = Duration::from_millis(10);
/// How long others have the database at least between two batches.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// Rows that are removed in batches. An instant is the last at which a row was over.
#[derive(Debug)]
pub(super) enum BatchWork {
    Sessions(Timestamp),
    PageSessions(Timestamp),
    SignUps(Timestamp),
    Links(Timestamp),
    AccountLinks(Timestamp),
    EmailChanges(Timestamp),
    Letters {
        sent: Timestamp,
        dead: Timestamp,
    },
    LetterCounts(Timestamp),
    Events(Timestamp),
    FailedAttempts {
        before: Timestamp,
        now: Timestamp,
    },
    /// Secrets of clients that were replaced.
    ClientSecrets(Timestamp),
    /// All that belongs to an account; `last` is the last of its events that is gone.
    OfAccount {
        account: AccountId,
        last: String,
    },
    /// The sessions that the account's epoch has ended.
    EndedOf(AccountId),
    /// The sessions of all accounts.
    AllSessions,
    /// The sessions of a client that is disabled or gone.
    OfClient(ClientId),
    /// What a statement finds beyond a count of rows that belong to something.
    Excess {
        sql: &'static str,
        of: String,
    },
}

impl BatchWork {
    /// Removes up to `limit` rows; answers how many.
    async fn batch(&mut self, tx: &mut Connection, limit: i64) -> Result<u64, StoreError> {
        match self {
            Self::Sessions(now) => tx.purge_sessions(*now, limit).await,
            Self::PageSessions(now) => tx.purge_page_sessions(*now, limit).await,
            Self::SignUps(now) => tx.purge_sign_ups(*now, limit).await,
            Self::Links(before) => tx.purge_links(*before, limit).await,
            Self::AccountLinks(before) => tx.purge_account_links(*before, limit).await,
            Self::EmailChanges(before) => tx.purge_email_changes(*before, limit).await,
            Self::Letters { sent, dead } => tx.purge_letters(*sent, *dead, limit).await,
            Self::LetterCounts(before) => tx.purge_letter_counts(*before, limit).await,
            Self::Events(before) => tx.purge_events(*before, limit).await,
            Self::FailedAttempts { before, now } => {
                tx.purge_failed_attempts(*before, *now, limit).await
            }
            Self::ClientSecrets(now) => tx.purge_client_secrets(*now, limit).await,
            Self::OfAccount { account, last } => {
                tx.delete_part_of_account(*account, last, limit).await
            }
            Self::EndedOf(account) => tx.purge_ended_sessions_of(*account, limit).await,
            Self::AllSessions => tx.end_part_of_all_sessions(limit).await,
            Self::OfClient(client) => tx.delete_dead_sessions_of_client(client, limit).await,
            Self::Excess { sql, of } => tx.purge_excess(sql, of, limit).await,
        }
    }
}

impl Store {
    /// Does `work` in transactions of their own until it finds fewer rows than it may touch; answers
    /// how many it has touched in all. Each transaction gives up where it would wait for others' rows,
    /// as in [`Store::write_best_effort`].
    pub(super) async fn in_batches(&self, mut work: BatchWork) -> Result<u64, StoreError> {
        let (mut limit, mut touched) = (INITIAL_BATCH, 0);
        loop {
            // without the wait for the connection
            let mut begun = Instant::now();
            let batch = self.write_best_effort(async |tx| {
                begun = Instant::now();
                work.batch(tx, limit).await
            });
            let batch = batch.await?;
            touched += batch;
            if batch < limit.unsigned_abs() {
                return Ok(touched);
            }
            let took = begun.elapsed();
            limit = next_limit(limit, took);
            // as long as the work took: others have half of the time
            tokio::time::sleep(took.max(MIN_PAUSE)).await;
        }
    }
}

/// How many rows the next batch may touch, after one of `limit` rows that took so long.
fn next_limit(limit: i64, took: Duration) -> i64 {
    if took > TARGET_DURATION {
        (limit / 2).max(MIN_BATCH)
    } else if took < TARGET_DURATION / 2 {
        (limit + limit / 2).min(MAX_BATCH)
    } else {
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_shrink_and_fast_ones_grow_within_bounds() {
        let millis = Duration::from_millis;
        assert_eq!(next_limit(200, millis(11)), 100);
        assert_eq!(next_limit(200, millis(7)), 200);
        assert_eq!(next_limit(200, millis(1)), 300);
        assert_eq!(next_limit(MIN_BATCH, millis(1_000)), MIN_BATCH);
        assert_eq!(next_limit(MAX_BATCH, millis(1)), MAX_BATCH);
    }
}
