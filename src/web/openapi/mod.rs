//! The OpenAPI document, built from the annotations of routes.

pub mod components;
pub mod document;
pub mod schemas;
