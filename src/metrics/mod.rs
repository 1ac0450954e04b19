//! Metrics of the running service, in Prometheus' format.
//!
//! - Each measured part owns a group of instruments, which it constructs without a registry:
//!   [`HashingMetrics`], [`LimitMetrics`], [`LetterMetrics`], [`DomainMetrics`],
//!   [`ConnectionMetrics`], [`RequestMetrics`].
//! - [`Exposition`] registers the groups and writes the text.
//! - Labels are constants of this program: route patterns, kinds, outcomes. Labels never contain
//!   text of a request (R55), so the number of series is bounded.
//! - All values are of one node, since its last start.

mod exposition;
mod groups;

pub use exposition::Exposition;
pub use groups::{
    ConnectionMetrics, DatabaseGauges, DomainMetrics, HashingMetrics, LetterMetrics, LimitMetrics,
    MetricGroup, PoolLoad, RequestMetrics, Snapshot,
};

/// The names of all instruments, also of those without a series, which the text omits.
pub fn names() -> Vec<String> {
    let groups: [&dyn MetricGroup; 8] = [
        &RequestMetrics::default(),
        &HashingMetrics::default(),
        &LimitMetrics::default(),
        &ConnectionMetrics::default(),
        &LetterMetrics::default(),
        &DomainMetrics::default(),
        &DatabaseGauges::default(),
        &groups::ScrapeGauges::default(),
    ];
    let instruments = groups.iter().flat_map(|group| group.instruments());
    instruments
        .flat_map(|one| one.desc().into_iter().map(|d| d.fq_name.clone()).collect::<Vec<_>>())
        .collect()
}
