//! Domain types, parsed once at the border and then trusted.
//!
//! This module knows nothing of HTTP, SQL or mail. A value of such a type is valid by construction:
//! an [`EmailAddress`] cannot hold a second recipient, a [`NewPassword`] has passed the policy, a
//! [`Scope`] is sorted.

mod account;
mod attempt;
mod client;
mod client_info;
mod email;
mod email_change;
mod event;
mod letter_request;
mod link;
mod network;
mod origin;
mod page_session;
mod password;
mod profile;
mod scope;
mod secret;
mod session;
mod sign_up;
mod token;
mod unicode_domain;
mod user_agent;

pub use account::{Account, AccountId};
pub use attempt::AttemptKey;
pub use client::{
    Client, ClientAuthentication, ClientId, ClientLifetimes, GrantType, PreviousSecret,
    RegistrationError,
};
pub use client_info::ClientInfo;
pub use email::{EmailAddress, EmailError, SenderAddress, trim_pasted};
pub use email_change::{EmailChange, EmailChangeId, EmailChangeState};
pub use event::{Actor, Event, EventId, EventKind};
pub use letter_request::{LetterCap, LetterKind, LetterRequest};
pub use link::{AccountLinkPurpose, AccountLinkState, LinkState, LinkToken};
pub use network::{Network, Subnet};
pub use origin::{OriginError, Origins};
pub use page_session::{PageSession, PageSessionId, PageSessionSecret};
pub use password::{
    NewPassword, Password, PasswordError, PasswordPolicy, PersonalData, blocklist_table,
};
pub use profile::{Locale, LocaleError, Name, NameError};
pub use scope::{Scope, ScopeError};
pub use secret::{Digest, Secret};
pub use session::{SessionId, SessionSummary};
pub use sign_up::{SignUp, SignUpId};
pub use token::{
    AccessToken, RefreshToken, SessionTag, TokenError, is_like_access_token, is_like_refresh_token,
};
pub use user_agent::UserAgent;

/// Defines an id for a kind of row: a UUIDv7 (RFC 9562 §5.7) with its own type, made by the
/// program.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The id with this UUID.
            pub const fn new(id: uuid::Uuid) -> Self {
                Self(id)
            }

            /// The id's UUID.
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
pub(crate) use row_id;
