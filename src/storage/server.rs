//! Connections to a PostgreSQL server, which may be gone, and come back, or say nothing any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, SqlStr, Transaction,
};
use tokio::time::{Instant, sleep, timeout};

/// How long a connection may take to say that it is alive.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request waits for a connection before somebody looks whether the server is there.
const PROBE_AFTER: Duration = Duration::from_millis(250);
/// For how long nobody looks again.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// For each connection of the service. Where a node vanishes in the midst of its work, its rows are
/// free after the second; with both the server ends what no request waits for any more.
const SESSION_TIMEOUTS: &str =
    "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '15s'";

/// A pool of connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pool: AnyPool,
    options: AnyConnectOptions,
    /// When the server was last seen by somebody who had waited.
    seen: Arc<tokio::sync::Mutex<Option<Instant>>>,
    read_only: Arc<ReadOnlySince>,
}

impl Server {
    /// Connects at once. `patience` is for that, and for each time a connection is wanted.
    pub async fn connect(
        options: AnyConnectOptions,
        max_connections: u32,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        // a pool would only say that it took too long
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
            // and so would the one with which it takes a connection back
            .after_release(move |connection, known| {
                let silence = Arc::clone(&on_release);
                let is_kept = when_released.keeps(&known);
                Box::pin(async move { Ok(is_kept && silence.answers_ping(connection).await) })
            })
            .connect_with(options.clone())
            .await?;
        Ok(Self { pool, options, seen: Arc::default(), read_only })
    }

    /// How the database writes text, such as `UTF8`.
    pub async fn encoding(&self) -> Result<String, sqlx::Error> {
        let sql = "SELECT current_setting('server_encoding')";
        sqlx::query_scalar(sql).fetch_one(&mut *self.acquire().await?).await
    }

    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// A connection of the pool. While the server refuses connections the pool would go on asking
    /// until its time is over; requests are told at once.
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
            // it died since it was last seen alive, and nothing was done yet
            Err(sqlx::Error::Io(_)) => {
                Transaction::begin(self.acquire().await?, None::<SqlStr>).await
            }
            begun => begun,
        }
    }

    /// Gives up the connections that there are: the server behind them takes no writes. A new one may
    /// lead to another server, or to the same one when it takes them again.
    pub fn discard_read_only_connections(&self) {
        self.read_only.note();
    }

    /// Whether the server takes writes; where it does not, connections to it are given up.
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

    /// Ends when the server refuses a connection. One request looks for all that wait: they may be
    /// waiting because the pool is full, and the server be busy as it is.
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
                // too many connections: it is there
                Err(sqlx::Error::Database(error)) if error.code().is_some_and(|c| c == "53300") => {
                    *seen = Some(Instant::now());
                }
                Err(error) => return error,
            }
        }
    }
}

/// When a server was last found to take no writes. Connections from before then are given up; at most
/// once in [`PROBE_INTERVAL`], so that a standby is not flooded with new ones.
#[derive(Debug, Default)]
struct ReadOnlySince(Mutex<Option<Instant>>);

impl ReadOnlySince {
    fn note(&self) {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.is_none_or(|noticed| noticed.elapsed() >= PROBE_INTERVAL) {
            *noticed = Some(Instant::now());
        }
    }

    /// Whether the connection was opened since.
    fn keeps(&self, known: &PoolConnectionMetadata) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.is_none_or(|noticed| known.age < noticed.elapsed())
    }
}

/// When a connection was found to be silent: its peer is gone and has not said so. Whatever was not
/// used since then has most likely lost its peer as well, and nobody waits to find out.
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
