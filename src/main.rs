//! The command line. The library contains the whole service.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
