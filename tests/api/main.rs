//! The HTTP API over Rocket's local client, with a stepped clock and a database for each test.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

mod whole_path;

mod bearer;
mod client_authentication;
mod concurrency;
mod forms;
mod me;
mod outage;
mod password_grant;
mod refresh_grant;
mod revocation;
mod sessions;
mod support;

mod activation;
mod edges;
mod letters;
mod pages;
mod sign_up;
mod support_pages;
mod words;
