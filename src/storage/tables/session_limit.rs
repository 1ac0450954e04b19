//! Session limit: counts the sessions of an account and finds those above the limit
//! (docs/decisions/0038).
//!
//! `accounts::session_limit` ends the sessions and records the events.

use std::time::Duration;

use sqlx::any::AnyRow;

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, PageSessionId, SessionId};
use crate::storage::engine::{Change, Connection, StoreError, column};

/// Largest number of sessions of an account that one sign-in ends.
const MAX_ENDED_AT_ONCE: i64 = 16;

/// A session above the limit of its account.
#[derive(Debug)]
pub struct ExcessSession {
    /// Id of the session.
    pub id: SessionId,
    /// Client of the session.
    pub client_id: ClientId,
    /// `false` if it had ended before, so that only its row is removed.
    pub lives: bool,
}

/// A sign-in at the account page above the limit of its account.
#[derive(Debug)]
pub struct ExcessPageSession {
    /// Id of the sign-in.
    pub id: PageSessionId,
    /// `false` if it had ended before, so that only its row is removed.
    pub lives: bool,
}

impl Connection {
    /// Number of live sessions of the account, including sign-ins at its page.
    pub async fn count_live_sessions_of(
        &mut self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        const SQL: &str = "
            SELECT (SELECT COUNT(*) FROM sessions s JOIN accounts a ON a.id = s.account_id
                    WHERE s.account_id = $1 AND s.epoch = a.epoch AND a.disabled_at IS NULL
                      AND s.idle_expires_at > $2 AND s.expires_at > $2)
                 + (SELECT COUNT(*) FROM page_sessions p JOIN accounts a ON a.id = p.account_id
                    WHERE p.account_id = $1 AND p.epoch = a.epoch AND a.disabled_at IS NULL
                      AND p.idle_expires_at > $2 AND p.expires_at > $2) AS sessions";
        let query = sqlx::query(SQL).bind(account.to_string()).bind(now.unix_millis());
        column::integer(&query.fetch_one(self.raw()).await?, "sessions")
    }

    /// Sessions of the account above `limit`, in the order in which they end:
    ///
    /// 1. sessions that have ended already;
    /// 2. if more than half of `limit` sessions were not used `established` after their sign-in:
    ///    these, the longest unused first;
    /// 3. all others, the longest unused first.
    ///
    /// `newest` is never among them.
    pub async fn find_excess_sessions(
        &mut self,
        account: AccountId,
        newest: SessionId,
        limit: i64,
        established: Duration,
        now: Timestamp,
    ) -> Result<Vec<ExcessSession>, StoreError> {
        const COUNT: &str = "
            SELECT COUNT(*) AS sessions FROM
                (SELECT id FROM sessions WHERE account_id = $1 LIMIT $2) AS counted";
        const EXCESS: &str = "
            SELECT s.id, s.client_id,
                   CASE WHEN s.epoch = a.epoch AND s.idle_expires_at > $3 AND s.expires_at > $3
                        THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS lives
            FROM sessions s JOIN accounts a ON a.id = s.account_id
            WHERE s.account_id = $1 AND s.id <> $2
            ORDER BY
                CASE WHEN s.epoch <> a.epoch OR s.idle_expires_at <= $3 OR s.expires_at <= $3 THEN 0
                     WHEN s.last_used_at < s.created_at + $4
                          AND (SELECT COUNT(*) FROM sessions f
                               WHERE f.account_id = $1 AND f.last_used_at < f.created_at + $4) > $5
                     THEN 1
                     ELSE 2 END,
                s.last_used_at, s.id
            LIMIT $6";
        let newest = newest.to_string();
        let bounds = Bounds { limit, established, now };
        let rows = self.find_excess([COUNT, EXCESS], account, newest, bounds).await?;
        let excess = rows.iter().map(|row| {
            Ok(ExcessSession {
                id: column::parsed(row, "id")?,
                client_id: column::parsed(row, "client_id")?,
                lives: column::integer(row, "lives")? == 1,
            })
        });
        let excess: Vec<_> = excess.collect::<Result<_, StoreError>>()?;
        for session in &excess {
            self.pending.add(Change::Session(session.id));
        }
        Ok(excess)
    }

    /// As [`Connection::find_excess_sessions`], for sign-ins at the account page. A sign-in may
    /// idle for `idle` after its last use.
    pub async fn find_excess_page_sessions(
        &mut self,
        account: AccountId,
        newest: PageSessionId,
        limit: i64,
        idle: Duration,
        established: Duration,
        now: Timestamp,
    ) -> Result<Vec<ExcessPageSession>, StoreError> {
        const COUNT: &str = "
            SELECT COUNT(*) AS sessions FROM
                (SELECT id FROM page_sessions WHERE account_id = $1 LIMIT $2) AS counted";
        const EXCESS: &str = "
            SELECT p.id,
                   CASE WHEN p.epoch = a.epoch AND p.idle_expires_at > $3 AND p.expires_at > $3
                        THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS lives
            FROM page_sessions p JOIN accounts a ON a.id = p.account_id
            WHERE p.account_id = $1 AND p.id <> $2
            ORDER BY
                CASE WHEN p.epoch <> a.epoch OR p.idle_expires_at <= $3 OR p.expires_at <= $3 THEN 0
                     WHEN p.idle_expires_at < p.created_at + $4
                          AND (SELECT COUNT(*) FROM page_sessions f
                               WHERE f.account_id = $1 AND f.idle_expires_at < f.created_at + $4) > $5
                     THEN 1
                     ELSE 2 END,
                p.idle_expires_at, p.id
            LIMIT $6";
        let newest = newest.to_string();
        let bounds = Bounds { limit, established: idle + established, now };
        let rows = self.find_excess([COUNT, EXCESS], account, newest, bounds).await?;
        let excess = rows.iter().map(|row| {
            Ok(ExcessPageSession {
                id: column::parsed(row, "id")?,
                lives: column::integer(row, "lives")? == 1,
            })
        });
        excess.collect()
    }

    /// Runs `excess` with the values that both kinds of sessions share, if `count` finds too many.
    async fn find_excess(
        &mut self,
        [count, excess]: [&'static str; 2],
        account: AccountId,
        newest: String,
        Bounds { limit, established, now }: Bounds,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let query = sqlx::query(count).bind(account.to_string()).bind(limit + MAX_ENDED_AT_ONCE);
        let too_many = column::integer(&query.fetch_one(self.raw()).await?, "sessions")? - limit;
        if too_many <= 0 {
            return Ok(Vec::new());
        }
        let query = sqlx::query(excess)
            .bind(account.to_string())
            .bind(newest)
            .bind(now.unix_millis())
            .bind(millis(established))
            .bind(limit / 2)
            .bind(too_many);
        Ok(query.fetch_all(self.raw()).await?)
    }
}

/// The limit of sessions, and the rule for an established one.
struct Bounds {
    limit: i64,
    /// A session used this long after its sign-in is established.
    established: Duration,
    now: Timestamp,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
