//! Which letters there are, and what each says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::UserAgent;

/// What caused a letter: the facts that wait in the outbox. Nothing secret.
///
/// What the letter says is decided by the courier, which looks at what has become of the address
/// by then; so a request does the same work whether or not the address is known (R34).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// Somebody signed up with the address.
    SignUp { at: i64, browser: Option<String> },
    /// Somebody asked for another activation link.
    NewLink,
    /// An old refresh token was used again, and the session ended.
    SessionEnded { at: i64, client: String, browser: Option<String> },
}

impl Cause {
    pub fn sign_up(at: Timestamp, user_agent: Option<&UserAgent>) -> Self {
        Self::SignUp { at: at.unix_millis(), browser: user_agent.and_then(UserAgent::describe) }
    }

    pub fn session_ended(at: Timestamp, client: String, user_agent: Option<&UserAgent>) -> Self {
        let browser = user_agent.and_then(UserAgent::describe);
        Self::SessionEnded { at: at.unix_millis(), client, browser }
    }

    /// Whether anybody who knows the address can cause such a letter; then only so many leave in an
    /// hour.
    pub fn is_open_to_strangers(&self) -> bool {
        match self {
            Self::SignUp { .. } | Self::NewLink => true,
            Self::SessionEnded { .. } => false,
        }
    }

    /// As it stands in the outbox.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SignUp { .. } => "sign-up",
            Self::NewLink => "new-link",
            Self::SessionEnded { .. } => "session-ended",
        }
    }
}

/// A letter with all that its templates ask for; `templates/mail/<name>/` holds them.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Letter {
    /// To whoever has signed up: the link that makes the account.
    Activation { link: String, valid_for: String, signed_up_at: String, browser: Option<String> },
    /// To the owner of an address that somebody signed up with again.
    AccountExists { at: String, browser: Option<String> },
    /// To somebody of whose session an old refresh token was used.
    SessionEnded { at: String, client: String, browser: Option<String> },
}

impl Letter {
    /// The folder of its templates.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Activation { .. } => "activation",
            Self::AccountExists { .. } => "account-exists",
            Self::SessionEnded { .. } => "session-ended",
        }
    }

    /// The link that the letter carries, if it carries one.
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::Activation { link, .. } => Some(link),
            Self::AccountExists { .. } | Self::SessionEnded { .. } => None,
        }
    }

    /// One of each, for previews and for the test that renders them all.
    pub fn samples() -> Vec<Self> {
        let at = "23 November 2026 at 09:41 UTC";
        let browser = Some("Firefox on Linux".to_owned());
        vec![
            Self::Activation {
                link: "https://accounts.example.org/activate?token=\
                       V1QlSxRHkL3CWfXHyUVxrhPkKAgEs8n9i0hXoGCcq0M"
                    .to_owned(),
                valid_for: "24 hours".to_owned(),
                signed_up_at: at.to_owned(),
                browser: browser.clone(),
            },
            Self::AccountExists { at: at.to_owned(), browser: browser.clone() },
            Self::SessionEnded { at: at.to_owned(), client: "web".to_owned(), browser },
        ]
    }
}

/// A length of time as a person says it: `24 hours`, `30 minutes`, `3 days`.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..7_200 => (seconds / 60, "minute"),
        7_200..172_801 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_as_people_say_them() {
        for (seconds, words) in [
            (1, "1 second"),
            (60, "1 minute"),
            (3_600, "60 minutes"),
            (86_400, "24 hours"),
            (172_800, "48 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn causes_survive_the_outbox() {
        let agent = UserAgent::parse("Mozilla/5.0 (X11; Linux) Firefox/140.0").unwrap();
        let at = Timestamp::from_unix_millis(1);
        for cause in [
            Cause::sign_up(at, Some(&agent)),
            Cause::NewLink,
            Cause::session_ended(at, "web".to_owned(), None),
        ] {
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), cause);
            assert!(json.contains(cause.kind()));
        }
    }
}
