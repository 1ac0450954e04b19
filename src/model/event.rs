//! What happened to an account, for its owner and for the operator.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, SessionId, SignUpId, UserAgent, row_id};

row_id! {
    /// Of an event; ids sort by the time of what happened.
    EventId
}

/// Makes an enum of words, which stand in the database and in JSON as they are.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$about])* $variant),+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it stands in the database, in JSON, and in the names of messages.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownVariant;

            fn from_str(text: &str) -> Result<Self, UnknownVariant> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(UnknownVariant)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let string_enum = Self::ALL.iter().map(|one| one.as_str());
                let schema = ObjectBuilder::new().schema_type(Type::String);
                RefOr::T(schema.enum_values(Some(string_enum)).into())
            }
        }

        impl ToSchema for $name {}
    };
}

/// The database holds a word that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a word that this version does not know")]
pub struct UnknownVariant;

string_enum! {
    /// Whose doing it was.
    Actor {
        /// The person whose account it is, by token, cookie, password or link.
        Owner = "owner",
        /// An OAuth client.
        Client = "client",
        /// Whoever runs the service, by the command line.
        Operator = "operator",
        /// Somebody who has not shown what they were asked for: nobody yet, or who is signed in and
        /// does not know the password, since a session can be stolen.
        Stranger = "stranger",
        /// The service itself.
        Service = "service",
    }
}

string_enum! {
    /// What happened.
    EventKind {
        SignUp = "sign-up",
        SignUpDropped = "sign-up-dropped",
        Activation = "activation",
        SignIn = "sign-in",
        SignInFailed = "sign-in-failed",
        /// The current password was asked for, and another was given.
        PasswordRefused = "password-refused",
        SignOut = "sign-out",
        SignOutEverywhere = "sign-out-everywhere",
        /// A client revoked one access token (RFC 7009).
        AccessTokenRevoked = "access-token-revoked",
        RefreshTokenStolen = "refresh-token-stolen",
        /// The account had too many sessions, and this one was unused for longest.
        SessionEvicted = "session-evicted",
        ProfileChanged = "profile-changed",
        PasswordChanged = "password-changed",
        PasswordResetRequested = "password-reset-requested",
        PasswordReset = "password-reset",
        EmailChangeRequested = "email-change-requested",
        EmailChangeStopped = "email-change-stopped",
        EmailChanged = "email-changed",
        DataExported = "data-exported",
        AccountCreated = "account-created",
        AccountDisabled = "account-disabled",
        AccountEnabled = "account-enabled",
        /// Of nobody any more: it says that an account was deleted, and not whose.
        AccountDeleted = "account-deleted",
        /// Of an OAuth client, and so of nobody: here and below.
        ClientAdded = "client-added",
        ClientSecretRotated = "client-secret-rotated",
        ClientDisabled = "client-disabled",
        ClientEnabled = "client-enabled",
        ClientRemoved = "client-removed",
    }
}

impl EventKind {
    /// How many events of the kind are kept for each account, the latest; and for each waiting sign-up,
    /// and of those that are about neither. Each kind has a count of its own: no flood of one kind
    /// pushes out another.
    pub const fn kept(self) -> i64 {
        match self {
            // what strangers can cause, and what changes nothing about who gets in
            Self::SignUp
            | Self::SignInFailed
            | Self::PasswordRefused
            | Self::PasswordResetRequested
            | Self::ProfileChanged
            | Self::DataExported => 100,
            // what shows who got in, and what was done about it
            Self::SignUpDropped
            | Self::Activation
            | Self::SignIn
            | Self::SignOut
            | Self::SignOutEverywhere
            | Self::AccessTokenRevoked
            | Self::RefreshTokenStolen
            | Self::SessionEvicted
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::EmailChangeRequested
            | Self::EmailChangeStopped
            | Self::EmailChanged
            | Self::AccountCreated
            | Self::AccountDisabled
            | Self::AccountEnabled => 1_000,
            // of all accounts together, and what the operator did
            Self::AccountDeleted
            | Self::ClientAdded
            | Self::ClientSecretRotated
            | Self::ClientDisabled
            | Self::ClientEnabled
            | Self::ClientRemoved => 10_000,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Event {
    #[schema(value_type = String, format = "uuid")]
    pub id: EventId,
    pub kind: EventKind,
    pub actor: Actor,
    #[schema(value_type = String, format = "date-time")]
    pub at: Timestamp,
    #[serde(skip)]
    pub account: Option<AccountId>,
    #[serde(skip)]
    pub sign_up: Option<SignUpId>,
    #[schema(value_type = Option<String>, required = true, format = "uuid")]
    pub session_id: Option<SessionId>,
    #[schema(value_type = Option<String>, required = true)]
    pub client_id: Option<ClientId>,
    /// Where the request came from, as far as that is kept.
    #[schema(required = true)]
    pub address: Option<String>,
    #[schema(value_type = Option<String>, required = true)]
    pub user_agent: Option<UserAgent>,
    #[schema(required = true)]
    pub request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_database() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse::<EventKind>().unwrap(), *kind);
        }
        for actor in Actor::ALL {
            assert_eq!(actor.as_str().parse::<Actor>().unwrap(), *actor);
        }
        assert!("sign-in ".parse::<EventKind>().is_err());
    }
}
