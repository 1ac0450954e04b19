//! `[vestibule.messages]`: languages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[vestibule.messages]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSettings {
    /// Folder whose files replace compiled-in messages of the same name, such as `de/mail.ftl`. A
    /// folder for a further language adds the language.
    pub directory: Option<PathBuf>,
    /// Language for requests and letters without a known language.
    pub default_locale: String,
}

impl Default for MessageSettings {
    fn default() -> Self {
        Self { directory: None, default_locale: "en".to_owned() }
    }
}
