//! Files of an SQLite database: the database file and its side files (`-wal`, `-shm`, `-journal`).
//!
//! A database without its side files, or with another database's side files, is corrupt. So
//! commands ask here before they write to a path.

use std::fs;
use std::path::{Path, PathBuf};

/// Endings of the names of side files: SQLite's own, and the lock of migrations.
const SIDE_FILES: [&str; 4] = ["-wal", "-shm", "-journal", ".migrating"];

/// Endings of SQLite's own side files.
const SQLITE_SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Longest chain of symbolic links that is followed.
const MAX_SYMLINKS: usize = 40;

/// Whether `file` is, or would be, a file of the database `own`, through any spelling, symbolic
/// link or hard link.
pub(super) fn is_of(own: &Path, file: &Path) -> bool {
    // SQLite names the side files after the target of a symbolic link
    let resolved = resolve(own, MAX_SYMLINKS).unwrap_or_else(|| own.to_owned());
    let names = SIDE_FILES.iter().flat_map(|end| [own, &resolved].map(|own| with_ending(own, end)));
    let mut own_files = names.chain([own.to_owned()]);
    own_files.any(|own| is_same(&own, file))
}

/// Whether the file has the name of a side file of some database.
pub(super) fn is_reserved(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
    name.is_some_and(|name| SQLITE_SIDE_FILES.iter().any(|end| name.ends_with(end)))
}

/// Left-over side file that SQLite would play back into a database placed at `file`.
pub(super) fn leftover_beside(file: &Path) -> Option<PathBuf> {
    let mut beside = ["-wal", "-journal"].into_iter().map(|end| with_ending(file, end));
    beside.find(|path| fs::metadata(path).is_ok_and(|it| it.len() > 0))
}

/// The path with `end` appended to its last name.
pub(super) fn with_ending(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let is_linked = match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => is_same_inode(&one, &other),
        _ => false,
    };
    is_linked
        || resolve(one, MAX_SYMLINKS).is_some_and(|one| resolve(other, MAX_SYMLINKS) == Some(one))
}

#[cfg(unix)]
fn is_same_inode(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_inode(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

/// The path without symbolic links; the file itself need not exist.
fn resolve(path: &Path, links: usize) -> Option<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match fs::read_link(path) {
        Ok(target) if links > 0 => resolve(&folder.join(target), links - 1),
        Ok(_) => None,
        Err(_) => match path.canonicalize() {
            Ok(path) => Some(path),
            Err(_) => Some(folder.canonicalize().ok()?.join(path.file_name()?)),
        },
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn s16_files_of_a_database_are_recognized_by_every_path() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        for name in ["data/a.db", "data/a.db-shm", "data/b.db"] {
            fs::write(at(name), "").unwrap();
        }
        symlink(at("data"), at("linked")).unwrap();
        symlink("data/a.db", at("link")).unwrap();
        symlink("data/a.db-wal", at("dangling")).unwrap();
        fs::hard_link(at("data/a.db"), at("hard")).unwrap();
        fs::hard_link(at("data/a.db-shm"), at("hard-shm")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for own in ["data/a.db", "linked/../data/a.db", "link"] {
            for file in [
                "data/a.db",
                "data/./a.db",
                "linked/a.db",
                "link",
                "hard",
                "hard-shm",
                "data/a.db-wal",
                "linked/a.db-wal",
                "dangling",
                "data/a.db-shm",
                "data/a.db-journal",
                "data/a.db.migrating",
            ] {
                assert!(is_of(&at(own), &at(file)), "{own} {file}");
            }
            for file in ["data/b.db", "data/b.db-wal", "a.db", "a.db-wal", "none/a.db", "loop"] {
                assert!(!is_of(&at(own), &at(file)), "{own} {file}");
            }
        }
    }
}
