//! `vestibule completions …`: scripts that let shells complete the commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CommandError, CommandLine, print_text};

pub fn run(shell: Shell) -> Result<(), CommandError> {
    // into memory first: clap_complete treats a closed pipe as a failure
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "vestibule", &mut script);
    print_text(String::from_utf8_lossy(&script).trim_end())
}
