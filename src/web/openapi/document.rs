//! Builder of the OpenAPI 3.1 document from the annotations of all routes.
//!
//! A route declares its own part only: success responses, parameters, its body, and the problem
//! types that other routes do not share (`x-problems`). The builder derives the rest:
//!
//! - a route that reads JSON can answer 415,
//! - a route that needs a token can answer 401,
//! - each mount has its error format.
//!
//! The document is built on the first request for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rocket::Request;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::config::Settings;
use crate::web::mounts::{ErrorFormat, Mount};
use crate::web::openapi::components::{headers, html, named, oauth_schema, problem_schema};
use crate::web::responses::download;
use crate::web::responses::problem_type::{self, ProblemType};
use crate::web::views::docs::Docs;

/// The tags that group operations, in reading order.
pub mod tag {
    pub const OAUTH: &str = "OAuth 2";
    pub const SIGN_UP: &str = "Sign-up";
    pub const PASSWORDS: &str = "Forgotten passwords";
    pub const ACCOUNT: &str = "Account";
    pub const OPERATIONS: &str = "Operations";
    pub const PAGES: &str = "Pages behind links";
    pub const ACCOUNT_PAGE: &str = "Account page";

    pub(in crate::web) const ALL: [(&str, &str); 7] = [
        (OAUTH, "Tokens: getting, renewing, revoking and asking about them."),
        (SIGN_UP, "A sign-up becomes an account when the link in its letter is used."),
        (PASSWORDS, "A letter with a link, and a new password by it."),
        (ACCOUNT, "The account of whoever holds the token. Without a live token nobody gets in."),
        (OPERATIONS, "For those who run the service or look after what uses it."),
        (PAGES, "What people see who open a link of a letter. GET changes nothing."),
        (ACCOUNT_PAGE, "The same in a browser without script, for those who have no front end."),
    ];
}

/// Makes the function `described`, which lists the routes of a module for the OpenAPI document.
macro_rules! described {
    ($($route:ident),+ $(,)?) => {
        /// The OpenAPI document of these routes.
        pub fn described() -> utoipa::openapi::OpenApi {
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($($route),+))]
            struct Described;

            <Described as utoipa::OpenApi>::openapi()
        }
    };
}
pub(in crate::web) use described;

/// Marks that this service serves `/`. Managed by Rocket. An application around this one may serve
/// `/` itself.
#[derive(Debug)]
pub struct FrontDoor;

/// The OpenAPI document, built on first use. Managed by Rocket.
#[derive(Debug)]
pub struct OpenApiDocument {
    described: fn() -> OpenApi,
    generated: OnceLock<Generated>,
}

/// The built OpenAPI document.
#[derive(Debug)]
pub struct Generated {
    /// The document as JSON.
    pub json: String,
    /// The document as the context of the page at `/docs`.
    pub docs: Docs,
}

impl OpenApiDocument {
    /// Keeps the function that lists the annotations of all routes.
    pub fn new(described: fn() -> OpenApi) -> Self {
        Self { described, generated: OnceLock::new() }
    }

    /// The document, built on the first call.
    pub fn get(&self, request: &Request<'_>) -> &Generated {
        self.generated.get_or_init(|| {
            let state = request.rocket();
            let settings = state.state::<Settings>();
            let url = settings.map_or("", |settings| settings.public_url.as_str());
            let base = settings.map_or("", |settings| settings.public_url.base_path());
            let mut paths = serde_json::to_value((self.described)()).unwrap_or_default();
            if state.state::<FrontDoor>().is_none()
                && let Some(paths) = paths["paths"].as_object_mut()
            {
                paths.remove("/");
            }
            let document = Builder { url, base, responses: BTreeMap::new() }.build(paths);
            Generated { json: document.to_string(), docs: Docs::of(&document) }
        })
    }
}

fn error_format_of(path: &str) -> ErrorFormat {
    let mount = path.split('/').nth(1).and_then(Mount::find);
    mount.map_or(ErrorFormat::Either, |mount| mount.errors)
}

struct Builder<'a> {
    url: &'a str,
    base: &'a str,
    /// Responses that several operations share, by name.
    responses: BTreeMap<String, Value>,
}

impl Builder<'_> {
    fn build(mut self, mut described: Value) -> Value {
        let mut paths = Map::new();
        if let Some(all) = described["paths"].as_object_mut() {
            for (path, item) in std::mem::take(all) {
                let path = match path.trim_end_matches('/') {
                    "" => "/",
                    path => path,
                };
                let mut item = item;
                for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    self.operation(error_format_of(path), operation);
                }
                paths.insert(path.to_owned(), item);
            }
        }
        let mut schemas = described["components"]["schemas"].take();
        schemas["AccountExport"] = serde_json::from_str(download::SCHEMA).unwrap_or_default();
        schemas["Problem"] = problem_schema();
        schemas["OAuthError"] = oauth_schema();
        let tags: Vec<Value> = tag::ALL
            .iter()
            .map(|(name, description)| json!({ "name": name, "description": description }))
            .collect();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Vestibule",
                "version": env!("CARGO_PKG_VERSION"),
                "description": env!("CARGO_PKG_DESCRIPTION"),
                "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
            },
            "servers": [{ "url": self.url }],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": self.responses,
                "headers": headers(),
                "securitySchemes": self.security_schemes(),
            },
        })
    }

    fn security_schemes(&self) -> Value {
        let scopes = json!({
            "account.read": "Reading one's account.",
            "account.write": "Changing it.",
        });
        json!({
            "bearer": {
                "type": "oauth2",
                "description": "An access token in one Authorization header (RFC 6750 §2.1).",
                "flows": { "password": {
                    "tokenUrl": format!("{}/oauth/token", self.url),
                    "refreshUrl": format!("{}/oauth/token", self.url),
                    "scopes": scopes,
                } },
            },
            "client": {
                "type": "http",
                "scheme": "basic",
                "description": "Id and secret of the client, form-encoded (RFC 6749 §2.3.1). \
                                Or else both are in the body, or the id alone for a public client.",
            },
            "cookie": {
                "type": "apiKey",
                "in": "cookie",
                "name": "__Host-vestibule-account",
                "description": "Of somebody who has signed in at the account page.",
            },
        })
    }

    fn operation(&mut self, error_format: ErrorFormat, operation: &mut Value) {
        let own: Vec<String> = operation
            .as_object_mut()
            .and_then(|members| members.remove("x-problems"))
            .and_then(|names| serde_json::from_value(names).ok())
            .unwrap_or_default();
        let own = own.iter().filter_map(|name| problem_type::find(name));
        let all = own.chain(common(error_format, operation));
        let mut by_status: BTreeMap<u16, BTreeMap<&'static str, &'static ProblemType>> =
            BTreeMap::new();
        for problem_type in all {
            by_status
                .entry(problem_type.status)
                .or_default()
                .insert(problem_type.name, problem_type);
        }
        let has_token = scopes_of(operation).is_some();
        tidy(operation);
        let Some(answers) = operation["responses"].as_object_mut() else { return };
        for (status, answer) in answers.iter_mut() {
            good_answer(error_format, has_token, status, answer);
        }
        for (status, problem_types) in by_status {
            let status = status.to_string();
            match answers.get_mut(&status) {
                // a page documents one response per status, so the titles join its description
                Some(answer) if error_format == ErrorFormat::Page => {
                    let more = problem_types
                        .values()
                        .map(|problem_type| problem_type.title)
                        .collect::<Vec<_>>()
                        .join("; ");
                    let said = answer["description"].as_str().unwrap_or_default();
                    answer["description"] = json!(format!("{said} Or: {more}."));
                }
                _ => {
                    let reference = self.shared(error_format, &problem_types);
                    answers.insert(status, json!({ "$ref": reference }));
                }
            }
        }
    }

    /// The reference to the shared response for these problem types, which is added if it is
    /// missing.
    fn shared(
        &mut self,
        error_format: ErrorFormat,
        problem_types: &BTreeMap<&'static str, &'static ProblemType>,
    ) -> String {
        let kinds = problem_types.keys().copied().collect::<Vec<_>>().join(".");
        let name = format!("{error_format:?}.{kinds}");
        let reference = format!("#/components/responses/{name}");
        if !self.responses.contains_key(&name) {
            let answer = self.error(error_format, problem_types);
            self.responses.insert(name, answer);
        }
        reference
    }

    fn error(
        &self,
        error_format: ErrorFormat,
        problem_types: &BTreeMap<&'static str, &'static ProblemType>,
    ) -> Value {
        let titles: Vec<&str> =
            problem_types.values().map(|problem_type| problem_type.title).collect();
        let status = problem_types.values().next().map_or(500, |problem_type| problem_type.status);
        let mut headers = vec!["X-Request-Id"];
        match status {
            401 => headers.push("WWW-Authenticate"),
            403 if problem_types.contains_key(problem_type::INSUFFICIENT_SCOPE.name) => {
                headers.push("WWW-Authenticate");
            }
            405 => headers.push("Allow"),
            429 | 503 => headers.push("Retry-After"),
            _ => {}
        }
        if error_format == ErrorFormat::OAuth || error_format == ErrorFormat::Page {
            headers.push("Cache-Control");
        }
        let mut content = Map::new();
        if error_format == ErrorFormat::OAuth {
            content.insert("application/json".to_owned(), self.oauth_errors(problem_types));
        }
        if error_format == ErrorFormat::Problem || error_format == ErrorFormat::Either {
            content.insert(
                "application/problem+json".to_owned(),
                self.problems(status, problem_types),
            );
        }
        if error_format == ErrorFormat::Page || error_format == ErrorFormat::Either {
            content.insert("text/html".to_owned(), html());
        }
        let description = format!("{}.", titles.join("; "));
        json!({ "description": description, "headers": named(&headers), "content": content })
    }

    fn problems(
        &self,
        status: u16,
        problem_types: &BTreeMap<&'static str, &'static ProblemType>,
    ) -> Value {
        let place =
            |problem_type: &ProblemType| format!("{}/problems/{}", self.base, problem_type.name);
        let types: Vec<String> =
            problem_types.values().map(|problem_type| place(problem_type)).collect();
        let example = |problem_type: &&ProblemType| {
            let mut value = json!({
                "type": place(problem_type), "title": problem_type.title, "status": problem_type.status, "detail": problem_type.detail,
            });
            if problem_type.name == problem_type::INSUFFICIENT_SCOPE.name {
                value["scope"] = json!("account.write");
            }
            (problem_type.name.to_owned(), json!({ "summary": problem_type.title, "value": value }))
        };
        let examples: Map<String, Value> = problem_types.values().map(example).collect();
        json!({
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Problem" }],
                "properties": { "type": { "enum": types }, "status": { "const": status } },
            },
            "examples": examples,
        })
    }

    fn oauth_errors(&self, problem_types: &BTreeMap<&'static str, &'static ProblemType>) -> Value {
        let place =
            |problem_type: &ProblemType| format!("{}/problems/{}", self.url, problem_type.name);
        let places: Vec<String> =
            problem_types.values().map(|problem_type| place(problem_type)).collect();
        let codes: BTreeSet<&str> =
            problem_types.values().map(|problem_type| problem_type.oauth_code).collect();
        let example = |problem_type: &&ProblemType| {
            let value =
                json!({ "error": problem_type.oauth_code, "error_uri": place(problem_type) });
            (problem_type.name.to_owned(), json!({ "summary": problem_type.title, "value": value }))
        };
        let examples: Map<String, Value> = problem_types.values().map(example).collect();
        json!({
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/OAuthError" }],
                "properties": { "error": { "enum": codes }, "error_uri": { "enum": places } },
            },
            "examples": examples,
        })
    }
}

/// The scopes that an operation needs of an access token; `None` if it needs no token.
fn scopes_of(operation: &Value) -> Option<&Vec<Value>> {
    let needs = operation["security"].as_array()?;
    needs.iter().find_map(|need| need.get("bearer")?.as_array())
}

/// The problem types that follow from an operation's body, token and error format.
fn common(error_format: ErrorFormat, operation: &Value) -> Vec<&'static ProblemType> {
    let mut all = vec![
        problem_type::METHOD_NOT_ALLOWED,
        problem_type::SERVER_ERROR,
        problem_type::UNAVAILABLE,
    ];
    let body = &operation["requestBody"]["content"];
    let is_form = body.get("application/x-www-form-urlencoded").is_some();
    if body.is_object() || error_format == ErrorFormat::OAuth {
        all.push(problem_type::RATE_LIMITED);
    }
    if body.is_object() {
        all.extend([problem_type::CONTENT_TOO_LARGE, problem_type::REQUEST_TIMEOUT]);
        match (is_form, error_format) {
            (true, ErrorFormat::OAuth) => {
                all.extend([problem_type::INVALID_REQUEST, problem_type::INVALID_CLIENT]);
            }
            (true, _) => {
                all.extend([problem_type::BAD_REQUEST, problem_type::UNSUPPORTED_MEDIA_TYPE]);
            }
            (false, _) => all.extend([
                problem_type::MALFORMED_JSON,
                problem_type::UNSUPPORTED_MEDIA_TYPE,
                problem_type::INVALID_FIELDS,
            ]),
        }
    }
    if let Some(scopes) = scopes_of(operation) {
        all.extend([
            problem_type::NO_TOKEN,
            problem_type::INVALID_TOKEN,
            problem_type::TOKEN_MISPLACED,
        ]);
        if !scopes.is_empty() {
            all.push(problem_type::INSUFFICIENT_SCOPE);
        }
    }
    all
}

/// Removes noise of the macro: nullable query parameters, and members that are null.
fn tidy(operation: &mut Value) {
    let parameters = operation["parameters"].as_array_mut();
    for parameter in parameters.into_iter().flatten() {
        if parameter["schema"]["type"] == json!(["string", "null"]) {
            parameter["schema"]["type"] = json!("string");
        }
    }
    if let Some(members) = operation.as_object_mut()
        && members.get("parameters").is_some_and(Value::is_null)
    {
        members.remove("parameters");
    }
    if let Some(members) = operation.as_object_mut()
        && members.get("requestBody").is_some_and(Value::is_null)
    {
        members.remove("requestBody");
    }
}

fn good_answer(error_format: ErrorFormat, has_token: bool, status: &str, answer: &mut Value) {
    let is_page = matches!(error_format, ErrorFormat::Page | ErrorFormat::Either);
    let is_redirect = status.starts_with('3');
    if is_page && !is_redirect && answer.get("content").is_none() {
        answer["content"] = json!({ "text/html": html() });
    }
    let mut all = vec!["X-Request-Id"];
    if has_token || error_format == ErrorFormat::OAuth || is_page && !is_redirect {
        all.push("Cache-Control");
    }
    if is_redirect {
        all.push("Location");
    }
    let own = answer.get("headers").cloned();
    answer["headers"] = named(&all);
    for (name, header) in own.iter().filter_map(Value::as_object).flatten() {
        answer["headers"][name] = header.clone();
        answer["headers"][name]["required"] = json!(true);
    }
}
