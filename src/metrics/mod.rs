//! What is counted while the service runs, and how Prometheus reads it.
//!
//! Each part that has something to tell owns a group of instruments, which is made with it and
//! needs no registry: [`Hashing`], [`Limiting`], [`Letters`], [`Happenings`], [`Connections`],
//! [`Requests`]. [`Exposition`] gathers the groups and writes the text. Labels are words of this
//! program: routes as they stand in the code, kinds, outcomes. Nothing that came with a request is
//! one (R55), so there are as many series as the program has words.
//!
//! Everything here is of one node, since its last start.

mod exposition;
mod groups;

pub use exposition::{Exposition, PoolLoad, Present};
pub use groups::{Connections, Group, Happenings, Hashing, Letters, Limiting, Requests, Tally};

/// The names of all instruments; one that has no series yet is not in the text.
pub fn names() -> Vec<String> {
    let groups: [&dyn Group; 8] = [
        &Requests::default(),
        &Hashing::default(),
        &Limiting::default(),
        &Connections::default(),
        &Letters::default(),
        &Happenings::default(),
        &Tally::default(),
        &groups::Moment::default(),
    ];
    let instruments = groups.iter().flat_map(|group| group.instruments());
    instruments
        .flat_map(|one| one.desc().into_iter().map(|d| d.fq_name.clone()).collect::<Vec<_>>())
        .collect()
}
