//! Vestibule is an account service and an OAuth 2 authorization server.
//!
//! - People sign up with an address and a password, confirm the address by a link, and sign in.
//! - Applications get OAuth 2 tokens.
//! - Protected resources accept requests with a valid token only.
//!
//! The crate is a program, `vestibule serve`, and a library: another Rocket application mounts the
//! service with [`stage`] and guards its own routes with [`web::Bearer`].
//!
//! # The map
//!
//! Modules are arranged in floors. A module imports from lower floors only; `tests/architecture.rs`
//! checks this.
//!
//! | Floor | Modules | Contents |
//! |---|---|---|
//! | 6 | `main`, `cli` | the command line: running the service, and the operator's commands |
//! | 5 | `app`, `assembly`, `metrics_stage`, [`template_check`], `testing` (a feature) | [`build`] and [`stage`]: the list of stages; construction of all parts; the check of the templates |
//! | 4 | [`web`] | routes, request guards, responses, fairings, pages: one file for each resource |
//! | 3 | [`oauth`], [`accounts`] | the two domains: permissions and use cases |
//! | 2 | [`storage`], [`mail`], [`crypto`], [`messages`], [`templates`] | every SQL statement; every letter; every hash and random bit; every text |
//! | 1 | [`model`] | plain types, parsed once and then trusted |
//! | 0 | [`config`], [`clock`], [`metrics`] | typed settings; the only source of time; the metrics |
//!
//! # Where to begin reading
//!
//! Follow a token request:
//!
//! - `web::token` reads the form and picks the grant.
//! - `oauth::password_grant` authenticates the client and asks [`accounts`] to sign the user in.
//! - `oauth::sessions` makes the tokens.
//! - `storage::tables::sessions` writes the session, which is one row.
//!
//! Or follow a sign-up:
//!
//! - `web::sign_up` reads the request and calls `accounts::sign_up`.
//! - `mail::courier` composes and sends the letter.
//! - `web::activate` serves the link in the letter and calls `accounts::activation`.

pub mod accounts;
mod app;
mod assembly;
pub mod clock;
pub mod config;
pub mod crypto;
#[cfg(test)]
#[path = "../tests/support/fuzz_inputs.rs"]
mod fuzz_inputs;
pub mod mail;
pub mod messages;
pub mod metrics;
mod metrics_stage;
pub mod model;
pub mod oauth;
pub mod storage;
pub mod template_check;
pub mod templates;
#[cfg(feature = "testing")]
pub mod testing;
pub mod web;

pub use app::{build, stage};
pub use assembly::{
    Background, BackgroundTasks, Hashing, OperatorError, accounts_for_operator, check_settings,
    oauth_for_operator, outbox_admin_for_operator, test_letter_for_operator,
};
