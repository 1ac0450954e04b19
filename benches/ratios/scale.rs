//! Scale: request times at different database sizes: `cargo bench --bench ratios -- --scale`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::chart::{Axis, Panel, svg};
use crate::fill::{self, Rows};
use crate::server::{Server, Site};
use crate::wire::Connection;
use crate::{get_me, percentile, refresh_request, sign_in_request};

/// Accounts in each database, and as many sessions.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const EXPIRED: usize = 1_000_000;
/// Rounds in which the databases take turns.
const ROUNDS: usize = 5;
/// Requests of each kind in one round.
const REQUESTS: usize = 200;
/// Pause between two requests with tokens. Each token is used once, so none is cached.
const BETWEEN: Duration = Duration::from_millis(2);
/// Live sessions that are used and refreshed while expired sessions are removed.
const CALLED: usize = 20_000;
const PURGE_GOAL_MS: f64 = 50.0;

pub fn run() {
    let sites = SIZES.map(|live| Site::on_sqlite(Rows { live, expired: 0 }));
    let mut sides = SIZES.map(Side::new);
    for _ in 0..ROUNDS {
        for (site, side) in sites.iter().zip(&mut sides) {
            let server = Server::start_in(site);
            side.starts.push(server.started_in.as_secs_f64() * 1e3);
        }
    }
    let servers = sites.each_ref().map(Server::start_in);
    for round in 0..ROUNDS {
        for (side, server) in sides.iter_mut().zip(&servers) {
            side.round(round, server.port);
        }
    }
    println!("p50 and p99 in ms, one client, by the number of accounts and of sessions\n");
    let heads: Vec<String> = SIZES.iter().map(ToString::to_string).collect();
    println!("| | {} | p50, first to last |\n|---|---|---|---|---|---|", heads.join(" | "));
    let mut panels = vec![];
    for (title, kind) in KINDS {
        let all = sides
            .each_ref()
            .map(|side| (percentile(kind(side), 0.5), percentile(kind(side), 0.99)));
        let cells: Vec<String> =
            all.iter().map(|(p50, p99)| format!("{p50:.2}, {p99:.2}")).collect();
        let change = (all[all.len() - 1].0 / all[0].0 - 1.0) * 100.0;
        println!("| {title} | {} | {change:+.0}% |", cells.join(" | "));
        let curve = |of: fn(&(f64, f64)) -> f64| {
            SIZES.iter().zip(&all).map(|(size, both)| ((*size as f64).log10(), of(both))).collect()
        };
        let curves = vec![("p50", curve(|both| both.0)), ("p99", curve(|both| both.1))];
        panels.push(Panel { title, goal: None, curves });
    }
    let sizes = SIZES.map(|size| ((size as f64).log10(), size.to_string()));
    let axis = Axis { from: 2.8, to: 6.2, shaded: (2.8, 2.8), marks: sizes.to_vec() };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("scale.svg");
    let title = "Milliseconds, by how many accounts and sessions stand in the database";
    std::fs::write(&path, svg(title, &axis, &panels)).unwrap();
    println!("\nplot: {}", path.display());
    drop((servers, sites));
    purge();
}

type Kind = fn(&Side) -> &[f64];
const KINDS: [(&str, Kind); 4] = [
    ("sign-in", |side| &side.sign_ins),
    ("GET /v1/me, tokens not seen for a second", |side| &side.calls),
    ("refresh", |side| &side.refreshes),
    ("start to the first answer", |side| &side.starts),
];

/// Times of requests to one of the databases, in milliseconds.
struct Side {
    accounts: usize,
    sign_ins: Vec<f64>,
    calls: Vec<f64>,
    refreshes: Vec<f64>,
    starts: Vec<f64>,
}

impl Side {
    const fn new(accounts: usize) -> Self {
        Self { accounts, sign_ins: vec![], calls: vec![], refreshes: vec![], starts: vec![] }
    }

    fn round(&mut self, round: usize, port: u16) {
        // each round uses its own rows, spread over the whole table
        let row = |n: usize| (n * ROUNDS + round) * (self.accounts / (REQUESTS * ROUNDS));
        let mut connection = Connection::open(port);
        for n in 0..REQUESTS / 4 {
            let request = sign_in_request(&fill::email(row(n * 4)));
            self.sign_ins.push(took(&mut connection, &request));
        }
        for n in 0..REQUESTS {
            thread::sleep(BETWEEN);
            let request = get_me(&fill::access_token(row(n)));
            self.calls.push(took(&mut connection, &request));
        }
        for n in 0..REQUESTS {
            let request = refresh_request(&fill::refresh_token(row(n)));
            self.refreshes.push(took(&mut connection, &request));
        }
    }
}

fn took(connection: &mut Connection, request: &str) -> f64 {
    let began = Instant::now();
    let (status, body) = connection.send(request);
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(status, 200, "{body}");
    took
}

/// A service that starts with a million expired sessions removes them, while a signed-in client
/// sends requests and other clients refresh.
fn purge() {
    let site = Site::on_sqlite(Rows { live: CALLED, expired: EXPIRED });
    let server = Server::start_in(&site);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut database = runtime.block_on(sqlx::SqliteConnection::connect(&site.url)).unwrap();
    let began = Instant::now();
    let (mut calls, mut refreshes) = (vec![], vec![]);
    let mut connection = Connection::open(server.port);
    for n in (0..CALLED).cycle() {
        calls.push(took(&mut connection, &get_me(&fill::access_token(n))));
        // the pair is not replaced before it was seen in use: same response, same writes
        refreshes.push(took(&mut connection, &refresh_request(&fill::refresh_token(n))));
        thread::sleep(BETWEEN);
        if n % 100 == 0 && !runtime.block_on(fill::has_expired_sessions(&mut database)) {
            break;
        }
    }
    println!(
        "\n{EXPIRED} expired sessions, removed in {:.0} s, meanwhile:\n",
        began.elapsed().as_secs_f64()
    );
    println!("| | p50 | p99 | longest | goal |\n|---|---|---|---|---|");
    for (name, took) in [("`GET /v1/me`", &calls), ("refresh", &refreshes)] {
        let at = |of| percentile(took, of);
        println!(
            "| {name}, {} requests | {:.2} ms | {:.2} ms | {:.1} ms | at most {PURGE_GOAL_MS:.0} ms |",
            took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}
