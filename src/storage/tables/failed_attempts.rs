//! Tables of the guess limiter: failed attempts (`guesses`), known locations (`places`) and network
//! budgets (`networks`), all by digest.
//!
//! Lock order: the row of the account, then rows of `places`, of `guesses`, of `networks`.
//!
//! The limits and delays are in `accounts::limits`; this module only counts.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::{AccountId, AttemptKey, Digest};
use crate::storage::engine::{Connection, StoreError, column};

/// Number of latest locations that are kept per account.
const MAX_LOCATIONS: i64 = 20;

/// Time that failures are kept after the last one, and locations after the last sign-in.
pub const FAILED_ATTEMPTS_MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Time after which one failure is forgiven, counted from the last failure: 21.6 h. A hundred
/// failures are forgiven in `FAILED_ATTEMPTS_MAX_AGE`, when their row is removed.
pub const FAILURE_DECAY_INTERVAL: Duration =
    Duration::from_millis(FAILED_ATTEMPTS_MAX_AGE.as_secs() * 1_000 / 100);

/// Consecutive failures.
#[derive(Clone, Copy, Default, Debug)]
pub struct Failures {
    /// The number at the time of the last failure.
    pub count: i64,
    /// Time of the last failure.
    pub last_at: Option<Timestamp>,
}

/// The state of attempts for a name from a network.
#[derive(Clone, Copy, Default, Debug)]
pub struct FailedAttempts {
    /// For the name, from unknown locations.
    pub name: Failures,
    /// For the name from this network.
    pub name_and_network: Failures,
    /// Last sign-in by this name from this network.
    pub location_used_at: Option<Timestamp>,
    /// Time at which the network's budget is full again.
    pub network_spent_until: Option<Timestamp>,
}

impl Connection {
    /// The rows of an attempt's keys.
    pub async fn find_failed_attempts(
        &mut self,
        key: &AttemptKey,
    ) -> Result<FailedAttempts, StoreError> {
        const SQL: &str = "
            SELECT 'name' AS what, failures, last_at AS at FROM guesses WHERE digest = $1
            UNION ALL
            SELECT 'place', failures, last_at FROM guesses WHERE digest = $2
            UNION ALL
            SELECT 'known', CAST(0 AS BIGINT), last_used_at FROM places WHERE digest = $2
            UNION ALL
            SELECT 'network', CAST(0 AS BIGINT), spent_until FROM networks WHERE digest = $3";
        let rows = sqlx::query(SQL)
            .bind(key.name.as_bytes().to_vec())
            .bind(key.name_and_network.as_bytes().to_vec())
            .bind(key.network.as_bytes().to_vec())
            .fetch_all(self.raw())
            .await?;
        let mut found = FailedAttempts::default();
        for row in &rows {
            let at = Some(column::instant(row, "at")?);
            let failures = Failures { count: column::integer(row, "failures")?, last_at: at };
            match column::text(row, "what")?.as_str() {
                "name" => found.name = failures,
                "place" => found.name_and_network = failures,
                "known" => found.location_used_at = at,
                _ => found.network_spent_until = at,
            }
        }
        Ok(found)
    }

    /// Adds a failure for a name, or for a name at a location. One earlier failure is forgiven for
    /// each [`FAILURE_DECAY_INTERVAL`] since the last one.
    pub async fn insert_failure(
        &mut self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO guesses (digest, failures, last_at) VALUES ($1, 1, $2)
            ON CONFLICT (digest) DO UPDATE SET
                failures = 1 + CASE
                    WHEN guesses.last_at > $2 THEN guesses.failures
                    WHEN guesses.failures > ($2 - guesses.last_at) / $3
                        THEN guesses.failures - ($2 - guesses.last_at) / $3
                    ELSE 0 END,
                last_at = $2";
        let interval = i64::try_from(FAILURE_DECAY_INTERVAL.as_millis()).unwrap_or(i64::MAX);
        sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(now.unix_millis())
            .bind(interval)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Moves the time at which the network's budget is full again by `millis`. An instant beyond
    /// `doubtful` comes from another clock and counts as now.
    pub async fn spend_network_budget(
        &mut self,
        digest: &Digest,
        millis: i64,
        now: Timestamp,
        doubtful: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO networks (digest, spent_until) VALUES ($1, $2)
            ON CONFLICT (digest) DO UPDATE SET spent_until =
                CASE WHEN networks.spent_until < $3 OR networks.spent_until > $4 THEN $2
                     ELSE networks.spent_until + $5 END";
        sqlx::query(SQL)
            .bind(digest.as_bytes().to_vec())
            .bind(now.unix_millis() + millis)
            .bind(now.unix_millis())
            .bind(doubtful.unix_millis())
            .bind(millis)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Remembers a sign-in to the account from a location.
    pub async fn remember_location(
        &mut self,
        digest: &Digest,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "
            INSERT INTO places (digest, account_id, last_used_at)
            SELECT $1, a.id, $3 FROM accounts a WHERE a.id = $2
            ON CONFLICT (digest) DO UPDATE SET account_id = $2, last_used_at = $3";
        sqlx::query(KEEP)
            .bind(digest.as_bytes().to_vec())
            .bind(account.to_string())
            .bind(now.unix_millis())
            .execute(self.raw())
            .await?;
        self.forget_locations(account, MAX_LOCATIONS).await
    }

    /// Resets the failures of a name, or of a name at a location.
    pub async fn delete_failures(&mut self, digest: &Digest) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM guesses WHERE digest = $1";
        sqlx::query(SQL).bind(digest.as_bytes().to_vec()).execute(self.raw()).await?;
        Ok(())
    }

    /// Removes all locations of the account but the `latest`, with their failures.
    pub async fn forget_locations(
        &mut self,
        account: AccountId,
        latest: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            SELECT digest FROM places WHERE account_id = $1
            ORDER BY last_used_at DESC, digest LIMIT 1000 OFFSET $2";
        const FORGET: &str = "DELETE FROM places WHERE digest = $1";
        let rows =
            sqlx::query(SQL).bind(account.to_string()).bind(latest).fetch_all(self.raw()).await?;
        let digests: Vec<Digest> =
            rows.iter().map(|row| column::digest(row, "digest")).collect::<Result<_, _>>()?;
        for digest in &digests {
            sqlx::query(FORGET).bind(digest.as_bytes().to_vec()).execute(self.raw()).await?;
        }
        for digest in &digests {
            self.delete_failures(digest).await?;
        }
        Ok(())
    }

    /// Removes failures whose last one was before `before`, locations without a use since then, and
    /// networks whose budget is full: up to `limit` rows in all. Answers the number of removed
    /// rows.
    pub async fn purge_failed_attempts(
        &mut self,
        before: Timestamp,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        const GUESSES: &str = "
            DELETE FROM guesses WHERE digest IN
                (SELECT digest FROM guesses WHERE last_at <= $1 LIMIT $2)";
        // a location with a row in `guesses` stays until that row is gone, so that no such row is
        // left behind
        const PLACES: &str = "
            DELETE FROM places WHERE digest IN
                (SELECT digest FROM places p WHERE last_used_at <= $1
                 AND NOT EXISTS (SELECT 1 FROM guesses g WHERE g.digest = p.digest) LIMIT $2)";
        const NETWORKS: &str = "
            DELETE FROM networks WHERE digest IN
                (SELECT digest FROM networks WHERE spent_until <= $1 LIMIT $2)";
        let mut removed = 0;
        for (sql, until) in [(GUESSES, before), (PLACES, before), (NETWORKS, now)] {
            let left = limit.saturating_sub_unsigned(removed);
            let done = sqlx::query(sql).bind(until.unix_millis()).bind(left);
            removed += done.execute(self.raw()).await?.rows_affected();
        }
        Ok(removed)
    }
}
