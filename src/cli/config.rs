//! `vestibule config`: prints the settings in force.

use figment::Figment;
use vestibule::config::{check_rocket_keys, report};

use super::{CommandError, logging, print_text};

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    logging::start_for_command();
    print_text(report(figment).trim_end())?;
    check_rocket(figment)?;
    let settings = vestibule::check_settings(figment).map_err(CommandError::Failed)?;
    logging::check(&settings.log, figment)?;
    Ok(())
}

/// Checks Rocket's part of the settings. Rocket's runtime reads it again, without this program's
/// defaults, and would panic on an error.
pub fn check_rocket(figment: &Figment) -> Result<(), CommandError> {
    check_rocket_keys(figment)?;
    rocket::Config::try_from(rocket::Config::figment())
        .map_err(|error| CommandError::Failed(format!("setting: {error}")))?;
    Ok(())
}
