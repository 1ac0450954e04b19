//! Test suite of the program itself: started as a process, addressed over a socket, stopped by
//! signals.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "this is how a test fails")]

mod database;
mod stalled_network;
#[macro_use]
mod operator;
mod clients;
mod commands;
mod db_commands;
mod fuzz;
mod letters;
mod mail_test;
mod mail_transports;
mod metrics;
mod nodes;
mod outage;
#[path = "../support/postgres.rs"]
mod postgres;
mod program;
mod secrets;
#[path = "../support/seeded_random.rs"]
mod seeded_random;
#[path = "../support/service.rs"]
mod service;
mod settings;
#[path = "../support/smtp.rs"]
mod smtp;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use program::{Program, SMTP_SECRET, has_exited_with, wait_until};
use serde_json::{Value, json};

const ADA: &str = "ada@example.org";
const PASSWORD: &str = "marked-password-7f3a";
const WRONG: &str = "marked-wrong-password-91c2";
const CLIENT_SECRET: &str = "marked-client-secret-5d0e";

/// The settings that a release profile needs, with a confidential client.
fn release() -> Vec<(&'static str, String)> {
    let digest = hex::encode(vestibule::model::Digest::of(CLIENT_SECRET.as_bytes()).as_bytes());
    vec![
        ("ROCKET_PROFILE", "release".to_owned()),
        ("VESTIBULE_PUBLIC_URL", "https://accounts.example.org/auth".to_owned()),
        ("VESTIBULE_MAIL__TRANSPORT", "file".to_owned()),
        ("VESTIBULE_CLIENTS__SHOP__SECRET_SHA256", digest),
        ("VESTIBULE_CLIENTS__SHOP__GRANTS", "[\"password\",\"refresh_token\"]".to_owned()),
        ("VESTIBULE_CLIENTS__SHOP__SCOPES", "[\"account.read\"]".to_owned()),
    ]
}

fn sign_up(program: &Program, email: &str) {
    let body = json!({ "email": email, "password": PASSWORD });
    assert_eq!(program.post_json("/v1/accounts", &body).status, 202);
}

/// The link in the one letter to `email` among the files.
fn link_to(program: &Program, email: &str) -> String {
    wait_until("the letter is a file", || {
        let folder = std::fs::read_dir(program.path("data/mail")).ok()?;
        folder.filter_map(Result::ok).find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let letter = std::fs::read_to_string(entry.path()).ok()?;
            let is_it = name.ends_with(".eml") && letter.contains(&format!("To: {email}\r\n"));
            let link = letter.split("\r\n").find(|line| line.contains("/activate?token="));
            is_it.then(|| link.expect("a link on its own line").to_owned())
        })
    })
}

fn token_of(link: &str) -> &str {
    link.split_once("token=").expect("a token").1
}

fn activate(program: &Program, email: &str) {
    let link = link_to(program, email);
    let body = json!({ "token": token_of(&link) });
    assert_eq!(program.post_json("/v1/activations", &body).status, 200);
}

fn sign_in(program: &Program, email: &str) -> Value {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("username", email),
        ("password", PASSWORD),
    ];
    let answer = program.post_form("/oauth/token", &fields, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn refresh(program: &Program, token: &Value) -> program::Answer {
    let token = token.as_str().expect("a refresh token");
    let fields = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)];
    program.post_form("/oauth/token", &fields, &[])
}

/// Checks that a token that the command line has ended stops working: the service caches tokens for
/// a second.
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
fn assert_revoked_soon(program: &Program, access_token: &Value) {
    let ended = Instant::now();
    wait_until("the token is refused", || (me(program, access_token).status == 401).then_some(()));
    // with room for a busy machine
    assert!(ended.elapsed() < Duration::from_secs(5), "the token works for {:?}", ended.elapsed());
}

fn me(program: &Program, token: &Value) -> program::Answer {
    let bearer = format!("Bearer {}", token.as_str().expect("an access token"));
    program.get("/v1/me", &[("Authorization", &bearer)])
}

#[test]
fn sign_up_to_protected_resource_works_from_an_empty_folder() {
    use std::os::unix::fs::PermissionsExt as _;

    let program = Program::start(&[]);
    sign_up(&program, ADA);
    let link = link_to(&program, ADA);
    assert!(link.starts_with(&format!("http://127.0.0.1:{}/activate?token=", program.port)));
    let path = link.split_once(&program.port.to_string()).expect("a port").1.to_owned();
    let page = program.get(&path, &[]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Confirm my email address"), "{page:?}");
    let pressed = program.post_form("/activate", &[("token", token_of(&link))], &[]);
    assert_eq!(pressed.status, 200, "{pressed:?}");
    let tokens = sign_in(&program, ADA);
    let answer = me(&program, &tokens["access_token"]);
    assert_eq!((answer.status, &answer.json()["email"]), (200, &json!(ADA)));

    let mode = |path: &str| {
        let metadata = std::fs::metadata(program.path(path)).expect(path);
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("data/vestibule.db"), 0o600);
    assert_eq!(mode("data/vestibule.db-wal"), 0o600);
    assert_eq!((mode("data"), mode("data/mail")), (0o700, 0o700));
}

#[test]
fn development_logs_the_link_and_shows_the_letter() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    let link = link_to(&program, ADA);
    wait_until("the link is logged", || program.output().contains(&link).then_some(()));
    let list = program.get("/dev/mail", &[]);
    assert!(list.body.contains("Confirm your email address"), "{list:?}");
    let id = list.body.split("/dev/mail/").nth(1).and_then(|rest| rest.split('"').next());
    let page = program.get(&format!("/dev/mail/{}", id.expect("a letter")), &[]);
    assert!(page.body.contains(&link), "{page:?}");
    let greeting = program.output();
    assert!(greeting.contains("curl "), "the first start shows the first steps: {greeting}");
}

#[test]
fn a_release_profile_shows_no_letters_and_logs_no_links() {
    let program = Program::start(&release());
    sign_up(&program, ADA);
    let link = link_to(&program, ADA);
    assert!(link.starts_with("https://accounts.example.org/auth/activate?token="), "{link}");
    assert_eq!(program.get("/dev/mail", &[]).status, 404);
    activate(&program, ADA);
    let output = program.stop();
    assert!(output.contains("a letter was sent"), "{output}");
    assert!(!output.contains(token_of(&link)), "{output}");
}

#[test]
fn public_url_without_https_logs_a_warning() {
    let mut settings = release();
    settings.retain(|(name, _)| *name != "VESTIBULE_PUBLIC_URL");
    settings.push(("VESTIBULE_PUBLIC_URL", "http://accounts.example.org".to_owned()));
    let log = Program::start(&settings).stop();
    assert!(log.contains("public_url is not https"), "{log}");
}

#[test]
fn r55_no_secret_is_in_the_log() {
    let mut settings = release();
    settings.push(("VESTIBULE_LOG__LEVEL", "debug".to_owned()));
    let program = Program::start(&settings);
    sign_up(&program, ADA);
    let link = link_to(&program, ADA);
    let token = token_of(&link);
    let query = format!("/activate?token={token}");
    assert_eq!(program.get(&query, &[]).status, 200);
    activate(&program, ADA);

    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("shop:{CLIENT_SECRET}"));
    let authorization = format!("Basic {basic}");
    let authorization = [("Authorization", authorization.as_str())];
    let ask = |password: &str| {
        let fields = [("grant_type", "password"), ("username", ADA), ("password", password)];
        program.post_form("/oauth/token", &fields, &authorization)
    };
    assert_eq!(ask(WRONG).status, 400);
    let tokens = ask(PASSWORD);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let tokens = tokens.json();
    let text = |name: &str| tokens[name].as_str().expect(name).to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let bearer = format!("Bearer {access}");
    assert_eq!(program.get("/v1/me", &[("Authorization", &bearer)]).status, 200);
    assert_eq!(program.get(&format!("/v1/me?access_token={access}"), &[]).status, 400);
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("client_id", "shop"),
        ("client_secret", CLIENT_SECRET),
    ];
    let second = program.post_form("/oauth/token", &fields, &[]).json();
    // credentials in wrong places, and malformed requests
    let in_query = format!("/oauth/token?client_secret={CLIENT_SECRET}&password={PASSWORD}");
    program.post_form(&in_query, &[("grant_type", "password")], &[]);
    program.get(&format!("/nowhere/{token}?password={PASSWORD}"), &[]);
    program.get(&format!("/activate/{token}"), &[]);
    program.post_json("/v1/accounts", &json!({ "email": PASSWORD, "password": WRONG }));
    program.raw(&format!("POST /v1/accounts HTTP/1.1\r\n{PASSWORD}\r\n\r\n"));
    program.raw(&format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{{\"{PASSWORD}",
        PASSWORD.len() + 2
    ));
    assert_eq!(
        program.post_form("/oauth/revoke", &[("token", &access)], &authorization).status,
        200
    );

    let output = program.stop();
    assert!(output.contains("/oauth/token") && output.contains("\"status\":400"), "{output}");
    let second = |name: &str| second[name].as_str().expect(name).to_owned();
    let second = [second("access_token"), second("refresh_token")];
    for secret in [PASSWORD, WRONG, token, &access, &refresh, &second[0], &second[1]] {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
    }
    for secret in [CLIENT_SECRET, &basic, &access[4..], &refresh[4..]] {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
    }
}

#[test]
fn r20_disabled_limits_are_logged_at_start() {
    let mut off = release();
    off.push(("VESTIBULE_LIMITS__ENABLED", "false".to_owned()));
    assert!(Program::start(&off).stop().contains("limits.enabled = false"));
    assert!(!Program::start(&release()).stop().contains("limits.enabled"));
}

#[test]
fn log_lines_are_json_with_request_fields() {
    let program = Program::start(&release());
    let answer = program.get("/health/live", &[("X-Request-Id", "trace-me-1")]);
    assert_eq!(answer.header("x-request-id"), Some("trace-me-1"));
    program.get("/nowhere", &[("X-Request-Id", "trace-me-2")]);
    let output = program.stop();
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    let find =
        |id: &str| lines.iter().find(|line| line["id"] == id).unwrap_or_else(|| panic!("{id}"));
    let line = find("trace-me-1");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/health/live");
    assert_eq!(line["status"], 200);
    assert!(line["duration_ms"].as_f64().is_some_and(|took| took >= 0.0), "{line}");
    let line = find("trace-me-2");
    assert_eq!((&line["status"], &line["route"]), (&json!(404), &json!("-")));
}

#[test]
fn r57_invalid_setting_stops_the_start_with_a_correct_example() {
    let one = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let released = |name: &'static str, value: &str| {
        let mut settings = release();
        settings.retain(|(other, _)| *other != name);
        settings.push((name, value.to_owned()));
        settings
    };
    for (settings, expected) in [
        (
            one("VESTIBULE_TOKENS__ACCESS_TLL", "5m"),
            vec!["vestibule.tokens.access_tll", "VESTIBULE_TOKENS__ACCESS_TLL", "`access_ttl`"],
        ),
        (one("VESTIBULE_NAMES", "x"), vec!["vestibule.names", "VESTIBULE_NAMES", "unknown key"]),
        (
            one("VESTIBULE_TOKENS__ACCESS_TTL", "900"),
            vec![
                "vestibule.tokens.access_ttl",
                "VESTIBULE_TOKENS__ACCESS_TTL",
                "unit, such as 30s",
            ],
        ),
        (
            one("VESTIBULE_PASSWORD__MIN_LENGTH", "7"),
            vec!["vestibule.password.min_length", "VESTIBULE_PASSWORD__MIN_LENGTH", "8 to 128"],
        ),
        (
            one("VESTIBULE_PASSWORD__MIN_LENGTH", "many"),
            vec!["vestibule.password.min_length", "VESTIBULE_PASSWORD__MIN_LENGTH"],
        ),
        (
            one("VESTIBULE_PUBLIC_URL", "example.org"),
            vec!["vestibule.public_url", "VESTIBULE_PUBLIC_URL", "absolute http or https URL"],
        ),
        (
            one("VESTIBULE_MAIL__TRANSPORT", "pigeon"),
            vec!["vestibule.mail.transport", "VESTIBULE_MAIL__TRANSPORT", "`smtp`"],
        ),
        (
            one("VESTIBULE_MAIL__TRANSPORT", "smtp"),
            vec!["vestibule.mail.smtp_url", "smtp://user:password@host"],
        ),
        (
            one("VESTIBULE_MAIL__FROM", "nobody"),
            vec!["vestibule.mail.from", "VESTIBULE_MAIL__FROM", "no-reply@example.org"],
        ),
        (
            one("VESTIBULE_MAIL__FROM", "Acme <kontó@example.org>"),
            vec!["vestibule.mail.from", "VESTIBULE_MAIL__FROM", "before the @"],
        ),
        (
            vec![
                ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
                ("VESTIBULE_MAIL__SMTP_URL", "smtps://mail.example".to_owned()),
                ("VESTIBULE_MAIL__CA_FILE", "nowhere.pem".to_owned()),
            ],
            vec!["vestibule.mail.ca_file", "VESTIBULE_MAIL__CA_FILE", "cannot be read"],
        ),
        (
            one("VESTIBULE_MESSAGES__DEFAULT_LOCALE", "tlh"),
            vec!["vestibule.messages.default_locale", "en, de"],
        ),
        (
            one("VESTIBULE_TEMPLATES__DIRECTORY", "nowhere"),
            vec!["vestibule.templates.directory", "VESTIBULE_TEMPLATES__DIRECTORY"],
        ),
        (
            one("VESTIBULE_LOG__LEVEL", "vestibule=loud"),
            vec!["vestibule.log.level", "VESTIBULE_LOG__LEVEL", "error, warn, info, debug"],
        ),
        (one("DATABASE_URL", "mysql://localhost/x"), vec!["DATABASE_URL", "sqlite", "postgres"]),
        (one("ROCKET_PORT", "http"), vec!["\"PORT\" in `ROCKET_`", "u16"]),
        (one("ROCKET_ADDRESS", "nowhere"), vec!["\"ADDRESS\" in `ROCKET_`", "IP address"]),
        (
            released("VESTIBULE_HASHING__MEMORY_KIB", "1024"),
            vec!["vestibule.hashing.memory_kib", "VESTIBULE_HASHING__MEMORY_KIB", "19456"],
        ),
        (
            released("VESTIBULE_CLIENTS__SHOP__SECRET_SHA256", "marked-no-digest"),
            vec!["vestibule.clients.shop.secret_sha256", "SHA"],
        ),
        (
            released("VESTIBULE_CLIENTS__SHOP__GRANTS", "[\"magic\"]"),
            vec!["vestibule.clients.shop", "magic"],
        ),
        (
            one("ROCKET_PROFILE", "release"),
            vec!["VESTIBULE_PUBLIC_URL", "VESTIBULE_MAIL__TRANSPORT", "clients.<id>", "release"],
        ),
    ] {
        let output = Program::fail(&settings);
        // `vestibule config` reports the same (F6)
        let (code, checked) = Program::prepare(&settings).run(&["config"]);
        assert_eq!(code, Some(1), "{settings:?}: {checked}");
        for words in expected {
            assert!(output.contains(words), "{settings:?} lacks {words}:\n{output}");
            assert!(checked.contains(words), "{settings:?}: config lacks {words}:\n{checked}");
        }
        assert!(!output.contains("marked-no-digest"), "{output}");
    }
}

#[test]
fn f6_service_name_from_the_environment_may_look_like_another_type() {
    for name in ["Acme, Inc.", "[Acme]", "1984", "true", "{a}", "a: (b) ; @"] {
        let settings = [
            ("VESTIBULE_NAME", name.to_owned()),
            ("VESTIBULE_MAIL__FROM", format!("{name} <konto@bücher.example>")),
        ];
        let (code, output) = Program::prepare(&settings).run(&["config"]);
        assert_eq!(code, Some(0), "{name}: {output}");
        let line = output.lines().find(|line| line.starts_with("vestibule.name "));
        let line = line.unwrap_or_else(|| panic!("no name in {output}"));
        assert!(line.contains(&format!("{name:?}")) && line.contains("VESTIBULE_NAME"), "{line}");
    }
}

#[test]
fn r57_invalid_setting_in_a_file_is_reported_with_the_file() {
    let program = Program::prepare(&[]);
    let file = program.path("Rocket.toml");
    let toml = std::fs::read_to_string(&file).expect("Rocket.toml");
    for (more, expected) in [
        ("[default.vestibule.tokens]\naccess_tll = \"5m\"", vec!["access_tll", "`access_ttl`"]),
        ("[default.vestibule.shutdown]\ndelay = 5", vec!["shutdown.delay", "unit, such as 30s"]),
    ] {
        let table = more.lines().next().expect("a table");
        let without = toml.replace(table, "");
        std::fs::write(&file, format!("{without}\n{more}\n")).expect("Rocket.toml");
        let output = program.expect_failure();
        assert!(output.contains("Rocket.toml"), "{output}");
        for words in expected {
            assert!(output.contains(words), "{output}");
        }
    }
}

#[test]
fn config_shows_settings_with_sources_and_without_secrets() {
    let mut settings = release();
    settings.push(("VESTIBULE_MAIL__SMTP_URL", format!("smtp://me:{SMTP_SECRET}@mail.example")));
    settings.push(("DATABASE_URL", format!("postgres://me:{SMTP_SECRET}@db.example/v")));
    let program = Program::prepare(&settings);
    let (code, output) = program.run(&["config"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains(SMTP_SECRET), "{output}");
    assert!(output.contains("# profile: release"), "{output}");
    let line = |key: &str| {
        let found = output.lines().find(|line| line.split(' ').next() == Some(key));
        found.unwrap_or_else(|| panic!("no {key} in\n{output}"))
    };
    let url = line("vestibule.public_url");
    assert!(url.contains("\"https://accounts.example.org/auth\""), "{url}");
    assert!(url.contains("VESTIBULE_PUBLIC_URL"), "{url}");
    let default = line("vestibule.tokens.access_ttl");
    assert!(default.contains("15m") && default.contains("the defaults"), "{default}");
    assert!(line("databases.vestibule.url").contains("postgres://me:***@db.example/v"));
    assert!(line("vestibule.mail.smtp_url").contains("not shown"));
    assert!(line("port").contains("ROCKET_PORT"), "{output}");
}

#[test]
fn r55_r57_secrets_are_read_from_files() {
    let mut program = Program::prepare(&release());
    let (database, smtp) = (program.path("database-secret"), program.path("smtp-secret"));
    std::fs::write(&database, "sqlite://elsewhere.db\n").unwrap();
    std::fs::write(&smtp, format!("smtp://me:{SMTP_SECRET}@mail.example\n")).unwrap();
    program.set("DATABASE_URL_FILE", database.to_str().unwrap());
    program.set("VESTIBULE_MAIL__SMTP_URL_FILE", smtp.to_str().unwrap());
    program.start_again();
    assert!(program.path("elsewhere.db").is_file());
    let (code, output) = program.run(&["config"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("smtp-secret, named by VESTIBULE_MAIL__SMTP_URL_FILE"), "{output}");
    assert!(!output.contains(SMTP_SECRET), "{output}");

    std::fs::write(&smtp, SMTP_SECRET.repeat(2) + "\n\n").unwrap();
    let (code, output) = program.run(&["config"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("`vestibule.mail.smtp_url` (from "), "{output}");
    assert!(output.contains("more than one line") && !output.contains(SMTP_SECRET), "{output}");
    program.set("DATABASE_URL", "sqlite://another.db");
    let (_, output) = program.run(&["health"]);
    assert!(output.contains("DATABASE_URL is set as well"), "{output}");
}

#[test]
fn r53_sigterm_fails_readiness_keeps_listening_and_exits_with_0() {
    let settings = [("VESTIBULE_SHUTDOWN__DELAY", "3s".to_owned())];
    let mut program = Program::start(&settings);
    assert_eq!(program.get("/health/ready", &[]).status, 200);
    program.signal("TERM");
    let answer = wait_until("readiness fails", || {
        let answer = program.get("/health/ready", &[]);
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body.contains("shutting down"), "{answer:?}");
    assert_eq!(program.get("/health/live", &[]).status, 200);
    sign_up(&program, ADA);
    has_exited_with(&mut program, Some(0));
    assert!(program.output().contains("stopped"));
}

#[test]
fn r28_accounts_sessions_and_spent_tokens_survive_a_kill_on_sqlite() {
    accounts_sessions_and_spent_tokens_survive_a_kill(None);
}

#[test]
fn r28_accounts_sessions_and_spent_tokens_survive_a_kill_on_postgres() {
    if let Some(cluster) = postgres::cluster() {
        let url = cluster.new_database();
        accounts_sessions_and_spent_tokens_survive_a_kill(Some(url));
    }
}

fn accounts_sessions_and_spent_tokens_survive_a_kill(database: Option<String>) {
    let mut settings = vec![("VESTIBULE_TOKENS__REUSE_GRACE", "0s".to_owned())];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    let mut program = Program::start(&settings);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let first = sign_in(&program, ADA);
    let ended = sign_in(&program, ADA);
    let access = ended["access_token"].as_str().expect("a token");
    let token = ended["refresh_token"].as_str().expect("a token");
    let fields = [("client_id", "web"), ("token", token)];
    assert_eq!(program.post_form("/oauth/revoke", &fields, &[]).status, 200);
    let second = refresh(&program, &first["refresh_token"]);
    assert_eq!(second.status, 200);
    let second = second.json();
    sign_up(&program, "bob@example.org");
    let link = link_to(&program, "bob@example.org");

    program.signal("KILL");
    has_exited_with(&mut program, None);
    program.start_again();

    assert_eq!(me(&program, &second["access_token"]).status, 200);
    assert_eq!(me(&program, &json!(access)).status, 401, "a revoked token stays revoked");
    assert_eq!(refresh(&program, &json!(token)).status, 400, "an ended session stays ended");
    let third = refresh(&program, &second["refresh_token"]);
    assert_eq!(third.status, 200);
    let spent = refresh(&program, &first["refresh_token"]);
    assert_eq!(spent.json()["error"], "invalid_grant", "a spent token stays spent");
    sign_in(&program, ADA);
    let body = json!({ "token": token_of(&link) });
    assert_eq!(program.post_json("/v1/activations", &body).status, 200, "links stay valid");
    assert!(!program.output().contains("curl "), "the first steps are shown once");
}

#[test]
fn port_in_use_stops_the_start_with_an_error() {
    let program = Program::start(&[]);
    let output = Program::fail(&[("ROCKET_PORT", program.port.to_string())]);
    assert!(output.contains("cannot listen"), "{output}");
    assert!(output.contains(&program.port.to_string()), "{output}");
    assert!(!output.contains("panic"), "{output}");
}

#[test]
fn r9_endless_body_is_refused_at_the_size_limit() {
    let program = Program::start(&[]);
    for (path, kind) in [
        ("/v1/accounts", "application/json"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let answer = program.send_endless_body(&head);
        assert_eq!(answer.status, 413, "{answer:?}");
        let head = head.replace("Transfer-Encoding: chunked", "Content-Length: 1073741824");
        // Rocket waits for the first bytes of any body, to look for a method in them
        let start = "grant_type=password";
        let answer = program.raw(&(head + start)).expect(path);
        assert_eq!(answer.status, 413, "{answer:?}");
    }
}

/// The senders keep their connections, but no slot of the service.
#[test]
fn s5_r51_stalled_body_gets_408_and_frees_its_slot() {
    let program = Program::start(&[
        ("VESTIBULE_ADMISSION__BODY_TIMEOUT", "200ms".to_owned()),
        ("VESTIBULE_ADMISSION__IN_FLIGHT", "1".to_owned()),
    ]);
    let form = "application/x-www-form-urlencoded";
    for (path, kind, begin) in [
        ("/v1/accounts", "application/json", "{\"email\": \"ada@example.org\", "),
        ("/oauth/token", form, "grant_type=password&username="),
        ("/account/sign-in", form, "email=ada@example.org&password="),
    ] {
        for length in ["Content-Length: 900", "Transfer-Encoding: chunked"] {
            let begin = match length.starts_with('T') {
                true => format!("{:x}\r\n{begin}\r\n", begin.len()),
                false => begin.to_owned(),
            };
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{length}\r\n\r\n{begin}"
            );
            let mut stream = TcpStream::connect(("127.0.0.1", program.port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            // until the service hangs up
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 408"), "{path} {length}: {answer}");
            assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
            assert!(answer.contains("request-timeout") || answer.contains("Request timeout"));
            // the one slot is free again
            assert_eq!(program.get("/v1/me", &[]).status, 401, "{path} {length}");
        }
    }
    program.stop();
}

/// Rocket bounds neither the streams of an HTTP/2 connection nor their headers.
#[test]
fn r51_http_2_connection_is_refused() {
    let program = Program::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", program.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    // the service hangs up, and may do so before it has read everything
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
}

/// Rocket answers an unknown method without calling any fairing.
#[test]
fn r10_unknown_method_gets_the_common_headers() {
    let program = Program::start(&[]);
    for (path, no_store) in [("/oauth/token", true), ("/v1/me", false), ("/activate", true)] {
        let request =
            format!("PURGE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = program.raw(&request).expect("an answer");
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.header("X-Request-Id").is_some_and(|id| id.len() == 32), "{path}");
        let caching = answer.header("Cache-Control").unwrap_or_default();
        assert_eq!(caching.starts_with("no-store"), no_store, "{path}");
    }
    let log = program.stop();
    assert_eq!(log.matches("\"status\":400").count(), 3, "each request has one log line");
}

#[test]
fn migrate_health_and_client_secret_commands_work() {
    let program = Program::prepare(&[]);
    let (code, output) = program.run(&["migrate"]);
    assert_eq!((code, output.contains("up to date")), (Some(0), true), "{output}");
    assert!(program.path("data/vestibule.db").exists());
    let (code, output) = program.run(&["health"]);
    assert_eq!(code, Some(1), "no service runs: {output}");
    let (code, output) = program.run(&["client", "secret"]);
    assert_eq!(code, Some(0));
    let value = |name: &str| {
        let line = output.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.split('"').nth(1)).expect(name).to_owned()
    };
    let secret = value("secret");
    assert_eq!(secret.len(), 43);
    let digest = hex::encode(vestibule::model::Digest::of(secret.as_bytes()).as_bytes());
    assert_eq!(value("secret_sha256"), digest);
    let running = Program::start(&[]);
    let (code, output) = running.run(&["health"]);
    assert_eq!((code, output.trim()), (Some(0), "ready"));
}

#[test]
fn templates_are_checked_and_rendered_to_a_preview() {
    let mut program = Program::prepare(&[]);
    let (code, output) = program.run(&["templates", "check"]);
    assert_eq!((code, output.as_str()), (Some(0), ""));
    let (code, output) = program.run(&["templates", "preview", "--locale", "de"]);
    assert_eq!(code, Some(0), "{output}");
    let index = program.path("preview/index.html");
    assert!(output.contains("preview/index.html") && index.exists(), "{output}");
    let page = std::fs::read_to_string(program.path("preview/de/page-activate-1.html"));
    assert!(page.expect("a page").contains("E-Mail-Adresse bestätigen"));

    let folder = program.path("words");
    std::fs::create_dir_all(folder.join("de")).expect("a folder");
    let file = folder.join("de/page.ftl");
    std::fs::write(&file, "page-address = Anschrift\npage-adress = Anschrift\n").expect("a file");
    program.set("VESTIBULE_MESSAGES__DIRECTORY", "words");
    let (code, output) = program.run(&["templates", "check"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("words/de/page.ftl:2: nothing uses `page-adress`"), "{output}");
    assert!(output.contains("`page-browser` is missing in `de`"), "{output}");
}

#[test]
fn broken_template_or_message_stops_the_start_with_its_line() {
    for (setting, name, text, place) in [
        ("VESTIBULE_TEMPLATES__DIRECTORY", "page/problem.html.tera", "\n{{ a", ":2: "),
        ("VESTIBULE_TEMPLATES__DIRECTORY", "page/problem.html.tera", "\n\n{{ nothing }}", ":3: "),
        ("VESTIBULE_MESSAGES__DIRECTORY", "de/mail.ftl", "a = b\n}\n", ":2: "),
        ("VESTIBULE_MESSAGES__DIRECTORY", "de/mial.ftl", "", "did you mean mail.ftl?"),
    ] {
        let mut program = Program::prepare(&[]);
        let file = program.path("words").join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, text).expect("a file");
        program.set(setting, "words");
        let output = program.expect_failure();
        assert!(output.contains(&format!("words/{name}")) && output.contains(place), "{output}");
        assert!(output.contains(setting), "{output}");
    }
}
