//! Errors of single fields in a problem.

use serde::Serialize;

use crate::model::{EmailError, LocaleError, NameError, PasswordError};

/// An error in one field. It never repeats the rejected value.
#[derive(Clone, Debug, Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub code: &'static str,
    pub message: String,
    /// Advice on how to fix the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<&'static str>,
}

/// An error of a model type that can be reported as the error of a field.
pub trait FieldProblem: std::fmt::Display {
    /// A stable code for programs.
    fn code(&self) -> &'static str;

    /// Advice on how to fix the field, if there is any.
    fn suggestion(&self) -> Option<&'static str> {
        None
    }

    /// This error as an error of `field`.
    fn of(&self, field: &'static str) -> FieldError {
        let (code, message) = (self.code(), self.to_string());
        FieldError { field, code, message, suggestion: self.suggestion() }
    }
}

macro_rules! field_problem {
    ($($error:ty),+) => {
        $(impl FieldProblem for $error {
            fn code(&self) -> &'static str {
                <$error>::code(*self)
            }
        })+
    };
}
field_problem!(EmailError, NameError, LocaleError);

impl FieldProblem for PasswordError {
    fn code(&self) -> &'static str {
        Self::code(*self)
    }

    fn suggestion(&self) -> Option<&'static str> {
        Self::suggestion(*self)
    }
}
