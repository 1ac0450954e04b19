//! Sign-ups: requests for an account that wait for their link to be used.

use crate::clock::Timestamp;
use crate::model::{EmailAddress, Locale, Name, UserAgent, row_id};

row_id! {
    /// Id of a waiting sign-up.
    SignUpId
}

/// Waiting sign-up; one for each address.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Id of the sign-up.
    pub id: SignUpId,
    /// Address that signed up.
    pub email: EmailAddress,
    /// Name, if the person gave one.
    pub name: Option<Name>,
    /// Language, if the person chose one.
    pub locale: Option<Locale>,
    /// First time at which the password was called in question: by another sign-up with another
    /// password, or by a request for a new password. From then on only a password that is chosen
    /// behind a link counts, and `name` and `locale` count as unknown.
    pub contested_at: Option<Timestamp>,
    /// Browser of the request, if the client sent one.
    pub user_agent: Option<UserAgent>,
    /// Time of creation.
    pub created_at: Timestamp,
}
