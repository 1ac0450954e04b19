//! `[vestibule.password]`: rules for passwords.

use serde::{Deserialize, Serialize};

use super::setting_error::Problem;

/// `[vestibule.password]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSettings {
    /// In code points; at least 8 (NIST SP 800-63B-4 §3.1.1.2).
    pub min_length: usize,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { min_length: 15 }
    }
}

impl PasswordSettings {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.min_length < 8 || self.min_length > 128 {
            return Err(("password.min_length", "expected 8 to 128 characters".to_owned()));
        }
        Ok(())
    }
}
