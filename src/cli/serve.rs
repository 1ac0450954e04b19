//! `vestibule serve`: runs the service.

use std::time::Duration;

use figment::Figment;
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::{Ignite, Orbit, Rocket, Shutdown};
use vestibule::BackgroundTasks;
use vestibule::config::{Profile, Settings};
use vestibule::oauth::OAuth;
use vestibule::storage::{Store, chain};
use vestibule::web::Readiness;

use super::common::port;
use super::{CommandError, logging, print_text, signals};

pub fn run(figment: Figment) -> Result<(), CommandError> {
    let settings = Settings::read(&figment)?;
    logging::start(&settings.log, &figment)?;
    rocket::execute(serve(figment, settings))
}

async fn serve(figment: Figment, settings: Settings) -> Result<(), CommandError> {
    let is_first_start = is_first_start(&figment);
    let public_url = settings.public_url.as_str().to_owned();
    let greeting = AdHoc::on_liftoff("greeting", move |rocket| {
        Box::pin(async move { log_start(rocket, &public_url, is_first_start) })
    });
    let rocket = vestibule::build(figment).attach(greeting).ignite().await.map_err(explain)?;
    tokio::spawn(stop_on_signal(
        rocket.shutdown(),
        readiness(&rocket),
        rocket.state::<BackgroundTasks>().cloned().unwrap_or_default(),
        settings.shutdown.delay.duration(),
    ));
    let endpoint = format!("{}, port {}", rocket.config().address, port(rocket.figment()));
    let parts = rocket.state::<Store>().cloned().zip(rocket.state::<OAuth>().cloned());
    let outcome = launch(rocket, &endpoint).await;
    if let Some((store, oauth)) = parts {
        // records the last use of sessions for the last requests
        if let Err(error) = oauth.flush_activity().await {
            tracing::warn!(error = chain(&error), "the last use of sessions was not recorded");
        }
        store.close().await;
    }
    outcome
}

/// Serves until the server stops, or fails.
async fn launch(rocket: Rocket<Ignite>, endpoint: &str) -> Result<(), CommandError> {
    match rocket.launch().await {
        Ok(_) => tracing::info!("stopped"),
        Err(error) => match error.kind() {
            // requests that had not ended after the grace period were aborted
            ErrorKind::Shutdown(..) => tracing::warn!("stopped with requests outstanding"),
            ErrorKind::Bind(cause) => {
                return Err(CommandError::Failed(format!(
                    "cannot listen on {endpoint}: {cause} (set ROCKET_ADDRESS and ROCKET_PORT)"
                )));
            }
            _ => return Err(explain(error)),
        },
    }
    Ok(())
}

fn readiness(rocket: &Rocket<Ignite>) -> Readiness {
    rocket.state::<Readiness>().cloned().unwrap_or_default()
}

/// Shuts the service down after SIGTERM, SIGINT or SIGHUP.
///
/// 1. The service reports "not ready".
/// 2. After `delay`, or at a second signal, it stops listening.
/// 3. It answers the requests that it has accepted.
async fn stop_on_signal(
    shutdown: Shutdown,
    readiness: Readiness,
    running: BackgroundTasks,
    delay: Duration,
) {
    match signals::listen() {
        Ok(signal) => {
            signal.await;
        }
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return;
        }
    }
    tracing::info!("stopping");
    readiness.begin_shutdown();
    let last = async {
        tokio::time::sleep(delay).await;
        running.finish().await;
    };
    tokio::select! { () = last => {}, _ = signals::wait(signals::listen()) => {} }
    shutdown.notify();
}

/// The error for the operator. Reading its kind also keeps Rocket's error from panicking when it is
/// dropped.
fn explain(error: rocket::Error) -> CommandError {
    match error.kind() {
        ErrorKind::Config(cause) => CommandError::Failed(format!("setting: {cause}")),
        // their reasons are in the log
        ErrorKind::FailedFairings(_) => CommandError::NotStarted,
        kind => CommandError::Failed(kind.to_string()),
    }
}

/// Whether the SQLite file does not exist yet.
fn is_first_start(figment: &Figment) -> bool {
    let url: String = figment.extract_inner("databases.vestibule.url").unwrap_or_default();
    let path = url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
    let path = path.and_then(|path| path.split('?').next());
    path.is_some_and(|path| !std::path::Path::new(path).exists())
}

fn log_start(rocket: &Rocket<Orbit>, public_url: &str, is_first_start: bool) {
    let address = rocket.config().address;
    let port = port(rocket.figment());
    tracing::info!(%address, port, public_url, "listening");
    let has_web = rocket.figment().find_value("vestibule.clients.web").is_ok();
    if is_first_start && has_web && Profile::of(rocket.figment()) == Profile::Development {
        // the service runs without its standard output, too
        let _ = print_text(&first_steps(public_url));
    }
}

/// The first steps for a new user.
fn first_steps(url: &str) -> String {
    format!(
        r#"
  Vestibule is running at {url}. First steps, to be pasted line by line:

    # sign up
    curl {url}/v1/accounts --json '{{"email":"ada@example.org","password":"correct horse battery"}}'
    # read the letter in a browser, open its link, and press the button
    {url}/dev/mail
    # sign in, as an OAuth 2 client does
    curl {url}/oauth/token -d grant_type=password -d client_id=web \
         -d username=ada@example.org --data-urlencode 'password=correct horse battery'
    # call the API with the access_token of that response
    curl {url}/v1/me -H "Authorization: Bearer vat_..."

  Letters are also written as files. This text is shown at the first start only.
"#
    )
}
