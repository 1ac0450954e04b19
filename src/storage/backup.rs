//! A copy of an SQLite database that is in use, as one file, and what follows from having had one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::pool::Engine;
use super::{Connection, Store, StoreError};
use crate::crypto::secret::Entropy;

const END_SESSIONS: &str = "DELETE FROM sessions";
const END_PAGE_SESSIONS: &str = "DELETE FROM page_sessions";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("this is for SQLite; a PostgreSQL database is copied by `pg_dump`")]
    NotAFile,
    #[error("{} is there already", file.display())]
    Exists { file: PathBuf },
    #[error("{} is the database itself", file.display())]
    Itself { file: PathBuf },
    #[error("cannot write {}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Copies the database, as it is at one moment, into `file`, for its owner alone. Whoever writes
    /// meanwhile does not wait. The file is there when all of it is on the disk, or not at all.
    pub async fn back_up(&self, file: &Path, overwrite: bool) -> Result<(), BackupError> {
        let Engine::Sqlite { file: own } = self.engine() else {
            return Err(BackupError::NotAFile);
        };
        let wrong = |source| BackupError::File { file: file.to_owned(), source };
        if is_same(own, file) {
            return Err(BackupError::Itself { file: file.to_owned() });
        }
        // said early; that nothing is overwritten is seen to below
        if !overwrite && file.try_exists().map_err(wrong)? {
            return Err(BackupError::Exists { file: file.to_owned() });
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let unfinished = Unfinished::beside(folder).map_err(wrong)?;
        let Some(target) = unfinished.0.to_str() else {
            return Err(wrong(io::Error::other("its folder has a name that is no text")));
        };
        let mut connection = self.pool.connect_aside().await.map_err(StoreError::from)?;
        let copy = sqlx::query("VACUUM INTO $1").bind(target.to_owned());
        copy.execute(&mut connection).await.map_err(StoreError::from)?;
        File::open(&unfinished.0).and_then(|copy| copy.sync_all()).map_err(wrong)?;
        let kept = if overwrite {
            fs::rename(&unfinished.0, file)
        } else {
            fs::hard_link(&unfinished.0, file)
        };
        kept.map_err(wrong)?;
        drop(unfinished);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}

impl Connection {
    /// Ends whatever anybody is signed in with; answers how many that were.
    pub async fn end_all_sessions(&mut self) -> Result<u64, StoreError> {
        let mut ended = 0;
        for statement in [END_SESSIONS, END_PAGE_SESSIONS] {
            ended += sqlx::query(statement).execute(self.raw()).await?.rows_affected();
        }
        Ok(ended)
    }
}

fn is_same(own: &Path, file: &Path) -> bool {
    own.canonicalize().is_ok_and(|own| file.canonicalize().is_ok_and(|file| own == file))
}

/// A new file without anything in it, removed when this is dropped.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(folder: &Path) -> io::Result<Self> {
        let name = format!(".vestibule-backup-{}", hex::encode(Entropy.bytes::<8>()));
        let file = folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&file)?;
        Ok(Self(file))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // it may have another name by now
        let _ = fs::remove_file(&self.0);
    }
}
