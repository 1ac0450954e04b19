//! Deletion of an account with millions of events, beside other requests:
//! `cargo bench --bench overload -- --deletion`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocket::tokio::runtime::{Builder, Runtime};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};

use crate::load::{Kind, Sample, open_loop};
use crate::server::{Cpu, PASSWORD, Server, Tokens};
use crate::wire::{ask, connect, post};
use crate::{percentile, postgres};

/// Events of the deleted account.
const EVENTS: i64 = 2_500_000;
/// Accounts: the first is deleted, the others are signed in.
const ACCOUNTS: usize = 41;
/// Time for which the other requests are measured without the deletion.
const CALM: Duration = Duration::from_secs(30);
/// Length of a window of load. Windows repeat until the deletion has ended.
const WINDOW: Duration = Duration::from_secs(5);
/// Longest time for the whole deletion.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Goal for the longest response time of any other request, in milliseconds.
const LONGEST_MS: f64 = 50.0;

/// Kind of request beside the deletion.
struct Traffic {
    name: &'static str,
    /// Requests per second.
    rate: f64,
    requests: Arc<[Vec<u8>]>,
}

/// Measures both engines, PostgreSQL where it is installed. `false` if a goal was missed.
pub fn run(binary: &Path) -> bool {
    println!(
        "An account with {EVENTS} events is deleted. The other requests come at a steady rate, whether \
         or not those before them are answered; the load generator shares the cores.\n"
    );
    println!(
        "| engine | request, a second | without: p50, p99, longest | during the deletion | failed |"
    );
    println!("|---|---|---|---|---|");
    let cluster = postgres::lasting_cluster(&[]);
    let mut engines = vec![("SQLite", None)];
    engines.extend(cluster.iter().map(|cluster| ("PostgreSQL", Some(cluster.new_database()))));
    let mut met = true;
    let mut verdicts = Vec::new();
    for (engine, url) in engines {
        let (verdict, is_met) = measure(engine, url, binary);
        verdicts.push(verdict);
        met &= is_met;
    }
    println!("\n{}", verdicts.join("\n"));
    let verdict = if met { "met" } else { "missed" };
    println!(
        "\nGoals: the deletion succeeds, no other request fails, and none takes longer than \
         {LONGEST_MS:.0} ms: {verdict}."
    );
    met
}

fn measure(engine: &str, url: Option<String>, binary: &Path) -> (String, bool) {
    let mut settings = vec![("VESTIBULE_LIMITS__ENABLED", "false")];
    settings.extend(url.as_deref().map(|url| ("DATABASE_URL", url)));
    let mut server = Server::start(binary, &settings);
    let sign_ins = server.make_accounts(ACCOUNTS);
    let owner = server.signed_in(&sign_ins[0]);
    let traffic = traffic(&server, &sign_ins[1..]);
    let url = url.unwrap_or_else(|| server.database());
    let database = Database::new(url);
    server.while_stopped(|| database.fill());

    let zero = Instant::now();
    let calm = measure_traffic(&server, &traffic, zero, || zero.elapsed() >= CALM);

    let done = AtomicBool::new(false);
    let cpu = Cpu::now(server.id());
    let zero = Instant::now();
    let (samples, (status, answered, gone)) = thread::scope(|scope| {
        let deletion = scope.spawn(|| {
            // in the midst of the traffic
            thread::sleep(Duration::from_secs(2));
            let outcome = delete(&server, &owner, &database);
            done.store(true, Ordering::Relaxed);
            outcome
        });
        let samples = measure_traffic(&server, &traffic, zero, || done.load(Ordering::Relaxed));
        (samples, deletion.join().unwrap())
    });
    let mut is_met = status == 204 && gone.is_some();
    for ((kind, calm), samples) in traffic.iter().zip(&calm).zip(&samples) {
        let failed = samples.iter().chain(calm).filter(|s| s.kind != Kind::Answered).count();
        let took: Vec<f64> = samples.iter().map(Sample::millis).collect();
        is_met &= failed == 0 && percentile(&took, 1.0) <= LONGEST_MS;
        println!(
            "| {engine} | {}, {} | {} | {} | {failed} |",
            kind.name,
            kind.rate,
            row(calm),
            row(samples)
        );
    }
    let slow = samples.iter().flatten().filter(|s| s.millis() > LONGEST_MS).count();
    let verdict = format!(
        "{engine}: answered {status} after {:.1} s; all rows were gone after {}; {slow} of {} other \
         requests took longer than {LONGEST_MS:.0} ms; {}",
        answered.as_secs_f64(),
        gone.map_or_else(|| "never".to_owned(), |gone| format!("{:.0} s", gone.as_secs_f64())),
        samples.iter().flatten().count(),
        cpu.since(server.id())
    );
    (verdict, is_met)
}

fn row(samples: &[Sample]) -> String {
    let took: Vec<f64> = samples.iter().map(Sample::millis).collect();
    let at = |of| percentile(&took, of);
    format!("{:.1}, {:.1}, {:.1} ms", at(0.5), at(0.99), at(1.0))
}

/// Requests of signed-in accounts. A token pair is replaced only after it was seen in use, so a
/// refresh can be repeated and writes the same each time. Profile changes come from other sessions.
fn traffic(server: &Server, sign_ins: &[Vec<u8>]) -> Vec<Traffic> {
    let refreshes: Arc<[Vec<u8>]> = sign_ins
        .iter()
        .map(|sign_in| {
            let token = server.signed_in(sign_in).refresh;
            let form = format!("grant_type=refresh_token&client_id=web&refresh_token={token}");
            post("/oauth/token", "application/x-www-form-urlencoded", &form)
        })
        .collect();
    let tokens: Vec<Tokens> = sign_ins.iter().map(|sign_in| server.signed_in(sign_in)).collect();
    // each request is a change: the second name follows the first, and the other way round
    let changes = ["Ada", "Grace"].into_iter().flat_map(|name| {
        let body = format!(r#"{{"name":"{name}"}}"#);
        tokens.iter().map(move |tokens| authorized("PATCH", "/v1/me", tokens, &body))
    });
    let reads = tokens.iter().map(|tokens| authorized("GET", "/v1/me", tokens, ""));
    vec![
        Traffic { name: "refresh", rate: 25.0, requests: refreshes },
        Traffic { name: "`PATCH /v1/me`", rate: 25.0, requests: changes.collect() },
        Traffic { name: "`GET /v1/me`", rate: 25.0, requests: reads.collect() },
        Traffic { name: "sign-in", rate: 1.0, requests: sign_ins.into() },
    ]
}

fn authorized(method: &str, path: &str, tokens: &Tokens, body: &str) -> Vec<u8> {
    let request = post(path, "application/json", body);
    let request = String::from_utf8(request).unwrap();
    let rest = request.strip_prefix("POST").unwrap();
    let (line, rest) = rest.split_once("\r\n").unwrap();
    format!("{method}{line}\r\nAuthorization: Bearer {}\r\n{rest}", tokens.access).into_bytes()
}

/// Sends all kinds of requests at once, until `is_over`. Returns the samples of each kind.
fn measure_traffic(
    server: &Server,
    traffic: &[Traffic],
    zero: Instant,
    is_over: impl Fn() -> bool + Sync,
) -> Vec<Vec<Sample>> {
    thread::scope(|scope| {
        let kinds: Vec<_> = traffic
            .iter()
            .map(|kind| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut samples = Vec::new();
                    while !is_over() {
                        let window =
                            open_loop(server.port, &kind.requests, kind.rate, WINDOW, zero);
                        samples.extend(window);
                    }
                    samples
                })
            })
            .collect();
        kinds.into_iter().map(|kind| kind.join().unwrap()).collect()
    })
}

/// Deletes the account. Returns the status, the time until the response, and the time until the
/// account's row, the last of its rows, was gone.
fn delete(
    server: &Server,
    owner: &Tokens,
    database: &Database,
) -> (u16, Duration, Option<Duration>) {
    let body = format!(r#"{{"password":"{PASSWORD}"}}"#);
    let request = authorized("POST", "/v1/me/deletion", owner, &body);
    let began = Instant::now();
    let status = ask(&mut connect(server.port), &request).unwrap().status;
    let answered = began.elapsed();
    while began.elapsed() < PATIENCE {
        if database.accounts() < ACCOUNTS as i64 {
            return (status, answered, Some(began.elapsed()));
        }
        thread::sleep(Duration::from_millis(500));
    }
    (status, answered, None)
}

/// The service's database, opened without the service.
struct Database {
    url: String,
    runtime: Runtime,
}

impl Database {
    fn new(url: String) -> Self {
        sqlx::any::install_default_drivers();
        Self { url, runtime: Builder::new_current_thread().enable_all().build().unwrap() }
    }

    fn accounts(&self) -> i64 {
        self.runtime.block_on(async {
            let mut connection = AnyConnection::connect(&self.url).await.unwrap();
            let row = connection.fetch_one("SELECT COUNT(*) FROM accounts").await.unwrap();
            connection.close().await.unwrap();
            row.get(0)
        })
    }

    /// Gives the first account its events.
    fn fill(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let sql = format!(
            "INSERT INTO events (id, kind, actor, at, account_id, client_id, address, user_agent)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
             SELECT '01890000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2),
                    CASE n.i % 2 WHEN 0 THEN 'sign-in' ELSE 'profile-changed' END, 'owner',
                    {now}, a.id, 'web', '203.0.113.7',
                    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
             FROM n, accounts a WHERE a.email = 'person0@example.org'"
        );
        // the service starts with a log of ordinary length
        let done: &[&str] = match self.url.starts_with("sqlite:") {
            true => &["PRAGMA wal_checkpoint(TRUNCATE)"],
            false => &["VACUUM ANALYZE", "CHECKPOINT"],
        };
        self.runtime.block_on(async {
            let mut connection = AnyConnection::connect(&self.url).await.unwrap();
            let filled = connection.execute(AssertSqlSafe(sql)).await.unwrap();
            assert_eq!(filled.rows_affected(), EVENTS.unsigned_abs());
            for statement in done {
                connection.execute(*statement).await.unwrap();
            }
            connection.close().await.unwrap();
        });
    }
}
