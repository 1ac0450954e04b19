//! Tests of every subcommand, as the program itself lists them: standard output without room is an
//! error, and afterwards the SQLite file is complete without its write-ahead log.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use crate::database::Database;
use crate::operator::OperatorConsole;
use crate::program::{Program, has_exited_with, wait_until};
use crate::{ADA, sign_up};

/// Names of subcommands, one below the other.
type Names = Vec<String>;

/// All subcommands that have none below them.
fn leaf_commands(program: &Program, above: &[String]) -> Vec<Names> {
    let arguments: Vec<&str> = above.iter().map(String::as_str).chain(["--help"]).collect();
    let help = program.exec(&arguments, "").stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return vec![above.to_vec()] };
    let names = list.lines().take_while(|line| line.starts_with("  "));
    // a description may continue in the next line, further indented
    let names = names.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let below = names.filter(|name| *name != "help").map(|name| {
        let names: Names = above.iter().cloned().chain([name.to_owned()]).collect();
        leaf_commands(program, &names)
    });
    below.flatten().collect()
}

/// A database with rows for the commands below, and no service.
struct Place {
    program: Program,
    database: Database,
    letters: Vec<String>,
    ready: TcpListener,
}

impl Place {
    fn new() -> Self {
        let mut program = Program::prepare(&[("VESTIBULE_MAIL__TRANSPORT", "file".to_owned())]);
        let ready = TcpListener::bind("127.0.0.1:0").expect("a port");
        program.port = ready.local_addr().expect("an address").port();
        assert_eq!(program.run(&["migrate"]).0, Some(0));
        let url = format!("sqlite://{}", program.path("data/vestibule.db").display());
        let database = Database::at(url);
        for email in [ADA, "x0@example.org", "x1@example.org"] {
            database.account(email);
        }
        for email in ["s0@example.org", "s1@example.org", "s2@example.org"] {
            database.sign_up(email);
        }
        let letters = ["a", "b", "c", "d"]
            .map(|name| database.letter(&format!("{name}@example.org")).to_string());
        let added = ["client", "add", "desk", "--scopes", "account.read"];
        assert_eq!(program.run(&added).0, Some(0));
        for client in ["y0", "y1"] {
            let added = ["client", "add", client, "--public", "--scopes", "account.read"];
            assert_eq!(program.run(&added).0, Some(0));
        }
        Self { program, database, letters: letters.into(), ready }
    }

    /// Arguments and files with which a command succeeds; different each time where it works only
    /// once. `None` for the service itself.
    fn arguments(&self, names: &Names, time: usize) -> Option<Vec<String>> {
        let more = match names.join(" ").as_str() {
            "serve" => return None,
            "config" | "migrate" | "db check" | "client secret" | "client list" | "health"
            | "token inspect" | "account list" | "sign-up list" | "mail list"
            | "templates check" => vec![],
            "db backup" => vec![format!("backup-{time}.db")],
            "db copy" => vec!["--to".into(), format!("sqlite://copy-{time}.db")],
            "db end-sessions" | "db hold-letters" => vec!["--yes".into()],
            "client add" => vec![format!("new-{time}"), "--scopes".into(), "account.read".into()],
            "client show" | "client rotate-secret" | "client disable" | "client enable" => {
                vec!["desk".into()]
            }
            "client remove" => vec![format!("y{time}"), "--yes".into()],
            "templates preview" => vec!["--locale".into(), "en".into()],
            "hash calibrate" => vec!["--target".into(), "1ms".into()],
            "account show"
            | "account disable"
            | "account enable"
            | "account end-sessions"
            | "account send-reset" => vec![ADA.into()],
            "account create" => vec![format!("new-{time}@example.org")],
            "account delete" => vec![format!("x{time}@example.org"), "--yes".into()],
            "sign-up send-link" => vec!["s2@example.org".into()],
            "sign-up drop" => vec![format!("s{time}@example.org")],
            "mail show" | "mail retry" => vec![self.letters[0].clone()],
            "mail drop" => vec![self.letters[2 + time].clone()],
            "mail test" => vec![ADA.into()],
            "completions" => vec!["bash".into()],
            other => unreachable!("say how `vestibule {other}` is called"),
        };
        Some(names.iter().cloned().chain(more).collect())
    }

    /// Answers one readiness check, if one comes.
    fn answer_readiness(&self) {
        self.ready.set_nonblocking(false).expect("a listener");
        let listener = self.ready.try_clone().expect("a listener");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        });
    }

    /// Checks that a copy of the one file contains the whole database.
    fn is_complete(&self, after: &str) {
        has_no_other_files(&self.program.path("data/vestibule.db"), after);
        let alone = tempfile::tempdir().expect("a folder");
        let file = alone.path().join("alone.db");
        std::fs::copy(self.program.path("data/vestibule.db"), &file).expect("a copy");
        let alone = Database::at(format!("sqlite://{}?mode=ro", file.display()));
        for table in ["accounts", "sign_ups", "clients", "events", "outbox"] {
            let count = format!("SELECT COUNT(*) FROM {table}");
            assert_eq!(alone.count(&count), self.database.count(&count), "{table} after {after}");
        }
    }
}

/// Checks that no other file of the database lies beside the file.
fn has_no_other_files(file: &Path, after: &str) {
    let wal = format!("{}-wal", file.display());
    let left = std::fs::metadata(&wal).map_or(0, |left| left.len());
    assert_eq!(left, 0, "{left} bytes are in {wal} after {after}");
}

#[test]
fn f4_f21_command_with_full_stdout_fails_and_leaves_one_complete_file() {
    let place = Place::new();
    place.is_complete("the beginning");
    let commands = leaf_commands(&place.program, &[]);
    assert!(commands.len() > 30, "{commands:?}");
    for names in commands {
        let name = names.join(" ");
        for time in 0..2 {
            let Some(arguments) = place.arguments(&names, time) else { continue };
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            if name == "health" {
                place.answer_readiness();
            }
            let output = match time {
                0 => place.program.run_with_full_stdout(&arguments, "vat_x\n"),
                _ => place.program.exec(&arguments, "vat_x\n"),
            };
            // this command prints nothing on success
            if time == 0 && name != "templates check" {
                assert_eq!(output.code, Some(1), "{name}: {output:?}");
                let last = output.stderr.lines().last().unwrap_or_default();
                assert!(last.contains("standard output"), "{name}: {output:?}");
            } else {
                assert_eq!(output.code, Some(0), "{name}: {output:?}");
            }
            place.is_complete(&name);
        }
    }
    for file in ["copy-0.db", "copy-1.db"] {
        let alone = tempfile::tempdir().expect("a folder");
        let copied = alone.path().join("alone.db");
        has_no_other_files(&place.program.path(file), "db copy");
        std::fs::copy(place.program.path(file), &copied).expect("a copy");
        let copied = Database::at(format!("sqlite://{}?mode=ro", copied.display()));
        assert_eq!(copied.count("SELECT COUNT(*) FROM accounts"), 3, "{file}");
    }
    // help and version, which are no subcommands
    for arguments in [["--help"], ["--version"]] {
        let output = place.program.run_with_full_stdout(&arguments, "");
        assert_eq!(output.code, Some(1), "{arguments:?}: {output:?}");
        assert_eq!(place.program.run_with_closed_stdout(&arguments), Some(0), "{arguments:?}");
    }
    // a reader that closes the pipe has seen enough
    assert_eq!(place.program.run_with_closed_stdout(&["config"]), Some(0));
    assert_eq!(place.program.run_with_closed_stdout(&["account", "list"]), Some(0));
}

#[test]
fn f21_stopped_service_leaves_one_complete_file() {
    let mut program = Program::start(&[]);
    let file = program.path("data/vestibule.db");
    sign_up(&program, ADA);
    // beside the running service, which continues
    assert_eq!(program.exec(&["sign-up", "list"], "").code, Some(0));
    assert_eq!(program.exec(&["db", "check"], "").code, Some(0));
    sign_up(&program, "bob@example.org");
    program.signal("INT");
    has_exited_with(&mut program, Some(0));
    has_no_other_files(&file, "a stop");
    let count = |file: &Path| {
        let alone = tempfile::tempdir().expect("a folder");
        let copied = alone.path().join("alone.db");
        std::fs::copy(file, &copied).expect("a copy");
        let database = Database::at(format!("sqlite://{}?mode=ro", copied.display()));
        database.count("SELECT COUNT(*) FROM sign_ups")
    };
    assert_eq!(count(&file), 2);

    // a start that fails after the set-up
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    program.port = taken.local_addr().expect("an address").port();
    assert!(program.expect_failure().contains("cannot listen on"));
    has_no_other_files(&file, "a failed start");
    // a start that fails right after the tables are made
    let program = Program::prepare(&[("VESTIBULE_TEMPLATES__DIRECTORY", "none".to_owned())]);
    program.expect_failure();
    let file = program.path("data/vestibule.db");
    assert!(file.exists(), "the tables are made before templates are read");
    has_no_other_files(&file, "a start that fails early");
    assert_eq!(count(&file), 0, "the file has all tables");
}

on_both_engines!(f4_secret_that_cannot_be_printed_is_not_stored);

fn f4_secret_that_cannot_be_printed_is_not_stored(console: &OperatorConsole) {
    let digest = "335c3bbcf32031bcdb9e2f7aabeff5c9b34009746f7aa45e08816271c9a766e5";
    console.ask(&["client", "add", "desk", "--scopes", "account.read", "--secret-sha256", digest]);
    let before = console.ask(&["client", "show", "desk"]);
    let events = || console.database.count("SELECT COUNT(*) FROM events");
    let noted = events();
    for arguments in [
        &["client", "rotate-secret", "desk", "--keep-old", "0s"][..],
        &["client", "rotate-secret", "desk", "--keep-old", "0s", "--json"],
        &["client", "add", "till", "--scopes", "account.read"],
        &["client", "add", "till", "--scopes", "account.read", "--json"],
        &["client", "secret"],
    ] {
        let output = console.program.run_with_full_stdout(arguments, "");
        assert_eq!(output.code, Some(1), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains("nothing has changed"), "{output:?}");
        // a secret without a reader is lost
        assert_eq!(console.program.run_with_closed_stdout(arguments), Some(1), "{arguments:?}");
        // a closed standard output leads to the null device, where a secret is lost as well
        let mut nowhere = console.program.begin(arguments);
        let ended = wait_until("the command ends", || nowhere.try_wait().expect("a process"));
        assert_eq!(ended.code(), Some(1), "{arguments:?}");
    }
    assert_eq!(console.ask(&["client", "show", "desk"]), before);
    assert!(console.refused(&["client", "show", "till"]).contains("no client till"));
    assert_eq!(events(), noted, "no event is recorded");
    // the secret that was shown is the one in force
    let rotated = console.ask(&["client", "rotate-secret", "desk"]);
    assert_eq!(console.ask(&["client", "show", "desk"])["client"], rotated["client"]);
}
