//! Vestibule is an account service: people sign up with an address and a password, confirm the
//! address by a link, and sign in; applications get OAuth 2 tokens; protected resources stay closed
//! to everybody else.
//!
//! It is a program, `vestibule serve`, and a library: another Rocket application mounts it with
//! [`stage`] and guards its own routes with [`web::Bearer`].
//!
//! # The map
//!
//! Modules lie on floors, and imports go down only; `tests/architecture.rs` keeps it so.
//!
//! | Floor | Modules | What they own |
//! |---|---|---|
//! | 6 | `main`, `cli` | the command line: running the service, and the operator's commands |
//! | 5 | `app`, `assembly`, `metrics_stage`, [`template_check`], `testing` (a feature) | [`build`] and [`stage`]: the list of stages; putting the parts together; the check of the templates |
//! | 4 | [`web`] | routes, request guards, catchers, pages: one file for each resource |
//! | 3 | [`oauth`], [`accounts`] | the two domains: what is allowed, what happens |
//! | 2 | [`storage`], [`mail`], [`crypto`], [`messages`], [`templates`] | every SQL statement; every letter; every hash and random bit; every word |
//! | 1 | [`model`] | plain types, parsed once and then trusted |
//! | 0 | [`config`], [`clock`], [`metrics`] | typed settings; the only source of time; what is counted |
//!
//! # Where to begin reading
//!
//! Follow a token request: `web::token` reads the form and picks the grant, `oauth::password_grant`
//! has the client authenticated and asks [`accounts`] who it is, `oauth::sessions` makes the tokens,
//! and `storage::sessions` writes the one row that a session is. Or follow a sign-up:
//! `web::sign_up`, `accounts::sign_up`, then `mail::courier`, which makes the letter, and back in by
//! its link through `web::activate` and `accounts::activation`.

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
