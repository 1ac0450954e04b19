//! Test suite of the HTTP API, over Rocket's local client, with a stepped clock and a database for
//! each test.
//!
//! These modules make two test binaries: `api` runs on SQLite, and `api_postgres` (`postgres.rs`)
//! on PostgreSQL. Tests take their application from [`support`], which picks the engine.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

#[path = "../support/fuzz_inputs.rs"]
pub mod fuzz_inputs;
pub mod letters;
#[path = "../support/smtp.rs"]
pub mod smtp;
pub mod support;
pub mod support_accounts;
pub mod support_clients;
pub mod support_pages;

mod account_page;
mod activation;
mod admission;
mod bearer;
mod canonical_paths;
mod client_authentication;
mod clients;
mod concurrency;
mod contested_sign_ups;
mod cors;
mod deletion;
mod email_change;
mod end_to_end;
mod enumeration;
mod events;
mod export;
mod forms;
mod forward_auth;
mod fuzzing;
mod guesser_view;
mod hourly_limits;
mod http_rules;
mod inputs;
mod introspection;
mod invitation;
mod letter_limits;
mod login_attempts;
mod mail_faults;
mod mail_server;
mod me;
mod metadata;
mod metrics;
mod noninterference;
pub mod openapi;
mod outage;
mod ownership_proofs;
mod pages;
mod password_change;
mod password_grant;
mod password_reset;
mod password_strength;
mod query_plan_rows;
mod query_plans;
mod refresh_grant;
mod refused_forms;
mod revocation;
mod sessions;
mod sign_up;
mod texts;
