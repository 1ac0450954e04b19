//! Views of sent letters, for developers.

use serde::Serialize;

use super::{AT, EMAIL, View};

/// A letter, as developers see it.
#[derive(Debug, Serialize)]
pub struct LetterView {
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub at: i64,
    pub text: String,
}

impl LetterView {
    fn sample() -> Self {
        Self {
            id: "01890000-0000-7000-8000-000000000001".to_owned(),
            from: "Vestibule <no-reply@example.org>".to_owned(),
            to: EMAIL.to_owned(),
            subject: "Confirm your email address".to_owned(),
            at: AT,
            text: "Hello".to_owned(),
        }
    }
}

/// The list of all letters.
#[derive(Debug, Serialize)]
pub struct DevMail {
    pub letters: Vec<LetterView>,
}

impl View for DevMail {
    const NAME: &'static str = "dev-mail";

    fn samples() -> Vec<Self> {
        vec![Self { letters: vec![] }, Self { letters: vec![LetterView::sample()] }]
    }
}

/// The page of one letter.
#[derive(Debug, Serialize)]
pub struct DevLetter {
    pub letter: LetterView,
    pub links: Vec<String>,
}

impl View for DevLetter {
    const NAME: &'static str = "dev-letter";

    fn samples() -> Vec<Self> {
        [vec![], vec!["/activate?token=T".to_owned()]]
            .map(|links| Self { letter: LetterView::sample(), links })
            .into()
    }
}
