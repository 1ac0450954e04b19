//! View of a problem type: an error page or its explanation.

use serde::Serialize;

use super::View;
use crate::web::responses::problem_type;

/// A problem type in the language of the page.
#[derive(Debug, Serialize)]
pub struct ProblemView<'a> {
    pub title: &'a str,
    pub status: u16,
    pub detail: &'a str,
    pub advice: &'a str,
    /// The id of the failed request; absent on the page that explains the problem type.
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
