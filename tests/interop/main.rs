//! OAuth clients that others wrote, against the real program.
//!
//! The scripts in `python/` use Authlib and requests-oauthlib as their documentation shows, with a
//! public client and a confidential one, and note what each operation came to; a table of that, with
//! the number of clients in parentheses, goes to standard error. Skipped, loudly,
//! where Python or the libraries are missing; `TEST_REQUIRE=python` makes that a failure, and
//! `TEST_PYTHON` names the interpreter to take.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

#[path = "../support/service.rs"]
mod service;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use service::{PASSWORD, Service};
use vestibule::model::Digest;

const EMAIL: &str = "ada@example.org";
/// What `shop` authenticates with.
const SECRET: &str = "kept-by-the-shop-and-nobody-else";

/// What is tried; requests-oauthlib cannot revoke.
const OPERATIONS: [&str; 10] = [
    "fetch_token",
    "protected GET",
    "refresh_token",
    "automatic refresh",
    "revoke_token",
    "wrong password",
    "wrong secret",
    "too much scope",
    "spent refresh token",
    "after the theft",
];

#[test]
fn python_clients() {
    let python = service::setting("TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
    if let Err(reason) = check_libraries(&python) {
        return service::skip("python", &reason);
    }
    let digest = hex::encode(Digest::of(SECRET.as_bytes()).as_bytes());
    let service = Service::start(&[
        ("VESTIBULE_CLIENTS__SHOP__SECRET_SHA256", &digest),
        ("VESTIBULE_CLIENTS__SHOP__GRANTS", r#"["password", "refresh_token"]"#),
        ("VESTIBULE_CLIENTS__SHOP__SCOPES", r#"["account.read", "orders.read"]"#),
        // whoever comes second with a refresh token is a thief at once
        ("VESTIBULE_TOKENS__REUSE_GRACE", "0s"),
    ]);
    service.account(EMAIL);

    let authlib = run(&python, "authlib_client.py", &service);
    let requests = run(&python, "requests_oauthlib_client.py", &service);
    let mut table = format!("{:<20} {:<34} requests-oauthlib\n", "", "Authlib");
    for operation in OPERATIONS {
        let (left, right) = (authlib.cell(operation), requests.cell(operation));
        let _ = writeln!(table, "{operation:<20} {left:<34} {right}");
    }
    // straight to the stream: what a test prints with a macro is shown only if the test fails
    let _ = std::io::stderr().write_all(table.as_bytes());
}

/// `Err` says what is missing.
fn check_libraries(python: &str) -> Result<(), String> {
    let output = Command::new(python)
        .args(["-c", "import authlib.integrations.requests_client, requests_oauthlib"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{python}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{python}: {}", complaint.lines().last().unwrap_or("no reason given")))
}

/// What a script saw: the client, the operation, and what it came to.
struct Seen(Vec<[String; 3]>);

impl Seen {
    /// What an operation came to, for as many clients as it was tried with. All have to agree.
    fn cell(&self, operation: &str) -> String {
        let rows: Vec<_> = self.0.iter().filter(|[_, tried, _]| tried == operation).collect();
        let Some([_, _, outcome]) = rows.first() else { return "-".to_owned() };
        for [client, _, other] in &rows {
            assert_eq!(other, outcome, "{client}: {operation}");
        }
        format!("{outcome} ({})", rows.len())
    }
}

/// Runs a script, which fails at the first thing that is not as it should be.
fn run(python: &str, script: &str, service: &Service) -> Seen {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/python");
    let output = Command::new(python)
        .arg(folder.join(script))
        .env("VESTIBULE", service.url(""))
        .env("EMAIL", EMAIL)
        .env("PASSWORD", PASSWORD)
        .env("SECRET", SECRET)
        // both insist on TLS otherwise
        .env("AUTHLIB_INSECURE_TRANSPORT", "1")
        .env("OAUTHLIB_INSECURE_TRANSPORT", "1")
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("Python");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}:\n{said}\n{complained}");
    let columns = |line: &str| -> [String; 3] {
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        columns.try_into().unwrap_or_else(|_| panic!("{script} says: {line}"))
    };
    let seen = Seen(said.lines().map(columns).collect());
    assert!(seen.0.len() >= 24, "{script} did little:\n{said}");
    seen
}
