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
    /// When the password was first called in question, if it was: by another sign-up with another
    /// password, or by a request for a new one. From then on no password counts but the one that is
    /// chosen behind a link, and `name` and `locale` are not known.
    pub contested_at: Option<Timestamp>,
    pub user_agent: Option<UserAgent>,
    pub created_at: Timestamp,
}
