//! Goodput of hashing while refused clients retry at once:
//! `cargo bench --bench overload -- --goodput`.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bare::argon2id;
use crate::load::{Kind, Sample, eager_loop};
use crate::server::{Cpu, Server};
use crate::{ACCOUNTS, percentile};

const CLIENTS: [usize; 3] = [16, 64, 256];
const WARM_UP: Duration = Duration::from_secs(2);
const EACH: Duration = Duration::from_secs(10);
const BARE: Duration = Duration::from_secs(5);
/// Goal: share of the rate of bare Argon2id.
const GOAL: f64 = 0.85;

/// Measures each number of clients, with the limits of production and without. `false` if the goal
/// was missed.
pub fn run(binary: &Path) -> bool {
    let before = argon2id(BARE);
    let mut rows = Vec::new();
    for limits in [true, false] {
        let enabled = if limits { "true" } else { "false" };
        let server = Server::start(binary, &[("VESTIBULE_LIMITS__ENABLED", enabled)]);
        let sign_ins: Arc<[Vec<u8>]> = server.make_accounts(ACCOUNTS).into();
        for clients in CLIENTS {
            eager_loop(server.port, clients, &sign_ins, WARM_UP);
            let (cpu, began) = (Cpu::now(server.id()), Instant::now());
            let samples = eager_loop(server.port, clients, &sign_ins, EACH);
            let lasted = began.elapsed().as_secs_f64();
            rows.push((limits, clients, samples, lasted, cpu.since(server.id()).to_string()));
            // the queue is hashed before the next measurement
            thread::sleep(Duration::from_secs(1));
        }
    }
    let after = argon2id(BARE);
    let bare = f64::midpoint(before, after);
    println!(
        "Bare Argon2id on all cores: {before:.1}/s before and {after:.1}/s after; ratios are to their mean. \
         The load generator runs at a niceness of 19 on the same cores.\n"
    );
    println!(
        "| limits | clients | sign-ins/s | ratio | p50 and p99 | refused/s, their p99 | anything else |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut met = true;
    for (limits, clients, samples, lasted, _) in &rows {
        let took = |kind| -> Vec<f64> {
            samples.iter().filter(|s| s.kind == kind).map(Sample::millis).collect()
        };
        let (answered, refused) = (took(Kind::Answered), took(Kind::Refused));
        let other = took(Kind::Other).len();
        let rate = answered.len() as f64 / lasted;
        met &= rate / bare >= GOAL && other == 0;
        println!(
            "| {} | {clients} | {rate:.1} | {:.2} | {:.0} and {:.0} ms | {:.0}, {:.0} ms | {other} |",
            if *limits { "on" } else { "off" },
            rate / bare,
            percentile(&answered, 0.5),
            percentile(&answered, 0.99),
            refused.len() as f64 / lasted,
            percentile(&refused, 0.99)
        );
    }
    println!("\nGoal: a ratio of at least {GOAL}: {}.\n", if met { "met" } else { "missed" });
    for (limits, clients, _, _, cpu) in rows {
        println!("limits {}, {clients} clients: {cpu}", if limits { "on" } else { "off" });
    }
    met
}
