//! Errors of commands.

use std::io;
use std::process::ExitCode;

use vestibule::OperatorError;
use vestibule::config::SettingError;
use vestibule::storage::{OpenError, StoreError, chain};

/// Why a command failed: one message for the operator, on standard error.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("{0}")]
    Setting(#[from] SettingError),
    #[error("{0}")]
    Failed(String),
    /// The reasons are in the log.
    #[error("the service did not start")]
    NotStarted,
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    #[error("nothing has changed: cannot write to standard output: {0}")]
    NotShown(#[source] io::Error),
    /// Work that was not complete was rolled back.
    #[error("interrupted; incomplete changes are undone")]
    Interrupted { signal: u8 },
}

impl CommandError {
    /// 1, or the code by which shells report that a signal ended the command.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted { signal } => ExitCode::from(128_u8.saturating_add(*signal)),
            _ => ExitCode::FAILURE,
        }
    }
}

impl From<OperatorError> for CommandError {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Setting(error) => error.into(),
            OperatorError::Open(error) => error.into(),
        }
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        failed(&error)
    }
}

pub fn failed(error: &dyn std::error::Error) -> CommandError {
    CommandError::Failed(chain(error))
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        failed(&error)
    }
}
