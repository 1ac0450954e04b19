//! The letters: one variant for each, with the data that its templates need.

use serde::Serialize;

/// A letter with the data for its templates in `templates/mail/<name>/`. Instants are in
/// milliseconds since 1970, lengths of time in seconds. The templates format both in the
/// recipient's language.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Letter {
    /// To a person who signed up: the link that creates the account.
    Activation { link: String, valid_for: u64, signed_up_at: i64, browser: Option<String> },
    /// To an account's owner: a sign-up used their address again.
    AccountExists { at: i64, browser: Option<String> },
    /// To an account's owner: another account asked to move to their address.
    AddressInUse { at: i64, browser: Option<String> },
    /// To an account's owner: an old refresh token was used, and its session ended.
    SessionEnded { at: i64, client: String, browser: Option<String> },
    /// To an account's owner who forgot the password: the link to reset it.
    PasswordReset { link: String, valid_for: u64, at: i64, browser: Option<String> },
    /// To an account's owner: the operator asks them to choose a new password.
    OperatorReset { link: String, valid_for: u64 },
    /// To the owner of an account that the operator created: the link to choose its password.
    Invitation { link: String, valid_for: u64 },
    /// To an account's owner: the password was changed, from a session or through a link.
    PasswordChanged { at: i64, browser: Option<String>, by_link: bool },
    /// To the new address of an account: the link that confirms it.
    EmailChange { link: String, valid_for: u64, at: i64, browser: Option<String> },
    /// To the old address before the new one is confirmed: the link that stops the change.
    EmailChangeNotice {
        link: String,
        valid_for: u64,
        new_email: String,
        at: i64,
        browser: Option<String>,
    },
    /// To the old address after the new one has replaced it.
    EmailChanged { new_email: String, at: i64 },
    /// To the former owner: the account was deleted.
    AccountDeleted { at: i64, by_operator: bool },
    /// To the operator, who tests the settings.
    Trial { at: i64 },
}

impl Letter {
    /// The name of the folder of its templates.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Activation { .. } => "activation",
            Self::AccountExists { .. } => "account-exists",
            Self::AddressInUse { .. } => "address-in-use",
            Self::SessionEnded { .. } => "session-ended",
            Self::PasswordReset { .. } => "password-reset",
            Self::OperatorReset { .. } => "operator-reset",
            Self::Invitation { .. } => "invitation",
            Self::PasswordChanged { .. } => "password-changed",
            Self::EmailChange { .. } => "email-change",
            Self::EmailChangeNotice { .. } => "email-change-notice",
            Self::EmailChanged { .. } => "email-changed",
            Self::AccountDeleted { .. } => "account-deleted",
            Self::Trial { .. } => "trial",
        }
    }

    /// The link in the letter, if it has one.
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::Activation { link, .. }
            | Self::PasswordReset { link, .. }
            | Self::OperatorReset { link, .. }
            | Self::Invitation { link, .. }
            | Self::EmailChange { link, .. }
            | Self::EmailChangeNotice { link, .. } => Some(link),
            Self::AccountExists { .. }
            | Self::AddressInUse { .. }
            | Self::SessionEnded { .. }
            | Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::AccountDeleted { .. }
            | Self::Trial { .. } => None,
        }
    }

    /// At least one sample of each letter, for previews and for the tests that render all of them.
    pub fn samples() -> Vec<Self> {
        // 23 November 2026, 09:41
        let at = 1_795_426_860_000;
        let browser = || Some("Firefox (Linux)".to_owned());
        let link = |path: &str| {
            let token = "V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M";
            format!("https://accounts.example.org/{path}?token={token}")
        };
        let new_email = || "ada.lovelace@example.net".to_owned();
        let (hour, day) = (3_600, 86_400);
        vec![
            Self::Activation {
                link: link("activate"),
                valid_for: day,
                signed_up_at: at,
                browser: browser(),
            },
            Self::Activation {
                link: link("activate"),
                valid_for: day,
                signed_up_at: at,
                browser: None,
            },
            Self::AccountExists { at, browser: browser() },
            Self::AddressInUse { at, browser: browser() },
            Self::SessionEnded { at, client: "web".to_owned(), browser: browser() },
            Self::PasswordReset {
                link: link("reset-password"),
                valid_for: hour,
                at,
                browser: browser(),
            },
            Self::OperatorReset { link: link("reset-password"), valid_for: day },
            Self::Invitation { link: link("reset-password"), valid_for: 3 * day },
            Self::PasswordChanged { at, browser: browser(), by_link: false },
            Self::PasswordChanged { at, browser: browser(), by_link: true },
            Self::EmailChange {
                link: link("confirm-email"),
                valid_for: day,
                at,
                browser: browser(),
            },
            Self::EmailChangeNotice {
                link: link("confirm-email/stop"),
                valid_for: 8 * day,
                new_email: new_email(),
                at,
                browser: browser(),
            },
            Self::EmailChanged { new_email: new_email(), at },
            Self::AccountDeleted { at, by_operator: false },
            Self::AccountDeleted { at, by_operator: true },
            Self::Trial { at },
        ]
    }
}
