//! Batches: long work as transactions of a few rows each, with pauses for other transactions.
//!
//! A batch locks its rows on PostgreSQL, and holds the one writing connection on SQLite. The size
//! of a batch follows from the duration of the last one: a slow disk gets small batches, not long
//! ones.
//!
//! This module knows the kinds of work, and no SQL except statements that callers hand over: each
//! table has its own `purge_*`.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, EmailAddress};
use crate::storage::engine::{Connection, Store, StoreError};

/// Rows of the first batch.
pub(super) const INITIAL_BATCH: i64 = 200;
const MIN_BATCH: i64 = 25;
const MAX_BATCH: i64 = 2_000;
/// Wanted duration of a batch, including its commit.
const TARGET_DURATION: Duration = Duration::from_millis(10);
/// Shortest pause between two batches, for other transactions.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// Work that runs in batches. An instant is the latest end of rows that are removed.
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
    /// Replaced secrets of clients.
    ClientSecrets(Timestamp),
    /// Every row of an account; `last` is the id of the last removed event.
    OfAccount {
        account: AccountId,
        last: String,
    },
    /// Sessions that the account's epoch has ended.
    EndedOf(AccountId),
    /// Sessions of all accounts.
    AllSessions,
    /// Sessions of a client that is disabled or gone.
    OfClient(ClientId),
    /// Letters to an address that are about no account, beyond a number to be kept.
    ExcessLetters(EmailAddress),
    /// Rows of one owner `of` that `sql` finds beyond a number to be kept.
    Excess {
        sql: &'static str,
        of: String,
    },
}

impl BatchWork {
    /// Removes up to `limit` rows; answers the number of removed rows.
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
            Self::ExcessLetters(to) => tx.purge_excess_letters(to, limit).await,
            Self::Excess { sql, of } => tx.purge_excess(sql, of, limit).await,
        }
    }
}

impl Store {
    /// Runs `work` batch by batch until a batch touches fewer rows than it may; answers the number
    /// of touched rows in all. Each batch is a transaction that fails if it would wait for rows
    /// that another transaction has locked ([`Store::write_best_effort`]).
    pub(super) async fn in_batches(&self, mut work: BatchWork) -> Result<u64, StoreError> {
        let (mut limit, mut touched) = (INITIAL_BATCH, 0);
        loop {
            // restarted below, so that it leaves out the wait for the connection
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
            // the pause is as long as the batch took, so other transactions get half of the time
            tokio::time::sleep(took.max(MIN_PAUSE)).await;
        }
    }
}

/// Size of the next batch, after a batch of `limit` rows that took `took`.
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
