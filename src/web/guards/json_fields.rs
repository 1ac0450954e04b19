//! Reads the fields of a JSON object and collects all errors for one answer.

use serde_json::{Map, Value};

use crate::web::responses::field_error::{FieldError, FieldProblem};
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// Reads fields of an object and remembers their errors. Unknown members are ignored (R38).
#[derive(Debug)]
pub struct JsonFields<'a> {
    object: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<'a> JsonFields<'a> {
    /// A reader of the object's fields.
    pub(in crate::web) fn of(object: &'a Map<String, Value>) -> Self {
        Self { object, errors: Vec::new() }
    }

    /// Reads a required text.
    pub fn required<T, E: FieldProblem>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.text(field) {
            Some(Some(text)) => self.parsed(field, parse(text)),
            Some(None) => {
                self.wrong(field, "missing", "is needed");
                None
            }
            None => None,
        }
    }

    /// Reads an optional text, which may be missing or null.
    pub fn optional<T, E: FieldProblem>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.text(field).flatten().and_then(|text| self.parsed(field, parse(text)))
    }

    /// Reads a field of a partial update: `None` if it is missing, `Some(None)` if it is null.
    pub fn change<T, E: FieldProblem>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        if !self.object.contains_key(field) {
            return None;
        }
        match self.text(field)? {
            Some(text) => self.parsed(field, parse(text)).map(Some),
            None => Some(None),
        }
    }

    /// Reads an optional text without parsing it.
    pub fn text_of(&mut self, field: &'static str) -> Option<&'a str> {
        self.text(field).flatten()
    }

    /// Reads a required text without parsing it.
    pub fn required_text(&mut self, field: &'static str) -> Option<&'a str> {
        let text = self.text(field)?;
        if text.is_none() {
            self.wrong(field, "missing", "is needed");
        }
        text
    }

    /// Adds an error in `field`.
    pub fn refuse(&mut self, field: &'static str, problem: &impl FieldProblem) {
        self.errors.push(problem.of(field));
    }

    /// Fails with all errors, if there are any.
    pub fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }

    /// Fails with all errors, or returns `taken`, the required fields. If `taken` is `None`
    /// although no field reported an error, the answer is a server error.
    pub fn finish_with<T>(self, taken: Option<T>) -> Result<T, Problem> {
        let unread = || Problem::of(problem_type::SERVER_ERROR);
        self.finish().and_then(|()| taken.ok_or_else(unread))
    }

    /// `Some(None)` if the member is missing or null, `None` if it is not a valid text.
    fn text(&mut self, field: &'static str) -> Option<Option<&'a str>> {
        match self.object.get(field) {
            None | Some(Value::Null) => Some(None),
            // the two engines store NUL differently, and users never type it (R8)
            Some(Value::String(text)) if text.contains('\0') => {
                self.wrong(field, "nul", "cannot hold the NUL character");
                None
            }
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => {
                self.wrong(field, "not-a-text", "has to be a text");
                None
            }
        }
    }

    fn parsed<T, E: FieldProblem>(
        &mut self,
        field: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|problem| self.refuse(field, &problem)).ok()
    }

    fn wrong(&mut self, field: &'static str, code: &'static str, message: &str) {
        let message = message.to_owned();
        self.errors.push(FieldError { field, code, message, suggestion: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_fields_are_refused() {
        let object = Map::new();
        let mut fields = JsonFields::of(&object);
        let name = fields.required_text("name");
        let problem = fields.finish_with(name).unwrap_err();
        assert_eq!(problem.problem_type.name, "invalid-fields");
        // a parser returned no value and reported no error
        let problem = JsonFields::of(&object).finish_with(None::<()>).unwrap_err();
        assert_eq!(problem.problem_type.name, "server-error");
        assert_eq!(JsonFields::of(&object).finish_with(Some(7)).unwrap(), 7);
    }
}
