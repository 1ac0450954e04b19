//! An export as a document that says what form it has.

use rocket::http::Header;
use serde::Serialize;

use crate::accounts::Export;
use crate::config::Settings;

/// All that is stored about somebody, with the address of its JSON schema.
#[derive(Debug, Serialize)]
pub struct Document {
    #[serde(rename = "$schema")]
    schema: String,
    #[serde(flatten)]
    export: Export,
}

impl Document {
    pub fn new(settings: &Settings, export: Export) -> Self {
        let schema = format!("{}/schemas/account-export.json", settings.public_url.as_str());
        Self { schema, export }
    }

    /// A file to keep, where a browser asks.
    pub fn disposition() -> Header<'static> {
        Header::new("Content-Disposition", "attachment; filename=\"account.json\"")
    }
}
