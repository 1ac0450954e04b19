//! Profile: the purpose that the service runs for.

use figment::Figment;

/// The purpose that the service runs for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Rocket's `debug` profile: every setting has a default, links are logged, and letters can be
    /// read at `/dev/mail`.
    Development,
    /// Any other profile: settings that the operator must decide have no default.
    Production,
}

impl Profile {
    /// The purpose of the figment's profile.
    pub fn of(figment: &Figment) -> Self {
        if *figment.profile() == rocket::Config::DEBUG_PROFILE {
            Self::Development
        } else {
            Self::Production
        }
    }
}
