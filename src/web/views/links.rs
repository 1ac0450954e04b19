//! Views of the pages behind the links in letters.

use serde::Serialize;

use super::{AT, EMAIL, FieldMessage, NEW_EMAIL, TOKEN, View};

/// The page of a sign-up that waits for its activation.
#[derive(Debug, Serialize)]
pub struct Activate<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub signed_up_at: i64,
    pub contested_at: Option<i64>,
    pub browser: Option<String>,
    pub password_needed: bool,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for Activate<'_> {
    const NAME: &'static str = "activate";

    fn samples() -> Vec<Self> {
        let sample = |contested_at: Option<i64>, errors| Self {
            token: TOKEN,
            email: EMAIL,
            signed_up_at: AT,
            contested_at,
            browser: contested_at.is_none().then(|| "Firefox (Linux)".to_owned()),
            password_needed: contested_at.is_some(),
            min_length: 15,
            errors,
        };
        vec![
            sample(None, vec![]),
            sample(Some(AT), vec![]),
            sample(None, FieldMessage::samples()),
            sample(Some(AT), FieldMessage::samples()),
        ]
    }
}

/// The account is active.
#[derive(Debug, Serialize)]
pub struct ActivatedPage<'a> {
    /// Absent if the account was active before. An old link must not show the account's present
    /// address.
    pub email: Option<&'a str>,
}

impl View for ActivatedPage<'_> {
    const NAME: &'static str = "activated";

    fn samples() -> Vec<Self> {
        vec![Self { email: Some(EMAIL) }, Self { email: None }]
    }
}

/// The link was never sent.
#[derive(Debug, Serialize)]
pub struct LinkUnknown {
    /// Whether the link is of a change of address. The user asks for another one in the account;
    /// for any other link, the address is enough.
    pub of_email_change: bool,
}

impl View for LinkUnknown {
    const NAME: &'static str = "link-unknown";

    fn samples() -> Vec<Self> {
        [false, true].map(|of_email_change| Self { of_email_change }).into()
    }
}

/// A new link is on its way, if there is anything to send. The page has a button to ask once more.
#[derive(Debug, Serialize)]
pub struct NewLinkSent<'a> {
    pub token: &'a str,
    /// The path of the link's page. The form posts to `new-link` below it.
    pub path: &'static str,
}

impl View for NewLinkSent<'_> {
    const NAME: &'static str = "new-link-sent";

    fn samples() -> Vec<Self> {
        ["/activate", "/reset-password", "/confirm-email"]
            .map(|path| Self { token: TOKEN, path })
            .into()
    }
}

/// The form for a new password.
#[derive(Debug, Serialize)]
pub struct ResetPassword<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for ResetPassword<'_> {
    const NAME: &'static str = "reset-password";

    fn samples() -> Vec<Self> {
        let sample = |errors| Self { token: TOKEN, email: EMAIL, min_length: 15, errors };
        vec![sample(vec![]), sample(FieldMessage::samples())]
    }
}

/// The form for the first password of an account.
#[derive(Debug, Serialize)]
pub struct ChoosePassword<'a> {
    pub token: &'a str,
    pub email: &'a str,
    pub min_length: usize,
    pub errors: Vec<FieldMessage>,
}

impl View for ChoosePassword<'_> {
    const NAME: &'static str = "choose-password";

    fn samples() -> Vec<Self> {
        let sample = |errors| Self { token: TOKEN, email: EMAIL, min_length: 15, errors };
        vec![sample(vec![]), sample(FieldMessage::samples())]
    }
}

/// The button that confirms a new address.
#[derive(Debug, Serialize)]
pub struct ConfirmEmail<'a> {
    pub token: &'a str,
    pub new_email: &'a str,
    /// The account's present address, masked, since the reader of the new mailbox may not be its
    /// owner.
    pub present: String,
    pub requested_at: i64,
    pub browser: Option<String>,
}

impl View for ConfirmEmail<'_> {
    const NAME: &'static str = "confirm-email";

    fn samples() -> Vec<Self> {
        let sample = |browser| Self {
            token: TOKEN,
            new_email: NEW_EMAIL,
            present: "a…@example.org".to_owned(),
            requested_at: AT,
            browser,
        };
        vec![sample(None), sample(Some("Firefox (Linux)".to_owned()))]
    }
}

/// The new address is confirmed.
#[derive(Debug, Serialize)]
pub struct EmailConfirmed<'a> {
    pub email: &'a str,
    pub already: bool,
}

impl View for EmailConfirmed<'_> {
    const NAME: &'static str = "email-confirmed";

    fn samples() -> Vec<Self> {
        [false, true].map(|already| Self { email: NEW_EMAIL, already }).into()
    }
}

/// The button that stops a change of address.
#[derive(Debug, Serialize)]
pub struct StopEmailChange<'a> {
    pub token: &'a str,
    pub new_email: &'a str,
    pub requested_at: i64,
    pub browser: Option<String>,
}

impl View for StopEmailChange<'_> {
    const NAME: &'static str = "stop-email-change";

    fn samples() -> Vec<Self> {
        let sample =
            |browser| Self { token: TOKEN, new_email: NEW_EMAIL, requested_at: AT, browser };
        vec![sample(None), sample(Some("Firefox (Linux)".to_owned()))]
    }
}

/// The new address belongs to another account by now.
#[derive(Debug, Serialize)]
pub struct EmailChangeTaken<'a> {
    pub new_email: &'a str,
}

impl View for EmailChangeTaken<'_> {
    const NAME: &'static str = "email-change-taken";

    fn samples() -> Vec<Self> {
        vec![Self { new_email: NEW_EMAIL }]
    }
}

/// The change of address was stopped.
#[derive(Debug, Serialize)]
pub struct EmailChangeStopped {
    /// Whether the change had been stopped before.
    pub already: bool,
}

impl View for EmailChangeStopped {
    const NAME: &'static str = "email-change-stopped";

    fn samples() -> Vec<Self> {
        [false, true].map(|already| Self { already }).into()
    }
}

/// Declares views whose only field is the token of the link.
macro_rules! pages_of_a_link {
    ($($(#[$doc:meta])* $view:ident = $name:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub struct $view<'a> {
            pub token: &'a str,
        }

        impl View for $view<'_> {
            const NAME: &'static str = $name;

            fn samples() -> Vec<Self> {
                vec![Self { token: TOKEN }]
            }
        }
    )+};
}

pages_of_a_link! {
    /// The activation link has expired. The page has a button for another.
    LinkExpired = "link-expired";
    /// The link for a new password has expired. The page has a button for another.
    ResetLinkExpired = "reset-link-expired";
    /// The change of address has expired. The page has a button for another link.
    EmailChangeExpired = "email-change-expired";
}

/// Declares views without fields.
macro_rules! plain_pages {
    ($($(#[$doc:meta])* $view:ident = $name:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub struct $view {}

        impl View for $view {
            const NAME: &'static str = $name;

            fn samples() -> Vec<Self> {
                vec![Self {}]
            }
        }
    )+};
}

plain_pages! {
    /// The address has got an account in another way.
    AddressTaken = "address-taken";
    /// The sign-up was dropped.
    Disavowed = "disavowed";
    /// The password was changed.
    PasswordResetDone = "password-reset-done";
    /// The account has its first password.
    PasswordChosen = "password-chosen";
    /// The link for a new password was used.
    ResetLinkUsed = "reset-link-used";
    /// It is too late to stop the change of address.
    EmailChangeTooLate = "email-change-too-late";
    /// The link that stops a change of address has expired, together with the change.
    EmailStopExpired = "email-stop-expired";
}
