//! The metrics stage: constructs the collector and serves it, if `metrics.address` is set.

use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::{Build, Orbit, Rocket, Shutdown};

use crate::accounts::Accounts;
use crate::assembly::{Background, BackgroundTasks};
use crate::config::{SettingError, Settings};
use crate::mail::Courier;
use crate::metrics::RequestMetrics;
use crate::storage::chain;
use crate::web::metrics::{MetricsCollector, listen};

/// The interval at which the letters in the outbox are counted.
const OUTBOX_COUNT_INTERVAL: Duration = Duration::from_secs(15);
/// The number of outbox counts per session count. Counting a million sessions occupies a database
/// reader for a while.
const ROUNDS_PER_SESSION_COUNT: u32 = 20;

/// Stage that serves metrics at `metrics.address`. The start fails if it cannot listen there.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("metrics", |rocket| async {
        match collect(&rocket).await {
            Ok(None) => Ok(rocket),
            Ok(Some(collection)) => Ok(collection.attach_to(rocket)),
            Err(problem) => {
                let key = "vestibule.metrics.address";
                tracing::error!("{}", SettingError::new(rocket.figment(), key, problem));
                Err(rocket)
            }
        }
    })
}

struct Collection {
    collector: Arc<MetricsCollector>,
    requests: RequestMetrics,
    listener: Option<Shutdown>,
}

async fn collect(rocket: &Rocket<Build>) -> Result<Option<Collection>, String> {
    let address = rocket.state::<Settings>().and_then(|settings| settings.metrics.address);
    // if these parts are missing, an earlier stage has failed and logged the reason
    let parts = rocket.state::<Accounts>().zip(rocket.state::<Arc<Courier>>());
    let Some((address, (accounts, courier))) = address.zip(parts) else { return Ok(None) };
    let requests = RequestMetrics::default();
    let collector = Arc::new(MetricsCollector::new(accounts, courier, &requests)?);
    let listener = match rocket.state::<Background>() {
        Some(Background::Off) => None,
        _ => Some(listen(Arc::clone(&collector), address).await?),
    };
    Ok(Some(Collection { collector, requests, listener }))
}

impl Collection {
    fn attach_to(self, rocket: Rocket<Build>) -> Rocket<Build> {
        let rocket = rocket.manage(Arc::clone(&self.collector)).manage(self.requests);
        let Some(listener) = self.listener else { return rocket };
        rocket
            .attach(AdHoc::on_liftoff("counting begins", |rocket| {
                Box::pin(async move { begin(rocket) })
            }))
            .attach(AdHoc::on_shutdown("metrics end", |_| {
                Box::pin(async move { listener.notify() })
            }))
    }
}

fn begin(rocket: &Rocket<Orbit>) {
    let parts =
        rocket.state::<BackgroundTasks>().zip(rocket.state::<Arc<MetricsCollector>>().cloned());
    if let Some((running, collector)) = parts {
        running.add(|stop| async move {
            tokio::select! { () = count(&collector) => {}, () = stop => {} }
        });
    }
}

async fn count(collector: &MetricsCollector) {
    let mut rounds = 0;
    loop {
        let mut counted = collector.count_waiting().await;
        if rounds == 0 {
            counted = counted.and(collector.count_all().await);
        }
        if let Err(error) = counted {
            tracing::warn!(error = chain(&error), "the count of letters and sessions failed");
        }
        rounds = (rounds + 1) % ROUNDS_PER_SESSION_COUNT;
        tokio::time::sleep(OUTBOX_COUNT_INTERVAL).await;
    }
}
