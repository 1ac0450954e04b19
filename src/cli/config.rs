//! `vestibule config`

use figment::Figment;
use vestibule::config::{Settings, report};

use super::{CommandError, say};

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    say(report(figment).trim_end());
    Settings::read(figment)?;
    Ok(())
}
