//! Builds `blocklist/common-passwords.bin` from lists of passwords, one per line:
//!
//! ```sh
//! cargo run --example blocklist -- LIST... > new.bin && mv new.bin blocklist/common-passwords.bin
//! ```

use std::error::Error;
use std::io::Write;
use std::{env, fs, io};

use vestibule::model::blocklist_table;

fn main() -> Result<(), Box<dyn Error>> {
    let lists = env::args().skip(1).map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    let table = blocklist_table(lists.iter().flat_map(|list| list.lines()));
    io::stdout().write_all(&table)?;
    Ok(())
}
