//! Interoperability tests: OAuth clients by other authors, against the real program.
//!
//! Each client does what it can: it signs in as a public client and as a confidential client,
//! uses, refreshes, introspects and revokes tokens, and causes one error of each kind. Programs in
//! `python/`, `node/`, `go/` and `java/` use their library as its documentation shows, and print a
//! line for each operation that succeeded; `rust.rs` returns the same. A table goes to standard
//! error, with the number of clients in parentheses.
//!
//! Without a toolchain or its libraries, that column is skipped with a message; `TEST_REQUIRE` with
//! `python`, `node`, `go` or `java` makes that a failure.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

mod mixups;
mod proxy;
mod reverse_proxies;
mod rust;
#[path = "../support/service.rs"]
mod service;
mod toolchain;

use std::fmt::Write as _;
use std::io::Write as _;
use std::thread;

use service::Service;
use toolchain::{Go, Java, Node, Python, Toolchain};
use vestibule::model::Digest;

pub const EMAIL: &str = "ada@example.org";
/// The secret of `shop`.
pub const SECRET: &str = "kept-by-the-shop-and-nobody-else";

const OPERATIONS: [&str; 17] = [
    "discovery",
    "sign-in",
    "use",
    "refresh",
    "automatic refresh",
    "introspection",
    "revocation",
    "revoked token",
    "wrong password",
    "wrong secret",
    "too much scope",
    "unknown grant",
    "grant not allowed",
    "broken request",
    "spent refresh token",
    "after the theft",
    "errors are",
];

/// A library, and the operations that it does not support; docs/testing.md says more.
struct Library {
    name: &'static str,
    lacks: &'static [&'static str],
}

const RUST: Library = Library { name: "oauth2 (Rust)", lacks: &["discovery", "automatic refresh"] };

const PYTHON: [(Library, &str); 2] = [
    (Library { name: "Authlib", lacks: &["discovery"] }, "authlib_client.py"),
    (
        Library { name: "requests-oauthlib", lacks: &["discovery", "introspection"] },
        "requests_oauthlib_client.py",
    ),
];

const NODE: [(Library, &str); 3] = [
    (Library { name: "openid-client", lacks: &["automatic refresh"] }, "openid-client.mjs"),
    (Library { name: "oauth4webapi", lacks: &["automatic refresh"] }, "oauth4webapi.mjs"),
    (
        Library {
            name: "simple-oauth2",
            lacks: &["discovery", "automatic refresh", "introspection"],
        },
        "simple-oauth2.mjs",
    ),
];

const GO: [(Library, &str); 1] = [(
    Library { name: "x/oauth2 (Go)", lacks: &["discovery", "introspection", "revocation"] },
    "client",
)];

const JAVA: [(Library, &str); 1] =
    [(Library { name: "Nimbus (Java)", lacks: &["automatic refresh"] }, "Nimbus")];

#[test]
fn third_party_clients_interoperate() {
    let service = start();
    service.account(EMAIL);
    let service = &service;
    let columns: Vec<Column> = thread::scope(|scope| {
        let others = [
            scope.spawn(move || columns(&Python::default(), &PYTHON, service)),
            scope.spawn(move || columns(&Node, &NODE, service)),
            scope.spawn(move || columns(&Go, &GO, service)),
            scope.spawn(move || columns(&Java, &JAVA, service)),
        ];
        let mut all = vec![Column::new(&RUST, rust::run(service))];
        all.extend(others.into_iter().flat_map(|other| other.join().expect("a column")));
        all
    });
    // straight to the stream: a test's `print` macros show only if the test fails
    let _ = std::io::stderr().write_all(table(&columns).as_bytes());
}

/// Starts a service with a public client, a confidential one, and one without refresh.
fn start() -> Service {
    let digest = hex::encode(Digest::of(SECRET.as_bytes()).as_bytes());
    Service::start(&[
        ("VESTIBULE_CLIENTS__SHOP__SECRET_SHA256", &digest),
        ("VESTIBULE_CLIENTS__SHOP__GRANTS", r#"["password", "refresh_token"]"#),
        ("VESTIBULE_CLIENTS__SHOP__SCOPES", r#"["account.read", "orders.read"]"#),
        ("VESTIBULE_CLIENTS__KIOSK__PUBLIC", "true"),
        ("VESTIBULE_CLIENTS__KIOSK__GRANTS", r#"["password"]"#),
        ("VESTIBULE_CLIENTS__KIOSK__SCOPES", r#"["account.read"]"#),
        // with a grace of 0 s, the second use of a refresh token counts as theft at once
        ("VESTIBULE_TOKENS__REUSE_GRACE", "0s"),
        // all clients sign in at once, while their compilers run
        ("VESTIBULE_HASHING__MAX_WAIT", "60s"),
    ])
}

/// Runs the programs of one toolchain, if it is installed.
fn columns(
    toolchain: &impl Toolchain,
    libraries: &[(Library, &str)],
    service: &Service,
) -> Vec<Column> {
    if let Err(reason) = toolchain.prepare() {
        service::skip(toolchain.name(), &reason);
        return Vec::new();
    }
    let run = |(library, program): &(Library, &str)| {
        let rows = toolchain::run(toolchain.command(program), service);
        Column::new(library, rows)
    };
    libraries.iter().map(run).collect()
}

/// The results of one library.
struct Column {
    name: &'static str,
    cells: Vec<String>,
}

impl Column {
    fn new(library: &Library, rows: Vec<[String; 3]>) -> Self {
        for [_, operation, _] in &rows {
            assert!(OPERATIONS.contains(&operation.as_str()), "{}: {operation}", library.name);
        }
        let cells = OPERATIONS.map(|operation| cell(library, &rows, operation));
        Self { name: library.name, cells: cells.into() }
    }
}

/// The result of an operation, for all clients that tried it. All results must agree.
fn cell(library: &Library, rows: &[[String; 3]], operation: &str) -> String {
    let name = library.name;
    let seen: Vec<_> = rows.iter().filter(|[_, tried, _]| tried == operation).collect();
    let Some([_, _, outcome]) = seen.first() else {
        assert!(library.lacks.contains(&operation), "{name} did not try: {operation}");
        return "–".to_owned();
    };
    assert!(!library.lacks.contains(&operation), "{name} can do it after all: {operation}");
    for [client, _, other] in &seen {
        assert_eq!(other, outcome, "{name}, {client}: {operation}");
    }
    match seen.len() {
        1 => outcome.clone(),
        clients => format!("{outcome} ({clients})"),
    }
}

fn table(columns: &[Column]) -> String {
    let mut lines: Vec<String> =
        ["", ""].into_iter().chain(OPERATIONS).map(|head| format!("{head:<20}")).collect();
    lines[0].clear();
    for column in columns {
        let cells = column.cells.iter().map(String::as_str);
        let cells: Vec<&str> = std::iter::once(column.name).chain(cells).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
        for (line, cell) in lines.iter_mut().skip(1).zip(cells) {
            let _ = write!(line, "  {cell:<width$}");
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}
