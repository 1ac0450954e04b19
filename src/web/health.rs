//! `/health/live` and `/health/ready`: health checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, routes};

use crate::storage::{Store, chain};
use crate::web::openapi::document::{described, tag};
use crate::web::responses::problem::Problem;
use crate::web::responses::progress::Progress;

/// Stage that mounts the routes of this resource.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("health", |rocket| async {
        let rocket = match rocket.state::<Readiness>() {
            Some(_) => rocket,
            None => rocket.manage(Readiness::default()),
        };
        rocket.mount("/health", routes![live, ready])
    })
}

described!(live, ready);

/// Whether the service welcomes new requests. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Makes `/health/ready` report that the service is not ready. Requests are still answered.
    pub fn begin_shutdown(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_shutting_down(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Whether the process serves
#[utoipa::path(
    context_path = "/health",
    tag = tag::OPERATIONS,
    operation_id = "live",
    responses(
        (status = 200, description = "It does: `live`.", body = Progress),
    ),
)]
#[get("/live")]
fn live() -> Json<Progress> {
    Json(Progress::LIVE)
}

/// Whether requests are welcome
///
/// Whether the database takes writes and has every migration, and no shutdown has begun.
#[utoipa::path(
    context_path = "/health",
    tag = tag::OPERATIONS,
    operation_id = "ready",
    responses(
        (status = 200, description = "They are: `ready`.", body = Progress),
    ),
)]
#[get("/ready")]
async fn ready(
    readiness: &State<Readiness>,
    store: &State<Store>,
) -> Result<Json<Progress>, Problem> {
    let later = Problem::unavailable(Duration::from_secs(1));
    if readiness.is_shutting_down() {
        return Err(later.detail("The service is shutting down."));
    }
    match store.check().await {
        Ok(()) => Ok(Json(Progress::READY)),
        Err(error) => {
            tracing::warn!(error = chain(&error), "not ready");
            Err(later.detail(format!("The database is not good: {error}.")))
        }
    }
}
