//! The HTTP API over Rocket's local client, with a stepped clock and a database for each test.
//!
//! These modules make two test binaries: `api` is on SQLite, and `api_postgres`, which begins in
//! `postgres.rs`, on PostgreSQL. Tests take their application from [`support`], which knows.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

pub mod letters;
#[path = "../support/nonsense.rs"]
pub mod nonsense_inputs;
#[path = "../support/smtp.rs"]
pub mod smtp;
pub mod support;
pub mod support_clients;
pub mod support_life;
pub mod support_pages;

mod account_page;
mod activation;
mod admission;
mod bearer;
mod check;
mod client_authentication;
mod clients;
mod concurrency;
mod contested;
pub mod contract;
mod cors;
mod deletion;
mod edges;
mod email_change;
mod enumeration;
mod events;
mod export;
mod forms;
mod guessable_passwords;
mod guesser_view;
mod guessing;
mod hourly_limits;
mod inputs;
mod introspection;
mod invitation;
mod letter_limits;
mod mail_faults;
mod mail_server;
mod me;
mod metadata;
mod metrics;
mod nonsense;
mod outage;
mod pages;
mod parties;
mod password_change;
mod password_grant;
mod password_reset;
mod proofs;
mod refresh_grant;
mod revocation;
mod sessions;
mod sign_up;
mod spelling;
mod statements;
mod statements_rows;
mod whole_path;
mod words;
