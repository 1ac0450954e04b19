//! Removing what is over, a few rows at a time, so that no request waits for it.

use std::time::Duration;

use super::{Store, StoreError, chain};
use crate::clock::Clock;

/// Rows removed in one transaction.
const BATCH: i64 = 200;
/// How long after its end a link is remembered, so that its page can say how it ended.
const LINKS_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long after it was asked for a change of address is remembered. A change takes its links along,
/// whose pages say how it ended: they work for some days, and are remembered for 30 more.
const EMAIL_CHANGES_REMEMBERED: Duration = Duration::from_secs(60 * 24 * 3_600);
/// How long a letter that was sent is remembered.
const LETTERS_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long one that was given up is: long enough for somebody to look why.
const DEAD_LETTERS_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long after the last of them wrong passwords in a row are remembered, and places after the last
/// sign-in.
pub const GUESSES_REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3_600);
/// What the limit of letters looks back to.
const HOUR: Duration = Duration::from_secs(3_600);

/// Removes expired sessions, sign-ups that nobody confirmed, links, changes of address, letters,
/// events and wrong passwords of long ago.
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

    /// Works until the future is dropped, once every `round`.
    pub async fn run(&self, round: Duration) {
        loop {
            match self.purge().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "removed what is over"),
                Err(error) => tracing::warn!(error = chain(&error), "what is over stays for now"),
            }
            tokio::time::sleep(round).await;
        }
    }

    /// Removes all that is over; answers how many rows that were.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut removed = 0;
        loop {
            let batch = self
                .store
                .write_behind(async |tx| {
                    let sessions = tx.purge_sessions(now, BATCH).await?;
                    let sign_ups = tx.purge_sign_ups(now, BATCH).await?;
                    let pages = tx.purge_page_sessions(now, BATCH).await?;
                    let before = now - LINKS_REMEMBERED;
                    let links = tx.purge_links(before, BATCH).await?
                        + tx.purge_account_links(before, BATCH).await?
                        + tx.purge_email_changes(now - EMAIL_CHANGES_REMEMBERED, BATCH).await?;
                    let (sent, dead) = (now - LETTERS_REMEMBERED, now - DEAD_LETTERS_REMEMBERED);
                    let letters = tx.purge_letters(sent, dead, BATCH).await?
                        + tx.purge_letter_counts(now - HOUR, BATCH).await?;
                    let events = tx.purge_events(now - self.events_kept, BATCH).await?;
                    let guesses = tx.purge_guesses(now - GUESSES_REMEMBERED, now, BATCH).await?;
                    let rest = pages + links + letters + events + guesses;
                    Ok::<_, StoreError>(sessions + sign_ups + rest)
                })
                .await?;
            if batch == 0 {
                return Ok(removed);
            }
            removed += batch;
        }
    }
}
