//! The suite of `main.rs` on PostgreSQL: a second test binary of the same modules.

#[path = "main.rs"]
mod api;

// the modules find each other under these names
use api::{
    fuzz_inputs, letters, openapi, smtp, support, support_accounts, support_clients, support_pages,
};
