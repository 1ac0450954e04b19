//! wip
pub mod accounts;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod mail;
pub mod model;
pub mod storage;
pub mod templates;
