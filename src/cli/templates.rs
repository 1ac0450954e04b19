//! `vestibule templates …`: checks and previews of letters and pages.

use std::path::PathBuf;

use clap::Subcommand;
use figment::Figment;
use vestibule::config::Settings;
use vestibule::template_check::{TemplateCheck, TemplateCheckError};

use super::{CommandError, print_text};

#[derive(Subcommand)]
pub enum TemplatesCommand {
    /// Check letters and pages for mistakes: unknown, missing and unused messages, and templates
    /// that cannot be rendered
    Check,
    /// Write a preview of every letter and page, with sample data, as files
    Preview {
        /// The directory to write to
        #[arg(long, default_value = "preview")]
        directory: PathBuf,
        /// Write one language only, such as `de`
        #[arg(long)]
        locale: Option<String>,
    },
}

pub fn run(command: &TemplatesCommand, figment: &Figment) -> Result<(), CommandError> {
    let settings = Settings::read(figment)?;
    let templates = TemplateCheck::read(settings, figment)?;
    match command {
        TemplatesCommand::Check => {
            let findings = templates.check()?;
            for finding in &findings {
                print_text(&finding.to_string())?;
            }
            match findings.len() {
                0 => Ok(()),
                1 => Err(CommandError::Failed("one mistake in letters and pages".to_owned())),
                count => {
                    Err(CommandError::Failed(format!("{count} mistakes in letters and pages")))
                }
            }
        }
        TemplatesCommand::Preview { directory, locale } => {
            let index = templates.preview(directory, locale.as_deref())?;
            print_text(&format!("The previews are written; begin with {}", index.display()))
        }
    }
}

impl From<TemplateCheckError> for CommandError {
    fn from(error: TemplateCheckError) -> Self {
        match error {
            TemplateCheckError::Setting(error) => Self::Setting(error),
            error => Self::Failed(error.to_string()),
        }
    }
}
