//! Requests for letters: the facts that the outbox keeps until a letter is composed.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::{ClientInfo, EmailAddress, EmailChangeId, UserAgent};

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
    None,
}

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
        match self {
            Self::SignUp { .. }
            | Self::NewLink
            | Self::PasswordReset { .. }
            // the operator causes the first one; any holder of one of its old links can cause the
            // next
            | Self::Invitation
            | Self::EmailChange { .. } => LetterCap::PerRecipient,
            // the first letters of an hour leave at once, so that the owner learns of a theft
            Self::SessionEnded { .. }
            | Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::AccountDeleted { .. } => LetterCap::PerNotice,
            // the notice of a change leaves at once, because its link can stop the change, and the
            // request for the change has its own limit; the operator is trusted
            Self::EmailChangeNotice { .. } | Self::OperatorReset => LetterCap::None,
        }
    }

    /// The kinds that [`LetterCap::PerRecipient`] counts together, with their names in the outbox.
    pub const PER_RECIPIENT_KINDS: [&str; 5] =
        ["sign-up", "new-link", Self::RESET, "invitation", "email-change"];
    /// The kind of the letter that is the last trace of its recipient. The row is deleted once the
    /// letter has left or was given up.
    pub const FAREWELL: &str = "account-deleted";
    /// The kind of the letter that a request for a new password posts. While the letter waits, a
    /// sign-up of its recipient is contested.
    pub const RESET: &str = "password-reset";

    /// The kind's name in the outbox.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SignUp { .. } => "sign-up",
            Self::NewLink => "new-link",
            Self::SessionEnded { .. } => "session-ended",
            Self::PasswordReset { .. } => Self::RESET,
            Self::OperatorReset => "operator-reset",
            Self::Invitation => "invitation",
            Self::PasswordChanged { .. } => "password-changed",
            Self::EmailChange { .. } => "email-change",
            Self::EmailChangeNotice { .. } => "email-change-notice",
            Self::EmailChanged { .. } => "email-changed",
            Self::AccountDeleted { .. } => Self::FAREWELL,
        }
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
            assert!(json.contains(request.kind()));
            let is_counted_together = LetterRequest::PER_RECIPIENT_KINDS.contains(&request.kind());
            assert_eq!(
                is_counted_together,
                request.cap() == LetterCap::PerRecipient,
                "{request:?}"
            );
        }
    }
}
