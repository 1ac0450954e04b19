//! Change of an account's address, which waits until the owner has proved to own the new mailbox.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::{AccountId, EmailAddress, UserAgent, row_id};

row_id! {
    /// Id of a change of address.
    EmailChangeId
}

/// Change of address with its state.
#[derive(Clone, Debug)]
pub struct EmailChange {
    /// Id of the change.
    pub id: EmailChangeId,
    /// Id of the account.
    pub account: AccountId,
    /// The new address.
    pub email: EmailAddress,
    /// Browser of the request, if the client sent one.
    pub user_agent: Option<UserAgent>,
    /// Time of the request.
    pub requested_at: Timestamp,
    /// State of the change.
    pub state: EmailChangeState,
}

/// State of a change of address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailChangeState {
    /// Neither confirmed nor ended; an old change may be too late to confirm.
    Pending,
    /// The new address has taken effect.
    Confirmed {
        /// Time of the end.
        at: Timestamp,
    },
    /// Stopped by the recipient of the old address, or by the signed-in owner.
    Stopped {
        /// Time of the end.
        at: Timestamp,
    },
    /// Ended by another change, or by a later change of the password.
    Voided {
        /// Time of the end.
        at: Timestamp,
    },
}

impl EmailChange {
    /// Time that a change waits beyond its first link: 7 days. Long enough for a mail server that
    /// was down over the weekend, and for a letter that is found late.
    const GRACE: Duration = Duration::from_secs(7 * 24 * 3_600);

    /// End of the wait, if a link that confirms the change works for `link_ttl`. Until then the
    /// change can be stopped; from then on it cannot be confirmed.
    pub fn ends_at(&self, link_ttl: Duration) -> Timestamp {
        self.requested_at + link_ttl + Self::GRACE
    }

    /// Whether the change can still take effect.
    pub fn is_pending(&self, now: Timestamp, link_ttl: Duration) -> bool {
        self.state == EmailChangeState::Pending && now < self.ends_at(link_ttl)
    }
}

impl EmailChangeState {
    /// Name in exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed { .. } => "confirmed",
            Self::Stopped { .. } => "stopped",
            Self::Voided { .. } => "voided",
        }
    }

    /// Time of the end, if the change has ended.
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Confirmed { at } | Self::Stopped { at } | Self::Voided { at } => Some(at),
        }
    }
}
