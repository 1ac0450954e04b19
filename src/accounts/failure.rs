//! Failure of a use case through no fault of the request.

use std::time::Duration;

use crate::crypto::hasher::HashError;
use crate::storage::StoreError;

/// The service could not finish the use case, through no fault of the request's content.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Passwords are being hashed to capacity (R51).
    #[error("the hash queue is full")]
    Busy { retry_after: Duration },
    /// The caller's network, the name or the account has reached a limit (R20).
    #[error("too many requests of this kind")]
    Limited { retry_after: Duration },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hash function failed.
    #[error("the password hash failed")]
    Hash(#[source] HashError),
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy { retry_after },
            other => Self::Hash(other),
        }
    }
}
