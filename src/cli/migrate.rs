//! `vestibule migrate`: migrates the database's schema.

use figment::Figment;
use vestibule::storage::{Store, chain};

use super::{CommandError, print_text};

pub fn run(figment: Figment) -> Result<(), CommandError> {
    rocket::execute(async move {
        let opened = Store::open(&figment).await;
        opened.map_err(|error| CommandError::Failed(chain(&error)))?.close().await;
        print_text("The schema is up to date.")
    })
}
