//! Adapter of oxide-auth: its registrar and its issuer, each for one request.

pub(super) mod issuer;
pub(super) mod registrar;
