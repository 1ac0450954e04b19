//! Running a command on a database: however the command ends, by a signal too, the connections are
//! closed. On SQLite the last one to close moves the write-ahead log into the file, which is whole by
//! itself then.

use vestibule::accounts::Accounts;
use vestibule::mail::OutboxAdmin;
use vestibule::oauth::OAuth;
use vestibule::storage::Store;

use super::{CommandError, signals};

/// What a command works with: a store, and what is around it.
pub trait OnDatabase {
    /// The connections.
    fn store(&self) -> &Store;
}

impl OnDatabase for Store {
    fn store(&self) -> &Store {
        self
    }
}

impl OnDatabase for Accounts {
    fn store(&self) -> &Store {
        &self.store
    }
}

impl OnDatabase for OAuth {
    fn store(&self) -> &Store {
        &self.store
    }
}

impl OnDatabase for OutboxAdmin {
    fn store(&self) -> &Store {
        &self.store
    }
}

/// Runs `work` on what was opened, and closes the database whatever comes of it.
pub async fn run<Opened: OnDatabase>(
    opened: Opened,
    work: impl AsyncFnOnce(&Opened) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let outcome = until_asked_to_end(work(&opened)).await;
    opened.store().close().await;
    outcome
}

/// Runs `work` to its end, or until a signal asks for an end: then `work` is dropped, and a transaction
/// of it is undone.
pub async fn until_asked_to_end(
    work: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    tokio::select! {
        outcome = work => outcome,
        Ok(signal) = signals::asked_to_end() => Err(CommandError::Interrupted { signal }),
    }
}
