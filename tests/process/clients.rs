//! Tests of the operator's commands about clients and tokens beside a running service, on both
//! engines.

use serde_json::{Value, json};

use crate::operator::OperatorConsole;
use crate::program::{Answer, Program};
use crate::{ADA, PASSWORD, assert_revoked_soon, me};

on_both_engines!(
    r27_client_commands_take_effect_from_add_to_remove,
    r11_rotated_secret_works_for_the_grace_period,
    clients_of_settings_and_database_are_listed_and_settings_win,
    token_show_reports_the_state_without_printing_the_token,
);

fn sign_in(console: &OperatorConsole, client: &str, secret: &str) -> Answer {
    let fields = [
        ("grant_type", "password"),
        ("client_id", client),
        ("client_secret", secret),
        ("username", ADA),
        ("password", PASSWORD),
    ];
    console.program.post_form("/oauth/token", &fields, &[])
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn r27_client_commands_take_effect_from_add_to_remove(console: &OperatorConsole) {
    console.create(ADA);
    let added = console.ask(&[
        "client",
        "add",
        "desk",
        "--scopes",
        "account.read orders.read",
        "--allowed-origin",
        "https://desk.example",
        "--access-ttl",
        "5m",
    ]);
    let secret = text(&added["secret"]).to_owned();
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    assert!(secret.len() == 43 && secret.chars().all(unreserved), "{secret}");
    let client = &added["client"];
    assert_eq!((&client["id"], &client["public"]), (&json!("desk"), &json!(false)));
    assert_eq!((&client["origin"], &client["access_ttl"]), (&json!("database"), &json!("5m")));
    // the new secret works with the next request, and was shown once
    let pair = sign_in(console, "desk", &secret).json();
    assert_eq!(
        (&pair["scope"], &pair["expires_in"]),
        (&json!("account.read orders.read"), &json!(300))
    );
    assert_eq!(sign_in(console, "desk", "wrong").status, 401);
    let shown = console.exec(&["client", "show", "desk"]).stdout;
    assert!(shown.contains("https://desk.example") && !shown.contains(&secret), "{shown}");
    let shown = console.ask(&["client", "show", "desk"]);
    assert_eq!((&shown["sessions"], &shown["client"]), (&json!(1), client));
    assert!(console.refused(&["client", "add", "desk", "--scopes", "a"]).contains("already"));

    assert_eq!(console.ask(&["client", "disable", "desk"])["changed"], true);
    assert_eq!(console.ask(&["client", "disable", "desk"])["changed"], false);
    assert_revoked_soon(&console.program, &pair["access_token"]);
    assert_eq!(sign_in(console, "desk", &secret).status, 401);
    assert_eq!(console.ask(&["client", "enable", "desk"])["changed"], true);
    assert_eq!(
        me(&console.program, &pair["access_token"]).status,
        401,
        "enabling revives no session"
    );
    let pair = sign_in(console, "desk", &secret).json();

    let refusal = console.refused(&["client", "remove", "desk"]);
    for words in ["nothing was removed", "desk", "sessions (1)", "--yes"] {
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(me(&console.program, &pair["access_token"]).status, 200);
    let removed = console.ask(&["client", "remove", "desk", "--yes"]);
    assert_eq!((&removed["removed"], &removed["ended"]), (&json!(true), &json!(1)));
    assert_revoked_soon(&console.program, &pair["access_token"]);
    assert!(console.refused(&["client", "remove", "desk", "--yes"]).contains("no client desk"));
    for kind in ["added", "disabled", "enabled", "removed"] {
        let noted = format!(
            "SELECT COUNT(*) FROM events WHERE kind = 'client-{kind}' AND actor = 'operator'
             AND client_id = 'desk' AND account_id IS NULL"
        );
        assert_eq!(console.database.count(&noted), 1, "{kind}");
    }
}

fn r11_rotated_secret_works_for_the_grace_period(console: &OperatorConsole) {
    console.create(ADA);
    // an existing secret of the client
    let digest = "335c3bbcf32031bcdb9e2f7aabeff5c9b34009746f7aa45e08816271c9a766e5";
    let wanted = ["client", "add", "desk", "--scopes", "account.read", "--secret-sha256", digest];
    assert_eq!(console.ask(&wanted)["secret"], Value::Null);
    let works = |secret: &str| sign_in(console, "desk", secret).status == 200;
    assert!(works("shop secret"));
    let rotated = console.ask(&["client", "rotate-secret", "desk"]);
    let second = text(&rotated["secret"]).to_owned();
    assert!(works("shop secret") && works(&second));
    assert!(rotated["old_secret_until"].is_string(), "{rotated}");
    let rotated = console.ask(&["client", "rotate-secret", "desk", "--keep-old", "0s"]);
    let third = text(&rotated["secret"]);
    assert!(!works("shop secret") && !works(&second) && works(third));
    let words = console.exec(&["client", "rotate-secret", "desk"]).stdout;
    assert!(words.contains("not shown again") && words.contains("secret = \""), "{words}");
    assert_eq!(console.exec(&["client", "add", "till", "--public", "--scopes", "a"]).code, Some(0));
    assert!(console.refused(&["client", "rotate-secret", "till"]).contains("public"));
    assert_eq!(console.exec(&["client", "rotate-secret", "desk", "--keep-old", "1"]).code, Some(2));
}

fn clients_of_settings_and_database_are_listed_and_settings_win(console: &OperatorConsole) {
    console.exec(&["client", "add", "till", "--public", "--scopes", "account.read"]);
    let list = console.ask(&["client", "list"]);
    let rows: Vec<_> = list["clients"].as_array().expect("clients").iter().collect();
    let found: Vec<_> = rows.iter().map(|row| (text(&row["id"]), text(&row["origin"]))).collect();
    assert_eq!(found, [("till", "database"), ("web", "settings")]);
    let words = console.exec(&["client", "list"]).stdout;
    assert!(words.contains("settings") && words.contains("database"), "{words}");
    for arguments in [
        &["client", "add", "web", "--public", "--scopes", "a"][..],
        &["client", "disable", "web"],
        &["client", "enable", "web"],
        &["client", "rotate-secret", "web"],
        &["client", "remove", "web", "--yes"],
    ] {
        let said = console.refused(arguments);
        assert!(said.contains("web") && said.contains("settings"), "{said}");
    }
    for (more, reason) in [
        (&["--scopes", "a\"b"][..], "scope token"),
        (&["--scopes", "a", "--grants", "magic"], "unknown grant"),
        (&["--scopes", "a", "--grants", "refresh_token"], "no sessions to refresh"),
        (&["--scopes", "a", "--allowed-origin", "*"], "not an origin"),
        (&["--scopes", "a", "--access-ttl", "0s"], "at least 1s"),
        (&["--scopes", "a", "--secret-sha256", "x"], "64 hexadecimal"),
        (&["--scopes", "a", "--public", "--secret-sha256", "x"], "not both"),
    ] {
        let said = console.refused(&[&["client", "add", "desk"], more].concat());
        assert!(said.contains(reason), "{said}");
    }
}

fn token_show_reports_the_state_without_printing_the_token(console: &OperatorConsole) {
    console.create(ADA);
    console.exec(&["client", "add", "till", "--public", "--scopes", "account.read"]);
    let inspect = |token: &str| {
        let said = console.program.exec(&["token", "inspect", "--json"], &format!("{token}\n"));
        assert!(token.len() < 20 || !said.stdout.contains(token), "{said:?}");
        said.document()
    };
    let pair = sign_in(console, "till", "").json();
    for (member, kind) in [("access_token", "access"), ("refresh_token", "refresh")] {
        let token = text(&pair[member]);
        let told = inspect(token);
        assert_eq!((&told["kind"], &told["checksum"]), (&json!(kind), &json!(true)), "{told}");
        assert_eq!((&told["live"], &told["state"]), (&json!(true), &json!("live")), "{told}");
        assert_eq!((&told["client_id"], &told["account"]["email"]), (&json!("till"), &json!(ADA)));
        assert!(told["expires_at"].is_string() && told["issued_at"].is_string(), "{told}");
        let words = console.program.exec(&["token", "inspect"], token);
        assert_eq!((words.code, words.stderr.as_str()), (Some(0), ""), "{words:?}");
        assert!(words.stdout.contains("live") && !words.stdout.contains(token), "{words:?}");
    }
    for damaged in ["", "x", &text(&pair["access_token"])[..30]] {
        let told = inspect(damaged);
        assert_eq!((&told["state"], &told["checksum"]), (&json!("damaged"), &json!(false)));
    }
    console.exec(&["client", "disable", "till"]);
    let told = inspect(text(&pair["access_token"]));
    assert_eq!((&told["live"], &told["state"]), (&json!(false), &json!("session-unknown")));
}

#[test]
fn release_profile_starts_with_a_client_in_the_database_only() {
    let owned = |(name, value): (&'static str, &str)| (name, value.to_owned());
    let settings = [
        ("ROCKET_PROFILE", "release"),
        ("VESTIBULE_PUBLIC_URL", "https://accounts.example.org"),
        ("VESTIBULE_MAIL__TRANSPORT", "log"),
    ];
    let mut program = Program::prepare(&settings.map(owned));
    let output = program.expect_failure();
    assert!(output.contains("vestibule client add") && output.contains("clients.<id>"), "{output}");
    // the failed start has made the tables, as `migrate` would
    assert_eq!(program.exec(&["migrate"], "").code, Some(0));
    let said = program.exec(&["client", "add", "web", "--public", "--scopes", "account.read"], "");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    program.start_again();
    program.stop();
}
