//! Cleanup: removal of expired rows and of deleted accounts in batches, and repair after the clock
//! was set back.

mod batches;
mod clock_set_back;
mod deletions;
mod janitor;

pub use janitor::Janitor;
