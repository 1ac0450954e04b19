//! Request guard for JSON bodies: one object, with the content type `application/json`.

use rocket::Request;
use rocket::data::{Data, FromData, Outcome};
use rocket::http::Method;
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use crate::web::guards::body::{self, BodyError};
use crate::web::guards::content_type::{self, BodyType};
use crate::web::guards::json_fields::JsonFields;
use crate::web::responses::problem::Problem;
use crate::web::responses::problem_type;

/// A JSON object. Routes take it as `Result<JsonObject, Problem>`, to answer with the error.
#[derive(Debug)]
pub struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// A reader of the object's fields.
    pub fn fields(&self) -> JsonFields<'_> {
        JsonFields::of(&self.0)
    }
}

/// Wipes the texts, because bodies contain passwords.
impl Drop for JsonObject {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn read(request: &Request<'_>, data: Data<'_>) -> Result<JsonObject, Problem> {
    content_type::check(request, BodyType::Json).map_err(|fault| match request.method() {
        // the header of RFC 5789 §2.2
        Method::Patch => Problem::from(fault).header("Accept-Patch", BodyType::Json.as_str()),
        _ => fault.into(),
    })?;
    let body = body::read(request, data).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::of(problem_type::CONTENT_TOO_LARGE),
        BodyError::Late => Problem::late_body(),
        BodyError::Broken => Problem::of(problem_type::MALFORMED_JSON),
    })?;
    // the parser's error is left out, since it may repeat a part of the body
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(JsonObject(object)),
        Ok(_) => {
            Err(Problem::of(problem_type::INVALID_FIELDS)
                .detail("The body has to be a JSON object."))
        }
        Err(_) => Err(Problem::of(problem_type::MALFORMED_JSON)),
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for JsonObject {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(object) => Outcome::Success(object),
            Err(problem) => Outcome::Error((problem.status(), problem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_of_a_json_body_is_wiped() {
        let mut body =
            serde_json::json!({ "password": "a", "more": [{ "password": "b" }, 1, null] });
        wipe(&mut body);
        let wiped = serde_json::json!({ "password": "", "more": [{ "password": "" }, 1, null] });
        assert_eq!(body, wiped);
    }
}
