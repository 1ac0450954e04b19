//! Metrics, where they are configured: gathers what the parts count and has it served.

use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::{Build, Orbit, Rocket, Shutdown};

use crate::accounts::Accounts;
use crate::assembly::{Running, Workers};
use crate::config::{SettingError, Settings};
use crate::mail::Courier;
use crate::metrics::Requests;
use crate::storage::chain;
use crate::web::metrics::{Observatory, listen};

/// How often it is counted what waits in the outbox.
const ROUND: Duration = Duration::from_secs(15);
/// In how many rounds the sessions are counted once: a million of them take a reader a while.
const ROUNDS_BETWEEN: u32 = 20;

/// Serves metrics at `metrics.address`, if there is one. A start fails where that cannot be had.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("metrics", |rocket| async {
        match observe(&rocket).await {
            Ok(None) => Ok(rocket),
            Ok(Some(observed)) => Ok(observed.attach_to(rocket)),
            Err(problem) => {
                let key = "vestibule.metrics.address";
                tracing::error!("{}", SettingError::new(rocket.figment(), key, problem));
                Err(rocket)
            }
        }
    })
}

struct Observed {
    observatory: Arc<Observatory>,
    requests: Requests,
    listener: Option<Shutdown>,
}

async fn observe(rocket: &Rocket<Build>) -> Result<Option<Observed>, String> {
    let address = rocket.state::<Settings>().and_then(|settings| settings.metrics.address);
    // without them an earlier stage has failed, and said why
    let parts = rocket.state::<Accounts>().zip(rocket.state::<Arc<Courier>>());
    let Some((address, (accounts, courier))) = address.zip(parts) else { return Ok(None) };
    let requests = Requests::default();
    let observatory = Arc::new(Observatory::over(accounts, courier, &requests)?);
    let listener = match rocket.state::<Workers>() {
        Some(Workers::Still) => None,
        _ => Some(listen(Arc::clone(&observatory), address).await?),
    };
    Ok(Some(Observed { observatory, requests, listener }))
}

impl Observed {
    fn attach_to(self, rocket: Rocket<Build>) -> Rocket<Build> {
        let rocket = rocket.manage(Arc::clone(&self.observatory)).manage(self.requests);
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
    let parts = rocket.state::<Running>().zip(rocket.state::<Arc<Observatory>>().cloned());
    if let Some((running, observatory)) = parts {
        running.add(|stop| async move {
            tokio::select! { () = count(&observatory) => {}, () = stop => {} }
        });
    }
}

async fn count(observatory: &Observatory) {
    let mut rounds = 0;
    loop {
        let mut counted = observatory.count_waiting().await;
        if rounds == 0 {
            counted = counted.and(observatory.count_all().await);
        }
        if let Err(error) = counted {
            tracing::warn!(error = chain(&error), "letters and sessions were not counted");
        }
        rounds = (rounds + 1) % ROUNDS_BETWEEN;
        tokio::time::sleep(ROUND).await;
    }
}
