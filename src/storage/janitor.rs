//! Removing what is over, a few rows at a time, so that no request waits for it.

use std::time::Duration;

use super::batches::BatchWork;
use super::{Store, StoreError, chain};
use crate::clock::Clock;

/// Closed accounts that are looked for at a time.
const CLOSED_ACCOUNTS_BATCH: i64 = 100;
/// How long after its end a link is remembered, so that its page can say how it ended.
const LINKS_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long after it was asked for a change of address is remembered. A change takes its links along,
/// whose pages say how it ended: they work for some days, and are remembered for 30 more.
const EMAIL_CHANGES_MAX_AGE: Duration = Duration::from_secs(60 * 24 * 3_600);
/// How long a letter that was sent is remembered.
const LETTERS_MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long one that was given up is: long enough for somebody to look why.
const DEAD_LETTERS_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long after the last of them wrong passwords in a row are remembered, and places after the last
/// sign-in.
pub const FAILED_ATTEMPTS_MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3_600);
/// What the limit of letters looks back to.
const HOUR: Duration = Duration::from_secs(3_600);

/// Removes expired sessions, sign-ups that nobody confirmed, links, changes of address, letters,
/// events, wrong passwords of long ago and client secrets that were replaced.
#[derive(Clone, Debug)]
pub struct Janitor {
    store: Store,
    clock: Clock,
    /// How long what happened is remembered.
    events_kept: Duration,
}

impl Janitor {
    pub fn new(store: Store, clock: Clock, events_kept: Duration) -> Self {
        Self { store, clock, events_kept }
    }

    /// Works until the future is dropped, once every `round`. What is over goes after the first of them: a
    /// clock that is ahead at a start can be put right meanwhile, and takes nothing with it.
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

    /// Removes what goes at a start, which nothing does for its age; answers how many rows that were.
    pub async fn begin(&self) -> Result<u64, StoreError> {
        Ok(self.mend().await? + self.finish_deletions().await?)
    }

    async fn mend(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.store.write_best_effort(async |tx| tx.repair_after_set_back(now).await).await
    }

    /// Removes all that is over; answers how many rows that were.
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

    /// Removes what is left of closed accounts, where a deletion was interrupted; answers how many rows.
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
