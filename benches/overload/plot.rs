//! Timeline as SVG: four panels above each other, one point per second.

use std::path::Path;
use std::time::Duration;

use crate::chart::{Axis, Panel, svg};
use crate::load::{Kind, Sample};
use crate::{Run, percentile};

pub fn draw(run: &Run, path: &Path) {
    let answered = run.samples.iter().filter(|s| s.kind == Kind::Answered);
    let refused = run.samples.iter().filter(|s| s.kind == Kind::Refused);
    let (answered, refused): (Vec<&Sample>, Vec<&Sample>) = (answered.collect(), refused.collect());
    let bearer: Vec<&Sample> = run.bearer.iter().collect();
    let weights = run.weights.iter().map(|(at, mb)| (run.seconds(*at), *mb)).collect();
    let panels = [
        Panel {
            title: "sign-ins answered, each second (dashed: 90% of the peak)",
            goal: Some(0.9 * run.peak),
            curves: vec![("answered", run.each_second(&answered, |all| all.len() as f64))],
        },
        Panel {
            title: "sign-ins, p99 of each second in ms (dashed: 2 s)",
            goal: Some(2_000.0),
            curves: vec![
                ("admitted", run.each_second(&answered, p99)),
                ("refused", run.each_second(&refused, p99)),
            ],
        },
        Panel {
            title: "bearer requests, p99 of each second in ms (dashed: 50 ms)",
            goal: Some(50.0),
            curves: vec![("GET /v1/me", run.each_second(&bearer, p99))],
        },
        Panel { title: "resident memory in MiB", goal: None, curves: vec![("memory", weights)] },
    ];
    let refusals = refused.len() as f64 / run.lasted.as_secs_f64();
    let lasted = run.lasted.as_secs_f64();
    let title = format!(
        "Ten times as many sign-ins as can be hashed, in the shaded {lasted:.0} s; {refusals:.0} refused \
         each second"
    );
    let marks = (0..=6).map(|part| lasted * f64::from(part) / 6.0);
    let axis = Axis {
        from: -10.0,
        to: lasted + 10.0,
        shaded: (0.0, lasted),
        marks: marks.map(|second| (second, format!("{second:.0} s"))).collect(),
    };
    std::fs::write(path, svg(&title, &axis, &panels)).unwrap();
}

fn p99(all: &[f64]) -> f64 {
    percentile(all, 0.99)
}

impl Run {
    /// Seconds since the flood began.
    fn seconds(&self, at: Duration) -> f64 {
        at.as_secs_f64() - self.began.as_secs_f64()
    }

    fn each_second(&self, samples: &[&Sample], sum: fn(&[f64]) -> f64) -> Vec<(f64, f64)> {
        let mut seconds = std::collections::BTreeMap::<i64, Vec<f64>>::new();
        for sample in samples {
            let second = self.seconds(sample.at).floor() as i64;
            seconds.entry(second).or_default().push(sample.millis());
        }
        seconds.iter().map(|(second, all)| (*second as f64, sum(all))).collect()
    }
}
