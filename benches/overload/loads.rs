//! Response times at different loads: `cargo bench --bench overload -- --loads`.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::chart::{Axis, Panel, svg};
use crate::load::{Kind, Sample, closed_loop, open_loop, probe};
use crate::server::Server;
use crate::{BETWEEN_PROBES, CLIENTS, PEAK, percentile};

/// Offered loads, in hundredths of the peak.
const LOADS: [u32; 9] = [20, 40, 60, 80, 90, 100, 120, 150, 200];
const EACH: Duration = Duration::from_secs(6);

/// Offers each load for a while, and draws the latencies.
pub fn run(server: &Server, sign_ins: &Arc<[Vec<u8>]>, token: &str, plot: &Path) {
    let port = server.port;
    let peak = closed_loop(port, CLIENTS, sign_ins, PEAK);
    println!("peak: {peak:.1} sign-ins/s\n");
    println!(
        "| offered, of the peak | answered, refused | sign-ins, p50 and p99 | bearer, p50 and p99 |"
    );
    println!("|---|---|---|---|");
    let mut curves: [Vec<(f64, f64)>; 4] = Default::default();
    for load in LOADS {
        let zero = Instant::now();
        let rate = peak * f64::from(load) / 100.0;
        let (stop, stopped) = mpsc::channel::<()>();
        let (samples, bearer) = thread::scope(|scope| {
            let prober = scope.spawn(move || probe(port, token, BETWEEN_PROBES, zero, &stopped));
            let samples = open_loop(port, sign_ins, rate, EACH, zero);
            drop(stop);
            (samples, prober.join().unwrap())
        });
        let count = |kind| samples.iter().filter(|sample| sample.kind == kind).count();
        let took = |samples: &[Sample]| -> Vec<f64> {
            let answered = samples.iter().filter(|sample| sample.kind == Kind::Answered);
            answered.map(Sample::millis).collect()
        };
        let (admitted, called) = (took(&samples), took(&bearer));
        let values = [
            percentile(&admitted, 0.5),
            percentile(&admitted, 0.99),
            percentile(&called, 0.5),
            percentile(&called, 0.99),
        ];
        let [p50, p99, bearer_p50, bearer_p99] = values;
        println!(
            "| {load}% | {}, {} | {p50:.0} and {p99:.0} ms | {bearer_p50:.1} and {bearer_p99:.1} ms |",
            count(Kind::Answered),
            count(Kind::Refused)
        );
        for (curve, value) in curves.iter_mut().zip(values) {
            curve.push((f64::from(load), value));
        }
        // the queue is hashed before the next load
        thread::sleep(Duration::from_secs(1));
    }
    let [p50, p99, bearer_p50, bearer_p99] = curves;
    let panels = [
        Panel {
            title: "sign-ins that were admitted, in ms (dashed: 2 s)",
            goal: Some(2_000.0),
            curves: vec![("p50", p50), ("p99", p99)],
        },
        Panel {
            title: "bearer requests meanwhile, in ms (dashed: 50 ms)",
            goal: Some(50.0),
            curves: vec![("p50", bearer_p50), ("p99", bearer_p99)],
        },
    ];
    let axis = Axis {
        from: 0.0,
        to: 210.0,
        shaded: (100.0, 210.0),
        marks: LOADS.map(|load| (f64::from(load), format!("{load}%"))).to_vec(),
    };
    let title =
        "Offered sign-ins, of what 16 clients that wait for their answers get (shaded: more)";
    std::fs::write(plot, svg(title, &axis, &panels)).unwrap();
    println!("\nplot: {}", plot.display());
}
