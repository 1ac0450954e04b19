//! View of a problem type: an error page or its explanation.

use serde::Serialize;

use super::{FieldMessage, MessageKey, View};
use crate::web::responses::problem_type;

/// A problem type in the language of the page.
#[derive(Debug, Serialize)]
pub struct ProblemView<'a> {
    pub title: &'a str,
    pub status: u16,
    pub detail: &'a str,
    /// Advice to programs. A page with a time to wait shows that instead.
    pub advice: &'a str,
    /// When to try again.
    pub wait: Option<FieldMessage>,
    /// Whether the browser still has a form that the service has not read.
    pub unread_form: bool,
    pub cure: Option<Cure>,
    /// The id of the failed request; absent on the page that explains the problem type.
    pub request_id: Option<&'a str>,
}

/// The message that says when to try again, after a "not now" for these seconds. Times are rounded
/// up: a person who comes back in time must not be refused again.
pub fn wait_message(seconds: u64) -> FieldMessage {
    let (word, count) = match seconds {
        0..=10 => ("moment", 0),
        11..=7_200 => ("minutes", seconds.div_ceil(60)),
        _ => ("hours", seconds.div_ceil(3_600)),
    };
    let message = FieldMessage::from(MessageKey::new("refused-wait", word));
    match usize::try_from(count) {
        Ok(count @ 1..) => message.with("count", count),
        _ => message,
    }
}

/// A link to a page that helps while a rate limit refuses something.
#[derive(Clone, Debug, Serialize)]
pub struct Cure {
    /// The message that says what the page is for.
    advice: MessageKey,
    /// The message of the link.
    label: MessageKey,
    path: &'static str,
}

impl Cure {
    const fn new(advice: &'static str, label: &'static str, path: &'static str) -> Self {
        Self { advice: MessageKey::of(advice), label: MessageKey::of(label), path }
    }

    /// A new password, which ends the limits on attempts.
    pub const NEW_PASSWORD: Self = Self::new(
        "refused-cure-password",
        "account-forgotten-question",
        "/account/forgotten-password",
    );
    /// Another link for a sign-up or a forgotten password.
    pub const LINK: Self =
        Self::new("refused-cure-link", "page-send-again", "/account/forgotten-password");
    /// The account, where a change of address is asked for again.
    pub const ACCOUNT: Self = Self::new("link-unknown-change", "account-go", "/account");
    const ALL: [Self; 3] = [Self::NEW_PASSWORD, Self::LINK, Self::ACCOUNT];
}

/// The texts of a refusal that the code chooses.
pub(super) fn chosen_messages() -> Vec<FieldMessage> {
    let mut all = [1, 60, 600, 10_000].map(wait_message).to_vec();
    all.extend(Cure::ALL.into_iter().flat_map(|cure| [cure.advice.into(), cure.label.into()]));
    all
}

impl View for ProblemView<'_> {
    const NAME: &'static str = "problem";

    fn samples() -> Vec<Self> {
        let sample = |problem_type: &problem_type::ProblemType, request_id| Self {
            title: problem_type.title,
            status: problem_type.status,
            detail: problem_type.detail,
            advice: problem_type.advice,
            wait: None,
            unread_form: false,
            cure: None,
            request_id,
        };
        let id = Some("0af7651916cd43dd8448eb211c80319c");
        let mut all = vec![
            sample(problem_type::NOT_FOUND, None),
            sample(problem_type::NOT_FOUND, id),
            Self {
                wait: Some(wait_message(1)),
                unread_form: true,
                ..sample(problem_type::UNAVAILABLE, id)
            },
        ];
        all.extend(Cure::ALL.map(|cure| {
            let limited = sample(problem_type::RATE_LIMITED, id);
            Self { wait: Some(wait_message(450)), cure: Some(cure), ..limited }
        }));
        all
    }
}
