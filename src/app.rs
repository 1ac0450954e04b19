//! The application: the list of its stages.

use figment::Figment;
use rocket::fairing::AdHoc;
use rocket::{Build, Rocket, figment};

use crate::{assembly, metrics_stage, storage, web};

/// The service as an application of its own, configured by `figment`.
pub fn build(figment: Figment) -> Rocket<Build> {
    rocket::custom(figment).attach(stage()).attach(web::front_door()).attach(web::catch_all())
}

/// The service as a part of another Rocket application:
///
/// ```no_run
/// # use rocket::routes;
/// let application = rocket::build().attach(vestibule::stage()).mount("/notes", routes![]);
/// ```
///
/// The stage
///
/// - mounts routes at `/oauth`, `/.well-known`, `/v1`, `/account`, `/activate`, `/reset-password`,
///   `/confirm-email`, `/schemas`, `/problems`, `/health`, `/openapi.json` and `/docs`;
/// - reads settings from `[<profile>.vestibule]` of the application's figment and from the
///   environment;
/// - lets the application guard its own routes with [`crate::web::Bearer`].
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("vestibule", |rocket| async {
        rocket
            .attach(assembly::settings())
            .attach(storage::connect())
            .attach(storage::migrate())
            .attach(assembly::domains())
            .attach(assembly::workers())
            .attach(metrics_stage::stage())
            .attach(web::stage())
    })
}
