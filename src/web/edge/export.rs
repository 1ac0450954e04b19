//! An export as a document that says what form it has.

use std::io::Cursor;

use futures_util::stream::{self, Stream, StreamExt as _};
use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::stream::ReaderStream;
use rocket::response::{self, Responder, Response};
use rocket::serde::json::Json;
use serde::Serialize;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::accounts::{Accounts, Export};
use crate::config::Settings;
use crate::model::{AccountId, EventId};

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
    /// Its events are the last of it: others may follow.
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
#[derive(Debug)]
pub struct Download {
    document: Document,
    accounts: Accounts,
}

impl Download {
    pub fn new(settings: &Settings, accounts: &Accounts, export: Export) -> Self {
        Self { document: Document::new(settings, export), accounts: accounts.clone() }
    }
}

impl<'r> Responder<'r, 'static> for Download {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self { document, accounts } = self;
        let mut response = match document.export.next {
            None => Json(document).respond_to(request)?,
            Some(next) => {
                let parts =
                    parts(&document, accounts, next).map_err(|_| Status::InternalServerError)?;
                let body = ReaderStream::from(parts.map(Cursor::new));
                Response::build().streamed_body(body).finalize()
            }
        };
        response.set_header(ContentType::JSON);
        response.set_raw_header("Content-Disposition", "attachment; filename=\"account.json\"");
        response.set_raw_header("Cache-Control", "no-store");
        Ok(response)
    }
}

/// What stands after the last event.
const END: &str = "]}";

/// The document, and the events that it lacks, which are read as they are sent.
fn parts(
    document: &Document,
    accounts: Accounts,
    next: EventId,
) -> serde_json::Result<impl Stream<Item = Vec<u8>> + use<>> {
    let account = document.export.account.id;
    let mut start = serde_json::to_vec(document)?;
    start.truncate(start.len() - END.len());
    let others = stream::unfold((accounts, Some(next)), move |(accounts, next)| async move {
        // where this fails the document breaks off, and is none
        let (text, next) = further(&accounts, account, next?).await?;
        Some((text, (accounts, next)))
    });
    Ok(stream::iter([start]).chain(others))
}

/// The events before `next`, with the end of the document if they are the last, and where to go on.
async fn further(
    accounts: &Accounts,
    account: AccountId,
    next: EventId,
) -> Option<(Vec<u8>, Option<EventId>)> {
    let page = accounts.events_of(account, Some(next), Export::EVENTS).await;
    let page = page.inspect_err(|error| tracing::error!(%error, "an export breaks off")).ok()?;
    let mut text = Vec::new();
    for event in &page.events {
        text.push(b',');
        serde_json::to_writer(&mut text, event).ok()?;
    }
    if page.next.is_none() {
        text.extend(END.as_bytes());
    }
    Some((text, page.next))
}
