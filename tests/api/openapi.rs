//! Tests of the OpenAPI document: it names every route and nothing else, and it describes every
//! real answer.

use std::collections::{BTreeMap, BTreeSet};

use rocket::http::{ContentType, Header, Method, Status};
use serde_json::{Value, json};
use vestibule::testing::{PASSWORD, TestApp};

use crate::support::{self, ADA, basic, bearer};
use crate::support_accounts::Browser;
use crate::support_pages::{Answer, get, post, submit};

pub async fn document(app: &TestApp) -> Value {
    let answer = get(app, "/openapi.json").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    answer.json()
}

/// Each operation, as `(path, method, operation)`.
pub fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            all.push((path.clone(), method, operation.clone()));
        }
    }
    all
}

/// The names of the fields in the body of an operation.
pub fn fields(document: &Value, operation: &Value) -> BTreeSet<String> {
    let contents = operation["requestBody"]["content"].as_object();
    let schemas = contents.into_iter().flatten().map(|(_, content)| &content["schema"]);
    let resolved = schemas.map(|schema| match schema["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap(),
        None => schema,
    });
    let members = resolved.filter_map(|schema| schema["properties"].as_object());
    members.flat_map(|members| members.keys().cloned()).collect()
}

fn routes(app: &TestApp) -> BTreeSet<(String, String)> {
    let routes = app.client.rocket().routes();
    // preflights are the browser's own requests, and HEAD follows from GET
    let aside = [Method::Options, Method::Head];
    let ours = routes.filter(|route| !aside.contains(&route.method));
    ours.map(|route| {
        let path = route.uri.path().replace('<', "{").replace("..>", "}").replace('>', "}");
        (path, route.method.to_string())
    })
    .filter(|(path, _)| !path.starts_with("/dev/"))
    .collect()
}

#[rocket::async_test]
async fn document_describes_exactly_the_routes() {
    let app = support::app().await;
    let document = document(&app).await;
    let described: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(path, method, _)| (path, method.to_string()))
        .collect();
    assert_eq!(described, routes(&app));
    let ids: BTreeSet<String> =
        operations(&document).iter().map(|(_, _, one)| one["operationId"].to_string()).collect();
    assert_eq!(ids.len(), described.len(), "operation ids are unique");
    for (path, method, operation) in operations(&document) {
        let tag = &operation["tags"][0];
        let tags = document["tags"].as_array().unwrap();
        assert!(tags.iter().any(|one| one["name"] == *tag), "{method} {path}: {tag}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(place)) = members.get("$ref") {
                found.insert(place.clone());
            }
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[rocket::async_test]
async fn references_resolve_and_problem_types_have_pages() {
    let app = support::app().await;
    let document = document(&app).await;
    let mut all = BTreeSet::new();
    collect_references(&document, &mut all);
    assert!(all.len() > 50);
    for place in all {
        let pointer = place.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{place}");
    }
    let mut kinds = BTreeSet::new();
    for response in document["components"]["responses"].as_object().unwrap().values() {
        for content in response["content"].as_object().unwrap().values() {
            for member in ["type", "error_uri"] {
                let places = content["schema"]["properties"][member]["enum"].as_array();
                for place in places.into_iter().flatten() {
                    let (_, kind) = place.as_str().unwrap().split_once("/problems/").unwrap();
                    kinds.insert(kind.to_owned());
                }
            }
        }
    }
    assert!(kinds.len() > 20, "{kinds:?}");
    for kind in kinds {
        assert_eq!(get(&app, &format!("/problems/{kind}")).await.status, Status::Ok, "{kind}");
    }
}

/// Checks answers against the document, and remembers which statuses it has seen.
struct ResponseChecker {
    document: Value,
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl ResponseChecker {
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => self.document.pointer(&place[1..]).unwrap(),
            None => value,
        }
    }

    fn check(&mut self, id: &str, answer: &Answer) {
        let all = operations(&self.document);
        let (path, _, operation) = all.iter().find(|(_, _, one)| one["operationId"] == id).unwrap();
        let place = format!("{id} ({path}): {answer:?}");
        let described = &operation["responses"][answer.status.code.to_string()];
        assert!(!described.is_null(), "not described: {place}");
        let described = self.resolve(described);
        for name in described["headers"].as_object().unwrap().keys() {
            assert!(answer.has(&name.to_lowercase()), "{name} is missing: {place}");
        }
        match described["content"].as_object() {
            None => assert_eq!(answer.body, "", "{place}"),
            Some(content) => {
                let kind = answer.header("content-type").split(';').next().unwrap();
                let content = content.get(kind);
                assert!(content.is_some(), "{kind} is not described: {place}");
                let content = content.unwrap();
                if kind.ends_with("json") {
                    let mut schema = content["schema"].clone();
                    schema["components"] = self.document["components"].clone();
                    let validator = jsonschema::draft202012::new(&schema).unwrap();
                    let errors: Vec<String> = validator
                        .iter_errors(&answer.json())
                        .map(|error| format!("{}: {error}", error.instance_path()))
                        .collect();
                    assert!(errors.is_empty(), "{errors:#?} {place}");
                }
            }
        }
        self.seen.entry(id.to_owned()).or_default().insert(answer.status.code);
    }
}

/// A body made of the document's examples.
fn example_body(checker: &ResponseChecker, schema: &Value, email: &str) -> BTreeMap<String, Value> {
    let members = checker.resolve(schema)["properties"].as_object().unwrap();
    let examples = members.iter().filter_map(|(name, member)| {
        let value = match name.as_str() {
            "password" | "current_password" => json!(PASSWORD),
            "username" => json!(email),
            "new_password" => json!("a whole new passphrase"),
            _ => member.get("example")?.clone(),
        };
        Some((name.clone(), value))
    });
    examples.collect()
}

/// Calls every operation with the documented request, and with requests that it should refuse.
#[rocket::async_test]
async fn responses_match_the_document() {
    let app = support::app().await;
    // the examples are Ada's
    app.account(ADA).await;
    let document = document(&app).await;
    let mut checker = ResponseChecker { document, seen: BTreeMap::new() };
    for (path, method, operation) in operations(&checker.document) {
        let id = operation["operationId"].as_str().unwrap();
        let mut place = path.clone();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let value = parameter["example"].as_str().unwrap_or("x");
            place = place.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), value);
        }
        let email = format!("{}@example.org", id.to_lowercase());
        let person = app.signed_in(&email).await;
        let mut browser = Browser::signed_in(&app, &email, PASSWORD).await;
        let form_token = browser.form_token().await;
        let content = &operation["requestBody"]["content"];
        let content = content.as_object().and_then(|all| all.iter().next());
        let needs_cookie = operation["security"].to_string().contains("cookie");
        let token = (!path.starts_with("/oauth") || id == "check").then(|| person.header());
        let mut requests: Vec<(ContentType, String, Option<Header<'static>>)> = vec![
            (ContentType::JSON, "{".to_owned(), token.clone()),
            (ContentType::JSON, "{}".to_owned(), token.clone()),
            (ContentType::JSON, "[]".to_owned(), None),
            (ContentType::Form, String::new(), token.clone()),
            (ContentType::Form, "token=%zz".to_owned(), None),
            (ContentType::Plain, "x".repeat(40_000), token.clone()),
            (ContentType::JSON, "x".repeat(40_000), token.clone()),
            (ContentType::Form, "x".repeat(40_000), token.clone()),
            (ContentType::JSON, "{}".to_owned(), Some(bearer("vat_nonsense"))),
            (ContentType::Form, "token=x".to_owned(), Some(basic("shop", "wrong"))),
            (ContentType::Form, "token=x".to_owned(), Some(basic("shop", "shop secret"))),
        ];
        // the good request comes last: it may end the session
        if let Some((kind, body)) = content {
            let mut fields = example_body(&checker, &body["schema"], &email);
            if kind == "application/json" {
                requests.push((ContentType::JSON, json!(fields).to_string(), token));
            } else {
                fields.insert("form_token".to_owned(), json!(form_token));
                let pairs: Vec<(&str, &str)> =
                    fields.iter().map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
                requests.push((ContentType::Form, support::form(&pairs), token));
            }
        } else {
            requests.push((ContentType::JSON, String::new(), token));
        }
        for (kind, body, header) in requests {
            let mut request = app.client.req(method, place.clone()).header(kind).body(body);
            if let Some(header) = header {
                request.add_header(header);
            }
            if needs_cookie {
                request.add_header(browser.cookie_header().unwrap());
            }
            let answer = Answer::of(request.dispatch().await).await;
            checker.check(id, &answer);
        }
        if operation["security"].to_string().contains("bearer") {
            let answer = get(&app, &format!("{place}?access_token=x")).await;
            if method == Method::Get {
                checker.check(id, &answer);
            }
        }
        let other = if method == Method::Patch { Method::Post } else { Method::Patch };
        if path != "/v1/me" {
            let request = app.client.req(other, place).dispatch().await;
            checker.check(id, &Answer::of(request).await);
        }
        browser.cookie = None;
    }
    check_link_operations(&app, &mut checker).await;
    check_oauth_endpoints(&app, &mut checker).await;
    // every operation has given a documented success
    for (path, method, operation) in operations(&checker.document) {
        let id = operation["operationId"].as_str().unwrap();
        let seen = &checker.seen[id];
        let answers = operation["responses"].as_object().unwrap().keys();
        let good: Vec<u16> =
            answers.map(|status| status.parse().unwrap()).filter(|status| *status < 400).collect();
        // the test has no issuer with a path, and no other session
        if !["metadataOfPath", "endSession"].contains(&id) {
            assert!(good.iter().any(|status| seen.contains(status)), "{method} {path}: {seen:?}");
        }
    }
}

/// Operations that need a link from a letter.
async fn check_link_operations(app: &TestApp, checker: &mut ResponseChecker) {
    app.sign_up("link@example.org", PASSWORD).await;
    let token = app.link_token("link@example.org").await;
    checker.check("activatePage", &get(app, &format!("/activate?token={token}")).await);
    for _ in 0..2 {
        let body = json!({ "token": token });
        checker.check("activate", &post(app, "/v1/activations", &body).await);
    }
    checker.check("pressActivate", &submit(app, "/activate", &[("token", &token)]).await);
    let body = json!({ "token": token });
    checker.check("disavow", &post(app, "/v1/activations/disavowals", &body).await);
    let fields = [("token", token.as_str())];
    checker.check("pressDisavow", &submit(app, "/activate/disavowal", &fields).await);
    app.sign_up("drop@example.org", PASSWORD).await;
    let body = json!({ "token": app.link_token("drop@example.org").await });
    checker.check("disavow", &post(app, "/v1/activations/disavowals", &body).await);
    app.sign_up("drop2@example.org", PASSWORD).await;
    let token = app.link_token("drop2@example.org").await;
    checker.check("pressDisavow", &submit(app, "/activate/disavowal", &[("token", &token)]).await);

    let reset = async || {
        let body = json!({ "email": "link@example.org" });
        assert_accepted(&post(app, "/v1/password-resets", &body).await);
        crate::support_accounts::token_in(app, "password-reset", "link@example.org").await
    };
    let token = reset().await;
    checker.check("resetPasswordPage", &get(app, &format!("/reset-password?token={token}")).await);
    let fields = [("token", token.as_str()), ("password", "a whole new passphrase")];
    checker.check("pressResetPassword", &submit(app, "/reset-password", &fields).await);
    let token = reset().await;
    let body = json!({ "token": token, "password": "and another new passphrase" });
    checker.check("resetPassword", &post(app, "/v1/password-resets/confirmations", &body).await);
    checker.check("resetPassword", &post(app, "/v1/password-resets/confirmations", &body).await);

    for (page, press, path, letter) in [
        (
            "stopEmailChangePage",
            "pressStopEmailChange",
            "/confirm-email/stop",
            "email-change-notice",
        ),
        ("confirmEmailPage", "pressConfirmEmail", "/confirm-email", "email-change"),
    ] {
        let old = format!("{letter}@example.org");
        let new = format!("{letter}@example.net");
        let person = app.signed_in(&old).await;
        let body = json!({ "email": new, "password": PASSWORD });
        checker.check(
            "changeEmail",
            &crate::support_accounts::post_as(&person, "/v1/me/email", &body).await,
        );
        let reader = if letter == "email-change" { &new } else { &old };
        let token = crate::support_accounts::token_in(app, letter, reader).await;
        checker.check(page, &get(app, &format!("{path}?token={token}")).await);
        checker.check(press, &submit(app, path, &[("token", &token)]).await);
    }
}

fn assert_accepted(answer: &Answer) {
    assert_eq!(answer.status, Status::Accepted, "{answer:?}");
}

/// The answers of the OAuth endpoints.
async fn check_oauth_endpoints(app: &TestApp, checker: &mut ResponseChecker) {
    let pair = support::tokens(app.token(&support::sign_in_fields()).await).await;
    let shop = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
    let shop = [&shop[..], &[("client_id", "shop"), ("client_secret", "shop secret")]].concat();
    checker.check("token", &Answer::of(app.token(&shop).await).await);
    for scope in ["account.read", "account.write", "no such scope", "%C3%A9"] {
        let path = format!("/oauth/check?scope={}", scope.replace(' ', "%20"));
        let request = app.client.get(path).header(bearer(&pair.access));
        checker.check("check", &Answer::of(request.dispatch().await).await);
    }
    checker.check("check", &get(app, "/oauth/check").await);
    for (refused, status) in [("", 401), ("vat_x", 401)] {
        let request = app.client.get("/oauth/check").header(bearer(refused));
        let answer = Answer::of(request.dispatch().await).await;
        checker.check("check", &answer);
        assert!(answer.status.code == status || answer.status.code == 400, "{answer:?}");
    }
    let fields = [("token", pair.access.as_str()), ("client_id", "web")];
    checker.check("introspect", &submit(app, "/oauth/introspect", &fields).await);
    let shop = Answer::of(app.token(&shop).await).await.json();
    for token in [shop["access_token"].as_str().unwrap(), "vat_unknown"] {
        let fields = [("token", token), ("client_id", "shop"), ("client_secret", "shop secret")];
        checker.check("introspect", &submit(app, "/oauth/introspect", &fields).await);
    }
    checker.check("revoke", &submit(app, "/oauth/revoke", &fields).await);
    checker.check("revoke", &submit(app, "/oauth/revoke", &fields).await);
}

#[rocket::async_test]
async fn described_scope_is_the_required_one() {
    let app = support::app().await;
    app.account(ADA).await;
    for (path, method, operation) in operations(&document(&app).await) {
        let Some(scopes) = operation["security"][0]["bearer"].as_array() else { continue };
        let Some(needed) = scopes.first().and_then(Value::as_str) else { continue };
        let other = if needed == "account.read" { "account.write" } else { "account.read" };
        let fields = [&support::sign_in_fields()[..], &[("scope", other)]].concat();
        let pair = support::tokens(app.token(&fields).await).await;
        let request = app.client.req(method, path.replace("{id}", "x"));
        let answer = request.header(bearer(&pair.access)).dispatch().await;
        let answer = Answer::of(answer).await.problem(403, "insufficient-scope");
        // the challenge and the document name the scope
        assert_eq!(answer.json()["scope"], needed, "{method} {path}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.ends_with(&format!("scope=\"{needed}\"")),
            "{method} {path}: {challenge}"
        );
    }
}

#[rocket::async_test]
async fn public_url_with_a_path_is_in_the_document() {
    let app =
        support::configured("[debug.vestibule]\npublic_url = \"https://example.org/accounts\"")
            .await;
    let document = document(&app).await;
    assert_eq!(document["servers"], json!([{ "url": "https://example.org/accounts" }]));
    let flow = &document["components"]["securitySchemes"]["bearer"]["flows"]["password"];
    assert_eq!(flow["tokenUrl"], "https://example.org/accounts/oauth/token");
    let mut checker = ResponseChecker { document, seen: BTreeMap::new() };
    checker.check("readAccount", &get(&app, "/v1/me").await);
    checker.check("token", &submit(&app, "/oauth/token", &[]).await);
    let path = "/.well-known/oauth-authorization-server/accounts";
    checker.check("metadataOfPath", &get(&app, path).await);
    let page = get(&app, "/docs").await;
    assert!(page.body.contains("href=\"/accounts/openapi.json\""));
}

#[rocket::async_test]
async fn mounted_service_leaves_the_root_path_to_its_application() {
    if support::ON_POSTGRES {
        return;
    }
    let app = TestApp::around(rocket::build().attach(vestibule::stage())).await;
    let document = document(&app).await;
    let described: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(path, method, _)| (path, method.to_string()))
        .collect();
    assert_eq!(described, routes(&app));
    assert!(!described.contains(&("/".to_owned(), "GET".to_owned())));
}

#[rocket::async_test]
async fn docs_page_lists_every_operation_and_loads_nothing() {
    let app = support::app().await;
    let page = get(&app, "/docs").await;
    assert_eq!(page.status, Status::Ok);
    for (_, _, operation) in operations(&document(&app).await) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            page.body.contains(&format!("<article class=\"card operation\" id=\"{id}\"")),
            "{id}"
        );
        assert!(page.body.contains(&format!("href=\"#{id}\"")), "{id}");
    }
    for foreign in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.body.contains(foreign), "{foreign}");
    }
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
}
