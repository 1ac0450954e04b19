//! Use cases around accounts: sign-up, activation, sign-in, profile, changes of the password and
//! the address, export, deletion.
//!
//! The use cases decide which requests are allowed, and which rows change. This module knows
//! nothing of HTTP and SQL. Every use case has its own error type in the domain's words. The web
//! layer turns each error into a response.

mod activation;
mod deletion;
mod email_change;
mod epoch;
mod event_log;
mod export;
mod failure;
mod history;
mod limits;
mod link_status;
mod operator;
mod page_session;
mod password;
mod profile;
mod reauthentication;
mod session_limit;
mod sign_in;
mod sign_up;

use std::time::Duration;

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::crypto::hasher::Hasher;
use crate::mail::Outbox;
use crate::model::PasswordPolicy;
use crate::storage::Store;

pub use crate::config::SIGN_UP_TTL;
pub use activation::{
    Activated, ActivationError, ActivationLinkStatus, DisavowalError, EndedSignUp,
};
pub use email_change::{
    EmailChangeDone, EmailChangeError, EmailChangeLinkStatus, EmailLinkError, EndedChange,
    LiveChange,
};
pub use event_log::{EventDraft, EventLog};
pub use export::{Export, ExportList, ExportPage, ExportPart, ExportPlace, ExportedRow};
pub use failure::Failure;
pub use history::EventPage;
pub use limits::{AttemptPermit, Limits};
pub use link_status::LinkStatus;
pub use operator::{AccountToCreate, ActiveSignIns, CreateError, IdOrEmail, IdOrEmailError};
pub use page_session::{PAGE_IDLE_TTL, PAGE_SESSION_TTL};
pub use password::{OwnSession, ResetError, ResetLink, ResetLinkStatus};
pub use profile::{ProfileChange, ProfileError};
pub use reauthentication::ReauthenticationError;
pub use sign_in::{SignInAttempt, SignInError, SignedIn};
pub use sign_up::SignUpRequest;

/// The use cases around accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Source of random bytes.
    pub entropy: Entropy,
    /// Password hasher.
    pub hasher: Hasher,
    /// Outbox of letters.
    pub outbox: Outbox,
    /// Log of security events.
    pub events: EventLog,
    /// Policy for new passwords.
    pub policy: PasswordPolicy,
    /// Limits on attempts and requests.
    pub limits: Limits,
    /// Lifetime of an activation link, if the sign-up waits as long.
    pub activation_ttl: Duration,
    /// Largest number of sessions of an account, and of its sign-ins at the account page. `None`
    /// where limits are off.
    pub session_limit: Option<i64>,
    /// Lifetime of a link that confirms a change of address.
    pub email_link_ttl: Duration,
}
