//! Groups of instruments. The part that a group measures owns it.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

/// A group of instruments. A clone shares the same instruments.
pub trait MetricGroup {
    /// The instruments of the group, for a registry.
    fn instruments(&self) -> Vec<Box<dyn Collector>>;
}

/// Histogram buckets in seconds: from an unnoticed wait to the longest that the service may take.
const REQUEST_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const HASH_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0];

#[expect(clippy::expect_used, reason = "names and labels are constants, and a test makes them all")]
fn expect_valid<T>(instrument: prometheus::Result<T>) -> T {
    instrument.expect("a valid name")
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    expect_valid(IntCounterVec::new(Opts::new(name, help), labels))
}

fn histograms(name: &str, help: &str, seconds: &[f64], labels: &[&str]) -> HistogramVec {
    expect_valid(HistogramVec::new(
        HistogramOpts::new(name, help).buckets(seconds.to_vec()),
        labels,
    ))
}

macro_rules! group {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $expect_valid:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($field: $kind),+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $expect_valid),+ }
            }
        }

        impl MetricGroup for $name {
            fn instruments(&self) -> Vec<Box<dyn Collector>> {
                vec![$(Box::new(self.$field.clone())),+]
            }
        }
    };
}

group! {
    /// HTTP requests: responses, durations and refusals.
    RequestMetrics {
        answered: IntCounterVec = counters(
            "vestibule_requests_total",
            "Requests answered, by route pattern, method and status.",
            &["route", "method", "status"],
        ),
        took: HistogramVec = histograms(
            "vestibule_request_seconds",
            "Time from the head of a request to the head of its response.",
            &REQUEST_SECONDS,
            &["route"],
        ),
        crowded: IntCounter = expect_valid(IntCounter::new(
            "vestibule_requests_crowded_out_total",
            "Requests refused because admission.in_flight requests were in flight.",
        )),
        not_forwarded: IntCounterVec = counters(
            "vestibule_forwarded_faults_total",
            "Requests of trusted proxies without a client address in X-Forwarded-For, counted for \
             the proxy itself, by fault.",
            &["kind"],
        ),
        delayed: IntCounter = expect_valid(IntCounter::new(
            "vestibule_refusals_delayed_total",
            "Refusals delayed before the response because refusals were frequent.",
        )),
        closed: IntCounter = expect_valid(IntCounter::new(
            "vestibule_refusals_closed_total",
            "Refusals answered with Connection: close because too many refusals were delayed.",
        )),
    }
}

impl RequestMetrics {
    /// Counts a response. `route` is a pattern, such as `/v1/me/sessions/<id>`.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Option<Duration>) {
        // formats the status without an allocation per request
        let mut digits = [0; 3];
        for (n, digit) in digits.iter_mut().enumerate() {
            *digit = b'0' + (status / [100, 10, 1][n] % 10) as u8;
        }
        let status = std::str::from_utf8(&digits).unwrap_or_default();
        self.answered.with_label_values(&[route, method, status]).inc();
        if let Some(took) = took {
            self.took.with_label_values(&[route]).observe(took.as_secs_f64());
        }
    }

    /// Counts a request that was refused because `admission.in_flight` requests were in flight.
    pub fn over_capacity(&self) {
        self.crowded.inc();
    }

    /// Counts a request of a trusted proxy whose `X-Forwarded-For` gave no client address.
    pub fn not_forwarded(&self, kind: &str) {
        self.not_forwarded.with_label_values(&[kind]).inc();
    }

    /// Counts a refusal that waited before its answer.
    pub fn refusal_delayed(&self) {
        self.delayed.inc();
    }

    /// Counts a refusal that closed its connection, because too many refusals waited.
    pub fn refusal_closed(&self) {
        self.closed.inc();
    }
}

group! {
    /// The hasher: admitted and refused passwords, and their durations.
    HashingMetrics {
        admitted: IntCounterVec = counters(
            "vestibule_hashes_admitted_total",
            "Passwords queued for hashing, by purpose.",
            &["purpose"],
        ),
        refused: IntCounterVec = counters(
            "vestibule_hashes_refused_total",
            "Passwords not hashed, by purpose: refused on arrival, or dropped in the queue.",
            &["purpose", "where"],
        ),
        waited: HistogramVec = histograms(
            "vestibule_hash_wait_seconds",
            "Time that a password waited for a hashing slot.",
            &HASH_SECONDS,
            &["purpose"],
        ),
        took: Histogram = expect_valid(Histogram::with_opts(
            HistogramOpts::new("vestibule_hash_seconds", "Time of a hash in its slot.")
                .buckets(HASH_SECONDS.to_vec()),
        )),
    }
}

impl HashingMetrics {
    /// Counts a password that was queued for hashing.
    pub fn admitted(&self, purpose: &str) {
        self.admitted.with_label_values(&[purpose]).inc();
    }

    /// Counts a password that was refused before it was queued.
    pub fn refused_on_arrival(&self, purpose: &str) {
        self.refused.with_label_values(&[purpose, "arrival"]).inc();
    }

    /// Counts a password that was refused late in the queue.
    pub fn refused_in_queue(&self, purpose: &str) {
        self.refused.with_label_values(&[purpose, "queue"]).inc();
    }

    /// Records the time that a password waited for a slot.
    pub fn waited(&self, purpose: &str, wait: Duration) {
        self.waited.with_label_values(&[purpose]).observe(wait.as_secs_f64());
    }

    /// Records the duration of a hash in its slot.
    pub fn took(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }
}

group! {
    /// Rate limits: refused requests by limit.
    LimitMetrics {
        refused: IntCounterVec = counters(
            "vestibule_limited_total",
            "Requests refused by a rate limit, by its setting; waiting: too many attempts in the \
             queue.",
            &["limit"],
        ),
    }
}

impl LimitMetrics {
    /// Counts a request that the limit refused. `limit` is the name of its setting.
    pub fn limited(&self, limit: &str) {
        self.refused.with_label_values(&[limit]).inc();
    }
}

group! {
    /// The connection pools: requests that timed out while waiting for a connection.
    ConnectionMetrics {
        timed_out: IntCounter = expect_valid(IntCounter::new(
            "vestibule_pool_timeouts_total",
            "Requests that timed out while waiting for a database connection.",
        )),
    }
}

impl ConnectionMetrics {
    /// Counts a request that timed out while waiting for a connection.
    pub fn timed_out(&self) {
        self.timed_out.inc();
    }
}

group! {
    /// The courier: delivery attempts by outcome.
    LetterMetrics {
        tried: IntCounterVec = counters(
            "vestibule_letters_total",
            "Delivery attempts, by outcome: sent, retried (temporarily refused), dead (given up), \
             postponed (mail server unavailable).",
            &["outcome"],
        ),
    }
}

impl LetterMetrics {
    /// Counts a delivery attempt.
    pub fn tried(&self, outcome: &str) {
        self.tried.with_label_values(&[outcome]).inc();
    }
}

group! {
    /// The two domains: events, sign-ins and refreshes, without any identity.
    DomainMetrics {
        events: IntCounterVec = counters(
            "vestibule_events_total",
            "Security events by kind, including events whose transaction failed afterwards.",
            &["kind"],
        ),
        sign_ins: IntCounterVec = counters(
            "vestibule_sign_ins_total",
            "Sign-in attempts with a password, by outcome.",
            &["outcome"],
        ),
        refreshes: IntCounterVec = counters(
            "vestibule_refreshes_total",
            "Refresh grants, by outcome.",
            &["outcome"],
        ),
    }
}

impl DomainMetrics {
    /// Counts an event of an account.
    pub fn event(&self, kind: &str) {
        self.events.with_label_values(&[kind]).inc();
    }

    /// Counts an attempt to sign in with a password.
    pub fn sign_in(&self, outcome: &str) {
        self.sign_ins.with_label_values(&[outcome]).inc();
    }

    /// Counts a refresh grant.
    pub fn refresh(&self, outcome: &str) {
        self.refreshes.with_label_values(&[outcome]).inc();
    }
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    expect_valid(IntGaugeVec::new(Opts::new(name, help), labels))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    expect_valid(IntGauge::new(name, help))
}

group! {
    /// Numbers of rows, counted at intervals because each count costs a statement.
    DatabaseGauges {
        letters: IntGaugeVec = gauges(
            "vestibule_outbox_letters",
            "Letters in the outbox at the last count, by state: waiting, dead.",
            &["state"],
        ),
        oldest: IntGauge = gauge(
            "vestibule_outbox_oldest_seconds",
            "Time since the oldest due letter became due, at the last count; 0 without due \
             letters.",
        ),
        sessions: IntGauge = gauge(
            "vestibule_sessions",
            "Sessions in the database at the last count; may include recently ended sessions.",
        ),
    }
}

impl DatabaseGauges {
    /// Sets the number of waiting letters and the age of the oldest due letter.
    pub fn waiting(&self, letters: i64, oldest: Duration) {
        self.letters.with_label_values(&["waiting"]).set(letters);
        self.oldest.set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Sets the numbers of sessions and of dead letters.
    pub fn all(&self, sessions: i64, dead_letters: i64) {
        self.sessions.set(sessions);
        self.letters.with_label_values(&["dead"]).set(dead_letters);
    }
}

/// State of the parts at the time of a scrape.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Passwords that wait for a slot of the hasher.
    pub hashes_queued: usize,
    /// Busy slots of the hasher.
    pub hashes_running: usize,
    /// All slots of the hasher.
    pub hash_slots: usize,
    /// The load of each database pool.
    pub pools: Vec<PoolLoad>,
    /// Whether the circuit breaker of the mail server is open.
    pub mail_is_down: bool,
}

/// The connections of one pool: `max` allowed, `open` of them open, `idle` of the open ones idle.
#[derive(Clone, Copy, Debug)]
pub struct PoolLoad {
    /// The `pool` label.
    pub name: &'static str,
    /// Open connections.
    pub open: u32,
    /// Open connections without work.
    pub idle: u32,
    /// The limit of open connections.
    pub max: u32,
}

group! {
    /// State at the time of the scrape.
    ScrapeGauges {
        queued: IntGauge = gauge(
            "vestibule_hash_queue_length",
            "Passwords that wait for a hashing slot.",
        ),
        running: IntGauge = gauge("vestibule_hash_slots_busy", "Busy hashing slots."),
        slots: IntGauge = gauge("vestibule_hash_slots", "All hashing slots."),
        connections: IntGaugeVec = gauges(
            "vestibule_pool_connections",
            "Database connections, by pool and state: busy, idle, max (the limit).",
            &["pool", "state"],
        ),
        mail_down: IntGauge = gauge(
            "vestibule_mail_breaker_open",
            "1 while the mail server is unavailable and letters wait.",
        ),
        resident: IntGauge = gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
        ),
        files: IntGauge = gauge("process_open_fds", "Number of open file descriptors."),
        started: IntGauge = gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
        ),
        build: IntGaugeVec = gauges(
            "vestibule_build_info",
            "Always 1; the version is in the label.",
            &["version"],
        ),
    }
}

impl ScrapeGauges {
    /// Sets the start time of the process and the version.
    pub(super) fn began(&self, unix_seconds: i64) {
        self.started.set(unix_seconds);
        self.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }

    /// Sets the gauges that a [`Snapshot`] contains.
    pub(super) fn set(&self, snapshot: &Snapshot) {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.queued.set(whole(snapshot.hashes_queued));
        self.running.set(whole(snapshot.hashes_running));
        self.slots.set(whole(snapshot.hash_slots));
        self.mail_down.set(i64::from(snapshot.mail_is_down));
        for pool in &snapshot.pools {
            let set = |state, count: u32| {
                self.connections.with_label_values(&[pool.name, state]).set(i64::from(count));
            };
            set("busy", pool.open.saturating_sub(pool.idle));
            set("idle", pool.idle);
            set("max", pool.max);
        }
    }

    /// Sets the gauges of the process.
    pub(super) fn set_process(&self, resident_bytes: i64, open_files: i64) {
        self.resident.set(resident_bytes);
        self.files.set(open_files);
    }
}
