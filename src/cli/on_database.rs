//! Runs a command on an open database, and closes the connections at its end.
//!
//! This includes an end by a signal. On SQLite, the last connection to close moves the write-ahead
//! log into the database file, so that the file is complete by itself.

use vestibule::accounts::Accounts;
use vestibule::mail::OutboxAdmin;
use vestibule::oauth::OAuth;
use vestibule::storage::Store;

use super::{CommandError, signals};

/// A value with an open store, on which commands run.
pub trait OnDatabase {
    /// The store whose connections are closed at the end.
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

/// Opens the database and runs `work` to its end, or until a signal asks the process to end. Then
/// `work` is dropped, and its transaction is rolled back.
///
/// The database is closed in every case. For this, opening goes on to its end after a signal. A
/// second signal ends the process without waiting for the close.
pub async fn run<Opened: OnDatabase, E>(
    open: impl Future<Output = Result<Opened, E>>,
    work: impl AsyncFnOnce(&Opened) -> Result<(), CommandError>,
) -> Result<(), CommandError>
where
    CommandError: From<E>,
{
    let signal = signals::wait(signals::listen());
    let opened = open.await?;
    let outcome = tokio::select! {
        outcome = work(&opened) => outcome,
        signal = signal => Err(CommandError::Interrupted { signal }),
    };
    let close = opened.store().close();
    match outcome {
        Err(CommandError::Interrupted { .. }) => tokio::select! {
            () = close => {}
            _ = signals::wait(signals::listen()) => {}
        },
        _ => close.await,
    }
    outcome
}
