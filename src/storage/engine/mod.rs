//! Engine: connections, transactions and errors of the database, and its schema. It knows no row of
//! any table.

pub(super) mod column;
mod connection;
mod data_version;
pub(super) mod dedicated;
mod error;
mod error_codes;
pub(super) mod migrate;
mod opening;
pub(super) mod pool;
mod revisions;
mod server;
mod store;
mod write_batch;

pub use connection::Connection;
pub use data_version::DataVersion;
pub use error::{StoreError, StoreErrorKind, chain};
pub use migrate::MigrationError;
pub use opening::OpenError;
pub use pool::{Db, Engine, Pool, PoolError};
pub(super) use revisions::Change;
pub use revisions::{Revision, Revisions};
pub use store::Store;
