//! Tables: the statements, as methods of [`Connection`](super::Connection), in one file for each
//! table or pair of tables.

mod account_links;
mod accounts;
mod clients;
mod credentials;
mod email_changes;
mod email_search;
mod events;
mod failed_attempts;
mod links;
pub(super) mod outbox;
mod page_sessions;
mod session_limit;
mod sessions;
mod sign_ups;

pub use account_links::{AccountLinkRecord, AccountLinkSummary, LinkKey, NewAccountLink};
pub use accounts::{AccountRecord, NewAccount};
pub use clients::ClientRecord;
pub use credentials::{CredentialOwner, PasswordCredentials};
pub use email_changes::NewEmailChange;
pub use events::NewEvent;
pub use failed_attempts::{
    FAILED_ATTEMPTS_MAX_AGE, FAILURE_DECAY_INTERVAL, FailedAttempts, Failures,
};
pub use links::LinkRecord;
pub use page_sessions::{NewPageSession, PageSessionSummary};
pub use session_limit::{ExcessPageSession, ExcessSession};
pub use sessions::{AccessSlot, NewSession, Renewal, Rotation, SessionRecord};
pub use sign_ups::{NewSignUp, SignUpRecord};
