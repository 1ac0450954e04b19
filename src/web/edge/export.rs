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
use crate::storage::{StoreError, chain};
use crate::web::edge::request::RequestId;

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
                let start = start_of(&document).ok_or(Status::InternalServerError)?;
                let account = document.export.account.id;
                let rest = Rest { accounts, account, request: RequestId::of(request).to_owned() };
                let parts = stream::iter([start]).chain(rest.in_parts(next));
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

/// The document up to the last of the events that it has.
fn start_of(document: &Document) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(document).ok()?;
    text.strip_suffix(END.as_bytes()).map(<[u8]>::to_vec)
}

/// The events that a document lacks, and its end.
struct Rest {
    accounts: Accounts,
    account: AccountId,
    request: String,
}

/// Why there are no further events, although there were.
#[derive(Debug, thiserror::Error)]
enum BreakOff {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the account is gone, or its events are")]
    Gone,
}

impl Rest {
    /// Reads them as they are sent. Where that fails the document breaks off, and is none: all that
    /// can be told of it once the status has been sent.
    fn in_parts(self, next: EventId) -> impl Stream<Item = Vec<u8>> {
        stream::unfold((self, Some(next)), |(rest, next)| async move {
            match rest.part(next?).await {
                Ok((text, next)) => Some((text, (rest, next))),
                Err(error) => {
                    let (id, error) = (&rest.request, chain(&error));
                    tracing::error!(id, error, "an export breaks off");
                    None
                }
            }
        })
    }

    /// The events before `next`, with the end of the document if they are the last, and where to go on.
    async fn part(&self, next: EventId) -> Result<(Vec<u8>, Option<EventId>), BreakOff> {
        let page = self.accounts.events_of(self.account, Some(next), Export::EVENTS).await?;
        if page.events.is_empty() {
            return Err(BreakOff::Gone);
        }
        let mut text = Vec::new();
        for event in &page.events {
            text.push(b',');
            serde_json::to_writer(&mut text, event)?;
        }
        if page.next.is_none() {
            text.extend(END.as_bytes());
        }
        Ok((text, page.next))
    }
}
