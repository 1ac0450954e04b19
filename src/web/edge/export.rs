//! An export as a document that says what form it has.

use rocket::Responder;
use rocket::http::Header;
use rocket::serde::json::Json;
use serde::Serialize;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::accounts::Export;
use crate::config::Settings;

/// The form of an export (JSON Schema 2020-12).
pub const SCHEMA: &str = include_str!("../../../schemas/account-export.json");

/// Stands for [`SCHEMA`] in the description of the service, where that takes its place.
#[derive(Debug)]
pub struct AccountExport;

impl PartialSchema for AccountExport {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Object::new().into())
    }
}

impl ToSchema for AccountExport {}

/// All that is stored about somebody, with the address of its JSON schema.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(rename = "$schema")]
    schema: String,
    #[serde(flatten)]
    export: Export,
}

impl Document {
    fn new(settings: &Settings, export: Export) -> Self {
        let schema = format!("{}/schemas/account-export.json", settings.public_url.as_str());
        Self { schema, export }
    }
}

/// The answer: a file to keep where a browser asks, and for nobody on the way to keep.
#[derive(Debug, Responder)]
pub struct Download {
    document: Json<Document>,
    disposition: Header<'static>,
    caching: Header<'static>,
}

impl Download {
    pub fn new(settings: &Settings, export: Export) -> Self {
        let disposition = "attachment; filename=\"account.json\"";
        Self {
            document: Json(Document::new(settings, export)),
            disposition: Header::new("Content-Disposition", disposition),
            caching: Header::new("Cache-Control", "no-store"),
        }
    }
}
