//! What is counted while the service runs, and how Prometheus reads it.
//!
//! Each part that has something to tell owns a group of instruments, which is made with it and
//! needs no registry: [`HashingMetrics`], [`LimitMetrics`], [`LetterMetrics`], [`DomainMetrics`], [`ConnectionMetrics`],
//! [`RequestMetrics`]. [`Exposition`] gathers the groups and writes the text. Labels are words of this
//! program: routes as they stand in the code, kinds, outcomes. Nothing that came with a request is
//! one (R55), so there are as many series as the program has words.
//!
//! Everything here is of one node, since its last start.

mod exposition;
mod groups;

pub use exposition::{Exposition, PoolLoad, Snapshot};
pub use groups::{
    ConnectionMetrics, DatabaseGauges, DomainMetrics, HashingMetrics, LetterMetrics, LimitMetrics,
    MetricGroup, RequestMetrics,
};

/// The names of all instruments; one that has no series yet is not in the text.
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
