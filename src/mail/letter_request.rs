//! What causes letters: the facts that wait in the outbox.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::{ClientInfo, EmailAddress, EmailChangeId, UserAgent};

/// What limits how many letters of a kind one recipient gets in an hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterCap {
    /// `limits.letters_per_hour`, together with the other kinds of this cap: a caller who has not shown
    /// that the address is theirs can cause such a letter. Letters of the other caps count for nothing
    /// here, so that a thief in an account holds back no link that its owner asks for.
    PerRecipient,
    /// `limits.notices_per_hour`, for each kind by itself, so that a thief hides no kind behind a
    /// flood of another: the owner of an account causes it, or a thief in their place.
    PerNotice,
    None,
}

/// What caused a letter: the facts that wait in the outbox. Nothing secret.
///
/// What the letter says is decided by the courier, which looks at what has become of the address
/// by then; so a request does the same work whether or not the address is known (R34, R47).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum LetterRequest {
    /// Somebody signed up with the address.
    SignUp { at: i64, browser: Option<String> },
    /// Somebody asked for another activation link.
    NewLink,
    /// An old refresh token was used again, and the session ended.
    SessionEnded { at: i64, client: String, browser: Option<String> },
    /// Somebody has forgotten the password of the address, or says so.
    PasswordReset { at: i64, browser: Option<String> },
    /// The operator wants the owner to choose a new password.
    OperatorReset,
    /// The operator has made an account for the address.
    Invitation,
    /// The password was changed, by its owner or by a link.
    PasswordChanged { at: i64, browser: Option<String>, by_link: bool },
    /// An account wants to move to this address.
    EmailChange { change: String, at: i64, browser: Option<String> },
    /// The account at this address wants to move to another.
    EmailChangeNotice { change: String, at: i64, browser: Option<String> },
    /// The account that was at this address has moved.
    EmailChanged { at: i64, email: String },
    /// The account is gone.
    AccountDeleted { at: i64, by_operator: bool },
}

impl LetterRequest {
    pub fn sign_up(at: Timestamp, caller: &ClientInfo) -> Self {
        Self::SignUp { at: at.unix_millis(), browser: caller.browser() }
    }

    pub fn session_ended(at: Timestamp, client: String, user_agent: Option<&UserAgent>) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::SessionEnded { at: at.unix_millis(), client, browser }
    }

    pub fn password_reset(at: Timestamp, caller: &ClientInfo) -> Self {
        Self::PasswordReset { at: at.unix_millis(), browser: caller.browser() }
    }

    pub fn password_changed(at: Timestamp, caller: &ClientInfo, by_link: bool) -> Self {
        Self::PasswordChanged { at: at.unix_millis(), browser: caller.browser(), by_link }
    }

    pub fn email_change(
        change: EmailChangeId,
        at: Timestamp,
        user_agent: Option<&UserAgent>,
    ) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::EmailChange { change: change.to_string(), at: at.unix_millis(), browser }
    }

    pub fn email_change_notice(
        change: EmailChangeId,
        at: Timestamp,
        user_agent: Option<&UserAgent>,
    ) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::EmailChangeNotice { change: change.to_string(), at: at.unix_millis(), browser }
    }

    pub fn email_changed(at: Timestamp, email: &EmailAddress) -> Self {
        Self::EmailChanged { at: at.unix_millis(), email: email.to_string() }
    }

    pub fn account_deleted(at: Timestamp, by_operator: bool) -> Self {
        Self::AccountDeleted { at: at.unix_millis(), by_operator }
    }

    /// What limits how many such letters one recipient gets in an hour.
    pub const fn cap(&self) -> LetterCap {
        match self {
            Self::SignUp { .. }
            | Self::NewLink
            | Self::PasswordReset { .. }
            // by the operator, and then by whoever has an old link of it
            | Self::Invitation
            | Self::EmailChange { .. } => LetterCap::PerRecipient,
            // the first thefts of an hour are known at once
            Self::SessionEnded { .. }
            | Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::AccountDeleted { .. } => LetterCap::PerNotice,
            // a change that the letter can stop is known at once, and limited where it is asked for; the
            // operator is trusted
            Self::EmailChangeNotice { .. } | Self::OperatorReset => LetterCap::None,
        }
    }

    /// The kinds that [`LetterCap::PerRecipient`] counts together, as they stand in the outbox.
    pub const PER_RECIPIENT_KINDS: [&str; 5] =
        ["sign-up", "new-link", Self::RESET, "invitation", "email-change"];
    /// The kind of the letter that is the last thing known of its recipient: once it has left, or
    /// was given up, nothing of it is kept.
    pub const FAREWELL: &str = "account-deleted";
    /// The kind of the letter that a request for a new password posts. While it waits, it makes a
    /// sign-up of its recipient contested.
    pub const RESET: &str = "password-reset";

    /// As it stands in the outbox.
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
    fn causes_survive_the_outbox() {
        let at = Timestamp::from_unix_millis(1);
        let agent = UserAgent::parse("Mozilla/5.0 (X11; Linux) Firefox/140.0");
        let caller = ClientInfo { user_agent: agent, ..ClientInfo::default() };
        let change = EmailChangeId::new(uuid::Uuid::from_u128(7));
        for cause in [
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
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<LetterRequest>(&json).unwrap(), cause);
            assert!(json.contains(cause.kind()));
            let is_counted_together = LetterRequest::PER_RECIPIENT_KINDS.contains(&cause.kind());
            assert_eq!(is_counted_together, cause.cap() == LetterCap::PerRecipient, "{cause:?}");
        }
    }
}
