//! `vestibule config`

use figment::Figment;
use vestibule::config::{Settings, report};
use vestibule::oauth::Registrar;

use super::{CommandError, say};

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    say(report(figment).trim_end())?;
    let settings = Settings::read(figment)?;
    Registrar::from_settings(&settings, figment)?;
    Ok(())
}
