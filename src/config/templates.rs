//! `[vestibule.templates]`: templates of letters and pages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[vestibule.templates]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSettings {
    /// Folder whose files replace compiled-in templates of the same name.
    pub directory: Option<PathBuf>,
}
