//! Requests for letters: the facts that the outbox keeps until a letter is composed, and the kinds of
//! letters with their limits.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::event::string_enum;
use crate::model::{ClientInfo, EmailAddress, EmailChangeId, UserAgent};

/// A request for a letter: the facts that the outbox keeps. It contains no secrets.
///
/// The courier decides on the content of the letter from the state of the address at delivery. HTTP
/// requests therefore do the same work for known and unknown addresses (R34, R47).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum LetterRequest {
    /// A client signed up with the address.
    SignUp { at: i64, browser: Option<String> },
    /// A client asked for another activation link.
    NewLink,
    /// An old refresh token was used again, and the session ended.
    SessionEnded { at: i64, client: String, browser: Option<String> },
    /// A client asked for a new password for the address.
    PasswordReset { at: i64, browser: Option<String> },
    /// The operator asks the owner to choose a new password.
    OperatorReset,
    /// The operator created an account for the address.
    Invitation,
    /// The password was changed, by the account's owner or through a link.
    PasswordChanged { at: i64, browser: Option<String>, by_link: bool },
    /// An account asks to move to this address.
    EmailChange { change: String, at: i64, browser: Option<String> },
    /// The account at this address asks to move to another.
    EmailChangeNotice { change: String, at: i64, browser: Option<String> },
    /// The account that was at this address has moved.
    EmailChanged { at: i64, email: String },
    /// The account was deleted.
    AccountDeleted { at: i64, by_operator: bool },
}

impl LetterRequest {
    /// The request after a sign-up.
    pub fn sign_up(at: Timestamp, caller: &ClientInfo) -> Self {
        Self::SignUp { at: at.unix_millis(), browser: caller.browser() }
    }

    /// The request after the reuse of an old refresh token.
    pub fn session_ended(at: Timestamp, client: String, user_agent: Option<&UserAgent>) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::SessionEnded { at: at.unix_millis(), client, browser }
    }

    /// The request after a forgotten password.
    pub fn password_reset(at: Timestamp, caller: &ClientInfo) -> Self {
        Self::PasswordReset { at: at.unix_millis(), browser: caller.browser() }
    }

    /// The request after a change of the password.
    pub fn password_changed(at: Timestamp, caller: &ClientInfo, by_link: bool) -> Self {
        Self::PasswordChanged { at: at.unix_millis(), browser: caller.browser(), by_link }
    }

    /// The request to confirm a change of address, for the new address.
    pub fn email_change(
        change: EmailChangeId,
        at: Timestamp,
        user_agent: Option<&UserAgent>,
    ) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::EmailChange { change: change.to_string(), at: at.unix_millis(), browser }
    }

    /// The notice of a change of address, for the old address.
    pub fn email_change_notice(
        change: EmailChangeId,
        at: Timestamp,
        user_agent: Option<&UserAgent>,
    ) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::EmailChangeNotice { change: change.to_string(), at: at.unix_millis(), browser }
    }

    /// The notice of a completed change of address, for the old address.
    pub fn email_changed(at: Timestamp, email: &EmailAddress) -> Self {
        Self::EmailChanged { at: at.unix_millis(), email: email.to_string() }
    }

    /// The farewell after the deletion of an account.
    pub fn account_deleted(at: Timestamp, by_operator: bool) -> Self {
        Self::AccountDeleted { at: at.unix_millis(), by_operator }
    }

    /// The limit on such letters to one recipient in an hour.
    pub const fn cap(&self) -> LetterCap {
        self.kind().cap()
    }

    /// The kind of the letter in the outbox.
    pub const fn kind(&self) -> LetterKind {
        match self {
            Self::SignUp { .. } => LetterKind::SignUp,
            Self::NewLink => LetterKind::NewLink,
            Self::SessionEnded { .. } => LetterKind::SessionEnded,
            Self::PasswordReset { .. } => LetterKind::PasswordReset,
            Self::OperatorReset => LetterKind::OperatorReset,
            Self::Invitation => LetterKind::Invitation,
            Self::PasswordChanged { .. } => LetterKind::PasswordChanged,
            Self::EmailChange { .. } => LetterKind::EmailChange,
            Self::EmailChangeNotice { .. } => LetterKind::EmailChangeNotice,
            Self::EmailChanged { .. } => LetterKind::EmailChanged,
            Self::AccountDeleted { .. } => LetterKind::AccountDeleted,
        }
    }
}

string_enum! {
    /// Kind of a letter in the outbox.
    LetterKind {
        /// A client signed up with the address.
        SignUp = "sign-up",
        /// A client asked for another activation link.
        NewLink = "new-link",
        /// An old refresh token was used again, and the session ended.
        SessionEnded = "session-ended",
        /// A client asked for a new password for the address. While the letter waits, a sign-up of
        /// its recipient is contested.
        PasswordReset = "password-reset",
        /// The operator asks the owner to choose a new password.
        OperatorReset = "operator-reset",
        /// The operator created an account for the address.
        Invitation = "invitation",
        /// The password was changed.
        PasswordChanged = "password-changed",
        /// An account asks to move to this address.
        EmailChange = "email-change",
        /// The account at this address asks to move to another.
        EmailChangeNotice = "email-change-notice",
        /// The account that was at this address has moved.
        EmailChanged = "email-changed",
        /// The account was deleted. The letter is the last trace of its recipient: the row is
        /// deleted once the letter has left or was given up.
        AccountDeleted = "account-deleted",
    }
}

/// The limit on letters of a kind to one recipient in an hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterCap {
    /// `limits.letters_per_hour`, counted over all kinds of this cap. A caller can cause such a
    /// letter without having shown that the address is theirs. Letters of the other caps do not
    /// count here, so that a thief in an account cannot hold back a link that its owner asks for.
    PerRecipient,
    /// `limits.notices_per_hour`, counted for each kind by itself. The owner of an account causes
    /// such a letter, or a thief in the owner's place. A flood of one kind therefore hides no other
    /// kind.
    PerNotice,
    /// No limit.
    None,
}

impl LetterKind {
    /// The limit on such letters to one recipient in an hour.
    pub const fn cap(self) -> LetterCap {
        match self {
            Self::SignUp
            | Self::NewLink
            | Self::PasswordReset
            // the operator causes the first one; any holder of one of its old links can cause the
            // next
            | Self::Invitation
            | Self::EmailChange => LetterCap::PerRecipient,
            // the first letters of an hour leave at once, so that the owner learns of a theft
            Self::SessionEnded
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::AccountDeleted => LetterCap::PerNotice,
            // the notice of a change leaves at once, because its link can stop the change, and the
            // request for the change has its own limit; the operator is trusted
            Self::EmailChangeNotice | Self::OperatorReset => LetterCap::None,
        }
    }

    /// Whether the letter has a link that gives its reader power over an account or a sign-up.
    pub const fn has_link(self) -> bool {
        match self {
            Self::SignUp
            | Self::NewLink
            | Self::PasswordReset
            | Self::OperatorReset
            | Self::Invitation
            | Self::EmailChange
            | Self::EmailChangeNotice => true,
            Self::SessionEnded
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::AccountDeleted => false,
        }
    }

    /// The names of the kinds for which `is_listed` holds.
    pub fn names(is_listed: impl Fn(Self) -> bool) -> Vec<&'static str> {
        let listed = Self::ALL.iter().filter(|kind| is_listed(**kind));
        listed.map(|kind| kind.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_requests_survive_the_outbox() {
        let at = Timestamp::from_unix_millis(1);
        let agent = UserAgent::parse("Mozilla/5.0 (X11; Linux) Firefox/140.0");
        let caller = ClientInfo { user_agent: agent, ..ClientInfo::default() };
        let change = EmailChangeId::new(uuid::Uuid::from_u128(7));
        for request in [
            LetterRequest::sign_up(at, &caller),
            LetterRequest::NewLink,
            LetterRequest::session_ended(at, "web".to_owned(), None),
            LetterRequest::password_reset(at, &caller),
            LetterRequest::OperatorReset,
            LetterRequest::Invitation,
            LetterRequest::password_changed(at, &caller, true),
            LetterRequest::email_change(change, at, caller.user_agent.as_ref()),
            LetterRequest::email_change_notice(change, at, caller.user_agent.as_ref()),
            LetterRequest::email_changed(at, &EmailAddress::parse("new@example.org").unwrap()),
            LetterRequest::account_deleted(at, false),
        ] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<LetterRequest>(&json).unwrap(), request);
            assert!(json.contains(request.kind().as_str()));
        }
    }
}
