//! `[vestibule.links]`: lifetimes of the links in letters.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lifetime::{Lifetime, Unit};
use super::setting_error::Problem;

/// Lifetime of a sign-up, from its creation to the use of a link. It is never extended: fresh links
/// end with the sign-up, and a new sign-up shortly before the end replaces the old one.
pub const SIGN_UP_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);

/// `[vestibule.links]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// Lifetime of activation links; less than [`SIGN_UP_TTL`]. A link never outlives its sign-up.
    pub activation_ttl: Lifetime,
    /// Lifetime of the links to choose a new password.
    pub reset_ttl: Lifetime,
    /// Lifetime of the links to choose a password for an account that the operator created.
    pub invitation_ttl: Lifetime,
    /// Lifetime of the links that confirm a change of address. A link that stops the change works
    /// as long as any link can confirm it.
    pub email_ttl: Lifetime,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            activation_ttl: Lifetime::of(24, Unit::Hour),
            reset_ttl: Lifetime::of(1, Unit::Hour),
            invitation_ttl: Lifetime::of(7, Unit::Day),
            email_ttl: Lifetime::of(24, Unit::Hour),
        }
    }
}

impl LinkSettings {
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.activation_ttl.at_least_a_second("links.activation_ttl")?;
        self.reset_ttl.at_least_a_second("links.reset_ttl")?;
        self.invitation_ttl.at_least_a_second("links.invitation_ttl")?;
        self.email_ttl.at_least_a_second("links.email_ttl")?;
        if self.activation_ttl.duration() >= SIGN_UP_TTL {
            let expected = "expected less than 30d, the lifetime of a sign-up".to_owned();
            return Err(("links.activation_ttl", expected));
        }
        Ok(())
    }
}
