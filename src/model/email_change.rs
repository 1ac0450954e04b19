//! Changing the address of an account: it waits until the new address has been shown to be theirs.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::{AccountId, EmailAddress, UserAgent, row_id};

row_id! {
    /// Of a change of address.
    EmailChangeId
}

/// A change of address, and what has become of it.
#[derive(Clone, Debug)]
pub struct EmailChange {
    pub id: EmailChangeId,
    pub account: AccountId,
    /// The new address.
    pub email: EmailAddress,
    pub user_agent: Option<UserAgent>,
    pub requested_at: Timestamp,
    pub state: EmailChangeState,
}

/// What has become of a change of address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailChangeState {
    Pending,
    Confirmed {
        at: Timestamp,
    },
    /// By whoever reads the mail of the old address, or by the signed-in owner.
    Stopped {
        at: Timestamp,
    },
    /// By another change, or because the password was changed since.
    Voided {
        at: Timestamp,
    },
}

impl EmailChange {
    /// How much longer than its first link a change waits. Long enough for a mail server that was
    /// down over the weekend, and for a letter that is found late.
    const GRACE: Duration = Duration::from_secs(7 * 24 * 3_600);

    /// When it stops waiting, where a link that confirms it works for `link_ttl`. Until then it can
    /// be stopped, and not a moment longer be confirmed.
    pub fn ends_at(&self, link_ttl: Duration) -> Timestamp {
        self.requested_at + link_ttl + Self::GRACE
    }

    /// Whether it can still take effect.
    pub fn is_pending(&self, now: Timestamp, link_ttl: Duration) -> bool {
        self.state == EmailChangeState::Pending && now < self.ends_at(link_ttl)
    }
}

impl EmailChangeState {
    /// As exports say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed { .. } => "confirmed",
            Self::Stopped { .. } => "stopped",
            Self::Voided { .. } => "voided",
        }
    }

    /// When it ended, if it has.
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Confirmed { at } | Self::Stopped { at } | Self::Voided { at } => Some(at),
        }
    }
}
