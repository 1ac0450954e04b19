//! Janitor: background worker that removes expired rows, a few at a time, so that no request waits.
//!
//! | Rows | Kept for | Constant |
//! |---|---|---|
//! | links | 30 days after their expiry | `LINKS_MAX_AGE` |
//! | changes of address | 60 days after the request | `EMAIL_CHANGES_MAX_AGE` |
//! | sent letters | 7 days | `LETTERS_MAX_AGE` |
//! | letters given up | 30 days | `DEAD_LETTERS_MAX_AGE` |
//! | failed attempts, known locations | 90 days | `FAILED_ATTEMPTS_MAX_AGE` |
//! | records for the hourly limit of letters | 1 h | `HOUR` |
//! | events | a setting | |
//! | sessions, sign-ins at the account page, sign-ups, replaced secrets | until their end | |

use std::time::Duration;

use super::batches::BatchWork;
use crate::clock::Clock;
use crate::storage::engine::{Store, StoreError, chain};
use crate::storage::tables::FAILED_ATTEMPTS_MAX_AGE;

/// Closed accounts that are read at once.
const CLOSED_ACCOUNTS_BATCH: i64 = 100;
/// Time that a link is kept after its end, so that its page can say how it ended.
const LINKS_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Time that a change of address is kept after its request. Its links are removed with it. Such
/// links work for some days, and their pages say for 30 more days how the links ended.
const EMAIL_CHANGES_MAX_AGE: Duration = Duration::from_secs(60 * 24 * 3_600);
/// Time that a sent letter is kept.
const LETTERS_MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Time that a letter is kept after it was given up: long enough for the operator to look into it.
const DEAD_LETTERS_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Period of the hourly limit of letters.
const HOUR: Duration = Duration::from_secs(3_600);

/// Removes expired sessions, unconfirmed sign-ups, links, changes of address, letters, events, old
/// failed attempts and replaced client secrets.
#[derive(Clone, Debug)]
pub struct Janitor {
    store: Store,
    clock: Clock,
    /// Time that events are kept.
    events_kept: Duration,
}

impl Janitor {
    /// Creates a janitor; `events_kept` is the retention of events.
    pub fn new(store: Store, clock: Clock, events_kept: Duration) -> Self {
        Self { store, clock, events_kept }
    }

    /// Runs a round every `round` until the future is dropped. The first round comes one `round`
    /// after the start: if the clock is ahead at the start, the operator can correct it before rows
    /// are removed.
    pub async fn run(&self, round: Duration) {
        self.end_round(self.begin().await).await;
        loop {
            tokio::time::sleep(round).await;
            self.end_round(self.purge().await).await;
        }
    }

    async fn end_round(&self, removed: Result<u64, StoreError>) {
        match removed {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "removed what is over"),
            Err(error) => tracing::warn!(error = chain(&error), "what is over stays for now"),
        }
        if let Err(error) = self.store.truncate_wal().await {
            tracing::warn!(error = chain(&error), "what was deleted stays in the log for now");
        }
    }

    /// Does the work of a start, which depends on no age: repairs times after the clock was set
    /// back, and finishes interrupted deletions. Answers the number of touched rows.
    pub async fn begin(&self) -> Result<u64, StoreError> {
        Ok(self.mend().await? + self.finish_deletions().await?)
    }

    async fn mend(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write_best_effort(async |tx| tx.repair_after_set_back(now).await).await
    }

    /// Removes all expired rows; answers the number of them.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut removed = self.begin().await?;
        for work in [
            BatchWork::Sessions(now),
            BatchWork::SignUps(now),
            BatchWork::PageSessions(now),
            BatchWork::Links(now - LINKS_MAX_AGE),
            BatchWork::AccountLinks(now - LINKS_MAX_AGE),
            BatchWork::EmailChanges(now - EMAIL_CHANGES_MAX_AGE),
            BatchWork::Letters { sent: now - LETTERS_MAX_AGE, dead: now - DEAD_LETTERS_MAX_AGE },
            BatchWork::LetterCounts(now - HOUR),
            BatchWork::Events(now - self.events_kept),
            BatchWork::FailedAttempts { before: now - FAILED_ATTEMPTS_MAX_AGE, now },
            BatchWork::ClientSecrets(now),
        ] {
            removed += self.store.in_batches(work).await?;
        }
        Ok(removed)
    }

    /// Removes the remaining rows of closed accounts, after an interrupted deletion; answers the
    /// number of removed rows.
    async fn finish_deletions(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let closed = self
                .store
                .read(async |db| db.find_closed_accounts(CLOSED_ACCOUNTS_BATCH).await)
                .await?;
            if closed.is_empty() {
                return Ok(removed);
            }
            for account in closed {
                removed += self.store.finish_deletion(account).await?;
            }
        }
    }
}
