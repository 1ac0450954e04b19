//! Request guards and body parsers: the inputs of routes.

pub mod authorization;
pub mod bearer;
pub mod body;
pub mod client_info;
pub mod content_type;
pub mod cookies;
pub mod form;
pub mod json_body;
pub mod json_fields;
pub mod language;
pub mod link_page;
pub mod page_context;
pub mod same_origin;
