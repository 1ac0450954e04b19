//! Adapter of oxide-auth: its registrar and its issuer, each for the length of one request.

pub(super) mod issuer;
pub(super) mod registrar;
