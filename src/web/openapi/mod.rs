//! The OpenAPI document: what routes say of themselves, put together.

pub mod components;
pub mod document;
pub mod schemas;
