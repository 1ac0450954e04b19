//! Overload benchmark: ten times as many sign-ins as can be hashed (R51).
//! Run it by `cargo bench --bench overload`.
//!
//! The benchmark starts the release binary and measures the peak: the sign-ins per second while 16
//! clients wait for their responses. Then the benchmark sends ten times as many, without waiting
//! for responses. Meanwhile a signed-in client requests `GET /v1/me` fifty times a second. Load
//! generator and server share the machine.
//!
//! | Argument | |
//! |---|---|
//! | `--seconds 600` | duration of the flood; default 60 |
//! | `--binary PATH` | another program than Cargo's build |
//! | `--plot PATH` | file for the timeline; default `target/overload.svg` |
//! | `--loads` | instead of the flood: loads below and above the peak, with a plot of latencies |
//! | `--networks` | instead of the flood: honest sign-ins beside many connections of one network |
//! | `--goodput` | instead of the flood: clients that retry at once when they are refused |
//! | `--deletion` | instead of the flood: deleting an account with 2.5 million events, beside requests |
//! | `--check` | fails on every missed goal |
//!
//! Without `--check`, the run fails only on a missed goal that a busy machine does not explain.

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
mod deletion;
mod goodput;
mod load;
mod loads;
mod networks;
mod plot;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod server;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use load::{Kind, Sample, closed_loop, open_loop, probe};
use server::{Cpu, Server};

/// Clients that wait for their response before the next request, for the measurement of the peak.
const CLIENTS: usize = 16;
const ACCOUNTS: usize = 100;
const PEAK: Duration = Duration::from_secs(10);
const OVERLOAD: f64 = 10.0;
/// Time for which the measurement goes on after the flood.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// Largest growth by the flood, beyond the memory of the slots, which are all in use before it too.
const GROWTH_MIB: f64 = 20.0;
const BETWEEN_PROBES: Duration = Duration::from_millis(20);

struct Arguments {
    flood: Duration,
    binary: PathBuf,
    plot: PathBuf,
    check: bool,
    measurement: Measurement,
}

/// Measurements to choose from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measurement {
    Flood,
    Loads,
    Networks,
    Goodput,
    Deletion,
}

impl Arguments {
    /// `None` for `cargo test --benches` and the like, which only check that the benchmark builds.
    fn read() -> Option<Self> {
        let mut arguments = Self {
            flood: Duration::from_secs(60),
            binary: env!("CARGO_BIN_EXE_vestibule").into(),
            plot: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("overload.svg"),
            check: false,
            measurement: Measurement::Flood,
        };
        let mut is_asked_for = false;
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => {
                    let seconds = words.next().and_then(|word| word.parse().ok());
                    arguments.flood = Duration::from_secs(seconds.expect("a number of seconds"));
                }
                "--binary" => arguments.binary = words.next().expect("a path").into(),
                "--plot" => arguments.plot = words.next().expect("a path").into(),
                "--check" => arguments.check = true,
                "--loads" => arguments.measurement = Measurement::Loads,
                "--networks" => arguments.measurement = Measurement::Networks,
                "--goodput" => arguments.measurement = Measurement::Goodput,
                "--deletion" => arguments.measurement = Measurement::Deletion,
                // an argument of `cargo bench`
                "--bench" => is_asked_for = true,
                other => panic!("unknown: {other}"),
            }
        }
        is_asked_for.then_some(arguments)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else { return ExitCode::SUCCESS };
    let met = match arguments.measurement {
        Measurement::Networks => Some(networks::run(&arguments.binary)),
        Measurement::Goodput => Some(goodput::run(&arguments.binary)),
        Measurement::Deletion => Some(deletion::run(&arguments.binary)),
        Measurement::Flood | Measurement::Loads => None,
    };
    if let Some(met) = met {
        return if met || !arguments.check { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let server = Server::start(&arguments.binary, &[("VESTIBULE_LIMITS__ENABLED", "false")]);
    let sign_ins: Arc<[Vec<u8>]> = server.make_accounts(ACCOUNTS).into();
    let token = server.sign_in(&sign_ins[0]);
    let port = server.port;
    if arguments.measurement == Measurement::Loads {
        loads::run(&server, &sign_ins, &token, &arguments.plot);
        return ExitCode::SUCCESS;
    }

    let began = Instant::now();
    let (stop_probing, stopped) = std::sync::mpsc::channel::<()>();
    let prober = thread::spawn(move || probe(port, &token, BETWEEN_PROBES, began, &stopped));
    let (stop_weighing, no_more) = std::sync::mpsc::channel::<()>();
    let process = server.id();
    let scales = thread::spawn(move || server::sample_memory(process, began, &no_more));

    let calm = Cpu::now(server.id());
    thread::sleep(Duration::from_secs(5));
    let before = closed_loop(port, CLIENTS, &sign_ins, PEAK);
    println!("peak before: {before:.1} sign-ins/s; {}", calm.since(server.id()));

    let offered = before * OVERLOAD;
    let flood_began = began.elapsed();
    let cpu = Cpu::now(server.id());
    let samples = open_loop(port, &sign_ins, offered, arguments.flood, began);
    println!("flood of {offered:.0}/s for {:?}: {}", arguments.flood, cpu.since(server.id()));

    let recovered = load::recovery(port, &sign_ins[1], AFTERWARDS);
    let after = closed_loop(port, CLIENTS, &sign_ins, PEAK);
    println!("peak after: {after:.1} sign-ins/s");
    drop((stop_probing, stop_weighing));
    let (bearer, weights) = (prober.join().unwrap(), scales.join().unwrap());

    let run = Run {
        began: flood_began,
        lasted: arguments.flood,
        peak: f64::midpoint(before, after),
        samples,
        bearer,
        weights,
        recovered,
    };
    let met = run.report();
    plot::draw(&run, &arguments.plot);
    println!("time line: {}", arguments.plot.display());
    if met.sound && (met.all || !arguments.check) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Goals that were met: all of them, and the goals that do not depend on other work of the machine.
struct Met {
    all: bool,
    sound: bool,
}

/// Results of a run.
struct Run {
    /// Start and length of the flood, on the clock of the samples.
    began: Duration,
    lasted: Duration,
    peak: f64,
    samples: Vec<Sample>,
    bearer: Vec<Sample>,
    /// Resident memory in MiB, with its time.
    weights: Vec<(Duration, f64)>,
    recovered: Option<Duration>,
}

impl Run {
    fn took(&self, kind: Kind) -> Vec<f64> {
        self.samples.iter().filter(|s| s.kind == kind).map(Sample::millis).collect()
    }

    fn during(&self, at: Duration) -> bool {
        (self.began..self.began + self.lasted).contains(&at)
    }

    fn report(&self) -> Met {
        let (admitted, refused) = (self.took(Kind::Answered), self.took(Kind::Refused));
        let other = self.took(Kind::Other).len();
        let goodput = admitted.len() as f64 / self.lasted.as_secs_f64();
        let calm: Vec<f64> = self
            .bearer
            .iter()
            .filter(|s| s.at < Duration::from_secs(5))
            .map(Sample::millis)
            .collect();
        let bearer: Vec<f64> =
            self.bearer.iter().filter(|s| self.during(s.at)).map(Sample::millis).collect();
        let failed = self.bearer.iter().filter(|s| s.kind != Kind::Answered).count();
        let heaviest = |during: bool| {
            let weights = self.weights.iter().filter(|(at, _)| self.during(*at) == during);
            weights.map(|(_, mb)| *mb).fold(0.0, f64::max)
        };
        println!(
            "answered {}, refused {}, anything else {other}; bearer requests that failed: {failed}",
            admitted.len(),
            refused.len()
        );
        println!(
            "bearer before the flood: p50 {:.1} ms, p99 {:.1} ms",
            percentile(&calm, 0.5),
            percentile(&calm, 0.99)
        );
        println!("memory outside the flood: at most {:.1} MiB\n", heaviest(false));
        println!("| | measured | goal | |\n|---|---|---|---|");
        let mut all = other == 0 && failed == 0;
        let mut row = |what: &str, measured: f64, unit: &str, goal: f64, at_least: bool| {
            let met = if at_least { measured >= goal } else { measured <= goal };
            all &= met;
            let bound = if at_least { "at least" } else { "at most" };
            let verdict = if met { "met" } else { "missed" };
            println!("| {what} | {measured:.1} {unit} | {bound} {goal:.0} {unit} | {verdict} |");
        };
        let of_peak = 100.0 * goodput / self.peak;
        row("goodput, of a peak measured before and after", of_peak, "%", 90.0, true);
        row("admitted sign-ins, p99", percentile(&admitted, 0.99), "ms", 2_000.0, false);
        row("refusals, p99", percentile(&refused, 0.99), "ms", 100.0, false);
        row("bearer requests, p50", percentile(&bearer, 0.5), "ms", 50.0, false);
        row("bearer requests, p99", percentile(&bearer, 0.99), "ms", 50.0, false);
        row("memory in the flood", heaviest(true), "MiB", heaviest(false) + GROWTH_MIB, false);
        let recovered = self.recovered.map_or(f64::INFINITY, |after| after.as_secs_f64());
        row("recovered after", recovered, "s", 5.0, false);
        println!(
            "\npeak {:.1}/s; goodput {goodput:.1}/s; admitted p50 {:.0} ms; refusals p50 {:.1} ms, longest {:.0} ms",
            self.peak,
            percentile(&admitted, 0.5),
            percentile(&refused, 0.5),
            percentile(&refused, 1.0)
        );
        let is_bounded = heaviest(true) <= heaviest(false) + GROWTH_MIB;
        Met { all, sound: other == 0 && failed == 0 && is_bounded && self.recovered.is_some() }
    }
}

/// Percentile of the values; zero without values.
fn percentile(values: &[f64], of: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((of * last as f64).round() as usize).copied().unwrap_or(0.0)
}
