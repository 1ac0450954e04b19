//! The metrics text in Prometheus' text format 0.0.4.

use std::fs;

use prometheus::{Encoder, Registry, TextEncoder};

use super::groups::{MetricGroup, ScrapeGauges, Snapshot};
use crate::clock::Clock;

/// The registry of all groups of instruments, and the gauges that a scrape sets.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
    gauges: ScrapeGauges,
}

impl Exposition {
    /// The `Content-Type` of [`Exposition::render`].
    pub const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Registers all groups.
    ///
    /// # Errors
    /// If two instruments have the same name.
    pub fn of(groups: &[&dyn MetricGroup], clock: &Clock) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauges = ScrapeGauges::default();
        gauges.began(clock.now().unix_millis() / 1_000);
        for instrument in groups.iter().copied().chain([&gauges as &dyn MetricGroup]) {
            for instrument in instrument.instruments() {
                registry.register(instrument)?;
            }
        }
        Ok(Self { registry, gauges })
    }

    /// Sets the scrape gauges and writes the text.
    ///
    /// # Errors
    /// If an instrument has no sample. All instruments of this crate get one soon after the start.
    pub fn render(&self, snapshot: &Snapshot) -> Result<String, prometheus::Error> {
        self.gauges.set(snapshot);
        if let Some((resident, files)) = process() {
            self.gauges.set_process(resident, files);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Resident memory in bytes and the number of open files, on Linux only.
fn process() -> Option<(i64, i64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = resident.split_whitespace().next()?.parse().ok()?;
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((kib * 1_024, i64::try_from(files).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        ConnectionMetrics, DatabaseGauges, DomainMetrics, HashingMetrics, LetterMetrics, PoolLoad,
        RequestMetrics,
    };
    use super::*;

    #[test]
    fn every_instrument_has_a_unique_name_and_is_exposed() {
        let (requests, hashing) = (RequestMetrics::default(), HashingMetrics::default());
        let (domain, letters) = (DomainMetrics::default(), LetterMetrics::default());
        let (connections, gauges) = (ConnectionMetrics::default(), DatabaseGauges::default());
        let groups: [&dyn MetricGroup; 6] =
            [&requests, &hashing, &domain, &letters, &connections, &gauges];
        let exposition = Exposition::of(&groups, &Clock::system()).unwrap();

        requests.answered("/v1/me", "GET", 200, Some(Duration::from_millis(3)));
        hashing.refused_on_arrival("sign-in");
        letters.tried("sent");
        gauges.waiting(3, Duration::from_secs(90));
        gauges.all(5, 1);
        let pool = PoolLoad { name: "writer", open: 1, idle: 0, max: 1 };
        let snapshot = Snapshot { hashes_queued: 7, pools: vec![pool], ..Snapshot::default() };
        let text = exposition.render(&snapshot).unwrap();
        for line in [
            r#"vestibule_requests_total{method="GET",route="/v1/me",status="200"} 1"#,
            r#"vestibule_request_seconds_bucket{route="/v1/me",le="0.0025"} 0"#,
            r#"vestibule_request_seconds_bucket{route="/v1/me",le="0.005"} 1"#,
            r#"vestibule_hashes_refused_total{purpose="sign-in",where="arrival"} 1"#,
            r#"vestibule_letters_total{outcome="sent"} 1"#,
            r#"vestibule_outbox_letters{state="dead"} 1"#,
            "vestibule_outbox_oldest_seconds 90",
            "vestibule_hash_queue_length 7",
            r#"vestibule_pool_connections{pool="writer",state="busy"} 1"#,
            "# TYPE vestibule_pool_timeouts_total counter",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
        assert!(text.contains("vestibule_build_info{version="));
    }
}
