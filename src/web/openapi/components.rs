//! Shared components of the OpenAPI document: headers and error schemas.

use serde_json::{Value, json};

/// The media type object of a page.
pub(in crate::web) fn html() -> Value {
    json!({ "schema": { "type": "string" } })
}

/// References to shared headers.
pub(in crate::web) fn named(names: &[&str]) -> Value {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    Value::Object(names.iter().map(reference).collect())
}

/// All shared headers, by name.
pub(in crate::web) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "required": true, "schema": schema });
    let text = || json!({ "type": "string" });
    json!({
        "X-Request-Id": header("The id of the request, as in the log; a well-formed one that came along is kept.", text()),
        "Cache-Control": header("Whether the answer may be kept.", text()),
        "WWW-Authenticate": header("The challenge (RFC 6750 §3; of clients, RFC 6749 §5.2).", text()),
        "Retry-After": header("In seconds.", json!({ "type": "integer", "minimum": 1 })),
        "Allow": header("The methods that the path has.", text()),
        "Location": header("Where to go on.", text()),
    })
}

/// The schema of problem details (RFC 9457).
pub(in crate::web) fn problem_schema() -> Value {
    json!({
        "description": "What went wrong (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The kind of problem: a page that explains it." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What happened." },
            "scope": { "type": "string", "description": "Of a token with too little scope: the scope that is needed." },
            "errors": {
                "description": "Of input: each field that cannot be taken.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": { "type": "string" },
                        "code": { "type": "string", "description": "Stable, for programs." },
                        "message": { "type": "string", "description": "For people." },
                        "suggestion": { "type": "string", "description": "What to do instead, where there is advice to give." },
                    },
                },
            },
        },
    })
}

/// The schema of OAuth errors (RFC 6749 §5.2).
pub(in crate::web) fn oauth_schema() -> Value {
    json!({
        "description": "What went wrong (RFC 6749 §5.2).",
        "type": "object",
        "required": ["error", "error_description", "error_uri"],
        "properties": {
            "error": { "type": "string" },
            "error_description": { "type": "string" },
            "error_uri": { "type": "string", "format": "uri", "description": "A page that explains it." },
        },
    })
}
