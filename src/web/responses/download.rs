//! Response for an account export: a JSON document that names its schema, sent as a download.

use std::io::Cursor;

use futures_util::stream::{self, Stream, StreamExt as _};
use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::stream::ReaderStream;
use rocket::response::{self, Responder, Response};
use serde::Serialize;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::accounts::{Accounts, Export, ExportList, ExportPart, ExportPlace, ProfileError};
use crate::config::Settings;
use crate::storage::chain;
use crate::web::fairings::request_id::RequestId;

/// The JSON Schema of an export (JSON Schema 2020-12).
pub const SCHEMA: &str = include_str!("../../../schemas/account-export.json");

/// Placeholder for [`SCHEMA`] in the OpenAPI document, which inserts the schema in its place.
#[derive(Debug)]
pub struct AccountExport;

impl PartialSchema for AccountExport {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Object::new().into())
    }
}

impl ToSchema for AccountExport {}

/// The start of the export: the address of its JSON schema and the members of the account. The
/// lists follow.
#[derive(Debug, Serialize)]
struct ExportDocument {
    #[serde(rename = "$schema")]
    schema: String,
    #[serde(flatten)]
    export: Export,
}

/// The response: a file that a browser saves and that caches must not store.
#[derive(Debug)]
pub struct Download {
    document: ExportDocument,
    accounts: Accounts,
}

impl Download {
    /// A download of `export`, which reads its remaining parts from `accounts`.
    pub fn new(settings: &Settings, accounts: &Accounts, export: Export) -> Self {
        let schema = format!("{}/schemas/account-export.json", settings.public_url.as_str());
        Self { document: ExportDocument { schema, export }, accounts: accounts.clone() }
    }
}

impl<'r> Responder<'r, 'static> for Download {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self { document, accounts } = self;
        let mut writer = Writer::default();
        let start = writer.start(&document).map_err(|_| Status::InternalServerError)?;
        let mut response = match document.export.first.next {
            None => start.respond_to(request)?,
            Some(next) => {
                let request = RequestId::of(request).to_owned();
                let rest = RemainingEvents { accounts, writer, request };
                let parts = stream::iter([start]).chain(rest.into_stream(next));
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

/// Writes the document part by part.
#[derive(Debug, Default)]
struct Writer {
    /// The list that is being written, and whether it has rows yet.
    open: Option<(ExportList, bool)>,
}

impl Writer {
    /// Writes the document up to the last row of its first part.
    fn start(&mut self, document: &ExportDocument) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec(document)?;
        // the lists become members of the same object
        text.pop();
        self.write(&mut text, &document.export.first)?;
        Ok(text)
    }

    /// Writes one more part. The last part closes the document.
    fn write(&mut self, text: &mut Vec<u8>, part: &ExportPart) -> Result<(), serde_json::Error> {
        for page in &part.pages {
            let mut has_rows = match self.open {
                Some((list, has_rows)) if list == page.list => has_rows,
                before => {
                    let end = if before.is_some() { "]" } else { "" };
                    text.extend(format!("{end},\"{}\":[", page.list.name()).as_bytes());
                    false
                }
            };
            for row in &page.rows {
                if has_rows {
                    text.push(b',');
                }
                serde_json::to_writer(&mut *text, row)?;
                has_rows = true;
            }
            self.open = Some((page.list, has_rows));
        }
        if part.next.is_none() {
            text.extend(b"]}");
        }
        Ok(())
    }
}

/// Reads and writes the remaining parts of a document.
struct RemainingEvents {
    accounts: Accounts,
    writer: Writer,
    request: String,
}

/// Why an export broke off before its last part.
#[derive(Debug, thiserror::Error)]
enum ExportInterrupted {
    #[error(transparent)]
    Read(#[from] ProfileError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl RemainingEvents {
    /// Streams the remaining parts, and reads each part when the client is ready for it.
    ///
    /// If reading fails, the document breaks off and is not valid JSON. The status has been sent by
    /// then, so the service has no other way to report the error.
    fn into_stream(self, next: ExportPlace) -> impl Stream<Item = Vec<u8>> {
        stream::unfold((self, Some(next)), |(mut rest, next)| async move {
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

    /// The text of the next part, and the place of the part after it.
    async fn part(
        &mut self,
        from: ExportPlace,
    ) -> Result<(Vec<u8>, Option<ExportPlace>), ExportInterrupted> {
        let part = self.accounts.export_part(from).await?;
        let mut text = Vec::new();
        self.writer.write(&mut text, &part)?;
        Ok((text, part.next))
    }
}
