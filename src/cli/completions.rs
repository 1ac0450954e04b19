//! `vestibule completions …`: for shells, which complete what is typed.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Arguments, CommandError, say};

pub fn run(shell: Shell) -> Result<(), CommandError> {
    // into memory first: what writes it takes a closed pipe for a failure
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "vestibule", &mut script);
    say(String::from_utf8_lossy(&script).trim_end())
}
