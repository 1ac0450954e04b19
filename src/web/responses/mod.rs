//! Responses of routes and catchers.

pub mod allowed_methods;
pub mod catchers;
pub mod download;
pub mod field_error;
pub mod oauth_error;
pub mod page;
pub mod problem;
pub mod problem_type;
pub mod progress;
