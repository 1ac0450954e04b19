//! The description of the service (OpenAPI 3.1): what routes say of themselves, and what all of them
//! have in common.
//!
//! A route says what is its own: good answers, parameters, its body, and the kinds of problems that
//! only it knows (`x-problems`). The rest follows from that: who reads JSON can answer 415, who asks
//! for a token 401, and each mount has its form of errors. It is put together when somebody first asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rocket::Request;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::components::{headers, html, named, oauth_schema, problem_schema};
use super::docs_views::Docs;
use super::export;
use super::slug::{self, Slug};
use crate::config::Settings;

/// The groups that operations are in, as they are read.
pub mod tag {
    pub const OAUTH: &str = "OAuth 2";
    pub const SIGN_UP: &str = "Sign-up";
    pub const PASSWORDS: &str = "Forgotten passwords";
    pub const ACCOUNT: &str = "Account";
    pub const OPERATIONS: &str = "Operations";
    pub const PAGES: &str = "Pages behind links";
    pub const ACCOUNT_PAGE: &str = "Account page";

    pub(super) const ALL: [(&str, &str); 7] = [
        (OAUTH, "Tokens: getting, renewing, revoking and asking about them."),
        (SIGN_UP, "A sign-up becomes an account when the link in its letter is used."),
        (PASSWORDS, "A letter with a link, and a new password by it."),
        (ACCOUNT, "The account of whoever holds the token. Without a live token nobody gets in."),
        (OPERATIONS, "For those who run the service or look after what uses it."),
        (PAGES, "What people see who open a link of a letter. GET changes nothing."),
        (ACCOUNT_PAGE, "The same in a browser without script, for those who have no front end."),
    ];
}

/// Names the routes of a module for the description.
macro_rules! described {
    ($($route:ident),+ $(,)?) => {
        /// What these routes are.
        pub fn described() -> utoipa::openapi::OpenApi {
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($($route),+))]
            struct Described;

            <Described as utoipa::OpenApi>::openapi()
        }
    };
}
pub(in crate::web) use described;

/// Managed where `/` is ours: an application around this one has a front door of its own.
#[derive(Debug)]
pub struct FrontDoor;

/// The description, made when it is first asked for. Managed by Rocket.
#[derive(Debug)]
pub struct Contract {
    described: fn() -> OpenApi,
    made: OnceLock<Made>,
}

#[derive(Debug)]
pub struct Made {
    /// The document, in JSON.
    pub json: String,
    /// The same, for reading.
    pub docs: Docs,
}

impl Contract {
    pub fn new(described: fn() -> OpenApi) -> Self {
        Self { described, made: OnceLock::new() }
    }

    pub fn get(&self, request: &Request<'_>) -> &Made {
        self.made.get_or_init(|| {
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
            let document = Finish { url, base, responses: BTreeMap::new() }.finish(paths);
            Made { json: document.to_string(), docs: Docs::of(&document) }
        })
    }
}

/// How the errors of a mount look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Form {
    OAuth,
    Problem,
    Page,
    /// Whichever the request would rather read.
    Either,
}

impl Form {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1).unwrap_or_default() {
            "oauth" => Self::OAuth,
            "v1" | "health" | "schemas" | ".well-known" | "openapi.json" => Self::Problem,
            "" => Self::Either,
            _ => Self::Page,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::OAuth => "OAuth",
            Self::Problem => "Problem",
            Self::Page => "Page",
            Self::Either => "Either",
        }
    }
}

struct Finish<'a> {
    url: &'a str,
    base: &'a str,
    /// Answers that several operations have, by their names.
    responses: BTreeMap<String, Value>,
}

impl Finish<'_> {
    fn finish(mut self, mut described: Value) -> Value {
        let mut paths = Map::new();
        if let Some(all) = described["paths"].as_object_mut() {
            for (path, item) in std::mem::take(all) {
                let path = match path.trim_end_matches('/') {
                    "" => "/",
                    path => path,
                };
                let mut item = item;
                for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    self.operation(Form::of(path), operation);
                }
                paths.insert(path.to_owned(), item);
            }
        }
        let mut schemas = described["components"]["schemas"].take();
        schemas["AccountExport"] = serde_json::from_str(export::SCHEMA).unwrap_or_default();
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

    fn operation(&mut self, form: Form, operation: &mut Value) {
        let own: Vec<String> = operation
            .as_object_mut()
            .and_then(|members| members.remove("x-problems"))
            .and_then(|names| serde_json::from_value(names).ok())
            .unwrap_or_default();
        let own = own.iter().filter_map(|name| slug::find(name));
        let all = own.chain(common(form, operation));
        let mut by_status: BTreeMap<u16, BTreeMap<&'static str, &'static Slug>> = BTreeMap::new();
        for slug in all {
            by_status.entry(slug.status).or_default().insert(slug.name, slug);
        }
        let has_token = scopes_of(operation).is_some();
        tidy(operation);
        let Some(answers) = operation["responses"].as_object_mut() else { return };
        for (status, answer) in answers.iter_mut() {
            good_answer(form, has_token, status, answer);
        }
        for (status, slugs) in by_status {
            let status = status.to_string();
            match answers.get_mut(&status) {
                // a page is a page, whatever it says
                Some(answer) if form == Form::Page => {
                    let more = slugs.values().map(|slug| slug.title).collect::<Vec<_>>().join("; ");
                    let said = answer["description"].as_str().unwrap_or_default();
                    answer["description"] = json!(format!("{said} Or: {more}."));
                }
                _ => {
                    let reference = self.shared(form, &slugs);
                    answers.insert(status, json!({ "$ref": reference }));
                }
            }
        }
    }

    /// The answer that says one of these, among those that are shared.
    fn shared(&mut self, form: Form, slugs: &BTreeMap<&'static str, &'static Slug>) -> String {
        let kinds = slugs.keys().copied().collect::<Vec<_>>().join(".");
        let name = format!("{}.{kinds}", form.name());
        let reference = format!("#/components/responses/{name}");
        if !self.responses.contains_key(&name) {
            let answer = self.error(form, slugs);
            self.responses.insert(name, answer);
        }
        reference
    }

    fn error(&self, form: Form, slugs: &BTreeMap<&'static str, &'static Slug>) -> Value {
        let titles: Vec<&str> = slugs.values().map(|slug| slug.title).collect();
        let status = slugs.values().next().map_or(500, |slug| slug.status);
        let mut headers = vec!["X-Request-Id"];
        match status {
            401 => headers.push("WWW-Authenticate"),
            403 if slugs.contains_key(slug::INSUFFICIENT_SCOPE.name) => {
                headers.push("WWW-Authenticate");
            }
            405 => headers.push("Allow"),
            429 | 503 => headers.push("Retry-After"),
            _ => {}
        }
        if form == Form::OAuth || form == Form::Page {
            headers.push("Cache-Control");
        }
        let mut content = Map::new();
        if form == Form::OAuth {
            content.insert("application/json".to_owned(), self.oauth_errors(slugs));
        }
        if form == Form::Problem || form == Form::Either {
            content.insert("application/problem+json".to_owned(), self.problems(status, slugs));
        }
        if form == Form::Page || form == Form::Either {
            content.insert("text/html".to_owned(), html());
        }
        let description = format!("{}.", titles.join("; "));
        json!({ "description": description, "headers": named(&headers), "content": content })
    }

    fn problems(&self, status: u16, slugs: &BTreeMap<&'static str, &'static Slug>) -> Value {
        let place = |slug: &Slug| format!("{}/problems/{}", self.base, slug.name);
        let types: Vec<String> = slugs.values().map(|slug| place(slug)).collect();
        let example = |slug: &&Slug| {
            let value = json!({
                "type": place(slug), "title": slug.title, "status": slug.status, "detail": slug.detail,
            });
            (slug.name.to_owned(), json!({ "summary": slug.title, "value": value }))
        };
        let examples: Map<String, Value> = slugs.values().map(example).collect();
        json!({
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Problem" }],
                "properties": { "type": { "enum": types }, "status": { "const": status } },
            },
            "examples": examples,
        })
    }

    fn oauth_errors(&self, slugs: &BTreeMap<&'static str, &'static Slug>) -> Value {
        let place = |slug: &Slug| format!("{}/problems/{}", self.url, slug.name);
        let places: Vec<String> = slugs.values().map(|slug| place(slug)).collect();
        let codes: BTreeSet<&str> = slugs.values().map(|slug| code(slug)).collect();
        let example = |slug: &&Slug| {
            let value = json!({ "error": code(slug), "error_uri": place(slug) });
            (slug.name.to_owned(), json!({ "summary": slug.title, "value": value }))
        };
        let examples: Map<String, Value> = slugs.values().map(example).collect();
        json!({
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/OAuthError" }],
                "properties": { "error": { "enum": codes }, "error_uri": { "enum": places } },
            },
            "examples": examples,
        })
    }
}

/// The `error` member that goes with a kind of problem under `/oauth`.
fn code(slug: &Slug) -> &'static str {
    match slug.name {
        "invalid-client" | "client-without-secret" => "invalid_client",
        "invalid-grant" => "invalid_grant",
        "unauthorized-client" => "unauthorized_client",
        "unsupported-grant-type" => "unsupported_grant_type",
        "invalid-scope" => "invalid_scope",
        "no-token" | "invalid-token" => "invalid_token",
        "insufficient-scope" => "insufficient_scope",
        "rate-limited" | "unavailable" => "temporarily_unavailable",
        "server-error" => "server_error",
        _ => "invalid_request",
    }
}

/// The scope that an operation needs of a token, if it needs one.
fn scopes_of(operation: &Value) -> Option<&Vec<Value>> {
    let needs = operation["security"].as_array()?;
    needs.iter().find_map(|need| need.get("bearer")?.as_array())
}

/// The problems that follow from what an operation is.
fn common(form: Form, operation: &Value) -> Vec<&'static Slug> {
    let mut all = vec![slug::METHOD_NOT_ALLOWED, slug::SERVER_ERROR, slug::UNAVAILABLE];
    let body = &operation["requestBody"]["content"];
    let is_form = body.get("application/x-www-form-urlencoded").is_some();
    if body.is_object() || form == Form::OAuth {
        all.push(slug::RATE_LIMITED);
    }
    if body.is_object() {
        all.extend([slug::CONTENT_TOO_LARGE, slug::REQUEST_TIMEOUT]);
        match (is_form, form) {
            (true, Form::OAuth) => all.extend([slug::INVALID_REQUEST, slug::INVALID_CLIENT]),
            (true, _) => all.extend([slug::BAD_REQUEST, slug::UNSUPPORTED_MEDIA_TYPE]),
            (false, _) => all.extend([
                slug::MALFORMED_JSON,
                slug::UNSUPPORTED_MEDIA_TYPE,
                slug::INVALID_FIELDS,
            ]),
        }
    }
    if let Some(scopes) = scopes_of(operation) {
        all.extend([slug::NO_TOKEN, slug::INVALID_TOKEN, slug::TOKEN_MISPLACED]);
        if !scopes.is_empty() {
            all.push(slug::INSUFFICIENT_SCOPE);
        }
    }
    all
}

/// What the macro says and nobody needs: that a parameter of a query may be null.
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

fn good_answer(form: Form, has_token: bool, status: &str, answer: &mut Value) {
    let is_page = matches!(form, Form::Page | Form::Either);
    let is_redirect = status.starts_with('3');
    if is_page && !is_redirect && answer.get("content").is_none() {
        answer["content"] = json!({ "text/html": html() });
    }
    let mut all = vec!["X-Request-Id"];
    if has_token || form == Form::OAuth || is_page && !is_redirect {
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
