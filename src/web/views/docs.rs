//! View of the page at `/docs`, made from the OpenAPI document.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::web::views::View;

/// The operations that come first in their group. The others follow by path.
const FIRST_OPERATIONS: [&str; 8] = [
    "token",
    "revoke",
    "introspect",
    "check",
    "signUp",
    "requestPasswordReset",
    "readAccount",
    "activatePage",
];

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// All operations, in groups.
#[derive(Clone, Debug, Serialize)]
pub struct Docs {
    pub title: String,
    pub version: String,
    pub server: String,
    pub groups: Vec<Group>,
}

/// The operations of one tag.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub description: String,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub description: String,
    /// The credentials that a request needs: `bearer account.read`, `client`, `cookie`.
    pub needs: Vec<RequiredCredential>,
    pub parameters: Vec<Field>,
    pub body: Option<Body>,
    pub answers: Vec<DocumentedResponse>,
    /// The fields of the success response.
    pub answer_fields: Vec<Field>,
    pub example: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct RequiredCredential {
    /// `bearer`, `client` or `cookie`.
    pub by: String,
    pub scope: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Body {
    pub content_type: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Field {
    pub name: String,
    /// The type in words: `text`, `text (uuid)`, `one of …`
    pub kind: String,
    pub required: bool,
    pub description: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocumentedResponse {
    pub status: String,
    pub description: String,
    pub content_type: String,
}

impl View for Docs {
    const NAME: &'static str = "docs";

    fn samples() -> Vec<Self> {
        let field = |required| Field {
            name: "email".to_owned(),
            kind: "string".to_owned(),
            required,
            description: "The address.".to_owned(),
        };
        let operation = |body: bool| Operation {
            id: "signUp".to_owned(),
            method: "POST".to_owned(),
            path: "/v1/accounts".to_owned(),
            summary: "Sign up".to_owned(),
            description: if body { "Sends a letter.".to_owned() } else { String::new() },
            needs: if body {
                vec![]
            } else {
                ["bearer", "client", "cookie"]
                    .map(|by| RequiredCredential {
                        by: by.to_owned(),
                        scope: "account.read".to_owned(),
                    })
                    .into()
            },
            parameters: if body { vec![] } else { vec![field(true), field(false)] },
            body: body.then(|| Body {
                content_type: "application/json".to_owned(),
                fields: vec![field(true), field(false)],
            }),
            answers: vec![DocumentedResponse {
                status: "202".to_owned(),
                description: "A letter is on its way.".to_owned(),
                content_type: "application/json".to_owned(),
            }],
            answer_fields: if body { vec![field(true)] } else { vec![] },
            example: "curl https://accounts.example.org/v1/accounts".to_owned(),
        };
        vec![Self {
            title: "Vestibule".to_owned(),
            version: "1.0.0".to_owned(),
            server: "https://accounts.example.org".to_owned(),
            groups: vec![Group {
                id: "sign-up".to_owned(),
                name: "Sign-up".to_owned(),
                description: "Becoming somebody.".to_owned(),
                operations: vec![operation(true), operation(false)],
            }],
        }]
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The text without backticks, which the page does not render.
fn prose(value: &Value) -> String {
    text(value).replace('`', "")
}

impl Docs {
    /// Reads an OpenAPI document, in the order of its tags.
    pub fn of(document: &Value) -> Self {
        let reader = Reader { document, server: text(&document["servers"][0]["url"]) };
        let tags = document["tags"].as_array().into_iter().flatten();
        let group = |tag: &Value| {
            let name = text(&tag["name"]);
            Group {
                id: name.to_lowercase().replace(' ', "-"),
                description: prose(&tag["description"]),
                operations: reader.operations(&name),
                name,
            }
        };
        let groups = tags.map(group).filter(|group| !group.operations.is_empty()).collect();
        Self {
            title: text(&document["info"]["title"]),
            version: text(&document["info"]["version"]),
            server: reader.server.clone(),
            groups,
        }
    }
}

struct Reader<'a> {
    document: &'a Value,
    server: String,
}

impl<'a> Reader<'a> {
    /// Follows a reference, if `value` is one.
    fn resolve(&self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap_or(&Value::Null),
            None => value,
        }
    }

    fn operations(&self, tag: &str) -> Vec<Operation> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        let all = paths.flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| Some((path, *method, item.get(method)?)))
        });
        let mut all: Vec<Operation> = all
            .filter(|(_, _, operation)| operation["tags"][0] == *tag)
            .map(|(path, method, operation)| self.operation(path, method, operation))
            .collect();
        let rank = |one: &Operation| FIRST_OPERATIONS.iter().position(|id| *id == one.id);
        all.sort_by_key(|one| rank(one).unwrap_or(FIRST_OPERATIONS.len()));
        all
    }

    fn operation(&self, path: &str, method: &str, operation: &'a Value) -> Operation {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.map(|parameter| Field {
            name: text(&parameter["name"]),
            kind: kind(&parameter["schema"]),
            required: parameter["required"] == json!(true),
            description: prose(&parameter["description"]),
        });
        let body =
            operation["requestBody"]["content"].as_object().and_then(|all| all.iter().next());
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answers: Vec<(&String, &Value)> =
            answers.map(|(status, answer)| (status, self.resolve(answer))).collect();
        let good = answers.iter().find(|(status, _)| status.starts_with('2'));
        let good = good.map(|(_, answer)| &answer["content"]["application/json"]["schema"]);
        Operation {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            description: prose(&operation["description"]),
            needs: needs(operation),
            parameters: parameters.collect(),
            body: body.map(|(content_type, body)| Body {
                content_type: content_type.clone(),
                fields: self.fields(&body["schema"], ""),
            }),
            answer_fields: good.map(|schema| self.fields(schema, "")).unwrap_or_default(),
            answers: answers.iter().map(|(status, answer)| shown(status, answer)).collect(),
            example: self.example(path, method, operation),
        }
    }

    /// The fields of an object schema, including the fields of its `allOf` parts.
    fn fields(&self, schema: &'a Value, below: &str) -> Vec<Field> {
        let schema = self.resolve(schema);
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let parts = parts.chain(schema["oneOf"].as_array().into_iter().flatten());
        let mut all: Vec<Field> = parts.flat_map(|part| self.fields(part, below)).collect();
        let required = schema["required"].as_array();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let resolved = self.resolve(member);
            let said = Some(prose(&member["description"])).filter(|said| !said.is_empty());
            let place = format!("{below}{name}");
            if all.iter().any(|field| field.name == place) {
                continue;
            }
            all.push(Field {
                kind: kind(resolved),
                required: required.is_some_and(|names| names.contains(&json!(name))),
                description: said.unwrap_or_else(|| prose(&resolved["description"])),
                name: place.clone(),
            });
            // one level of nesting is enough for readers
            if below.is_empty() && resolved["items"].is_object() {
                all.extend(self.fields(&resolved["items"], &format!("{place}[].")));
            }
        }
        all
    }

    fn example(&self, path: &str, method: &str, operation: &'a Value) -> String {
        let mut place = path.to_owned();
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (name, value) = (text(&parameter["name"]), text(&parameter["example"]));
            match parameter["in"].as_str() {
                Some("path") => place = place.replace(&format!("{{{name}}}"), &value),
                _ if !value.is_empty() => query.push(format!("{name}={value}")),
                _ => {}
            }
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let content = &operation["requestBody"]["content"];
        let method = match method {
            "get" => String::new(),
            // curl uses POST by itself if there is a body
            "post" if content.is_object() => String::new(),
            method => format!("-X {} ", method.to_uppercase()),
        };
        let mut lines =
            vec![format!("curl {method}{}", quoted(&format!("{}{place}{query}", self.server)))];
        for need in needs(operation) {
            match need.by.as_str() {
                "bearer" => lines.push("-H \"Authorization: Bearer $ACCESS_TOKEN\"".to_owned()),
                "cookie" => lines.push("-b \"__Host-vestibule-account=$COOKIE\"".to_owned()),
                _ => {}
            }
        }
        for (content_type, body) in content.as_object().into_iter().flatten() {
            let examples = self.examples(&body["schema"]);
            if content_type == "application/json" {
                lines.push(format!("--json {}", quoted(&Value::Object(examples).to_string())));
            } else {
                let fields = examples.iter().map(|(name, value)| {
                    format!("--data-urlencode {}", quoted(&format!("{name}={}", text(value))))
                });
                lines.extend(fields);
            }
        }
        lines.join(" \\\n  ")
    }

    /// Example values: one for each member that has an example or is required.
    fn examples(&self, schema: &'a Value) -> Map<String, Value> {
        let schema = self.resolve(schema);
        let mut all = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let is_required =
                schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
            let first = self.resolve(member)["enum"].get(0);
            match member.get("example").or(first) {
                Some(example) => all.insert(name.clone(), example.clone()),
                None if is_required => all.insert(name.clone(), json!("…")),
                None => None,
            };
        }
        all
    }
}

fn shown(status: &str, answer: &Value) -> DocumentedResponse {
    let kinds = answer["content"].as_object();
    let kinds: Vec<&str> = kinds.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    DocumentedResponse {
        status: status.to_owned(),
        description: prose(&answer["description"]),
        content_type: kinds.join(", "),
    }
}

fn needs(operation: &Value) -> Vec<RequiredCredential> {
    let all = operation["security"].as_array().into_iter().flatten();
    let all = all.filter_map(Value::as_object).flatten();
    let scope = |scopes: &Value| {
        let scopes = scopes.as_array().into_iter().flatten();
        scopes.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    all.map(|(by, scopes)| RequiredCredential { by: by.clone(), scope: scope(scopes) }).collect()
}

/// A type in a few words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    match schema["format"].as_str() {
        Some(format @ ("uuid" | "date-time")) => format!("{name} ({format})"),
        _ => name,
    }
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("https://a.example/b"), "https://a.example/b");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
    }
}
