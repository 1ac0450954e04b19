//! Opening of a database: settings, connections, and a schema that this program can work with.

use figment::Figment;
use figment::providers::Serialized;

use super::migrate::{self, MigrationError, Schema};
use super::pool::{Pool, PoolError};
use super::{Store, StoreError};

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pool cannot be opened.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The migrations failed.
    #[error("the database could not be brought up to date")]
    Migration(#[from] MigrationError),
    /// Migrations of this program have not run yet.
    #[error("the schema is not up to date: run `vestibule migrate`")]
    OlderSchema,
    /// This program cannot work with the schema.
    #[error(
        "the schema is of another version than this program, which cannot work with it: use the \
         one that the service runs"
    )]
    OtherSchema,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Opens the database at `databases.vestibule` of `figment` and brings its schema up to date,
    /// without Rocket.
    pub async fn open(figment: &Figment) -> Result<Self, OpenError> {
        let store = Self::open_or_create(figment).await?;
        match store.migrate().await {
            Ok(()) => Ok(store),
            Err(error) => store.close_after(error).await,
        }
    }

    /// Opens the database at `databases.vestibule` of `figment` as it is, and creates the SQLite
    /// file if it is missing.
    pub async fn open_or_create(figment: &Figment) -> Result<Self, OpenError> {
        Ok(Self::over(Pool::open_or_create(&database_settings(figment)).await?))
    }

    /// Brings the schema up to date. A migration that is not complete when this future is dropped is
    /// undone.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        Ok(migrate::run(&self.pool).await?)
    }

    /// Checks the settings at `databases.vestibule` of `figment`, without connecting.
    ///
    /// # Errors
    /// The first setting that [`Store::open`] would refuse.
    pub fn check_settings(figment: &Figment) -> Result<(), PoolError> {
        Pool::check_settings(&database_settings(figment))
    }

    /// Opens the database at `databases.vestibule` of `figment` as it is, with `max_connections =
    /// 1`, for a command beside a service that may be running. The command creates and migrates
    /// nothing: an older service could not work with a newer schema.
    ///
    /// # Errors
    /// When there is no database, or this binary cannot work with its schema.
    pub async fn open_without_migrating(figment: &Figment) -> Result<Self, OpenError> {
        let store = Self::open_unchecked(figment).await?;
        match migrate::inspect(&store.pool).await {
            Ok(Schema::Known | Schema::Newer) => Ok(store),
            Ok(Schema::Older) => store.close_after(OpenError::OlderSchema).await,
            Ok(Schema::Other) => store.close_after(OpenError::OtherSchema).await,
            Err(error) => store.close_after(error.into()).await,
        }
    }

    async fn close_after(self, error: OpenError) -> Result<Self, OpenError> {
        self.close().await;
        Err(error)
    }

    /// Opens the database at `databases.vestibule` of `figment`, with any schema, and with
    /// `max_connections = 1`.
    pub async fn open_unchecked(figment: &Figment) -> Result<Self, OpenError> {
        let figment = figment
            .focus("databases.vestibule")
            .merge(Serialized::global("max_connections", 1))
            .join(Serialized::default("connect_timeout", 5));
        Ok(Self::over(Pool::open_existing(&figment).await?))
    }
}

/// Settings for [`Pool`], with defaults for use without Rocket's pool.
fn database_settings(figment: &Figment) -> Figment {
    figment
        .focus("databases.vestibule")
        .join(Serialized::default("max_connections", 8))
        .join(Serialized::default("connect_timeout", 5))
}
