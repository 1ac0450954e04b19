//! Assembly: constructs all parts from the settings, and starts the background workers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use figment::Figment;
use futures_util::future::BoxFuture;
use rocket::fairing::AdHoc;
use rocket::{Orbit, Rocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::{Accounts, EventLog, Limits};
use crate::clock::Clock;
use crate::config::{self, Profile, SettingError, Settings};
use crate::crypto::entropy::Entropy;
use crate::crypto::hasher::{Hasher, HashingParameters};
use crate::mail::{
    Composer, Courier, Mailbox, Outbox, OutboxAdmin, Renderer, TestLetter, Transport,
};
use crate::model::PasswordPolicy;
use crate::oauth::{ClientRegistry, OAuth, TokenCache};
use crate::storage::{Janitor, OpenError, Store, chain};
use crate::template_check::TemplateCheck;
use crate::templates::Templates;
use crate::web::Pages;

/// The interval at which the last use of sessions is written to the database.
const ACTIVITY_FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// The interval at which the janitor removes expired rows.
const JANITOR_INTERVAL: Duration = Duration::from_secs(300);

/// How long an operator's command waits for its one hash.
const OPERATOR_MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a shutdown waits for the workers' current work, such as letters on their way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether background workers run by themselves. Tests run them step by step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// Workers start with the service.
    On,
    /// No worker starts.
    Off,
}

/// Stage that reads the settings, and manages a system clock unless the application has a clock.
pub fn settings() -> AdHoc {
    AdHoc::try_on_ignite("settings", |rocket| async {
        if rocket.state::<Settings>().is_some() {
            return Ok(rocket); // a test has managed its own settings
        }
        let read = config::layers(rocket.figment().clone())
            .and_then(|figment| Ok((Settings::read(&figment)?, figment)));
        match read {
            Ok((settings, figment)) => {
                warn_about_unsafe_settings(&settings, Profile::of(&figment));
                let clock = rocket.state::<Clock>().cloned();
                let rocket = rocket.configure(figment).manage(settings);
                Ok(if clock.is_some() { rocket } else { rocket.manage(Clock::system()) })
            }
            Err(error) => {
                tracing::error!("{error}");
                Err(rocket)
            }
        }
    })
}

fn warn_about_unsafe_settings(settings: &Settings, profile: Profile) {
    if !settings.limits.enabled {
        tracing::warn!("limits.enabled = false: rate limits are off");
    }
    if profile == Profile::Production && !settings.public_url.is_secure() {
        tracing::warn!("public_url is not https: passwords and tokens travel unencrypted");
    }
}

/// Stage that constructs the use cases and manages them.
pub fn domains() -> AdHoc {
    AdHoc::try_on_ignite("domains", |rocket| async {
        let given = rocket.state().zip(rocket.state()).zip(rocket.state());
        let Some(((settings, store), clock)) = given else {
            return Err(rocket); // an earlier stage has failed, and logged the reason
        };
        if let Err(problem) = require_client(rocket.figment(), settings, store).await {
            tracing::error!("{problem}");
            return Err(rocket);
        }
        match assemble(rocket.figment(), settings, store, clock) {
            Ok(parts) => Ok(rocket
                .manage(parts.accounts)
                .manage(parts.oauth)
                .manage(parts.pages.messages().clone())
                .manage(parts.pages)
                .manage(parts.mailbox)
                .manage(parts.courier)
                .manage(parts.janitor)),
            Err(problem) => {
                tracing::error!("{problem}");
                Err(rocket)
            }
        }
    })
}

/// Fails in a release profile if no client is registered, since the service would serve nothing.
///
/// The check runs after the database is open, because clients are in the settings or in the
/// database.
async fn require_client(
    figment: &Figment,
    settings: &Settings,
    store: &Store,
) -> Result<(), String> {
    if Profile::of(figment) == Profile::Development || !settings.clients.is_empty() {
        return Ok(());
    }
    let stored = store.read(async |db| db.find_clients(None, 1).await).await;
    match stored.map_err(|error| chain(&error))?.is_empty() {
        true => Err(config::no_client(figment).to_string()),
        false => Ok(()),
    }
}

struct Components {
    accounts: Accounts,
    oauth: OAuth,
    pages: Pages,
    mailbox: Mailbox,
    courier: Arc<Courier>,
    janitor: Janitor,
}

/// Constructs all parts. The error is one line that says how to fix the setting.
fn assemble(
    figment: &Figment,
    settings: &Settings,
    store: &Store,
    clock: &Clock,
) -> Result<Components, String> {
    let entropy = Entropy;
    let setting = |key: &str, problem: String| SettingError::new(figment, key, problem).to_string();

    let StaticParts { renderer, mailbox, transport, client_registry, pages } =
        build_static_parts(settings, figment)?;
    let hasher = Hasher::start(hashing_parameters(settings), clock.clone(), entropy)
        .map_err(|error| setting("vestibule.hashing", error.to_string()))?;
    let accounts = accounts(settings, store, clock, hasher);
    let outbox = accounts.outbox.clone();
    let oauth = oauth(settings, &accounts, client_registry);
    let development = Profile::of(figment) == Profile::Development;
    let courier = Courier {
        store: store.clone(),
        clock: clock.clone(),
        entropy,
        outbox,
        renderer,
        transport,
        timeout: settings.mail.timeout.duration(),
        composer: Composer {
            clock: clock.clone(),
            entropy,
            public_url: settings.public_url.clone(),
            links: settings.links.clone(),
            limits: settings.limits.clone(),
        },
        development: development.then(|| mailbox.clone()),
        breaker: crate::mail::CircuitBreaker::default(),
        turn: crate::storage::DomainTurn::default(),
        metrics: crate::metrics::LetterMetrics::default(),
    };
    let janitor = Janitor::new(store.clone(), clock.clone(), settings.events.keep.duration());
    Ok(Components { accounts, oauth, pages, mailbox, courier: Arc::new(courier), janitor })
}

/// The parts that depend on the settings only: no database and no side effects.
struct StaticParts {
    renderer: Renderer,
    mailbox: Mailbox,
    transport: Transport,
    client_registry: ClientRegistry,
    pages: Pages,
}

fn build_static_parts(settings: &Settings, figment: &Figment) -> Result<StaticParts, String> {
    let templates =
        Templates::from_settings(settings, figment).map_err(|error| error.to_string())?;
    check_templates(settings, figment, &templates)?;
    let renderer = renderer(settings, figment, &templates).map_err(|error| error.to_string())?;
    let mailbox = Mailbox::default();
    let transport = transport(settings, figment, &mailbox).map_err(|error| error.to_string())?;
    let client_registry =
        ClientRegistry::from_settings(settings, figment).map_err(|error| error.to_string())?;
    let pages = Pages::new(templates, settings).map_err(|error| error.to_string())?;
    Ok(StaticParts { renderer, mailbox, transport, client_registry, pages })
}

/// Runs the checks of a start that need neither a database nor a listener.
///
/// The error is one line that says how to fix the setting.
pub fn check_settings(figment: &Figment) -> Result<Settings, String> {
    let settings = Settings::read(figment).map_err(|error| error.to_string())?;
    build_static_parts(&settings, figment)?;
    let hasher = Hasher::idle(&hashing_parameters(&settings), Clock::system(), Entropy);
    hasher.map_err(|error| {
        SettingError::new(figment, "vestibule.hashing", error.to_string()).to_string()
    })?;
    rocket::Config::try_from(figment).map_err(|error| format!("setting: {error}"))?;
    Store::check_settings(figment).map_err(|error| error.to_string())?;
    Ok(settings)
}

fn renderer(
    settings: &Settings,
    figment: &Figment,
    templates: &Templates,
) -> Result<Renderer, SettingError> {
    let from = &settings.mail.from;
    Renderer::new(templates.clone(), &settings.name, &settings.public_url, from).map_err(|error| {
        let wanted = "expected an address such as Vestibule <no-reply@example.org>";
        SettingError::new(figment, "vestibule.mail.from", format!("{wanted} ({error})"))
    })
}

fn transport(
    settings: &Settings,
    figment: &Figment,
    mailbox: &Mailbox,
) -> Result<Transport, SettingError> {
    Transport::from_settings(&settings.mail, mailbox)
        .map_err(|error| SettingError::new(figment, error.key(), chain(&error)))
}

/// Checks the operator's own templates and messages.
///
/// A template that fails for all users stops the start. Smaller findings are logged as warnings.
fn check_templates(
    settings: &Settings,
    figment: &Figment,
    templates: &Templates,
) -> Result<(), String> {
    if settings.templates.directory.is_none() && settings.messages.directory.is_none() {
        return Ok(());
    }
    let check = TemplateCheck::of(templates.clone(), settings.clone());
    if let Some(failure) = check.failures().map_err(|error| error.to_string())?.first() {
        let key = "vestibule.templates.directory";
        return Err(SettingError::new(figment, key, failure).to_string());
    }
    for finding in check.check().map_err(|error| error.to_string())? {
        tracing::warn!("{finding}");
    }
    Ok(())
}

fn accounts(settings: &Settings, store: &Store, clock: &Clock, hasher: Hasher) -> Accounts {
    let entropy = Entropy;
    let limits = Limits::new(store.clone(), clock.clone(), hasher.clone(), settings);
    Accounts {
        store: store.clone(),
        clock: clock.clone(),
        entropy,
        hasher,
        outbox: Outbox::new(clock.clone(), entropy),
        events: EventLog::new(clock.clone(), entropy, settings.events.address),
        policy: PasswordPolicy::new(settings.password.min_length, &settings.name),
        limits,
        activation_ttl: settings.links.activation_ttl.duration(),
        session_limit: settings.limits.session_limit(),
        email_link_ttl: settings.links.email_ttl.duration(),
    }
}

fn oauth(settings: &Settings, accounts: &Accounts, client_registry: ClientRegistry) -> OAuth {
    OAuth {
        store: accounts.store.clone(),
        clock: accounts.clock.clone(),
        entropy: accounts.entropy,
        outbox: accounts.outbox.clone(),
        accounts: accounts.clone(),
        client_registry,
        lifetimes: (&settings.tokens).into(),
        activity: crate::oauth::ActivityTracker::default(),
        token_cache: TokenCache::new(accounts.clock.clone(), accounts.store.clone()),
    }
}

fn hashing_parameters(settings: &Settings) -> HashingParameters {
    HashingParameters {
        memory_kib: settings.hashing.memory_kib,
        iterations: settings.hashing.iterations,
        parallelism: settings.hashing.parallelism,
        slots: settings.hashing.slots.get(),
        max_wait: settings.hashing.max_wait.duration(),
    }
}

/// Whether an operator's command hashes a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hashing {
    /// The command hashes one password.
    OnePassword,
    /// The command hashes nothing.
    Nothing,
}

/// Why an operator's command cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The accounts use cases without a service, for an operator's command.
///
/// The command works on the existing database, whether or not a service runs on it. The settings
/// have to pass the same checks as the settings of a service.
pub async fn accounts_for_operator(
    figment: &Figment,
    hashing: Hashing,
) -> Result<Accounts, OperatorError> {
    let settings = Settings::read(figment)?;
    ClientRegistry::from_settings(&settings, figment)?;
    open_for_operator(&settings, figment, hashing).await
}

/// The OAuth use cases without a service, for an operator's command.
pub async fn oauth_for_operator(figment: &Figment) -> Result<OAuth, OperatorError> {
    let settings = Settings::read(figment)?;
    let client_registry = ClientRegistry::from_settings(&settings, figment)?;
    let accounts = open_for_operator(&settings, figment, Hashing::Nothing).await?;
    Ok(oauth(&settings, &accounts, client_registry))
}

/// The operator's view of the outbox, on the existing database.
pub async fn outbox_admin_for_operator(figment: &Figment) -> Result<OutboxAdmin, OperatorError> {
    Settings::read(figment)?;
    let store = Store::open_without_migrating(figment).await?;
    Ok(OutboxAdmin { store, clock: Clock::system() })
}

/// A letter with which the operator tests the mail settings. It needs no database.
pub fn test_letter_for_operator(figment: &Figment) -> Result<TestLetter, SettingError> {
    let settings = Settings::read(figment)?;
    let templates = Templates::from_settings(&settings, figment)?;
    Ok(TestLetter {
        clock: Clock::system(),
        entropy: Entropy,
        renderer: renderer(&settings, figment, &templates)?,
        transport: transport(&settings, figment, &Mailbox::default())?,
    })
}

async fn open_for_operator(
    settings: &Settings,
    figment: &Figment,
    hashing: Hashing,
) -> Result<Accounts, OperatorError> {
    let clock = Clock::system();
    // no other request waits for a slot here, but the machine may be busy
    let parameters =
        HashingParameters { slots: 1, max_wait: OPERATOR_MAX_WAIT, ..hashing_parameters(settings) };
    let hasher = match hashing {
        Hashing::OnePassword => Hasher::start(parameters, clock.clone(), Entropy),
        Hashing::Nothing => Hasher::idle(&parameters, clock.clone(), Entropy),
    };
    let hasher = hasher.map_err(|error| SettingError::new(figment, "vestibule.hashing", error))?;
    let store = Store::open_without_migrating(figment).await?;
    Ok(accounts(settings, &store, &clock, hasher))
}

/// Stage that starts the workers when the service listens, and lets them finish at a shutdown.
///
/// Unfinished work stays in the database.
pub fn workers() -> AdHoc {
    AdHoc::on_ignite("workers", |rocket| async {
        rocket
            .manage(BackgroundTasks::default())
            .attach(AdHoc::on_liftoff("workers start", |rocket| {
                Box::pin(async move { start_workers(rocket) })
            }))
            .attach(AdHoc::on_shutdown("workers finish", |rocket| {
                Box::pin(async move {
                    if let Some(running) = rocket.state::<BackgroundTasks>() {
                        running.finish().await;
                    }
                })
            }))
    })
}

/// The running workers, and the signal that stops them.
#[derive(Clone, Debug, Default)]
pub struct BackgroundTasks {
    stop: watch::Sender<bool>,
    workers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl BackgroundTasks {
    /// Starts a worker. Its future should end soon after the given future, which signals a stop.
    pub(crate) fn add<F>(&self, work: impl FnOnce(BoxFuture<'static, ()>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stop = self.stop.subscribe();
        let stopped = Box::pin(async move {
            // an error means that the sender is gone, so the worker should stop as well
            let _ = stop.wait_for(|stop| *stop).await;
        });
        let worker = tokio::spawn(work(stopped));
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Stops the workers, and waits up to 5 s (`SHUTDOWN_TIMEOUT`) for their current work.
    ///
    /// Call this before a shutdown begins. While Rocket waits for this during a shutdown, it
    /// neither accepts nor refuses connections.
    pub async fn finish(&self) {
        self.stop.send_replace(true);
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let all = futures_util::future::join_all(workers);
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    }
}

fn start_workers(rocket: &Rocket<Orbit>) {
    if rocket.state::<Background>() == Some(&Background::Off) {
        return;
    }
    let Some(running) = rocket.state::<BackgroundTasks>() else { return };
    if let Some(courier) = rocket.state::<Arc<Courier>>().cloned() {
        running.add(|stop| courier.run(stop));
    }
    if let Some(oauth) = rocket.state::<OAuth>().cloned() {
        running.add(|stop| async move {
            tokio::select! { () = flush_activity_at_intervals(&oauth) => {}, () = stop => {} }
            flush_activity(&oauth).await;
        });
    }
    if let Some(janitor) = rocket.state::<Janitor>().cloned() {
        running.add(|stop| async move {
            tokio::select! { () = janitor.run(JANITOR_INTERVAL) => {}, () = stop => {} }
        });
    }
}

async fn flush_activity_at_intervals(oauth: &OAuth) {
    loop {
        tokio::time::sleep(ACTIVITY_FLUSH_INTERVAL).await;
        flush_activity(oauth).await;
    }
}

async fn flush_activity(oauth: &OAuth) {
    if let Err(error) = oauth.flush_activity().await {
        tracing::warn!(error = chain(&error), "the last use of sessions was not recorded");
    }
}
