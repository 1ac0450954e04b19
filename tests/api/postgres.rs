//! The suite of `main.rs` on PostgreSQL: a second test binary of the same modules.

#[path = "main.rs"]
mod api;

// where the modules look for each other
use api::{
    contract, letters, nonsense_inputs, smtp, support, support_clients, support_life, support_pages,
};
