//! wip
pub mod accounts;
mod app;
mod assembly;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod mail;
pub mod model;
pub mod oauth;
pub mod storage;
pub mod templates;
#[cfg(feature = "testing")]
pub mod testing;
pub mod web;
pub use app::{build, stage};
pub use assembly::Workers;
