//! Errors of loading messages.

use std::path::PathBuf;

/// Why the messages cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A file or folder of the operator cannot be read.
    #[error("cannot read the messages in {}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// A message file has a syntax error or a duplicate message.
    #[error("{file}:{line}: {problem}")]
    Syntax { file: String, line: usize, problem: String },
    /// A file of the operator would have no effect.
    #[error("{}: {problem}", file.display())]
    Name { file: PathBuf, problem: String },
    /// The default language has no messages.
    #[error("expected one of the languages with messages: {}", known.join(", "))]
    NoSuchLanguage { known: Vec<String> },
}

impl MessageError {
    /// The setting that the operator has to fix.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::NoSuchLanguage { .. } => "vestibule.messages.default_locale",
            _ => "vestibule.messages.directory",
        }
    }
}
