//! Honest sign-ins beside one network with many connections:
//! `cargo bench --bench overload -- --networks`.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Kind, Sample, eager_loop, open_loop};
use crate::server::Server;
use crate::{ACCOUNTS, percentile};

/// Connections of the other network.
const CONNECTIONS: [usize; 4] = [0, 40, 120, 400];
/// Number of accounts that belong to the other network, which knows their passwords.
const OTHERS: usize = 20;
/// Honest sign-ins per second.
const RATE: f64 = 10.0;
const WARM_UP: Duration = Duration::from_secs(3);
const EACH: Duration = Duration::from_secs(20);
/// Goals: the answered share of honest sign-ins, and their p99 in milliseconds.
const GOALS: (f64, f64) = (0.9, 3_000.0);

/// Measures each number of connections. `false` if a goal was missed.
pub fn run(binary: &Path) -> bool {
    let settings =
        [("VESTIBULE_LIMITS__ENABLED", "true"), ("VESTIBULE_TRUSTED_PROXIES", "[\"127.0.0.1\"]")];
    let server = Server::start(binary, &settings);
    let sign_ins = server.make_accounts(ACCOUNTS);
    let from = |address: &str, sign_ins: &[Vec<u8>]| -> Arc<[Vec<u8>]> {
        sign_ins.iter().map(|request| forwarded_for(address, request)).collect()
    };
    let others = from("203.0.113.66", &sign_ins[..OTHERS]);
    let honest = from("198.51.100.7", &sign_ins[OTHERS..]);
    println!(
        "Sign-ins of two networks with right passwords, with the settings of production: honest ones, \
         {RATE} a second whether or not those before them are answered, beside connections that ask \
         again at once, also when they are refused. The load generator runs at a niceness of 19 on the \
         same cores.\n"
    );
    println!(
        "| connections beside | honest sign-ins answered | p50 and p99 | the other network's, answered and refused a second |"
    );
    println!("|---|---|---|---|");
    let mut met = true;
    for connections in CONNECTIONS {
        let port = server.port;
        let (samples, beside) = thread::scope(|scope| {
            let flood = scope.spawn(|| eager_loop(port, connections, &others, WARM_UP + EACH));
            thread::sleep(WARM_UP);
            let samples = open_loop(port, &honest, RATE, EACH, Instant::now());
            (samples, flood.join().unwrap())
        });
        let answered: Vec<f64> =
            samples.iter().filter(|s| s.kind == Kind::Answered).map(Sample::millis).collect();
        let share = answered.len() as f64 / samples.len() as f64;
        let p99 = percentile(&answered, 0.99);
        met &= share >= GOALS.0 && p99 <= GOALS.1;
        let lasted = (WARM_UP + EACH).as_secs_f64();
        let of = |kind| beside.iter().filter(|s| s.kind == kind).count() as f64 / lasted;
        println!(
            "| {connections} | {} of {}, {:.1}% | {:.0} and {p99:.0} ms | {:.0}, {:.0} |",
            answered.len(),
            samples.len(),
            100.0 * share,
            percentile(&answered, 0.5),
            of(Kind::Answered),
            of(Kind::Refused)
        );
        thread::sleep(Duration::from_secs(2));
    }
    let verdict = if met { "met" } else { "missed" };
    println!(
        "\nGoals: at least {:.0}% of the honest sign-ins answered, p99 at most {:.0} s: {verdict}.",
        100.0 * GOALS.0,
        GOALS.1 / 1e3
    );
    met
}

/// The request in the form that a proxy on this machine would forward.
fn forwarded_for(address: &str, request: &[u8]) -> Vec<u8> {
    let end = request.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    let header = format!("X-Forwarded-For: {address}\r\n");
    [&request[..end], header.as_bytes(), &request[end..]].concat()
}
