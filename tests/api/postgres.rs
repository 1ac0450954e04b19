//! The suite of `main.rs` on PostgreSQL: a second test binary of the same modules.

#[path = "main.rs"]
mod api;

// where the modules look for each other
use api::{
    fuzz_inputs, letters, openapi, smtp, support, support_accounts, support_clients, support_pages,
};
