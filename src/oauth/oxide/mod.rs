//! Adapter of oxide-auth for the grants of the token endpoint: its registrar and its issuer, each
//! for one request, and one flow for each grant.
//!
//! No other module knows oxide-auth. An authorization code grant would belong here as well.

mod issuer;
mod password_flow;
mod refresh_flow;
mod registrar;

pub(super) use password_flow::PasswordFlow;
pub(super) use refresh_flow::refresh;
