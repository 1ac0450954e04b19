//! Tests of the operator's commands beside a running service, on both engines.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::database::Database;
use crate::program::{Answer, CommandOutput, Program};
use crate::{ADA, PASSWORD, assert_revoked_soon, me, postgres, refresh, sign_up};

const BOB: &str = "bob@example.org";

/// A service without a mail server, so that its letters wait.
pub struct OperatorConsole {
    pub program: Program,
    pub database: Database,
}

/// Makes two tests of each of these functions: one on SQLite, one on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $name() {
                super::$name(&super::OperatorConsole::sqlite());
            })+
        }

        mod on_postgres {
            $(#[test]
            fn $name() {
                if let Some(console) = super::OperatorConsole::postgres() {
                    super::$name(&console);
                }
            })+
        }
    };
}

on_both_engines!(
    r27_disabled_account_cannot_sign_in_refresh_or_use_tokens,
    r27_ending_sessions_of_an_account_ends_its_tokens_only,
    r27_token_in_constant_use_is_refused_after_its_session_ends,
    deletion_of_an_account_frees_its_address,
    account_create_takes_a_password_or_sends_an_invitation,
    link_of_a_dropped_sign_up_is_unknown,
    s2_link_sent_by_the_operator_contests_the_sign_up,
    send_reset_posts_a_letter_and_changes_nothing_else,
    accounts_and_sign_ups_are_listed_page_by_page,
    s11_lists_longer_than_a_page_are_complete,
    f15_operator_lists_and_searches_addresses_in_unicode,
);

impl OperatorConsole {
    pub fn sqlite() -> Self {
        let program = Program::start(&no_mail_server());
        let url = format!("sqlite://{}", program.path("data/vestibule.db").display());
        Self { program, database: Database::at(url) }
    }

    /// `None` without a PostgreSQL server.
    pub fn postgres() -> Option<Self> {
        let url = postgres::cluster()?.new_database();
        let mut settings = no_mail_server();
        settings.push(("DATABASE_URL", url.clone()));
        Some(Self { program: Program::start(&settings), database: Database::at(url) })
    }

    pub fn exec(&self, arguments: &[&str]) -> CommandOutput {
        self.program.exec(arguments, "")
    }

    /// The JSON document that a command prints.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        self.exec(&[arguments, &["--json"]].concat()).document()
    }

    /// The error of a command that fails.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.exec(arguments);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert_eq!(output.stdout, "", "a refused command prints nothing to stdout");
        output.stderr
    }

    /// Makes an account with [`PASSWORD`].
    pub fn create(&self, email: &str) -> Value {
        let arguments = ["account", "create", email, "--password-stdin", "--json"];
        self.program.exec(&arguments, &format!("{PASSWORD}\nmore\n")).document()
    }

    fn sign_in(&self, email: &str) -> Answer {
        let fields = [
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", email),
            ("password", PASSWORD),
        ];
        self.program.post_form("/oauth/token", &fields, &[])
    }

    /// Tokens of a new sign-in.
    fn tokens(&self, email: &str) -> Value {
        let answer = self.sign_in(email);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn assert_ended(&self, tokens: &Value) {
        assert_revoked_soon(&self.program, &tokens["access_token"]);
        let answer = refresh(&self.program, &tokens["refresh_token"]);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
    }

    /// The kinds and actors of the account's events, the latest first.
    fn history(&self, email: &str) -> Vec<(String, String)> {
        let shown = self.ask(&["account", "show", email]);
        let text = |value: &Value| value.as_str().expect("a word").to_owned();
        let events = shown["events"].as_array().expect("events");
        events.iter().map(|event| (text(&event["kind"]), text(&event["actor"]))).collect()
    }

    fn activate(&self, token: &str) -> Answer {
        self.program.post_json("/v1/activations", &json!({ "token": token }))
    }

    /// The one waiting sign-up in the list.
    fn waiting_sign_up(&self, email: &str) -> Value {
        let list = self.ask(&["sign-up", "list", "--match", email]);
        assert_eq!(list["sign_ups"].as_array().map(Vec::len), Some(1), "{list}");
        list["sign_ups"][0].clone()
    }

    fn mint_link(&self, waiting: &Value) -> String {
        let id = waiting["id"].as_str().and_then(|id| id.parse().ok());
        self.database.mint_link(id.expect("an id"))
    }
}

fn no_mail_server() -> Vec<(&'static str, String)> {
    vec![
        ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
        ("VESTIBULE_MAIL__SMTP_URL", "smtp://127.0.0.1:1".to_owned()),
    ]
}

fn word(kind: &str) -> (String, String) {
    (kind.to_owned(), "operator".to_owned())
}

fn r27_disabled_account_cannot_sign_in_refresh_or_use_tokens(console: &OperatorConsole) {
    console.create(ADA);
    let before = console.tokens(ADA);
    let done = console.ask(&["account", "disable", "Ada@Example.org"]);
    assert_eq!((&done["changed"], &done["account"]["email"]), (&json!(true), &json!(ADA)));
    assert!(done["account"]["disabled_at"].is_string(), "{done}");
    console.assert_ended(&before);
    let answer = console.sign_in(ADA);
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
    assert!(console.refused(&["account", "send-reset", ADA]).contains("enable it first"));
    let again = console.ask(&["account", "disable", ADA]);
    assert_eq!((&again["changed"], &again["account"]), (&json!(false), &done["account"]));
    assert!(console.exec(&["account", "disable", ADA]).stdout.contains("already"));

    let id = done["account"]["id"].as_str().expect("an id");
    let done = console.ask(&["account", "enable", id]);
    assert_eq!((&done["changed"], &done["account"]["disabled_at"]), (&json!(true), &Value::Null));
    console.assert_ended(&before);
    let after = console.tokens(ADA);
    assert_eq!(console.ask(&["account", "enable", id])["changed"], false);
    assert!(console.exec(&["account", "enable", id]).stdout.contains("already"));
    assert_eq!(
        me(&console.program, &after["access_token"]).status,
        200,
        "a second enable changes nothing"
    );

    let history = console.history(ADA);
    let count = |kind: &str| history.iter().filter(|event| **event == word(kind)).count();
    assert_eq!((count("account-disabled"), count("account-enabled")), (1, 1), "{history:?}");
    // the owner reads the same
    let bearer = format!("Bearer {}", after["access_token"].as_str().expect("a token"));
    let events = console.program.get("/v1/me/events", &[("Authorization", &bearer)]).json();
    assert!(events.to_string().contains("account-disabled"), "{events}");
}

fn r27_ending_sessions_of_an_account_ends_its_tokens_only(console: &OperatorConsole) {
    console.create(ADA);
    console.create(BOB);
    let (first, second) = (console.tokens(ADA), console.tokens(ADA));
    let others = console.tokens(BOB);
    let shown = console.ask(&["account", "show", ADA]);
    let id = shown["account"]["id"].as_str().and_then(|id| id.parse().ok());
    console.database.sign_in_at_the_page(id.expect("an id"), 0);
    let places = |shown: &Value| {
        ["sessions", "page_sessions"].map(|places| shown[places].as_array().map(Vec::len))
    };
    assert_eq!(places(&console.ask(&["account", "show", ADA])), [Some(2), Some(1)]);
    assert!(console.exec(&["account", "show", ADA]).stdout.contains("(account page)"));
    let done = console.ask(&["account", "end-sessions", ADA]);
    assert_eq!(done["ended"], 3, "{done}");
    assert_eq!(places(&console.ask(&["account", "show", ADA])), [Some(0), Some(0)]);
    console.assert_ended(&first);
    console.assert_ended(&second);
    assert_eq!(me(&console.program, &others["access_token"]).status, 200);
    assert_eq!(console.history(ADA)[0], word("sign-out-everywhere"));
    console.tokens(ADA);
    assert!(
        console.exec(&["account", "end-sessions", ADA]).stdout.contains("signed out everywhere")
    );
}

/// On SQLite, a token in constant use is not read again every second.
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
fn r27_token_in_constant_use_is_refused_after_its_session_ends(console: &OperatorConsole) {
    console.create(ADA);
    let tokens = console.tokens(ADA);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(me(&console.program, &tokens["access_token"]).status, 200);
    }
    console.ask(&["account", "end-sessions", ADA]);
    console.assert_ended(&tokens);
}

fn deletion_of_an_account_frees_its_address(console: &OperatorConsole) {
    let id = console.create(ADA)["account"]["id"].as_str().expect("an id").to_owned();
    let tokens = console.tokens(ADA);
    let refusal = console.refused(&["account", "delete", ADA]);
    for words in ["nothing was deleted", ADA, &id, "--yes"] {
        assert!(refusal.contains(words), "{refusal}");
    }
    console.refused(&["account", "delete", ADA, "--json"]);
    assert_eq!(me(&console.program, &tokens["access_token"]).status, 200);

    let done = console.ask(&["account", "delete", &id, "--yes"]);
    assert_eq!((&done["deleted"], &done["account"]["email"]), (&json!(true), &json!(ADA)));
    console.assert_ended(&tokens);
    assert!(console.refused(&["account", "show", ADA]).contains("no account for ada@example.org"));
    assert!(console.refused(&["account", "delete", &id, "--yes"]).contains(&id));
    assert_eq!(console.database.letters(ADA, "account-deleted"), 1);
    let nameless = "SELECT COUNT(*) FROM events WHERE kind = 'account-deleted'
                    AND actor = 'operator' AND account_id IS NULL";
    assert_eq!(console.database.count(nameless), 1);

    sign_up(&console.program, ADA);
    let answer = console.activate(&console.mint_link(&console.waiting_sign_up(ADA)));
    assert_eq!(answer.status, 200, "{answer:?}");
    console.tokens(ADA);
    console.assert_ended(&tokens);
}

fn account_create_takes_a_password_or_sends_an_invitation(console: &OperatorConsole) {
    // a waiting sign-up at the address is removed
    sign_up(&console.program, ADA);
    let link = console.mint_link(&console.waiting_sign_up(ADA));
    let made = console.create(ADA);
    assert_eq!(made["letter"], Value::Null, "{made}");
    assert_eq!(console.activate(&link).status, 404);
    console.tokens(ADA);
    assert_eq!(console.database.letters(ADA, "invitation"), 0);
    assert_eq!(console.history(ADA).last(), Some(&word("account-created")));
    assert!(console.refused(&["account", "create", ADA]).contains("has an account already"));

    let details = ["--name", "Bob B.", "--locale", "de"];
    let made = console.ask(&[&["account", "create", "BOB@example.org"][..], &details].concat());
    assert_eq!(made["letter"], "invitation", "{made}");
    assert_eq!(made["account"]["name"], "Bob B.");
    assert_eq!(made["account"]["locale"], "de");
    assert_eq!(console.database.letters(BOB, "invitation"), 1);
    assert_eq!(console.sign_in(BOB).status, 400, "the account has no usable password");

    for (typed, reason) in
        [("short\n", "15 characters"), ("", "15 characters"), ("carl@example.org", "your address")]
    {
        let arguments = ["account", "create", "carl@example.org", "--password-stdin"];
        let output = console.program.exec(&arguments, typed);
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
        assert!(output.stderr.contains(reason), "{output:?}");
    }
    assert_eq!(console.database.count("SELECT COUNT(*) FROM accounts"), 2);
}

fn link_of_a_dropped_sign_up_is_unknown(console: &OperatorConsole) {
    for (email, by_id) in [(ADA, false), (BOB, true)] {
        sign_up(&console.program, email);
        let waiting = console.waiting_sign_up(email);
        let link = console.mint_link(&waiting);
        let named = if by_id { waiting["id"].as_str().expect("an id") } else { email };
        let done = console.ask(&["sign-up", "drop", named]);
        assert_eq!((&done["dropped"], &done["sign_up"]), (&json!(true), &waiting));
        let answer = console.activate(&link);
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.json()["type"].as_str().expect("a type").ends_with("/link-unknown"));
        assert!(console.refused(&["sign-up", "drop", named]).contains(named));
    }
    let noted = "SELECT COUNT(*) FROM events WHERE kind = 'sign-up-dropped' AND actor = 'operator'";
    assert_eq!(console.database.count(noted), 2);
    assert_eq!(console.ask(&["sign-up", "list"]), json!({ "sign_ups": [], "next": null }));
    assert!(console.exec(&["sign-up", "list"]).stdout.contains("No sign-ups"));
}

fn s2_link_sent_by_the_operator_contests_the_sign_up(console: &OperatorConsole) {
    for (email, by_id) in [(ADA, false), (BOB, true)] {
        sign_up(&console.program, email);
        let waiting = console.waiting_sign_up(email);
        let link = console.mint_link(&waiting);
        let named = if by_id { waiting["id"].as_str().expect("an id") } else { email };
        let done = console.ask(&["sign-up", "send-link", named]);
        assert_eq!(done["letter"], "password-reset");
        assert_eq!(done["sign_up"], console.waiting_sign_up(email));
        assert!(done["sign_up"]["contested_at"].is_string(), "{done}");
        assert_eq!(console.database.letters(email, "password-reset"), 1);
        let answer = console.activate(&link);
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.json()["type"].as_str().expect("a type").ends_with("/password-needed"));
    }
    let noted = "SELECT COUNT(*) FROM events
                 WHERE kind = 'password-reset-requested' AND actor = 'operator'";
    assert_eq!(console.database.count(noted), 2);
    console.create("carl@example.org");
    for nobody in ["carl@example.org", "dora@example.org"] {
        assert!(console.refused(&["sign-up", "send-link", nobody]).contains(nobody));
    }
}

fn send_reset_posts_a_letter_and_changes_nothing_else(console: &OperatorConsole) {
    console.create(ADA);
    let tokens = console.tokens(ADA);
    let done = console.ask(&["account", "send-reset", ADA]);
    assert_eq!(done["letter"], "operator-reset");
    assert_eq!(console.database.letters(ADA, "operator-reset"), 1);
    assert_eq!(console.history(ADA)[0], word("password-reset-requested"));
    assert_eq!(
        me(&console.program, &tokens["access_token"]).status,
        200,
        "nothing changes until then"
    );
    console.tokens(ADA);
}

fn f15_operator_lists_and_searches_addresses_in_unicode(console: &OperatorConsole) {
    const WRITTEN: &str = "ada@bücher.example";
    const STORED: &str = "ada@xn--bcher-kva.example";
    let account = console.create(&format!("\u{a0}{WRITTEN}\u{200b}"));
    assert_eq!(account["account"]["email"], STORED, "JSON has the stored form");
    console.create(BOB);
    sign_up(&console.program, "cyd@żółć.example");
    let found = |arguments: &[&str], member: &str| -> Vec<String> {
        let list = console.ask(arguments);
        let all = list[member].as_array().expect("a list");
        all.iter().map(|one| one["email"].as_str().expect("text").to_owned()).collect()
    };
    for part in
        ["bücher", "BÜCHER", "bu\u{308}cher", "üch", "@bücher.ex", "xn--bcher", "Ada", STORED]
    {
        assert_eq!(found(&["account", "list", "--match", part], "accounts"), [STORED], "{part}");
    }
    for part in ["bucher", "żółć"] {
        assert_eq!(found(&["account", "list", "--match", part], "accounts").len(), 0, "{part}");
    }
    assert_eq!(found(&["sign-up", "list", "--match", "żół"], "sign_ups").len(), 1);
    assert_eq!(found(&["mail", "list", "--match", "żółć.example"], "letters").len(), 1);
    for spelling in [WRITTEN, STORED, "ADA@BÜCHER.example", " ada@bücher.example\r\n"] {
        let words = console.exec(&["account", "show", spelling]);
        assert_eq!(words.code, Some(0), "{spelling:?}: {words:?}");
        assert!(words.stdout.contains(WRITTEN) && !words.stdout.contains("xn--"), "{words:?}");
        assert_eq!(console.ask(&["account", "show", spelling])["account"]["email"], STORED);
    }
    for command in [
        &["account", "list"][..],
        &["account", "disable", WRITTEN],
        &["account", "enable", WRITTEN],
        &["account", "end-sessions", WRITTEN],
        &["account", "send-reset", WRITTEN],
        &["account", "delete", WRITTEN, "--yes"],
    ] {
        let words = console.exec(command).stdout;
        assert!(words.contains(WRITTEN) && !words.contains("xn--"), "{command:?}: {words}");
    }
    for command in [&["sign-up", "list"][..], &["mail", "list"]] {
        let words = console.exec(command).stdout;
        assert!(words.contains("cyd@żółć.example"), "{command:?}: {words}");
    }
    let refused = console.refused(&["account", "show", WRITTEN]);
    assert!(refused.contains(WRITTEN), "{refused}");
    let refused = console.exec(&["account", "show", "a\u{a0}da@bücher.example"]);
    assert!(refused.stderr.contains("invisible character inside"), "{refused:?}");
}

fn accounts_and_sign_ups_are_listed_page_by_page(console: &OperatorConsole) {
    for email in [ADA, BOB, "ada+2@example.org"] {
        console.create(email);
    }
    let emails = |list: &Value| -> Vec<String> {
        let accounts = list["accounts"].as_array().expect("accounts");
        accounts.iter().map(|one| one["email"].as_str().expect("text").to_owned()).collect()
    };
    let first = console.ask(&["account", "list", "--limit", "2"]);
    assert_eq!(emails(&first), [ADA, BOB]);
    let next = first["next"].as_str().expect("more");
    assert_eq!(first["accounts"][1]["id"], next);
    let second = console.ask(&["account", "list", "--limit", "2", "--after", next]);
    assert_eq!(
        (emails(&second), &second["next"]),
        (vec!["ada+2@example.org".to_owned()], &Value::Null)
    );
    assert_eq!(emails(&console.ask(&["account", "list", "--match", "ADA"])).len(), 2);
    assert_eq!(emails(&console.ask(&["account", "list", "--match", "a%b_"])).len(), 0);

    let words = console.exec(&["account", "list", "--limit", "2"]).stdout;
    assert!(words.starts_with("ID ") && words.contains(&format!("--after {next}")), "{words}");
    console.tokens(ADA);
    let words = console.exec(&["account", "show", ADA]).stdout;
    for part in [ADA, "active", "web", "sign-in", "account-created", "operator"] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
    let shown = console.ask(&["account", "show", ADA]);
    assert_eq!(shown["sessions"].as_array().map(Vec::len), Some(1));
    assert!(!shown.to_string().contains("argon2"), "{shown}");

    for email in ["eve@example.org", "fay@example.org"] {
        sign_up(&console.program, email);
    }
    let first = console.ask(&["sign-up", "list", "--limit", "1"]);
    let next = first["next"].as_str().expect("more");
    let second = console.ask(&["sign-up", "list", "--after", next]);
    assert_eq!(second["sign_ups"][0]["email"], "fay@example.org");
}

/// The lists are longer than one page, in words and as JSON.
fn s11_lists_longer_than_a_page_are_complete(console: &OperatorConsole) {
    const ROWS: usize = 1_100;
    let number = "SUBSTR(CAST(1000000000000 + n.i AS TEXT), 2)";
    let id = format!("'01890000-0000-7000-8000-' || {number}");
    for (table, columns, values) in [
        (
            "accounts",
            "id, email, password_hash, epoch, created_at",
            format!("{id}, {number} || '@example.org', '', 0, n.i"),
        ),
        (
            "sign_ups",
            "id, email, password_hash, created_at, expires_at",
            format!("{id}, 's' || {number} || '@example.org', '', n.i, n.i + 9000000000000"),
        ),
        (
            "outbox",
            "id, kind, email, facts, created_at, due_at, tries",
            format!("{id}, 'sign-up', {number} || '@example.org', '{{}}', 0, 9000000000000, 0"),
        ),
        (
            "clients",
            "id, grants, scope, introspects, allowed_origins, created_at",
            format!("'n' || {number}, 'password', 'account.read', 'own', '', n.i"),
        ),
    ] {
        console.database.execute(&format!(
            "INSERT INTO {table} ({columns})
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             SELECT {values} FROM n"
        ));
    }
    for (command, member, of_settings) in [
        ("account", "accounts", 0),
        ("sign-up", "sign_ups", 0),
        ("mail", "letters", 0),
        ("client", "clients", 1),
    ] {
        let limit: &[&str] = if command == "client" { &[] } else { &["--limit", "10000"] };
        let list = console.ask(&[&[command, "list"], limit].concat());
        let ids: Vec<&str> = list[member]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["id"].as_str().expect("an id"))
            .collect();
        assert_eq!(ids.len(), ROWS + of_settings, "{command}");
        assert!(ids.is_sorted_by(|a, b| a < b), "{command}: each once, in their order");
        let words = console.exec(&[&[command, "list"], limit].concat()).stdout;
        assert_eq!(words.lines().count(), ROWS + of_settings + 1, "{command}");
        assert_eq!(words.matches("ID ").count(), 1, "{command}");
        if limit.is_empty() {
            continue;
        }
        // a limit that is no multiple of the page size
        assert!(list["next"].is_null(), "{command}");
        let first = console.ask(&[command, "list", "--limit", "701"]);
        let next = first["next"].as_str().expect("more");
        assert_eq!((first[member].as_array().map(Vec::len), next), (Some(701), ids[700]));
        let rest = console.ask(&[command, "list", "--limit", "399", "--after", next]);
        assert_eq!(
            (rest[member].as_array().map(Vec::len), &rest["next"]),
            (Some(399), &Value::Null)
        );
    }
}

#[test]
fn command_without_a_current_schema_fails_and_changes_nothing() {
    let program = Program::prepare(&[]);
    let complaint = |program: &Program| {
        let output = program.exec(&["account", "list", "--json"], "");
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "one line: {output:?}");
        output.stderr
    };
    let missing = complaint(&program);
    assert!(missing.contains("data/vestibule.db") && missing.contains("migrate"), "{missing}");
    assert!(!program.path("data").exists(), "no folder is created");

    assert_eq!(program.exec(&["migrate"], "").code, Some(0));
    let database =
        Database::at(format!("sqlite://{}", program.path("data/vestibule.db").display()));
    assert_eq!(program.exec(&["account", "list"], "").code, Some(0));
    database.execute(
        "INSERT INTO _sqlx_migrations
         SELECT 99999999999999, 'more', installed_on, success, checksum, execution_time
         FROM _sqlx_migrations LIMIT 1",
    );
    assert_eq!(
        program.exec(&["account", "list"], "").code,
        Some(0),
        "the migration drops no column"
    );
    database.execute(
        "UPDATE _sqlx_migrations SET description = 'less needs 99999999999998'
         WHERE version = 99999999999999",
    );
    assert!(complaint(&program).contains("another version"));
    database.execute(
        "DELETE FROM _sqlx_migrations WHERE version <> (SELECT MIN(version) FROM _sqlx_migrations)",
    );
    assert!(complaint(&program).contains("run `vestibule migrate`"));
    database.execute("DROP TABLE _sqlx_migrations");
    assert!(complaint(&program).contains("run `vestibule migrate`"));
    assert_eq!(
        database.count("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"),
        0,
        "nothing is migrated"
    );
}

#[test]
fn r57_command_checks_the_settings_of_the_service() {
    let program = Program::prepare(&[("ROCKET_PROFILE", "release".to_owned())]);
    let output = program.exec(&["account", "list", "--json"], "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    for words in ["VESTIBULE_PUBLIC_URL", "VESTIBULE_MAIL__TRANSPORT", "clients.<id>"] {
        assert!(output.stderr.contains(words), "{output:?}");
    }
}

#[test]
fn invalid_arguments_are_usage_errors() {
    let program = Program::prepare(&[]);
    for arguments in [
        &["account", "show", "nobody"][..],
        &["account", "show", "a@b@c.example"],
        &["account", "list", "--limit", "0"],
        &["account", "list", "--after", "x"],
        &["account", "create", "no-address"],
        &["account", "create", ADA, "--name", "a\u{1b}[2Jb"],
        &["account", "create", ADA, "--locale", "de_DE"],
        &["sign-up", "drop"],
        &["completions", "tcsh"],
    ] {
        let output = program.exec(arguments, "");
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    let program = Program::prepare(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = program.exec(&["completions", shell], "");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        for words in ["account", "send-reset", "sign-up"] {
            assert!(output.stdout.contains(words), "{shell}: {words}");
        }
    }
}
