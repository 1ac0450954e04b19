//! View of a problem.

use serde::Serialize;

use super::View;
use crate::web::responses::problem_type;

/// A kind of problem, in the words of the language.
#[derive(Debug, Serialize)]
pub struct ProblemView<'a> {
    pub title: &'a str,
    pub status: u16,
    pub detail: &'a str,
    pub advice: &'a str,
    /// Where it happened, and is not only explained.
    pub request_id: Option<&'a str>,
}

impl View for ProblemView<'_> {
    const NAME: &'static str = "problem";

    fn samples() -> Vec<Self> {
        let problem_type = problem_type::NOT_FOUND;
        let sample = |request_id| Self {
            title: problem_type.title,
            status: problem_type.status,
            detail: problem_type.detail,
            advice: problem_type.advice,
            request_id,
        };
        vec![sample(None), sample(Some("0af7651916cd43dd8448eb211c80319c"))]
    }
}
