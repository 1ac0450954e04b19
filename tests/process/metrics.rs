//! Tests of the metrics' own address, and of the advice on the cost of hashing.

use crate::program::{Program, free_port, has_exited_with, scrape};
use crate::release;

#[test]
fn metrics_are_served_at_their_own_address_only() {
    let port = free_port();
    let mut program =
        Program::start(&[("VESTIBULE_METRICS__ADDRESS", format!("127.0.0.1:{port}"))]);
    let answer = scrape(port).expect("metrics");
    assert_eq!(answer.status, 200);
    let format = answer.header("content-type").expect("a type");
    assert!(format.starts_with("text/plain; version=0.0.4"), "{format}");
    for line in ["# TYPE vestibule_requests_total counter", "vestibule_build_info{version=\""] {
        assert!(answer.body.contains(line), "{line} in {}", answer.body);
    }
    assert_eq!(program.get("/metrics", &[]).status, 404, "not at the public address");
    program.signal("TERM");
    has_exited_with(&mut program, Some(0));
    assert!(scrape(port).is_none(), "metrics stop with the service");
}

#[test]
fn r57_unusable_metrics_address_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (value, expected) in [(address.as_str(), "cannot listen there"), ("9464", "127.0.0.1:9464")]
    {
        let mut settings = release();
        settings.push(("VESTIBULE_METRICS__ADDRESS", value.to_owned()));
        let output = Program::fail(&settings);
        for words in ["vestibule.metrics.address", "VESTIBULE_METRICS__ADDRESS", expected] {
            assert!(output.contains(words), "{value} lacks {words}: {output}");
        }
    }
}

#[test]
fn r41_calibration_recommends_settings_that_a_release_accepts() {
    let program = Program::prepare(&[]);
    let calibrate = ["hash", "calibrate", "--target", "1ms", "--memory", "1024"];
    let (code, words) = program.run(&calibrate);
    assert_eq!(code, Some(0), "{words}");
    for line in ["[default.vestibule.hashing]", "memory_kib = 19456", "iterations = 2"] {
        assert!(words.lines().any(|other| other == line), "{line} in {words}");
    }
    assert!(words.contains("longer than 1ms"), "{words}");
    let document = program.exec(&[&calibrate[..], &["--json"]].concat(), "").document();
    assert_eq!((&document["memory_kib"], &document["iterations"]), (&19_456.into(), &2.into()));
    assert_eq!(document["within_target"], false);
    assert!(document["hash_ms"].as_f64().is_some_and(|ms| ms > 1.0), "{document}");
}
