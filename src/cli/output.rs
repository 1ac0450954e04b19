//! Standard output and standard error: prints a command's result as words, or as one JSON document and nothing else.
//!
//! An error of standard output is an error of the command, except that a reader may close its pipe
//! when it has seen enough. For secrets, [`show_once`] treats a closed pipe as an error too: a
//! secret without a reader is lost.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use super::CommandError;
use super::error::failed;

/// Prints one line or several.
pub fn print_text(text: &str) -> Result<(), CommandError> {
    print_part(&format!("{text}\n")).map(|_| ())
}

/// Prints a part of the output. `false` if the reader has closed its pipe.
pub fn print_part(text: &str) -> Result<bool, CommandError> {
    match write_output(text) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Output(error)),
    }
}

/// Prints the result of a command.
pub fn print_result<T: Serialize>(
    json: bool,
    outcome: &T,
    words: impl FnOnce(&T) -> String,
) -> Result<(), CommandError> {
    print_text(&format_result(json, outcome, words)?)
}

/// Prints a secret that is shown only once, before the caller stores it. Success means that all of
/// it is written, and is on the disk if standard output is a file. On an error the caller changes
/// nothing.
pub fn show_once<T: Serialize>(
    json: bool,
    outcome: &T,
    words: impl FnOnce(&T) -> String,
) -> Result<(), CommandError> {
    let text = format_result(json, outcome, words)? + "\n";
    if is_null_device().unwrap_or(false) {
        let nowhere = io::Error::other("it is closed, or leads to /dev/null");
        return Err(CommandError::NotShown(nowhere));
    }
    write_output(&text).and_then(|()| sync()).map_err(CommandError::NotShown)
}

/// Prints on standard error why a command failed. An error of standard error is ignored.
pub fn print_error(error: &dyn Display) {
    let _ = writeln!(io::stderr(), "vestibule: {error}");
}

fn format_result<T: Serialize>(
    json: bool,
    outcome: &T,
    words: impl FnOnce(&T) -> String,
) -> Result<String, CommandError> {
    if json {
        return serde_json::to_string_pretty(outcome).map_err(|error| failed(&error));
    }
    Ok(words(outcome))
}

fn write_output(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Whether standard output is the null device. The runtime also opens the null device in place of a
/// closed standard output.
#[cfg(unix)]
fn is_null_device() -> io::Result<bool> {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let null = std::fs::metadata("/dev/null")?;
    Ok((output.rdev(), output.mode()) == (null.rdev(), null.mode()))
}

#[cfg(not(unix))]
fn is_null_device() -> io::Result<bool> {
    Ok(false)
}

/// Flushes a file to the disk. Some file systems report only now that they are full.
#[cfg(unix)]
fn sync() -> io::Result<()> {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if output.metadata()?.is_file() { output.sync_all() } else { Ok(()) }
}

#[cfg(not(unix))]
fn sync() -> io::Result<()> {
    Ok(())
}
