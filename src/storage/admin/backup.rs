//! Backup: copies an SQLite database that is in use into one file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::sqlite_files;
use crate::clock::Timestamp;
use crate::crypto::entropy::Entropy;
use crate::storage::engine::{Engine, Store, StoreError};
use crate::storage::tables::outbox::held_letters;

/// Why the backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is PostgreSQL.
    #[error("this is for SQLite; a PostgreSQL database is copied by `pg_dump`")]
    NotAFile,
    /// The target exists, and overwriting was not requested.
    #[error("{} is there already", file.display())]
    Exists { file: PathBuf },
    /// The target is a file of the database itself.
    #[error("{} belongs to the database itself", file.display())]
    Itself { file: PathBuf },
    /// The target is not a regular file.
    #[error("{} is no file: give the name of one", file.display())]
    NotReplaceable { file: PathBuf },
    /// The target has the name of a side file of SQLite.
    #[error("{} has the name of a file that SQLite keeps beside a database", file.display())]
    Reserved { file: PathBuf },
    /// A side file of an earlier database lies beside the target.
    #[error(
        "{} is there: SQLite would take it for a part of the copy. Move it away if it belongs to nothing",
        file.display()
    )]
    Leftover { file: PathBuf },
    /// The target, or its folder, cannot be written.
    #[error("cannot write {}", file.display())]
    File { file: PathBuf, source: io::Error },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Copies one snapshot of the database into `file`, readable for its owner alone. Writers do
    /// not wait meanwhile. The file appears once it is complete and on the disk, or not at all. If
    /// this future is dropped, no file is left behind; files that a killed process left behind in
    /// the same folder are removed.
    ///
    /// In the copy, waiting letters are held: they may have left by the time of the restore.
    pub async fn back_up(
        &self,
        file: &Path,
        overwrite: bool,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        let Engine::Sqlite { file: own } = self.engine() else {
            return Err(BackupError::NotAFile);
        };
        let wrong = |source| BackupError::File { file: file.to_owned(), source };
        if sqlite_files::is_of(own, file) {
            return Err(BackupError::Itself { file: file.to_owned() });
        }
        if sqlite_files::is_reserved(file) {
            return Err(BackupError::Reserved { file: file.to_owned() });
        }
        if let Some(leftover) = sqlite_files::leftover_beside(file) {
            return Err(BackupError::Leftover { file: leftover });
        }
        match fs::metadata(file) {
            Ok(there) if !there.is_file() => {
                return Err(BackupError::NotReplaceable { file: file.to_owned() });
            }
            _ => {}
        }
        // an early error; `hard_link` below makes sure that no file is overwritten
        if !overwrite && fs::symlink_metadata(file).is_ok() {
            return Err(BackupError::Exists { file: file.to_owned() });
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let unfinished = TemporaryFolder::beside(folder).await.map_err(wrong)?;
        let Some(target) = unfinished.path.to_str() else {
            return Err(wrong(io::Error::other("its folder has a name that is no text")));
        };
        let connections = self.pool.dedicated();
        let copy = async |connection: &mut SqliteConnection| {
            let copy = sqlx::query("VACUUM INTO $1").bind(target.to_owned());
            Ok(copy.execute(connection).await?)
        };
        connections.run_on_sqlite(own, copy).await?;
        // no journal file; `sync_all` afterwards writes the change to the disk with the rest
        let options = SqliteConnectOptions::new()
            .filename(&unfinished.path)
            .journal_mode(SqliteJournalMode::Memory);
        let hold = async |connection: &mut SqliteConnection| {
            Ok::<_, StoreError>(held_letters::hold_in(connection, now).await?)
        };
        connections.run(options.connect(), hold).await?;
        unfinished.file.sync_all().map_err(wrong)?;
        let kept = if overwrite {
            fs::rename(&unfinished.path, file)
        } else {
            fs::hard_link(&unfinished.path, file)
        };
        kept.map_err(wrong)?;
        drop(unfinished);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}

/// Attempts at the lock of a folder, and the pause between two: 10 s in all.
const TURNS: u32 = 500;
const TURN: Duration = Duration::from_millis(20);

/// Prefix of the names of unfinished copies.
const TEMPORARY_PREFIX: &str = ".vestibule-backup-";

/// A new empty file, removed on drop and locked until then. By the lock other processes can tell it
/// from a file that a killed process left behind.
struct TemporaryFolder {
    path: PathBuf,
    file: File,
}

impl TemporaryFolder {
    async fn beside(folder: &Path) -> io::Result<Self> {
        // one process at a time, so that none finds the new file of another before it is locked; in
        // a folder that cannot be locked, no file is removed
        let turn = File::open(folder)?;
        if is_locked(&turn).await? {
            remove_left_behind(folder)?;
        }
        let name = format!("{TEMPORARY_PREFIX}{}", hex::encode(Entropy.bytes::<8>()));
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let unfinished = Self { file: options.open(&path)?, path };
        // if locks do not work, other processes get none either, and remove no file
        let _ = unfinished.file.try_lock();
        Ok(unfinished)
    }
}

/// Locks the folder; `false` if locks do not work. Another process holds the lock only briefly, so
/// this polls; a blocking wait would need a thread that could not be ended.
async fn is_locked(folder: &File) -> io::Result<bool> {
    for _ in 0..TURNS {
        match folder.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(TURN).await,
            Err(TryLockError::Error(_)) => return Ok(false),
        }
    }
    Err(io::Error::other("another program has locked its folder"))
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // after a rename there is no file of this name, and the removal fails harmlessly
        remove(&self.path);
    }
}

/// Removes the unfinished copies of processes that are gone.
fn remove_left_behind(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(random) = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY_PREFIX))
        else {
            continue;
        };
        let is_ours = random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_ours || !entry.file_type()?.is_file() {
            continue;
        }
        let is_left = File::open(entry.path()).and_then(|file| Ok(file.try_lock()?)).is_ok();
        if is_left {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Removes a copy and the journal that SQLite may keep beside it while it writes.
fn remove(copy: &Path) {
    for path in [copy.to_owned(), sqlite_files::with_ending(copy, "-journal")] {
        let _ = fs::remove_file(path);
    }
}
