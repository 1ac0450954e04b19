//! `vestibule config`

use figment::Figment;
use vestibule::config::report;

use super::{CommandError, logging, say};

pub fn run(figment: &Figment) -> Result<(), CommandError> {
    logging::start_aside();
    say(report(figment).trim_end())?;
    let settings = vestibule::check_settings(figment).map_err(CommandError::Failed)?;
    logging::check(&settings.log, figment)?;
    Ok(())
}
