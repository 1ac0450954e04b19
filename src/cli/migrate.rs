//! `vestibule migrate`: migrates the database's schema.

use figment::Figment;
use vestibule::storage::Store;

use super::{CommandError, on_database, print_text};

pub fn run(figment: Figment) -> Result<(), CommandError> {
    let work = async |store: &Store| {
        store.migrate().await?;
        print_text("The schema is up to date.")
    };
    rocket::execute(on_database::run(Store::open_or_create(&figment), work))
}
