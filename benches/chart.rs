//! Curves as SVG, in panels above each other that share their horizontal axis.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const PANEL: f64 = 130.0;
const GAP: f64 = 46.0;
const COLOURS: [&str; 2] = ["#2563eb", "#d97706"];

pub struct Panel<'a> {
    pub title: &'a str,
    /// The goal, as a dashed line.
    pub goal: Option<f64>,
    pub curves: Vec<(&'a str, Vec<(f64, f64)>)>,
}

/// The horizontal axis.
pub struct Axis {
    pub from: f64,
    pub to: f64,
    /// Shaded part of the axis, which the measurement is about.
    pub shaded: (f64, f64),
    pub marks: Vec<(f64, String)>,
}

pub fn svg(title: &str, axis: &Axis, panels: &[Panel<'_>]) -> String {
    let (from, to) = (axis.from, axis.to);
    let x = |value: f64| {
        let share = (value.clamp(from, to) - from) / (to - from);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let height = 40.0 + panels.len() as f64 * (PANEL + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#333\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    // writing to a String cannot fail
    let _ = write!(out, "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>");
    for (n, panel) in panels.iter().enumerate() {
        let top = 54.0 + n as f64 * (PANEL + GAP);
        let values = panel.curves.iter().flat_map(|(_, curve)| curve.iter().map(|point| point.1));
        let most = values.chain(panel.goal).fold(1.0, f64::max) * 1.1;
        let y = |value: f64| top + PANEL - value / most * PANEL;
        let (left, right) = (x(axis.shaded.0), x(axis.shaded.1));
        let _ = write!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"#f3f4f6\"/>\
             <text x=\"{LEFT}\" y=\"{}\">{}</text>",
            right - left,
            top - 6.0,
            panel.title
        );
        let decimals = if most < 10.0 { 2 } else { 0 };
        for part in 0..=2 {
            let value = most * f64::from(part) / 2.0;
            let _ = write!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#d1d5db\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.decimals$}</text>",
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
    for (at, mark) in &axis.marks {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{mark}</text>",
            x(*at)
        );
    }
    out.push_str("</svg>\n");
    out
}
