//! Tests of `vestibule db …` beside a running service.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::database::Database;
use crate::operator::OperatorConsole;
use crate::program::{CommandOutput, Program, wait_until};
use crate::{ADA, activate, me, postgres, refresh, sign_in, sign_up};

fn assert_success(output: &CommandOutput) {
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn r56_backup_of_a_running_service_starts_after_a_sign_out_of_all_accounts() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    assert_success(&program.exec(&["db", "backup", "backup.db"], ""));
    let again = program.exec(&["db", "backup", "backup.db"], "");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there already"), "{again:?}");
    let document = program.exec(&["db", "backup", "backup.db", "--force", "--json"], "").document();
    assert!(document["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    // later changes are not in the backup
    assert_eq!(refresh(&program, &tokens["refresh_token"]).status, 200);

    let mut restored = Program::prepare(&[]);
    std::fs::create_dir(restored.path("data")).expect("a folder");
    std::fs::copy(program.path("backup.db"), restored.path("data/vestibule.db")).expect("a copy");
    let refused = restored.exec(&["db", "end-sessions"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let ended = restored.exec(&["db", "end-sessions", "--yes", "--json"], "").document();
    assert_eq!(ended["ended"], 1);
    restored.start_again();
    assert_eq!(me(&restored, &tokens["access_token"]).status, 401);
    let tokens = sign_in(&restored, ADA);
    assert_eq!(me(&restored, &tokens["access_token"]).status, 200);
}

#[test]
fn copy_to_postgres_keeps_accounts_and_sessions() {
    let Some(cluster) = postgres::cluster() else { return };
    let (url, program) = (cluster.new_database(), Program::start(&[]));
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    std::fs::write(program.path("url"), format!("{url}\n")).expect("a file");
    let moved = program.exec(&["db", "copy", "--to-file", "url"], "");
    assert_success(&moved);
    assert!(moved.stderr.contains("accounts: 1"), "{moved:?}");
    let again = program.exec(&["db", "copy", "--to-file", "url"], "");
    assert!(again.code == Some(1) && again.stderr.contains("not empty"), "{again:?}");

    let there = Program::start(&[("DATABASE_URL", url)]);
    assert_eq!(me(&there, &tokens["access_token"]).status, 200, "sessions stay valid");
    assert_eq!(refresh(&there, &tokens["refresh_token"]).status, 200);
    let document = there.exec(&["db", "check", "--json"], "").document();
    assert_eq!(document["problems"], serde_json::json!([]));
    let output = there.exec(&["db", "backup", "file"], "");
    assert!(output.code == Some(1) && output.stderr.contains("pg_dump"), "{output:?}");
}

#[test]
fn db_check_fails_on_a_damaged_database() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    assert_success(&program.exec(&["db", "check"], ""));
    let url = format!("sqlite://{}", program.path("data/vestibule.db").display());
    let database = crate::database::Database::at(url);
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 2");
    let output = program.exec(&["db", "check", "--json"], "");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("the check found problems"), "{output:?}");
}

/// The names in the program's folder, without subfolders' contents.
fn names(program: &Program) -> Vec<String> {
    let entries = fs::read_dir(program.path(".")).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn s16_interrupted_backup_leaves_no_file() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    let database =
        Database::at(format!("sqlite://{}", program.path("data/vestibule.db").display()));
    // enough rows that a copy takes some time
    database.execute("CREATE TABLE filler (n BLOB)");
    database.execute(
        "INSERT INTO filler
         WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 40000)
         SELECT zeroblob(4000) FROM rows",
    );
    let before = names(&program);
    for (signal, code) in [("INT", 130), ("TERM", 143), ("KILL", 0)] {
        let mut backup = program.begin(&["db", "backup", "backup.db"]);
        let is_unfinished = |name: &String| name.starts_with(".vestibule-backup-");
        wait_until("the copy begins", || names(&program).iter().any(is_unfinished).then_some(()));
        let id = backup.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(sent.expect("kill").success());
        let ended = wait_until("the command ends", || backup.try_wait().expect("a process"));
        if signal == "KILL" {
            assert_ne!(names(&program), before, "a killed process leaves its file");
        } else {
            assert_eq!(ended.code(), Some(code), "{signal}");
            assert_eq!(names(&program), before, "{signal}");
        }
    }
    // the next run removes the file, and keeps another process's file and one with a similar name
    let live = program.path(".vestibule-backup-00112233445566aa");
    let alike = program.path(".vestibule-backup-notes");
    let held = File::create(&live).expect("a file");
    held.lock().expect("a lock");
    fs::write(&alike, "x").expect("a file");
    fs::write(program.path(".vestibule-backup-0011223344556677-journal"), "x").expect("a file");
    fs::write(program.path(".vestibule-backup-0011223344556677"), "x").expect("a file");
    assert_success(&program.exec(&["db", "backup", "backup.db"], ""));
    let mut expected = before;
    expected.extend(
        [".vestibule-backup-00112233445566aa", ".vestibule-backup-notes", "backup.db"]
            .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(names(&program), expected);
    let copied = Database::at(format!("sqlite://{}", program.path("backup.db").display()));
    assert_eq!(copied.count("SELECT COUNT(*) FROM filler"), 40_000);
}

#[test]
fn s16_f21_an_interrupted_copy_leaves_whole_files() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    let database =
        Database::at(format!("sqlite://{}", program.path("data/vestibule.db").display()));
    // enough rows that a copy takes some time
    database.execute(
        "INSERT INTO events (id, kind, actor, at)
         WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 100000)
         SELECT 'e' || n, 'sign-in', 'owner', n FROM rows",
    );
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let to = format!("copy-{signal}.db");
        let mut copy = program.begin(&["db", "copy", "--to", &format!("sqlite://{to}")]);
        let log = program.path(&format!("{to}-wal"));
        let is_written = || fs::metadata(&log).is_ok_and(|log| log.len() > 1_000_000);
        wait_until("the copy writes", || is_written().then_some(()));
        let id = copy.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(sent.expect("kill").success());
        let ended = wait_until("the command ends", || copy.try_wait().expect("a process"));
        assert_eq!(ended.code(), Some(code), "{signal}");
        let beside: Vec<_> = names(&program)
            .into_iter()
            .filter(|name| name.starts_with(&format!("{to}-")))
            .collect();
        assert_eq!(beside, Vec::<String>::new(), "{signal}");
        let copied = Database::at(format!("sqlite://{}", program.path(&to).display()));
        assert_eq!(copied.count("SELECT COUNT(*) FROM events"), 0, "{signal}: all or nothing");
    }
}

#[test]
fn s16_f21_interrupted_command_leaves_no_write_ahead_log() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    let data = || {
        let mut names: Vec<String> = fs::read_dir(program.path("data"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let before = data();
    // enough rows that a check and a copy take some time
    Database::at(format!("sqlite://{}", program.path("data/vestibule.db").display())).execute(
        "CREATE TABLE filler AS
         WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 40000)
         SELECT zeroblob(4000) AS n FROM rows",
    );
    let is_closed = || (data() == before).then_some(());
    wait_until("the file is closed", is_closed);
    for (arguments, signal, code) in [
        (&["db", "check"][..], "INT", 130),
        (&["db", "check"], "TERM", 143),
        (&["db", "backup", "backup.db"], "HUP", 129),
        (&["migrate"], "TERM", 143),
    ] {
        // another process migrates meanwhile
        let lock = File::open(program.path("data/vestibule.db.migrating")).expect("a file");
        lock.lock().expect("a lock");
        let mut command = program.begin(arguments);
        wait_until("the file is open", || is_closed().is_none().then_some(()));
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &command.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let ended = wait_until("the command ends", || command.try_wait().expect("a process"));
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
        assert_eq!(data(), before, "{arguments:?}");
    }
}

#[test]
fn s16_copy_next_to_leftover_database_files_is_refused() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    assert_success(&program.exec(&["db", "copy", "--to", "sqlite://other.db"], ""));
    for (file, words) in [
        ("data/vestibule.db-wal", "of the database of the settings"),
        ("data/vestibule.db-shm", "of the database of the settings"),
        ("data/vestibule.db.migrating", "of the database of the settings"),
        ("new.db-wal", "SQLite's own files"),
        ("NEW.DB-JOURNAL", "SQLite's own files"),
        ("data/vestibule.db", "is not empty"),
    ] {
        let to = format!("sqlite://{file}");
        let output = program.exec(&["db", "copy", "--from", "sqlite://other.db", "--to", &to], "");
        assert!(output.code == Some(1) && output.stderr.contains(words), "{file}: {output:?}");
    }
    sign_up(&program, "bob@example.org");
    program.stop();
}

#[test]
fn s16_copy_or_backup_onto_a_file_of_the_live_database_is_refused() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    let data = |name: &str| program.path("data").join(name);
    symlink("data/vestibule.db", program.path("link")).expect("a link");
    symlink("data/vestibule.db-journal", program.path("dangling")).expect("a link");
    fs::hard_link(data("vestibule.db-wal"), program.path("hard")).expect("a link");
    let path = program.path("data").join("vestibule.db-wal");
    let absolute = path.to_str().expect("text");
    for file in [
        "data/vestibule.db",
        "./data/../data/vestibule.db",
        "data/vestibule.db-wal",
        absolute,
        "data/vestibule.db-shm",
        "data/vestibule.db-journal",
        "data/vestibule.db.migrating",
        "link",
        "dangling",
        "hard",
    ] {
        for arguments in [&["db", "backup", file, "--force"][..], &["db", "backup", file]] {
            let output = program.exec(arguments, "");
            assert_eq!(output.code, Some(1), "{file}: {output:?}");
            assert!(output.stderr.contains("belongs to the database itself"), "{file}: {output:?}");
        }
        let url = format!("sqlite://{file}");
        let output = program.exec(&["db", "copy", "--to", &url], "");
        assert_eq!(output.code, Some(1), "{file}: {output:?}");
        assert!(output.stderr.contains("the same database"), "{file}: {output:?}");
    }
    for (file, words) in
        [("data", "is no file"), ("/dev/null", "is no file"), ("data/", "is no file")]
    {
        let output = program.exec(&["db", "backup", file, "--force"], "");
        assert!(output.code == Some(1) && output.stderr.contains(words), "{file}: {output:?}");
    }
    // files that SQLite would take for a part of another database, or of the copy
    fs::write(program.path("left.db-wal"), "x").expect("a file");
    fs::write(program.path("other.db-journal"), "x").expect("a file");
    fs::write(program.path("good.db-wal"), "").expect("a file");
    for (file, words) in [
        ("a.db-wal", "the name of a file that SQLite keeps"),
        ("A.DB-SHM", "the name of a file that SQLite keeps"),
        ("data/other.db-journal", "the name of a file that SQLite keeps"),
        ("left.db", "left.db-wal is there"),
        ("other.db", "other.db-journal is there"),
    ] {
        let output = program.exec(&["db", "backup", file, "--force"], "");
        assert!(output.code == Some(1) && output.stderr.contains(words), "{file}: {output:?}");
        assert!(!program.path(file).exists(), "{file}");
    }
    assert_eq!(program.exec(&["db", "backup", "good.db"], "").code, Some(0));
    let output = program.exec(&["db", "copy", "--to", "sqlite://data"], "");
    assert!(output.code == Some(1) && output.stderr.contains("is a folder"), "{output:?}");
    // the service serves meanwhile
    sign_up(&program, "bob@example.org");
    let database = Database::at(format!("sqlite://{}", data("vestibule.db").display()));
    assert_eq!(database.count("SELECT COUNT(*) FROM sign_ups"), 2);
    program.stop();
}

#[test]
fn f3_url_file_with_other_than_one_url_stops_the_copy() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    let url = |name: &str| format!("sqlite://{}", program.path(name).display());
    fs::write(program.path("good"), url("copy.db")).expect("a file");
    for (content, words) in [
        (String::new(), "the first line has no URL"),
        ("\n".to_owned(), "the first line has no URL"),
        (format!(" \n{}\n", url("other.db")), "the first line has no URL"),
        (format!("{}\n{}\n", url("other.db"), url("copy.db")), "more than one line"),
        ("marked\n".to_owned(), "expected sqlite://path"),
        ("postgres://u:marked@127.0.0.1:1/x?ssl_mode=require\n".to_owned(), "`sslmode`"),
    ] {
        fs::write(program.path("bad"), &content).expect("a file");
        for arguments in [
            &["db", "copy", "--from-file", "bad", "--to-file", "good"][..],
            &["db", "copy", "--to-file", "bad"],
        ] {
            let output = program.exec(arguments, "");
            assert_eq!(output.code, Some(1), "{content:?} {arguments:?}: {output:?}");
            assert!(output.stderr.contains(words), "{content:?} {arguments:?}: {output:?}");
            assert!(!output.stderr.contains("marked"), "{output:?}");
            for name in ["copy.db", "other.db"] {
                assert!(!program.path(name).exists(), "{content:?} {arguments:?}");
            }
        }
    }
    // standard input has one URL and not the other
    let both = ["db", "copy", "--from-file", "/dev/stdin", "--to-file", "/dev/stdin"];
    let output = program.exec(&both, &format!("{}\n", url("data/vestibule.db")));
    assert_eq!(output.code, Some(1), "{output:?}");
    for empty in ["--from", "--to"] {
        let output = program.exec(&["db", "copy", empty, "", "--to", &url("copy.db")], "");
        assert_ne!(output.code, Some(0), "{empty}: {output:?}");
    }
    assert_success(&program.exec(&["db", "copy", "--to-file", "good"], ""));
    assert!(program.path("copy.db").exists());
}

#[test]
fn s16_url_with_a_password_as_argument_is_refused_and_not_printed() {
    let program = Program::prepare(&[]);
    assert_eq!(program.run(&["migrate"]).0, Some(0));
    let token = format!("vat_{}", "marked".repeat(12));
    for (arguments, way) in [
        (&["db", "copy", "--to", "postgres://u:marked-1@127.0.0.1:1/x"][..], "--to-file"),
        (&["db", "copy", "--from=postgres://u@127.0.0.1:1/x?password=marked-1"], "--from-file"),
        (&["mail", "test", "smtp://robot:marked-1@mail.example"], "VESTIBULE_MAIL__SMTP_URL_FILE"),
        (&["token", "inspect", &token], "standard input"),
        (&["account", "create", ADA, "--password", "marked-1"], "--password-stdin"),
        (&["client", "add", "desk", "--scopes", "a", "--secret=marked-1"], "--secret-sha256"),
        (&["client", "rotate-secret", "desk", "--secret", "marked-1"], "--secret-sha256"),
    ] {
        let output = program.exec(arguments, "");
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {output:?}"
        );
        assert!(output.stderr.contains(way), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains("marked"), "{output:?}");
    }
    // the target's URL alone can come from standard input
    let url = format!("sqlite://{}\n", program.path("copy.db").display());
    assert_success(&program.exec(&["db", "copy", "--to-file", "/dev/stdin"], &url));
}

#[test]
fn f20_error_about_the_database_file_names_its_cause() {
    let mut program = Program::prepare(&[("DATABASE_URL", "sqlite://folder".to_owned())]);
    fs::create_dir(program.path("folder")).expect("a folder");
    assert!(program.expect_failure().contains("folder is a folder"));
    // a path through a file
    fs::write(program.path("file"), "").expect("a file");
    program.set("DATABASE_URL", "sqlite://file/x.db");
    assert!(program.expect_failure().contains("cannot create the database file file/x.db"));
    // a file that cannot be written to: not even root can write to a running program
    fs::copy("/bin/sleep", program.path("busy.db")).expect("a program");
    let mut busy = Command::new(program.path("busy.db")).arg("60").spawn().expect("a process");
    program.set("DATABASE_URL", "sqlite://busy.db");
    let output = program.expect_failure();
    busy.kill().and_then(|()| busy.wait()).expect("an end");
    assert!(
        output.contains("cannot write to the database file busy.db, which is there"),
        "{output}"
    );
}

#[test]
fn f22_restored_backup_sends_held_letters_only_after_release() {
    let program = Program::start(&[
        ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
        ("VESTIBULE_MAIL__SMTP_URL", "smtp://127.0.0.1:1".to_owned()),
    ]);
    sign_up(&program, ADA);
    assert_success(&program.exec(&["db", "backup", "backup.db"], ""));
    let waiting = program.exec(&["mail", "list", "--waiting", "--json"], "").document();
    assert_eq!(waiting["letters"].as_array().map(Vec::len), Some(1), "the service goes on");

    let mut restored = Program::prepare(&[("VESTIBULE_MAIL__TRANSPORT", "file".to_owned())]);
    fs::create_dir(restored.path("data")).expect("a folder");
    fs::copy(program.path("backup.db"), restored.path("data/vestibule.db")).expect("a copy");
    restored.start_again();
    assert!(restored.output().contains("letters are held back"), "{}", restored.output());
    // a new letter leaves; the held one would have left by then
    sign_up(&restored, "bob@example.org");
    crate::link_to(&restored, "bob@example.org");
    let is_there = |address: &str| {
        let files = fs::read_dir(restored.path("data/mail")).expect("a folder");
        files
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .any(|letter| letter.contains(&format!("To: {address}\r\n")))
    };
    assert!(is_there("bob@example.org") && !is_there(ADA));
    let held = restored.exec(&["mail", "list", "--held", "--json"], "").document();
    assert_eq!(held["letters"][0]["email"], ADA, "{held}");
    assert_eq!(
        (&held["letters"][0]["state"], held["letters"].as_array().map(Vec::len)),
        (&"held".into(), Some(1))
    );
    let retried = restored.exec(&["mail", "retry", "--all-dead", "--json"], "").document();
    assert_eq!(retried["retried"], 0, "held letters are not dead letters");
    let released = restored.exec(&["mail", "retry", "--all-held", "--json"], "").document();
    assert_eq!(released["retried"], 1);
    crate::link_to(&restored, ADA);
}

on_both_engines!(f22_operator_holds_and_drops_letters);

/// The state after `pg_restore`, which restores waiting letters unchanged.
fn f22_operator_holds_and_drops_letters(console: &OperatorConsole) {
    sign_up(&console.program, ADA);
    let refused = console.refused(&["db", "hold-letters"]);
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(console.ask(&["db", "hold-letters", "--yes"])["held"], 1);
    assert_eq!(console.ask(&["db", "hold-letters", "--yes"])["held"], 0);
    let list = console.ask(&["mail", "list"]);
    assert_eq!(list["letters"][0]["state"], "held", "{list}");
    let id = list["letters"][0]["id"].as_str().expect("an id").to_owned();
    let shown = console.exec(&["mail", "show", &id]).stdout;
    assert!(shown.contains("held back: it waited when the backup was taken"), "{shown}");
    assert_eq!(console.ask(&["mail", "drop", &id])["dropped"], true);
    assert_eq!(console.ask(&["mail", "list"])["letters"], serde_json::json!([]));
}
