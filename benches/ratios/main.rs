//! Ratios benchmark, the source of the figures in docs/performance.md:
//! `cargo bench --bench ratios`.
//!
//! - `-- --postgres` measures the same on PostgreSQL.
//! - `-- --scale` measures whether the number of accounts matters.
//!
//! The benchmark starts the release binary on its own database and drives it over sockets. The same
//! run measures the bare limits, since machines differ and are noisy: only the ratios count. Load
//! generator and server share the machine on both sides of each ratio.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot run says so"
)]
#![expect(clippy::print_stdout, reason = "this is its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod bare;
#[path = "../chart.rs"]
mod chart;
mod fill;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod scale;
mod server;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rocket::{get, routes};
use serde_json::Value;

use fill::{Rows, access_token, email, refresh_token};
use server::{EmptyRoute, Server, Site};
use wire::Connection;

const PASSWORD: &str = "correct horse battery staple";
/// Length of one window of measurement.
const WINDOW: Duration = Duration::from_secs(3);
/// Length of the same work before each window, not counted. This work opens connections and fills
/// caches, as in a service in use.
const WARM_UP: Duration = Duration::from_secs(1);
/// Windows of each figure, alternating with the windows of its comparison.
const WINDOWS: usize = 3;
/// Concurrent clients, where nothing else is said.
const CLIENTS: usize = 16;
const ACCOUNTS: usize = 10_000;
/// Accounts that sign in.
const SIGNING_IN: usize = 1_000;
/// Sessions that are refreshed, besides the sessions whose access tokens are used.
const REFRESHING: usize = 64;

fn main() {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    if has("empty-route") {
        return serve_empty_route();
    }
    // `cargo test --benches` and the like only check that the benchmark builds
    if !has("--bench") {
        return;
    }
    match (has("--scale"), has("--postgres")) {
        (true, true) => panic!("the scale is measured on SQLite only"),
        (true, false) => scale::run(),
        (false, on_postgres) => ratios(on_postgres),
    }
}

fn ratios(on_postgres: bool) {
    let rows = Rows { live: ACCOUNTS + REFRESHING, expired: 0 };
    let cluster =
        on_postgres.then(|| postgres::lasting_cluster(&[]).expect("an installed PostgreSQL"));
    let (site, bare_url) = match &cluster {
        None => (Site::on_sqlite(rows), None),
        Some(cluster) => {
            (Site::on_postgres(cluster.new_database(), rows), Some(cluster.new_database()))
        }
    };
    let server = Server::start_in(&site);
    println!("time from exec to first 200: {:.0} ms", server.started_in.as_secs_f64() * 1e3);
    // hashing gives its memory back after ten seconds
    thread::sleep(Duration::from_secs(12));
    println!("memory idle: {:.1} MiB", server.resident_mib());
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_vestibule")).unwrap().len();
    println!("the program: {:.1} MB", program as f64 / 1e6);

    let empty = EmptyRoute::start();
    let port = server.port;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pairs: Vec<Mutex<String>> =
        (ACCOUNTS..ACCOUNTS + REFRESHING).map(|n| Mutex::new(refresh_token(n))).collect();
    let signed_up = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);

    let call = |tokens: usize| {
        let requests: Vec<String> = (0..tokens).map(|n| get_me(&access_token(n))).collect();
        let (next, requests) = (&next, &requests);
        measure(CLIENTS, move |_| {
            let mut connection = Connection::open(port);
            move || {
                // a step without a common factor with their number reaches all equally
                let n = next.fetch_add(7_919, Ordering::Relaxed) % requests.len();
                connection.send(&requests[n]).0 == 200
            }
        })
    };
    let sign_in = |clients: usize| {
        let next = &next;
        measure(clients, move |_| {
            let mut connection = Connection::open(port);
            move || {
                let n = next.fetch_add(1, Ordering::Relaxed) % SIGNING_IN;
                connection.send(&sign_in_request(&email(n))).0 == 200
            }
        })
    };
    let refresh = |clients: usize| {
        let pairs = &pairs;
        measure(clients, move |n| {
            let mut connection = Connection::open(port);
            move || {
                let mut token = pairs[n].lock().unwrap();
                let (status, body) = connection.send(&refresh_request(&token));
                if status == 200 {
                    *token = refresh_token_in(&body);
                }
                status == 200
            }
        })
    };
    let sign_up = || {
        let signed_up = &signed_up;
        measure(CLIENTS, move |_| {
            let mut connection = Connection::open(port);
            move || {
                let n = signed_up.fetch_add(1, Ordering::Relaxed);
                connection.send(&sign_up_request(n)).0 == 202
            }
        })
    };

    let names = [
        "an empty Rocket route",
        "`GET /v1/me`, one token",
        "`GET /v1/me`, 10,000 tokens",
        "bare Argon2id on all cores",
        "sign-in, 16 clients",
        "sign-in, 256 clients",
        "sign-up, 16 clients",
        "bare one-row commits, one thread",
        "refresh, 1 client",
        "refresh, 16 clients",
        "refresh, 64 clients",
    ];
    let mut series: [Vec<Measured>; 11] = Default::default();
    let mut peak = 0.0_f64;
    for _ in 0..WINDOWS {
        let nothing = measure(CLIENTS, |_| {
            let mut connection = Connection::open(empty.port);
            move || connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0 == 200
        });
        let calls = [nothing, call(1), call(ACCOUNTS)];
        let hashes =
            [measure(cores, |_| bare::argon2()), sign_in(CLIENTS), sign_in(256), sign_up()];
        peak = peak.max(server.resident_mib());
        let bare_commits = match &bare_url {
            None => measure(1, |_| bare::sqlite_commits(site.path())),
            Some(url) => measure(1, |_| bare::postgres_commits(url)),
        };
        let commits = [bare_commits, refresh(1), refresh(CLIENTS), refresh(REFRESHING)];
        let all = calls.into_iter().chain(hashes).chain(commits);
        for (series, measured) in series.iter_mut().zip(all) {
            series.push(measured);
        }
    }
    println!("memory at most: {peak:.1} MiB; refused and failed requests do not count\n");
    println!("| | per second | ratio | to | p50 | p99 | failed |\n|---|---|---|---|---|---|---|");
    let rates = series
        .each_ref()
        .map(|windows| median(&windows.iter().map(|measured| measured.rate).collect::<Vec<f64>>()));
    // the comparison of each figure, by its index
    for (n, against) in [0, 0, 0, 3, 3, 3, 4, 7, 7, 7, 7].into_iter().enumerate() {
        let took: Vec<f64> = series[n].iter().flat_map(|window| window.took.clone()).collect();
        let failed: usize = series[n].iter().map(|window| window.failed).sum();
        println!(
            "| {} | {:.0} | {:.2} | {} | {:.2} ms | {:.2} ms | {failed} |",
            names[n],
            rates[n],
            rates[n] / rates[against],
            names[against],
            percentile(&took, 0.5),
            percentile(&took, 0.99)
        );
    }
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// Percentile of the values; zero without values.
fn percentile(values: &[f64], of: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((of * last as f64).round() as usize).copied().unwrap_or(0.0)
}

/// Result of one window.
#[derive(Default)]
struct Measured {
    /// Successful work per second.
    rate: f64,
    /// Time of each success, in milliseconds.
    took: Vec<f64>,
    failed: usize,
}

/// Runs the work in `workers` threads again and again, and counts the successes within one window.
fn measure<W: FnMut() -> bool>(workers: usize, make: impl Fn(usize) -> W + Sync) -> Measured {
    let all = Mutex::new(Measured::default());
    let began = Instant::now();
    thread::scope(|scope| {
        for n in 0..workers {
            let (all, make) = (&all, &make);
            scope.spawn(move || {
                let mut work = make(n);
                let mut mine = Measured::default();
                while began.elapsed() < WARM_UP + WINDOW {
                    let since = Instant::now();
                    if !work() {
                        mine.failed += 1;
                    } else if (WARM_UP..WARM_UP + WINDOW).contains(&began.elapsed()) {
                        mine.took.push(since.elapsed().as_secs_f64() * 1e3);
                    }
                }
                let mut all = all.lock().unwrap();
                all.took.append(&mut mine.took);
                all.failed += mine.failed;
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.rate = all.took.len() as f64 / WINDOW.as_secs_f64();
    all
}

fn get_me(token: &str) -> String {
    format!("GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

fn post_form(path: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

fn sign_in_request(email: &str) -> String {
    let password = PASSWORD.replace(' ', "+");
    let form = format!("grant_type=password&client_id=web&username={email}&password={password}");
    post_form("/oauth/token", &form)
}

fn sign_up_request(n: usize) -> String {
    let body = format!(r#"{{"email":"new{n}@example.org","password":"{PASSWORD}"}}"#);
    format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn refresh_request(token: &str) -> String {
    let form = format!("grant_type=refresh_token&client_id=web&refresh_token={token}");
    post_form("/oauth/token", &form)
}

fn refresh_token_in(body: &str) -> String {
    let answer: Value = serde_json::from_str(body).unwrap();
    answer["refresh_token"].as_str().unwrap().to_owned()
}

#[get("/")]
fn empty() {}

fn serve_empty_route() {
    let _ = rocket::execute(rocket::build().mount("/", routes![empty]).launch());
}
