//! Requests that the OpenAPI document permits, filled with valid keys.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::program::Program;
use crate::seeded_random::SeededRandom;
use crate::{CLIENT_SECRET, PASSWORD, WRONG};

const FORM: &str = "application/x-www-form-urlencoded";

/// An operation of the document: a new operation is included by itself.
#[derive(Debug)]
pub struct Operation {
    method: String,
    path: String,
    query: Vec<String>,
    /// The content type of the body, and its members.
    body: Option<(String, Vec<String>)>,
}

/// The credentials of a person who is signed in.
#[derive(Clone, Default, Debug)]
pub struct Keys {
    pub email: String,
    pub access: String,
    pub refresh: String,
    pub cookie: String,
    pub form_token: String,
}

/// A request in parts, each as it is sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub line: Vec<u8>,
    pub headers: Vec<Vec<u8>>,
    /// The members of the body, each encoded.
    pub members: Vec<(String, String)>,
    pub is_json: bool,
}

pub fn operations(program: &Program) -> Vec<Operation> {
    let description = program.get("/openapi.json", &[]).json();
    let mut all = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if !["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters.filter(|parameter| parameter["in"] == "query");
            let query = query.filter_map(|parameter| parameter["name"].as_str());
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.iter().next());
            let members = |schema: &Value| {
                let name = schema["$ref"].as_str().and_then(|name| name.split('/').next_back());
                let schema =
                    name.map_or(schema, |name| &description["components"]["schemas"][name]);
                let properties = schema["properties"].as_object().expect("members");
                properties.keys().cloned().collect()
            };
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                query: query.map(str::to_owned).collect(),
                body: body.map(|(kind, content)| (kind.clone(), members(&content["schema"]))),
            });
        }
    }
    assert!(all.len() > 40, "{all:?}");
    all
}

impl Operation {
    /// A request for the operation, as a client might send it.
    pub fn call(&self, keys: &Keys, rng: &mut SeededRandom) -> Call {
        let value = |name: &str, rng: &mut SeededRandom| self.value(name, keys, rng);
        let segments = self.path.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => value(name.trim_end_matches('}'), rng),
            None => part.to_owned(),
        });
        let mut target = segments.collect::<Vec<_>>().join("/");
        for (n, name) in self.query.iter().enumerate() {
            let value = encoded(&value(name, rng));
            target.push_str(&format!("{}{name}={value}", if n == 0 { '?' } else { '&' }));
        }
        let mut headers = vec![
            "Host: accounts.example.org".to_owned(),
            "Connection: close".to_owned(),
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64)".to_owned(),
        ];
        let is_by_basic = self.path.starts_with("/oauth/") && rng.below(2) == 0;
        if self.path.starts_with("/account") {
            headers.push(format!("Cookie: {}", keys.cookie));
            headers.push("Sec-Fetch-Site: same-origin".to_owned());
        } else if self.path.starts_with("/v1/me") || self.path == "/oauth/check" {
            headers.push(format!("Authorization: Bearer {}", keys.access));
        } else if is_by_basic {
            let pair = format!("shop:{CLIENT_SECRET}");
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            headers.push(format!("Authorization: Basic {pair}"));
        }
        let mut members = Vec::new();
        let mut is_json = false;
        if let Some((kind, names)) = &self.body {
            headers.push(format!("Content-Type: {kind}"));
            is_json = kind != FORM;
            for name in names {
                let value = value(name, rng);
                // any member may be missing, and a client authenticates in one way
                if rng.below(8) > 0 && !(is_by_basic && name.starts_with("client_")) {
                    let value = if is_json { json!(value).to_string() } else { encoded(&value) };
                    members.push((name.clone(), value));
                }
            }
        }
        let line = format!("{} {target} HTTP/1.1", self.method).into_bytes();
        let headers = headers.into_iter().map(String::into_bytes).collect();
        Call { line, headers, members, is_json }
    }

    fn value(&self, name: &str, keys: &Keys, rng: &mut SeededRandom) -> String {
        let of =
            |values: &[&str], rng: &mut SeededRandom| values[rng.below(values.len())].to_owned();
        match name {
            "email" if self.path.ends_with("sign-in") => keys.email.clone(),
            "email" => format!("somebody-{}@example.org", rng.below(50)),
            "username" => keys.email.clone(),
            // no request may delete the account or change the password of later sign-ins
            "password" if self.path.ends_with("deletion") => WRONG.to_owned(),
            "current_password" => WRONG.to_owned(),
            "password" => of(&[PASSWORD, PASSWORD, WRONG], rng),
            "new_password" => PASSWORD.to_owned(),
            "grant_type" => of(&["password", "refresh_token"], rng),
            "client_id" => of(&["web", "web", "shop"], rng),
            "client_secret" => of(&["", CLIENT_SECRET], rng),
            "token" | "refresh_token" => of(&[&keys.access, &keys.refresh, &keys.refresh], rng),
            "form_token" => keys.form_token.clone(),
            "scope" => of(&["account.read", "account.read account.write"], rng),
            "locale" => of(&["de", "en"], rng),
            "name" => of(&["Ada Lovelace", "limited"], rng),
            "path" => "v1".to_owned(),
            _ => "01a214015eaf7e7986a6d3b9ad23a10b".to_owned(),
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Call {
    pub fn body(&self) -> Vec<u8> {
        let pairs = self.members.iter();
        if self.members.is_empty() {
            Vec::new()
        } else if self.is_json {
            let pairs = pairs.map(|(name, value)| format!("\"{name}\":{value}"));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(",")).into_bytes()
        } else {
            let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("&").into_bytes()
        }
    }

    /// The whole request, with this body and unchanged headers.
    pub fn with_body(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = self.line.clone();
        for header in &self.headers {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(header);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(body);
        bytes
    }

    /// The whole request, with the length of its body.
    pub fn bytes(&self) -> Vec<u8> {
        let (mut call, body) = (self.clone(), self.body());
        call.headers.push(format!("Content-Length: {}", body.len()).into_bytes());
        call.with_body(&body)
    }
}
