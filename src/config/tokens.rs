//! `[vestibule.tokens]`: lifetimes of tokens and sessions.

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::setting_error::Problem;

/// `[vestibule.tokens]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// Lifetime of an access token.
    pub access_ttl: Lifetime,
    /// Lifetime of a session that is not refreshed.
    pub refresh_idle_ttl: Lifetime,
    /// Longest lifetime of a session.
    pub session_ttl: Lifetime,
    /// Time for which a refresh token is still accepted after its successor was used; `0s` makes
    /// every refresh token strictly single-use.
    pub reuse_grace: Lifetime,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            access_ttl: Lifetime::of(15, Unit::Minute),
            refresh_idle_ttl: Lifetime::of(14, Unit::Day),
            session_ttl: Lifetime::of(90, Unit::Day),
            reuse_grace: Lifetime::of(30, Unit::Second),
        }
    }
}

impl TokenSettings {
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.access_ttl.at_least_a_second("tokens.access_ttl")?;
        self.refresh_idle_ttl.at_least_a_second("tokens.refresh_idle_ttl")?;
        self.session_ttl.at_least_a_second("tokens.session_ttl")
    }
}
