//! Metrics collector: reads the state of all parts at a scrape and counts rows in the database.

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::mail::Courier;
use crate::metrics::{DatabaseGauges, Exposition, RequestMetrics, Snapshot};
use crate::storage::{Store, StoreError};

/// The parts that a scrape reads, and the instruments of all parts.
#[derive(Debug)]
pub struct MetricsCollector {
    exposition: Exposition,
    database_gauges: DatabaseGauges,
    accounts: Accounts,
    courier: Arc<Courier>,
}

impl MetricsCollector {
    /// # Errors
    /// If two instruments have the same name.
    pub fn new(
        accounts: &Accounts,
        courier: &Arc<Courier>,
        requests: &RequestMetrics,
    ) -> Result<Self, String> {
        let database_gauges = DatabaseGauges::default();
        let (hashing, connections) = (accounts.hasher.metrics(), accounts.store.metrics());
        let (limits, domain) = (accounts.limits.metrics(), accounts.events.metrics());
        let exposition = Exposition::of(
            &[requests, &hashing, limits, connections, &courier.metrics, domain, &database_gauges],
            &accounts.clock,
        );
        Ok(Self {
            exposition: exposition.map_err(|error| error.to_string())?,
            database_gauges,
            accounts: accounts.clone(),
            courier: Arc::clone(courier),
        })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If the text cannot be written.
    pub fn render(&self) -> Result<String, String> {
        let load = self.accounts.hasher.load();
        let snapshot = Snapshot {
            hashes_queued: load.queued,
            hashes_running: load.running,
            hash_slots: load.slots,
            pools: self.accounts.store.load(),
            mail_is_down: self.courier.breaker.is_open(),
        };
        self.exposition.render(&snapshot).map_err(|error| error.to_string())
    }

    /// Counts the waiting letters. This is cheap.
    pub async fn count_waiting(&self) -> Result<(), StoreError> {
        let now = self.accounts.clock.now();
        let backlog = self.store().read(async |db| db.count_outbox(now).await).await?;
        let oldest = backlog.oldest_due.map_or(Duration::ZERO, |due| now.since(due));
        self.database_gauges.waiting(backlog.waiting, oldest);
        Ok(())
    }

    /// Counts the sessions and the dead letters. The cost grows with their number.
    pub async fn count_all(&self) -> Result<(), StoreError> {
        let counted = self
            .store()
            .read(async |db| Ok((db.count_sessions().await?, db.count_dead_letters().await?)));
        let (sessions, dead) = counted.await?;
        self.database_gauges.all(sessions, dead);
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.accounts.store
    }
}
