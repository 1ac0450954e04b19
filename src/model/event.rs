//! Security events of accounts, for their owner and for the operator.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, SessionId, SignUpId, UserAgent, row_id};

row_id! {
    /// Id of an event. Ids sort by the time of the event.
    EventId
}

/// Defines an enum whose variants have fixed names in the database and in JSON.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$about])* $variant),+
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Name in the database, in JSON, and in message ids.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::event::UnknownVariant;

            fn from_str(text: &str) -> Result<Self, $crate::model::event::UnknownVariant> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or($crate::model::event::UnknownVariant)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let string_enum = Self::ALL.iter().map(|one| one.as_str());
                let schema = utoipa::openapi::ObjectBuilder::new();
                let schema = schema.schema_type(utoipa::openapi::Type::String);
                utoipa::openapi::RefOr::T(schema.enum_values(Some(string_enum)).into())
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(in crate::model) use string_enum;

/// Name in the database that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an unknown value")]
pub struct UnknownVariant;

string_enum! {
    /// Party that caused an event.
    Actor {
        /// The owner of the account, by token, cookie, password or link.
        Owner = "owner",
        /// An OAuth client.
        Client = "client",
        /// The operator of the service, by the command line.
        Operator = "operator",
        /// A caller who has not proved to be the owner: a caller without credentials, or a
        /// signed-in caller who does not know the password, since a session can be stolen.
        Stranger = "stranger",
        /// The service itself.
        Service = "service",
    }
}

string_enum! {
    /// Kind of event.
    EventKind {
        /// A sign-up was requested.
        SignUp = "sign-up",
        /// A waiting sign-up was dropped.
        SignUpDropped = "sign-up-dropped",
        /// A sign-up became an account.
        Activation = "activation",
        /// The owner signed in.
        SignIn = "sign-in",
        /// A sign-in was refused.
        SignInFailed = "sign-in-failed",
        /// A signed-in caller gave a wrong current password.
        PasswordRefused = "password-refused",
        /// One session or browser sign-in was ended.
        SignOut = "sign-out",
        /// All sessions of the account were ended.
        SignOutEverywhere = "sign-out-everywhere",
        /// A client revoked one access token (RFC 7009).
        AccessTokenRevoked = "access-token-revoked",
        /// A refresh token spent long ago was presented, and its session ended.
        RefreshTokenStolen = "refresh-token-stolen",
        /// The account had too many sessions, and this one was unused for longest.
        SessionEvicted = "session-evicted",
        /// The name or the language was changed.
        ProfileChanged = "profile-changed",
        /// The owner changed the password.
        PasswordChanged = "password-changed",
        /// A link to choose a new password was requested.
        PasswordResetRequested = "password-reset-requested",
        /// A password was chosen behind a link.
        PasswordReset = "password-reset",
        /// A change of the address was requested.
        EmailChangeRequested = "email-change-requested",
        /// A change of the address was stopped.
        EmailChangeStopped = "email-change-stopped",
        /// A new address took effect.
        EmailChanged = "email-changed",
        /// The owner exported all data.
        DataExported = "data-exported",
        /// The operator created the account.
        AccountCreated = "account-created",
        /// The operator disabled the account.
        AccountDisabled = "account-disabled",
        /// The operator enabled the account.
        AccountEnabled = "account-enabled",
        /// An account was deleted; the event does not say which one.
        AccountDeleted = "account-deleted",
        /// A client was registered. This kind and the kinds below have no account.
        ClientAdded = "client-added",
        /// A client got a new secret.
        ClientSecretRotated = "client-secret-rotated",
        /// A client was disabled.
        ClientDisabled = "client-disabled",
        /// A client was enabled.
        ClientEnabled = "client-enabled",
        /// A client was removed.
        ClientRemoved = "client-removed",
    }
}

impl EventKind {
    /// Number of events of this kind that are kept, the latest, for each account, for each waiting
    /// sign-up, and for events without either. Each kind has its own count, so no flood of one kind
    /// pushes out another.
    pub const fn kept(self) -> i64 {
        match self {
            // strangers can cause these, or they change nothing about access
            Self::SignUp
            | Self::SignInFailed
            | Self::PasswordRefused
            | Self::PasswordResetRequested
            | Self::ProfileChanged
            | Self::DataExported => 100,
            // these show access, and the reaction to it
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
            // these are counted for all accounts together, or for the operator
            Self::AccountDeleted
            | Self::ClientAdded
            | Self::ClientSecretRotated
            | Self::ClientDisabled
            | Self::ClientEnabled
            | Self::ClientRemoved => 10_000,
        }
    }
}

/// Event of an account or a client.
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
    /// Address of the request, as far as it is kept.
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
    fn event_names_survive_the_database() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse::<EventKind>().unwrap(), *kind);
        }
        for actor in Actor::ALL {
            assert_eq!(actor.as_str().parse::<Actor>().unwrap(), *actor);
        }
        assert!("sign-in ".parse::<EventKind>().is_err());
    }
}
