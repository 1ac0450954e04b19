//! Secrets from standard input. Secrets are not accepted as arguments: every user of the machine
//! can read arguments, and shells keep them.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::{CommandError, print_error};

/// In bytes; longer than any password or token.
const MAX_LINE_LENGTH: u64 = 4_096;

/// The first line of standard input, without its line end. On a terminal, a prompt asks for `what`.
pub fn first_line(what: &str) -> Result<Zeroizing<String>, CommandError> {
    let input = std::io::stdin();
    if input.is_terminal() {
        print_error(&format!("{what} (visible as you type):"));
    }
    let mut line = Zeroizing::new(Vec::new());
    BufReader::new(input.take(MAX_LINE_LENGTH))
        .read_until(b'\n', &mut line)
        .map_err(|error| CommandError::Failed(format!("standard input: {error}")))?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let typed = std::str::from_utf8(line)
        .map_err(|_| CommandError::Failed(format!("{what} is not UTF-8 text")))?;
    Ok(Zeroizing::new(typed.to_owned()))
}
