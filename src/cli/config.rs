//! `vestibule config`: prints the settings in force.

use figment::Figment;
use vestibule::config::report;

use super::{CommandError, check_rocket, logging, print_text};

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    logging::start_for_command();
    print_text(report(figment).trim_end())?;
    check_rocket(figment)?;
    let settings = vestibule::check_settings(figment).map_err(CommandError::Failed)?;
    logging::check(&settings.log, figment)?;
    Ok(())
}
