//! `GET /metrics` on its own address: serves the metrics that [`crate::metrics`] counts.
//!
//! A second Rocket serves this one route, so that the public address does not expose it.

mod collector;

use std::net::SocketAddr;
use std::sync::Arc;

use rocket::config::{LogLevel, Shutdown as ShutdownConfig};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::{Config, Shutdown, State, get, routes};
use tokio::sync::oneshot;

use crate::metrics::Exposition;

pub use collector::MetricsCollector;

/// How long a running scrape may take after the service stops, in seconds.
const GRACE_SECONDS: u32 = 1;

#[get("/metrics")]
fn metrics(collector: &State<Arc<MetricsCollector>>) -> Result<(ContentType, String), Status> {
    let text = collector.render().map_err(|error| {
        tracing::error!(error, "the metrics cannot be written");
        Status::InternalServerError
    })?;
    let format = ContentType::parse_flexible(Exposition::FORMAT).unwrap_or(ContentType::Plain);
    Ok((format, text))
}

/// Serves the metrics at `address` until the returned [`Shutdown`] is notified.
///
/// # Errors
/// If it cannot listen at `address`, with the reason.
pub async fn listen(
    collector: Arc<MetricsCollector>,
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
        .manage(collector)
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
    // the server ended before it was up
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
