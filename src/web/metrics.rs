//! `GET /metrics`, on an address of its own: what [`crate::metrics`] has counted.
//!
//! A second Rocket with this one route, so that nobody reaches it by the public address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rocket::config::{LogLevel, Shutdown as ShutdownConfig};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::{Config, Shutdown, State, get, routes};
use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::mail::Courier;
use crate::metrics::{Exposition, Present, Requests, Tally};
use crate::storage::{Store, StoreError};

/// How long a scrape that has begun may take once the service stops.
const GRACE_SECONDS: u32 = 1;

/// The parts that are asked at each scrape, and what all of them have counted.
#[derive(Debug)]
pub struct Observatory {
    exposition: Exposition,
    tally: Tally,
    accounts: Accounts,
    courier: Arc<Courier>,
}

impl Observatory {
    /// # Errors
    /// When two instruments have one name.
    pub fn over(
        accounts: &Accounts,
        courier: &Arc<Courier>,
        requests: &Requests,
    ) -> Result<Self, String> {
        let tally = Tally::default();
        let (hashing, connections) = (accounts.hasher.metrics(), accounts.store.metrics());
        let (limiting, happenings) = (accounts.limits.metrics(), accounts.events.metrics());
        let exposition = Exposition::of(
            &[requests, &hashing, limiting, connections, &courier.metrics, happenings, &tally],
            &accounts.clock,
        );
        Ok(Self {
            exposition: exposition.map_err(|error| error.to_string())?,
            tally,
            accounts: accounts.clone(),
            courier: Arc::clone(courier),
        })
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn render(&self) -> Result<String, String> {
        let load = self.accounts.hasher.load();
        let present = Present {
            hashes_queued: load.queued,
            hashes_running: load.running,
            hash_slots: load.slots,
            pools: self.accounts.store.load(),
            mail_is_down: self.courier.breaker.is_open(),
        };
        self.exposition.render(&present).map_err(|error| error.to_string())
    }

    /// Counts the letters that wait; cheap.
    pub async fn count_waiting(&self) -> Result<(), StoreError> {
        let now = self.accounts.clock.now();
        let standing = self.store().read(async |db| db.count_outbox(now).await).await?;
        let oldest = standing.oldest_due.map_or(Duration::ZERO, |due| now.since(due));
        self.tally.waiting(standing.waiting, oldest);
        Ok(())
    }

    /// Counts the sessions and the letters that were given up, which takes the longer the more there
    /// are.
    pub async fn count_all(&self) -> Result<(), StoreError> {
        let counted = self
            .store()
            .read(async |db| Ok((db.count_sessions().await?, db.count_dead_letters().await?)));
        let (sessions, dead) = counted.await?;
        self.tally.all(sessions, dead);
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.accounts.store
    }
}

#[get("/metrics")]
fn metrics(observatory: &State<Arc<Observatory>>) -> Result<(ContentType, String), Status> {
    let text = observatory.render().map_err(|error| {
        tracing::error!(error, "the metrics cannot be written");
        Status::InternalServerError
    })?;
    let format = ContentType::parse_flexible(Exposition::FORMAT).unwrap_or(ContentType::Plain);
    Ok((format, text))
}

/// Serves the metrics at `address` until it is told to shut down.
///
/// # Errors
/// When it cannot listen there; with the reason.
pub async fn listen(
    observatory: Arc<Observatory>,
    address: SocketAddr,
) -> Result<Shutdown, String> {
    let shutdown = ShutdownConfig {
        ctrlc: false,
        #[cfg(unix)]
        signals: [].into(),
        grace: GRACE_SECONDS,
        mercy: GRACE_SECONDS,
        ..ShutdownConfig::default()
    };
    let config = Config {
        address: address.ip(),
        port: address.port(),
        log_level: LogLevel::Off,
        shutdown,
        ..Config::release_default()
    };
    let (up, is_up) = oneshot::channel();
    let up = std::sync::Mutex::new(Some(up));
    let rocket = rocket::custom(config)
        .manage(observatory)
        .mount("/", routes![metrics])
        .attach(AdHoc::on_liftoff("metrics are up", move |rocket| {
            let up = up.lock().ok().and_then(|mut up| up.take());
            let port = rocket.config().port;
            Box::pin(async move {
                tracing::info!(address = %address.ip(), port, "metrics are served");
                up.map(|up| up.send(()));
            })
        }))
        .ignite()
        .await
        .map_err(|error| reason(&error))?;
    let stop = rocket.shutdown();
    let running = tokio::spawn(rocket.launch());
    if is_up.await.is_ok() {
        return Ok(stop);
    }
    // it has ended before it was up
    Err(match running.await {
        Ok(Err(error)) => reason(&error),
        Ok(Ok(_)) => "it stopped at once".to_owned(),
        Err(error) => error.to_string(),
    })
}

fn reason(error: &rocket::Error) -> String {
    match error.kind() {
        ErrorKind::Bind(cause) => format!("cannot listen there: {cause}"),
        kind => kind.to_string(),
    }
}
