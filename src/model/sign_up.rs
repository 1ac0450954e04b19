//! Sign-ups: requests for an account that wait for their link to be used.

use crate::clock::Timestamp;
use crate::model::{EmailAddress, Locale, Name, UserAgent, row_id};

row_id! {
    /// Of a waiting sign-up.
    SignUpId
}

/// A waiting sign-up; one for each address.
#[derive(Clone, Debug)]
pub struct SignUp {
    pub id: SignUpId,
    pub email: EmailAddress,
    pub name: Option<Name>,
    pub locale: Option<Locale>,
    /// When somebody signed up again with another password, if that happened. From then on nobody's
    /// password counts but the one chosen by whoever opens a link.
    pub contested_at: Option<Timestamp>,
    pub user_agent: Option<UserAgent>,
    pub created_at: Timestamp,
}
