//! Tests that no secret comes out (R55): marked secrets are planted wherever a request or a setting
//! can carry one, on every route, while requests succeed and while they fail.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::database::Database;
use crate::program::{Program, free_port, scrape, wait_until};
use crate::{ADA, PASSWORD, activate, link_to, release, sign_up, token_of};

/// A part of every planted secret.
const MARK: &str = "marked-4e1f";

/// A secret for one place, so that a finding names its place.
fn planted(place: &str) -> String {
    format!("{MARK}-{place}-secret")
}

/// Every operation of the service's OpenAPI document, with its path filled in.
fn operations(program: &Program) -> Vec<(String, String)> {
    let description = program.get("/openapi.json", &[]).json();
    let paths = description["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, methods) in paths {
        let filled: Vec<String> = path
            .split('/')
            .map(|part| if part.starts_with('{') { planted("path") } else { part.to_owned() })
            .collect();
        for method in methods.as_object().expect("methods").keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                all.push((method.to_uppercase(), filled.join("/")));
            }
        }
    }
    assert!(all.len() > 30, "{all:?}");
    all.push(("GET".to_owned(), format!("/nowhere/{}", planted("path"))));
    all.push(("PURGE".to_owned(), format!("/v1/me/{}", planted("path"))));
    all
}

/// The bodies, as JSON and as a form.
fn bodies() -> [(&'static str, String); 4] {
    let names = [
        "email",
        "password",
        "username",
        "token",
        "refresh_token",
        "client_secret",
        "client_id",
        "new_password",
        "current_password",
        "new_email",
        "name",
        "locale",
        "scope",
        "form_token",
    ];
    let of = |name: &str| match name {
        "email" | "username" | "new_email" => format!("{MARK}-{name}@example.org"),
        other => planted(&format!("body-{other}")),
    };
    let object: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!(of(name)))).collect();
    let form = |grant: &str| {
        let mut form = format!("grant_type={grant}");
        for name in names {
            // writing to a String cannot fail
            let _ = write!(form, "&{name}={}", of(name));
        }
        form
    };
    [
        ("application/json", Value::Object(object).to_string()),
        ("application/json", format!("{{\"{}", of("broken"))),
        ("application/x-www-form-urlencoded", form("password")),
        ("application/x-www-form-urlencoded", form("refresh_token")),
    ]
}

/// Sends every body to every operation, and returns the bodies of all errors.
fn plant(program: &Program, bearer: &str) -> String {
    let basic = format!("{}:{}", planted("basic-id"), planted("basic"));
    let basic = base64::engine::general_purpose::STANDARD.encode(basic);
    let authorizations = [
        format!("Bearer {bearer}"),
        format!("Bearer {}", planted("bearer")),
        format!("Basic {basic}"),
    ];
    let mut errors = String::new();
    for (method, path) in operations(program) {
        for (n, (kind, body)) in bodies().iter().enumerate() {
            for (m, authorization) in authorizations.iter().enumerate() {
                // this request would sign the test out everywhere
                if method == "DELETE" && authorization.ends_with(bearer) {
                    continue;
                }
                // a token in the query, or a foreign origin, would refuse every request
                let (query_name, origin) = match (n + m) % 2 {
                    0 => ("access_token", format!("https://{}.example", planted("origin"))),
                    _ => ("hint", "https://accounts.example.org".to_owned()),
                };
                let request = format!(
                    "{method} {path}?{query_name}={query}&token={query} HTTP/1.1\r\nHost: {host}\r\n\
                     Authorization: {authorization}\r\nCookie: vestibule={cookie}; __Host-vestibule={cookie}\r\n\
                     User-Agent: {agent}\r\nReferer: https://example.org/?token={referer}\r\n\
                     Origin: {origin}\r\nX-Forwarded-For: {forwarded}\r\n\
                     X-Request-Id: {MARK}/{query}\r\nContent-Type: {kind}\r\nConnection: close\r\n\
                     Content-Length: {length}\r\n\r\n{body}",
                    query = planted("query"),
                    host = planted("host"),
                    cookie = planted("cookie"),
                    agent = planted("agent"),
                    referer = planted("referer"),
                    forwarded = planted("forwarded"),
                    length = body.len(),
                );
                let answer = program.raw(&request).expect("an answer");
                if answer.status >= 400 && !answer.body.contains("<form") {
                    let _ = writeln!(errors, "{method} {path} {}: {}", answer.status, answer.body);
                }
            }
        }
    }
    errors
}

fn search(what: &str, text: &str, secrets: &[&str]) {
    assert!(!text.is_empty(), "{what} is empty");
    for secret in secrets {
        let found = text.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret} is in {what}: {}", found.unwrap_or_default());
    }
}

#[test]
fn r55_planted_secrets_appear_in_no_log_answer_or_metric() {
    for format in ["json", "text"] {
        let metrics = free_port();
        let mut settings = release();
        settings.push(("VESTIBULE_LOG__LEVEL", "debug,vestibule=trace".to_owned()));
        settings.push(("VESTIBULE_LOG__FORMAT", format.to_owned()));
        settings.push(("VESTIBULE_LIMITS__ENABLED", "false".to_owned()));
        settings.push(("VESTIBULE_METRICS__ADDRESS", format!("127.0.0.1:{metrics}")));
        let program = Program::start(&settings);
        sign_up(&program, ADA);
        let link = link_to(&program, ADA);
        let token = token_of(&link).to_owned();
        activate(&program, ADA);
        let basic = format!("shop:{}", crate::CLIENT_SECRET);
        let basic = base64::engine::general_purpose::STANDARD.encode(basic);
        let fields = [("grant_type", "password"), ("username", ADA), ("password", PASSWORD)];
        let header = format!("Basic {basic}");
        let tokens =
            program.post_form("/oauth/token", &fields, &[("Authorization", &header)]).json();
        let text = |name: &str| tokens[name].as_str().expect(name).to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));

        let mut errors = plant(&program, &access);
        // once more, while every statement about people fails
        let database =
            Database::at(format!("sqlite://{}", program.path("data/vestibule.db").display()));
        for table in ["sessions", "sign_ups", "accounts", "clients"] {
            database.execute(&format!("ALTER TABLE {table} RENAME TO {table}_gone"));
        }
        errors += &plant(&program, &access);
        assert!(errors.contains(" 500: "), "no request got 500: {errors}");

        let counted = scrape(metrics).expect("metrics").body;
        let output = program.stop();
        assert!(output.contains("no such table"), "errors are logged with their causes");
        let secrets = [
            MARK,
            ADA,
            PASSWORD,
            crate::CLIENT_SECRET,
            &basic,
            &token,
            &access[4..],
            &refresh[4..],
        ];
        search("the log", &output, &secrets);
        search("the metrics", &counted, &secrets);
        // the test's own lines put the requested path in front of each body
        let answers: Vec<&str> =
            errors.lines().filter_map(|line| line.split_once(": ").map(|(_, body)| body)).collect();
        search("an error", &answers.join("\n"), &secrets);
    }
}

#[test]
fn r55_secrets_in_settings_are_never_printed() {
    let secret = planted("setting");
    let mut settings = release();
    settings.push(("DATABASE_URL", format!("postgres://vestibule:{secret}@127.0.0.1:1/x")));
    search("a start without a database", &Program::fail(&settings), &[&secret]);

    let mut settings = release();
    settings.retain(|(name, _)| *name != "VESTIBULE_MAIL__TRANSPORT");
    settings.push(("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()));
    settings.push(("VESTIBULE_MAIL__SMTP_URL", format!("smtp://robot:{secret}@127.0.0.1:1")));
    settings.push(("VESTIBULE_LOG__LEVEL", "debug,vestibule=trace".to_owned()));
    let program = Program::start(&settings);
    sign_up(&program, ADA);
    wait_until("the mail server is missed", || {
        program.output().contains("the mail server is unavailable").then_some(())
    });
    let (code, shown) = program.run(&["config"]);
    assert_eq!(code, Some(0));
    search("the settings as they are shown", &shown, &[&secret]);
    search("the log without a mail server", &program.stop(), &[&secret]);
}
