//! `vestibule completions …`: scripts that let shells complete the commands.

use clap::Command;
use clap_complete::Shell;

use super::{CommandError, print_text};

/// Prints the script for the command line `command`.
pub fn run(shell: Shell, mut command: Command) -> Result<(), CommandError> {
    // into memory first: clap_complete treats a closed pipe as a failure
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "vestibule", &mut script);
    print_text(String::from_utf8_lossy(&script).trim_end())
}
