//! Outbox, claims: couriers take leases of the letters to deliver.
//!
//! - A claim takes the earliest due letters, separately among letters that were never refused and
//!   refused ones.
//! - While domains are slow, a claim can leave their letters out. It then walks over other domains,
//!   [`TURN`] (256) of them at a time, and [`MAX_WALKS`] (4) times at most.
//! - The work of a claim does not grow with the letters that wait.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::any::AnyRow;
use uuid::Uuid;

use super::posting::LetterId;
use crate::clock::Timestamp;
use crate::model::{AccountId, EmailAddress, Locale};
use crate::storage::engine::{Connection, StoreError, column};

/// A letter whose lease one courier holds.
#[derive(Clone, Debug)]
pub struct ClaimedLetter {
    /// Id of the letter.
    pub id: LetterId,
    /// Id of the lease; a courier uses one for all letters that it claims at once.
    pub lease: Uuid,
    /// End of the lease.
    pub leased_until: Timestamp,
    /// Kind of the letter, as the database stores it.
    pub kind: String,
    /// Recipient.
    pub email: EmailAddress,
    /// Language of the recipient, if known.
    pub locale: Option<Locale>,
    /// Account that the letter is about.
    pub account: Option<AccountId>,
    /// Variables of the letter, as JSON.
    pub facts: String,
    /// Time of posting.
    pub created_at: Timestamp,
    /// Time of the next attempt; later than now if the letter was claimed early.
    pub due_at: Timestamp,
    /// Number of attempts that failed through a fault of the letter itself.
    pub tries: u32,
}

impl ClaimedLetter {
    fn from_row(row: &AnyRow, lease: Uuid) -> Result<Self, StoreError> {
        Ok(Self {
            id: column::parsed(row, "id")?,
            lease,
            leased_until: column::instant(row, "leased_until")?,
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

/// Number of letters that a courier claims at once, separately for letters that were never refused
/// and for refused ones. So letters that fail again and again delay no fresh letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimLimit {
    /// Letters that were never refused.
    pub fresh: usize,
    /// Letters that were refused at least once.
    pub refused: usize,
}

impl ClaimLimit {
    /// Only letters that were never refused.
    pub const fn fresh(fresh: usize) -> Self {
        Self { fresh, refused: 0 }
    }

    /// Only letters that were refused.
    pub const fn refused(refused: usize) -> Self {
        Self { fresh: 0, refused }
    }
}

/// Largest number of domains that a claim can leave out.
pub const MAX_DOMAINS: usize = 4;

/// Number of domains in one walk of a claim that leaves domains out. The walk in SQL ends there, too.
const TURN: usize = 256;

/// Largest number of walks of a claim, so that its work does not grow with the number of domains.
const MAX_WALKS: usize = 4;

/// Cursors of the walks over domains, one for letters that were never refused and one for refused
/// letters: the last domain that a claim has looked at. Empty before the first domain.
#[derive(Debug, Default)]
pub struct DomainTurn(Mutex<[String; 2]>);

impl DomainTurn {
    fn after(&self, was_refused: bool) -> String {
        self.lock()[usize::from(was_refused)].clone()
    }

    fn end(&self, was_refused: bool, last: &str) {
        last.clone_into(&mut self.lock()[usize::from(was_refused)]);
    }

    fn lock(&self) -> MutexGuard<'_, [String; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Claims up to `limit` due letters without a lease, the earliest first. Answers these and the
    /// letters that were claimed early under the same lease.
    pub async fn claim_letters(
        &mut self,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: ClaimLimit,
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        // the outer WHERE repeats the inner one: under READ COMMITTED two couriers may have found
        // the same rows, and the second to lock them must see that they are taken
        const SQL: &str = "
            UPDATE outbox SET lease = $1, leased_until = $2
            WHERE id IN (
                SELECT id FROM outbox
                WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
                  AND (lease IS NULL OR leased_until <= $3)
                  AND (CASE WHEN tries > 0 THEN 1 ELSE 0 END) = $4
                ORDER BY due_at, id LIMIT $5)
              AND sent_at IS NULL AND dead_at IS NULL AND due_at <= $3
              AND (lease IS NULL OR leased_until <= $3)";
        for (was_refused, limit) in [(0_i64, limit.fresh), (1, limit.refused)] {
            if limit > 0 {
                sqlx::query(SQL)
                    .bind(lease.to_string())
                    .bind(until.unix_millis())
                    .bind(now.unix_millis())
                    .bind(was_refused)
                    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                    .execute(self.raw())
                    .await?;
            }
        }
        self.find_claimed_letters(lease).await
    }

    /// As [`Connection::claim_letters`], without letters to the first [`MAX_DOMAINS`] of `domains`.
    /// It reads none of these letters. If letters wait for more than `TURN` other domains, it takes
    /// the earliest letters of the domains whose `turn` it is.
    pub async fn claim_letters_beside(
        &mut self,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: ClaimLimit,
        (domains, turn): (&[String], &DomainTurn),
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        if domains.is_empty() {
            return self.claim_letters(lease, now, until, limit).await;
        }
        let left_out = &domains[..domains.len().min(MAX_DOMAINS)];
        for (was_refused, limit) in [(false, limit.fresh), (true, limit.refused)] {
            if limit == 0 {
                continue;
            }
            let walk = (left_out, turn);
            let heads = self.find_domains_with_due_letters(was_refused, now, walk).await?;
            // the earliest letters are among those to the domains with the earliest ones
            let mut due = Vec::new();
            for (_, domain) in heads.iter().take(limit) {
                due.extend(self.find_due_letters_to(domain, was_refused, now, limit).await?);
            }
            due.sort_unstable();
            for (_, id) in due.into_iter().take(limit) {
                self.claim_letter(id, lease, until, (now, now)).await?;
            }
        }
        self.find_claimed_letters(lease).await
    }

    /// Domains with due letters from the turn of domains on, each with the time of its earliest due
    /// letter, but for the domains `left_out`.
    ///
    /// One walk is enough, unless it finds none or ends at the last domain: then the next walk goes
    /// on from there, or from the first domain.
    async fn find_domains_with_due_letters(
        &mut self,
        was_refused: bool,
        now: Timestamp,
        (left_out, turn): (&[String], &DomainTurn),
    ) -> Result<Vec<(Timestamp, String)>, StoreError> {
        let mut after = turn.after(was_refused);
        let mut has_passed_the_first = after.is_empty();
        let mut heads = BTreeSet::new();
        for _ in 0..MAX_WALKS {
            let domains = self.walk_domains(was_refused, now, &after).await?;
            let last = domains.last().filter(|_| domains.len() == TURN);
            let is_at_the_end = last.is_none();
            after = last.map(|(_, domain)| domain.clone()).unwrap_or_default();
            let due = domains.into_iter().filter_map(|(due_at, domain)| Some((due_at?, domain)));
            heads.extend(due.filter(|(_, domain)| !left_out.contains(domain)));
            let is_done = if is_at_the_end { has_passed_the_first } else { !heads.is_empty() };
            if is_done {
                break;
            }
            has_passed_the_first |= is_at_the_end;
        }
        turn.end(was_refused, &after);
        Ok(heads.into_iter().collect())
    }

    /// The [`TURN`] domains `after` a domain for which letters wait, in the order of the index, each
    /// with the time of its earliest due letter.
    async fn walk_domains(
        &mut self,
        was_refused: bool,
        now: Timestamp,
        after: &str,
    ) -> Result<Vec<(Option<Timestamp>, String)>, StoreError> {
        // a walk along an index, one look-up for each domain; SQLite uses the index for `domain`
        // only while the first value has no declared type
        const SQL: &str = "
            WITH RECURSIVE walk (domain, step) AS (
                SELECT $2, 0
                UNION ALL
                SELECT (SELECT MIN(SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1))
                        FROM outbox
                        WHERE sent_at IS NULL AND dead_at IS NULL
                          AND (CASE WHEN tries > 0 THEN 1 ELSE 0 END) = $1
                          AND SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1)
                              > walk.domain),
                       walk.step + 1
                FROM walk WHERE walk.domain IS NOT NULL AND walk.step < 256)
            SELECT walk.domain,
                   (SELECT MIN(due_at) FROM outbox
                    WHERE sent_at IS NULL AND dead_at IS NULL
                      AND (CASE WHEN tries > 0 THEN 1 ELSE 0 END) = $1
                      AND SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1)
                          = walk.domain
                      AND due_at <= $3 AND (lease IS NULL OR leased_until <= $3)) AS due_at
            FROM walk WHERE walk.step > 0 AND walk.domain IS NOT NULL ORDER BY walk.step";
        let rows = sqlx::query(SQL)
            .bind(i64::from(was_refused))
            .bind(after)
            .bind(now.unix_millis())
            .fetch_all(self.raw())
            .await?;
        let heads = rows.iter().map(|row| {
            Ok((column::optional_instant(row, "due_at")?, column::text(row, "domain")?))
        });
        heads.collect()
    }

    /// Up to `limit` due letters to a domain, the earliest first.
    async fn find_due_letters_to(
        &mut self,
        domain: &str,
        was_refused: bool,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, LetterId)>, StoreError> {
        const SQL: &str = "
            SELECT id, due_at FROM outbox
            WHERE sent_at IS NULL AND dead_at IS NULL
              AND (CASE WHEN tries > 0 THEN 1 ELSE 0 END) = $1
              AND SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1) = $2
              AND due_at <= $3 AND (lease IS NULL OR leased_until <= $3)
            ORDER BY due_at, id LIMIT $4";
        let rows = sqlx::query(SQL)
            .bind(i64::from(was_refused))
            .bind(domain)
            .bind(now.unix_millis())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.raw())
            .await?;
        rows.iter()
            .map(|row| Ok((column::instant(row, "due_at")?, column::parsed(row, "id")?)))
            .collect()
    }

    async fn find_claimed_letters(
        &mut self,
        lease: Uuid,
    ) -> Result<Vec<ClaimedLetter>, StoreError> {
        const SQL: &str = "
            SELECT id, leased_until, kind, email, locale, account_id, facts, created_at, due_at,
                   tries
            FROM outbox WHERE lease = $1 ORDER BY due_at, id";
        let rows = sqlx::query(SQL).bind(lease.to_string()).fetch_all(self.raw()).await?;
        rows.iter().map(|row| ClaimedLetter::from_row(row, lease)).collect()
    }

    /// Claims a waiting letter, due or not, if no courier holds its lease.
    pub async fn claim_letter_early(
        &mut self,
        id: LetterId,
        lease: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let ever = Timestamp::from_unix_millis(i64::MAX);
        self.claim_letter(id, lease, until, (now, ever)).await
    }

    /// Claims a waiting letter that is due at `due`, if no courier holds its lease.
    async fn claim_letter(
        &mut self,
        id: LetterId,
        lease: Uuid,
        until: Timestamp,
        (now, due): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE outbox SET lease = $1, leased_until = $2
            WHERE id = $3 AND sent_at IS NULL AND dead_at IS NULL AND due_at <= $5
              AND (lease IS NULL OR leased_until <= $4)";
        sqlx::query(SQL)
            .bind(lease.to_string())
            .bind(until.unix_millis())
            .bind(id.to_string())
            .bind(now.unix_millis())
            .bind(due.unix_millis())
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Whether a letter is due. An idle courier asks this first, so that it writes nothing.
    pub async fn has_due_letters(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "
            SELECT 1 FROM outbox
            WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <= $1
              AND (lease IS NULL OR leased_until <= $1)
            ORDER BY due_at LIMIT 1";
        let row = sqlx::query(SQL).bind(now.unix_millis()).fetch_optional(self.raw()).await?;
        Ok(row.is_some())
    }
}
