//! Connection pool for a PostgreSQL server that may be gone, silent, or read-only.
//!
//! | State of the server | Treatment |
//! |---|---|
//! | refuses connections | waiting requests fail after `PROBE_AFTER` (250 ms) |
//! | silent: the peer is gone | a ping fails after `PING_TIMEOUT` (1 s), then idle connections go |
//! | takes no writes | connections from before the discovery are closed |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, SqlStr, Transaction,
};
use tokio::time::{Instant, sleep, timeout};

/// Time limit for a ping of a connection.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Time that a request waits for a connection before it probes the server.
const PROBE_AFTER: Duration = Duration::from_millis(250);
/// Time after a successful probe without another one.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Time limits of each connection. The second one (15 s) frees the row locks of a node that
/// vanished in the midst of its work. With both, the server ends work that no request waits for any
/// more.
const SESSION_TIMEOUTS: &str =
    "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '15s'";

/// A pool of connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pool: AnyPool,
    options: AnyConnectOptions,
    /// Time of the last successful probe by a waiting request.
    seen: Arc<tokio::sync::Mutex<Option<Instant>>>,
    read_only: Arc<ReadOnlySince>,
}

impl Server {
    /// Connects at once. `patience` is the time limit for the first connection, and for each
    /// acquisition of a connection.
    pub async fn connect(
        options: AnyConnectOptions,
        max_connections: u32,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        // a single connection gives the real error; a pool would only report a time-out
        let first = timeout(patience, options.connect()).await;
        first.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;

        let silence = Arc::new(SilentPeers::default());
        let on_release = Arc::clone(&silence);
        let read_only = Arc::new(ReadOnlySince::default());
        let [when_acquired, when_released] = [(); 2].map(|()| Arc::clone(&read_only));
        let pool = AnyPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(patience)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION_TIMEOUTS).await.map(drop) })
            })
            // the pool's own test would wait for an answer for ever
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                let silence = Arc::clone(&silence);
                let is_kept = when_acquired.keeps(&known);
                Box::pin(async move { Ok(is_kept && silence.keeps(connection, &known).await) })
            })
            // and so would its own test on release
            .after_release(move |connection, known| {
                let silence = Arc::clone(&on_release);
                let is_kept = when_released.keeps(&known);
                Box::pin(async move { Ok(is_kept && silence.answers_ping(connection).await) })
            })
            .connect_with(options.clone())
            .await?;
        Ok(Self { pool, options, seen: Arc::default(), read_only })
    }

    /// Encoding of the database, such as `UTF8`.
    pub async fn encoding(&self) -> Result<String, sqlx::Error> {
        let sql = "SELECT current_setting('server_encoding')";
        sqlx::query_scalar(sql).fetch_one(&mut *self.acquire().await?).await
    }

    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Acquires a connection of the pool. While the server refuses connections, the pool would
    /// retry until its time limit; here requests fail at once.
    pub async fn acquire(&self) -> Result<PoolConnection<Any>, sqlx::Error> {
        tokio::select! {
            biased;
            acquired = self.pool.acquire() => acquired,
            refusal = self.refusal() => Err(refusal),
        }
    }

    pub async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let begun = Transaction::begin(self.acquire().await?, None::<SqlStr>).await;
        match begun {
            // the connection died since its last ping, and the transaction has done nothing yet
            Err(sqlx::Error::Io(_)) => {
                Transaction::begin(self.acquire().await?, None::<SqlStr>).await
            }
            begun => begun,
        }
    }

    /// Closes the present connections on their next use: the server behind them takes no writes. A
    /// new connection may lead to another server, or to the same one once it takes writes again.
    pub fn discard_read_only_connections(&self) {
        self.read_only.note();
    }

    /// Whether the server takes writes. If not, its connections are discarded.
    pub async fn is_writable(&self) -> Result<bool, sqlx::Error> {
        const SQL: &str = "
            SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
                        THEN 0 ELSE 1 END AS takes_writes";
        let mut connection = self.acquire().await?;
        let is_writable: i32 = sqlx::query_scalar(SQL).fetch_one(&mut *connection).await?;
        if is_writable == 0 {
            self.discard_read_only_connections();
        }
        Ok(is_writable == 1)
    }

    /// Ends when the server refuses a connection. One request probes for all that wait. A wait does
    /// not prove a failure: the pool may be full, and the server just busy.
    async fn refusal(&self) -> sqlx::Error {
        loop {
            sleep(PROBE_AFTER).await;
            let mut seen = self.seen.lock().await;
            if seen.is_some_and(|seen| seen.elapsed() < PROBE_INTERVAL) {
                continue;
            }
            match self.options.connect().await {
                Ok(connection) => {
                    *seen = Some(Instant::now());
                    let _ = connection.close().await;
                }
                // too_many_connections: the server is there
                Err(sqlx::Error::Database(error)) if error.code().is_some_and(|c| c == "53300") => {
                    *seen = Some(Instant::now());
                }
                Err(error) => return error,
            }
        }
    }
}

/// Time when the server was last found to take no writes. Older connections are closed. The time
/// moves at most once in [`PROBE_INTERVAL`] (1 s), so that a standby is not flooded with new
/// connections.
#[derive(Debug, Default)]
struct ReadOnlySince(Mutex<Option<Instant>>);

impl ReadOnlySince {
    fn note(&self) {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.is_none_or(|noticed| noticed.elapsed() >= PROBE_INTERVAL) {
            *noticed = Some(Instant::now());
        }
    }

    /// Whether the connection was opened after that time.
    fn keeps(&self, known: &PoolConnectionMetadata) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.is_none_or(|noticed| known.age < noticed.elapsed())
    }
}

/// Time when a connection was last found to be silent: its peer is gone without a word. A
/// connection that was not used since then has most likely lost its peer as well, so the pool
/// closes it without a ping that a request would wait for.
#[derive(Debug, Default)]
struct SilentPeers(Mutex<Option<Instant>>);

impl SilentPeers {
    async fn keeps(&self, connection: &mut AnyConnection, known: &PoolConnectionMetadata) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_suspect = noticed.is_some_and(|noticed| noticed.elapsed() < known.idle_for);
        !is_suspect && self.answers_ping(connection).await
    }

    async fn answers_ping(&self, connection: &mut AnyConnection) -> bool {
        match timeout(PING_TIMEOUT, connection.ping()).await {
            Ok(answer) => answer.is_ok(),
            Err(_) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                false
            }
        }
    }
}
