//! The time line as SVG: four panels above each other, a point for each second.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::load::{Kind, Sample};
use crate::{Run, percentile};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const PANEL: f64 = 130.0;
const GAP: f64 = 46.0;
const COLOURS: [&str; 2] = ["#2563eb", "#d97706"];

struct Panel<'a> {
    title: &'a str,
    /// The goal, as a dashed line.
    goal: Option<f64>,
    curves: Vec<(&'a str, Vec<(f64, f64)>)>,
}

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
        Panel { title: "resident memory in MB", goal: None, curves: vec![("memory", weights)] },
    ];
    let refusals = refused.len() as f64 / run.lasted.as_secs_f64();
    std::fs::write(path, svg(run, &panels, refusals)).unwrap();
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

fn svg(run: &Run, panels: &[Panel<'_>], refusals: f64) -> String {
    let (from, to) = (-10.0, run.lasted.as_secs_f64() + 10.0);
    let x = |seconds: f64| {
        let share = (seconds.clamp(from, to) - from) / (to - from);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let height = 40.0 + panels.len() as f64 * (PANEL + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#333\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    // writing to a String cannot fail
    let _ = write!(
        out,
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">Ten times as many sign-ins as can be hashed, \
         in the shaded {} s; {refusals:.0} refused each second</text>",
        run.lasted.as_secs()
    );
    for (n, panel) in panels.iter().enumerate() {
        let top = 54.0 + n as f64 * (PANEL + GAP);
        let values = panel.curves.iter().flat_map(|(_, curve)| curve.iter().map(|point| point.1));
        let most = values.chain(panel.goal).fold(1.0, f64::max) * 1.1;
        let y = |value: f64| top + PANEL - value / most * PANEL;
        let (left, right) = (x(0.0), x(run.lasted.as_secs_f64()));
        let _ = write!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"#f3f4f6\"/>\
             <text x=\"{LEFT}\" y=\"{}\">{}</text>",
            right - left,
            top - 6.0,
            panel.title
        );
        for part in 0..=2 {
            let value = most * f64::from(part) / 2.0;
            let _ = write!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#d1d5db\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
                WIDTH - RIGHT,
                y(value),
                y(value),
                LEFT - 8.0,
                y(value) + 4.0
            );
        }
        if let Some(goal) = panel.goal {
            let _ = write!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#b91c1c\" \
                 stroke-dasharray=\"5 4\"/>",
                WIDTH - RIGHT,
                y(goal),
                y(goal)
            );
        }
        for ((name, curve), colour) in panel.curves.iter().zip(COLOURS) {
            let seen = curve.iter().filter(|(at, _)| (from..=to).contains(at));
            let points: Vec<String> =
                seen.map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
            let _ = write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\">\
                 <title>{name}</title></polyline>",
                points.join(" ")
            );
        }
        if panel.curves.len() > 1 {
            for (n, ((name, _), colour)) in panel.curves.iter().zip(COLOURS).enumerate() {
                let at = WIDTH - RIGHT - 150.0 + 80.0 * n as f64;
                let _ = write!(
                    out,
                    "<text x=\"{at}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
                    top - 6.0
                );
            }
        }
    }
    let bottom = height - 14.0;
    for part in 0..=6 {
        let second = run.lasted.as_secs_f64() * f64::from(part) / 6.0;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{second:.0} s</text>",
            x(second)
        );
    }
    out.push_str("</svg>\n");
    out
}
