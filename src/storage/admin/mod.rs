//! The operator's work on a whole database: backup, copy to another engine, integrity check.

mod backup;
mod catalog;
mod copy;
mod integrity;
mod sqlite_files;

pub use backup::BackupError;
pub use copy::{CopiedTable, CopyError, copy};
pub use integrity::IntegrityReport;
