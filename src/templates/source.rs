//! The text of a template, and its file.

use std::borrow::Cow;

/// The text of a template.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// Name in errors: the path of the operator's file, or the path in this repository.
    pub file: String,
    /// Text of the template.
    pub text: Cow<'static, str>,
    /// Whether an operator's file replaces the compiled-in template.
    pub is_override: bool,
}
