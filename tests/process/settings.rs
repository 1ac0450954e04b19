//! Tests of every URL, header, name and address in the settings (F2, F3, F16, R57). Legal forms are
//! accepted. A near miss stops the start, and the error names the key, its place, and a correct
//! value.

use crate::program::Program;

/// A value that no output may contain.
const SECRET: &str = "hunter2";

const CLIENT: [(&str, &str); 3] = [
    ("VESTIBULE_CLIENTS__DESK__PUBLIC", "true"),
    ("VESTIBULE_CLIENTS__DESK__GRANTS", "password"),
    ("VESTIBULE_CLIENTS__DESK__SCOPES", "account.read"),
];

fn config(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let settings: Vec<_> =
        settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Program::prepare(&settings).run(&["config"])
}

/// The key as the error names it, with legal values.
const LEGAL: [(&str, &[&str]); 11] = [
    (
        "VESTIBULE_PUBLIC_URL",
        &[
            "https://accounts.example.org",
            "HTTPS://Accounts.Example.org:8443/auth/",
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "https://bücher.example",
        ],
    ),
    (
        "VESTIBULE_TRUSTED_PROXIES",
        &[
            "127.0.0.1 10.0.0.0/8",
            "[\"::1\",\"2001:db8::/32\"]",
            "::ffff:10.0.0.1",
            "0.0.0.0/0",
            "[::1]",
        ],
    ),
    ("VESTIBULE_METRICS__ADDRESS", &["127.0.0.1:9464", "[::1]:9464", "0.0.0.0:0"]),
    (
        "VESTIBULE_MAIL__SMTP_URL",
        &["smtp://mail.example", "smtps://u:hunter2@mail.example:465", "smtp://[::1]:25?tls=none"],
    ),
    (
        "VESTIBULE_MAIL__HELLO_NAME",
        &["accounts.example.org", "my_service", "\"[192.0.2.1]\"", "\"[IPv6:2001:db8::1]\""],
    ),
    (
        "DATABASE_URL",
        &[
            "postgres://ada:hunter2@db/name?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql:///name?host=/run/postgresql&user=ada&password=hunter2",
            "sqlite://data/v.db?mode=rwc",
        ],
    ),
    (
        "VESTIBULE_CLIENTS__DESK__ALLOWED_ORIGINS",
        &["https://app.example.org", "http://localhost:3000 https://b.example"],
    ),
    ("VESTIBULE_CLIENTS__DESK__SCOPES", &["account.read", "[\"account.read\",\"notes:w\"]"]),
    ("VESTIBULE_NAME", &["Vestibule", "Konto der Bücherei"]),
    ("VESTIBULE_MESSAGES__DEFAULT_LOCALE", &["en", "de"]),
    ("VESTIBULE_DEFAULT_CLIENT", &["web"]),
];

/// The variable, the key in the error, and values, each with words of the error.
type NearMisses = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const NEAR_MISSES: [NearMisses; 17] = [
    (
        "VESTIBULE_PUBLIC_URL",
        "vestibule.public_url",
        &[
            ("accounts.example.org", "absolute http or https URL such as"),
            ("https:/accounts.example.org", "absolute http or https URL such as"),
            ("https:accounts.example.org", "absolute http or https URL such as"),
            ("https:\\\\accounts.example.org", "backslashes"),
            ("https://accounts.exa mple.org", "without blanks"),
            ("https://accounts.exa\tmple.org", "without blanks"),
            ("htps://accounts.example.org", "absolute http or https URL such as"),
            ("https://", "absolute http or https URL such as"),
            ("https://*.example.org", "one host"),
            ("https://a.example//auth", "one slash"),
            ("https://a.example/?x=hunter2", "nothing behind the path"),
            ("https://a.example/#hunter2", "nothing behind the path"),
            ("https://ada:hunter2@a.example", "without a user and a password"),
            ("https://@a.example", "without a user and a password"),
            ("https://:@a.example", "without a user and a password"),
            ("https://a.example:", "or without the colon"),
            ("https:///", "with a host"),
            ("https:///accounts.example.org", "with a host"),
            ("https://?x", "with a host"),
        ],
    ),
    (
        "VESTIBULE_TRUSTED_PROXIES",
        "vestibule.trusted_proxies",
        &[
            ("localhost", "neither an address nor a network such as 10.0.0.0/8"),
            ("10.0.0.1:80", "neither an address nor a network"),
            ("10.0.0.0/33", "neither an address nor a network"),
            ("10.0.0", "neither an address nor a network"),
            ("10.0.0.1,10.0.0.2", "neither an address nor a network"),
            ("10.0.0.0-10.0.0.9", "neither an address nor a network"),
            ("private_ranges", "neither an address nor a network"),
            ("010.0.0.1", "neither an address nor a network"),
        ],
    ),
    (
        "VESTIBULE_METRICS__ADDRESS",
        "vestibule.metrics.address",
        &[
            ("9464", "such as 127.0.0.1:9464"),
            (":9464", "such as 127.0.0.1:9464"),
            ("localhost:9464", "such as 127.0.0.1:9464"),
            ("127.0.0.1", "such as 127.0.0.1:9464"),
            ("::1:9464", "such as 127.0.0.1:9464"),
            ("127.0.0.1:94640", "such as 127.0.0.1:9464"),
        ],
    ),
    (
        "VESTIBULE_MAIL__SMTP_URL",
        "vestibule.mail.smtp_url",
        &[
            ("mail.example:25", "expected smtp://"),
            ("smtp:/mail.example", "expected smtp://"),
            ("https://u:hunter2@mail.example", "expected smtp://"),
            ("smtp://u:hunter2@mail.example?starttls=required", "expected tls=required"),
            ("smtp://u:hunter2@mail.example?TLS=required", "expected tls=required"),
            ("smtp://u:hunter2@mail.example?tls=require", "expected tls=required"),
            ("smtp://u:hunter2@mail.example?tls=", "expected tls=required"),
            ("smtp://u:hunter2@mail.example?tls=required&tls=none", "expected tls=required"),
            ("smtp://u:hunter2@mail.example#x", "written as %23"),
            ("smtp://u:1#hunter2@mail.example", "written as %23"),
            ("smtp://u:hun/ter2@mail.example", "%40 for `@`"),
            ("smtp://u:1/hunter2@mail.example", "%40 for `@`"),
            ("smtp:///mail.example", "expected smtp://"),
            ("smtp://@mail.example", "a user and a password, or neither"),
            ("smtp://u:hunter2@mail.exa mple", "expected smtp://"),
            ("smtp://u@mail.example", "a user and a password, or neither"),
        ],
    ),
    (
        "VESTIBULE_MAIL__HELLO_NAME",
        "vestibule.mail.hello_name",
        &[
            ("https://a.example", "expected a host name"),
            ("a.example:25", "expected a host name"),
            ("a b", "expected a host name"),
            ("a..example", "expected a host name"),
            ("\"[2001:db8::1]\"", "expected a host name"),
            ("", "expected a host name"),
        ],
    ),
    (
        "DATABASE_URL",
        "databases.vestibule.url",
        &[
            ("postgres://ada:hunter2@db/v?ssl_mode=require", "did you mean `sslmode`?"),
            ("postgres://ada:hunter2@db/v?sslMode=require", "did you mean `sslmode`?"),
            ("postgres://ada:hunter2@db/v?tls=require", "did you mean `sslmode=require`?"),
            ("postgres://ada:hunter2@db/v?ssl=hunter2", "did you mean `sslmode=require`?"),
            ("postgres://ada@db/v?passwort=hunter2", "did you mean `password`?"),
            ("postgres://ada@db/v?connect_timeout=hunter2", "known are sslmode"),
            ("postgres://ada:hunter2@db/v?sslmode=hunter2", "`sslmode` is none of"),
            ("postgres://ada:hunter2@db/v?sslmode=", "`sslmode` has no value"),
            ("postgres://ada:hunter2@db/v?sslmode=disable&ssl-mode=require", "set twice"),
            ("postgres://ada:hunter2@db/v?sslrootcert=ca.pem", "needs sslmode=verify-full"),
            ("postgres://ada@db/v?sslmode=require&ssl-ca=ca.pem", "needs sslmode=verify-full"),
            ("postgres://ada@db/v?sslcert=a.pem&sslkey=b.pem", "needs sslmode=verify-full"),
            ("postgres://ada@db/v?sslmode=require&sslcert=a.pem", "`sslkey` beside it"),
            ("sqlite::memory:", "expected sqlite://path"),
            ("postgres://ada:hunter2@db/v#x", "written as %23"),
            ("postgres://ada:1#hunter2@db/v", "written as %23"),
            ("postgres://ada:1?hunter2@db/v", "unknown parameter"),
            ("postgres://ada:1/hunter2@db/v", "%40 for `@`"),
            ("postgres://ada:hunter2/@db/v", "%40 for `@`"),
            ("mysql://ada:hunter2@db/v", "expected sqlite://path or postgres://"),
            ("data/v.db", "expected sqlite://path or postgres://"),
            ("", "expected sqlite://path or postgres://"),
            ("sqlite://v.db?mdoe=rwc", "did you mean `mode`?"),
            ("sqlite://v.db?mode=write", "`mode` is none of"),
        ],
    ),
    (
        "VESTIBULE_CLIENTS__DESK__ALLOWED_ORIGINS",
        "vestibule.clients.desk.allowed_origins",
        &[
            ("app.example.org", "such as https://app.example.org"),
            ("https://app.example.org/", "did you mean `https://app.example.org`?"),
            ("https://App.example.org", "did you mean `https://app.example.org`?"),
            ("https://app.example.org:443", "did you mean `https://app.example.org`?"),
            ("https://bücher.example", "did you mean `https://xn--bcher-kva.example`?"),
            ("https:///app.example.org", "did you mean `https://app.example.org`?"),
            ("https://@app.example.org", "did you mean `https://app.example.org`?"),
            ("https://ada:hunter2@app.example.org", "did you mean `https://app.example.org`?"),
            ("https://app.example.org?hunter2", "did you mean `https://app.example.org`?"),
            ("*", "such as https://app.example.org"),
            ("https://*.example.org", "such as https://app.example.org"),
            ("null", "such as https://app.example.org"),
        ],
    ),
    (
        "VESTIBULE_CLIENTS__DESK__GRANTS",
        "vestibule.clients.desk.grants",
        &[("refresh-token", "refresh-token"), ("implicit", "implicit")],
    ),
    (
        "VESTIBULE_CLIENTS__DESK__SCOPES",
        "vestibule.clients.desk.scopes",
        &[("a\"b", "scope"), ("ä", "scope")],
    ),
    ("VESTIBULE_CLIENTS__DESK__ORIGINS", "vestibule.clients.desk.origins", &[("x", "unknown key")]),
    (
        "VESTIBULE_NAME",
        "vestibule.name",
        &[("", "expected a name in one line"), (" ", "expected"), ("a\nb", "one line")],
    ),
    (
        "VESTIBULE_ADMISSION__BODY_TIMEOUT",
        "vestibule.admission.body_timeout",
        &[("0s", "more than 0s"), ("10", "a length of time with its unit")],
    ),
    ("VESTIBULE_DEFAULT_CLIENT", "vestibule.default_client", &[("desq", "no client `desq`")]),
    (
        "VESTIBULE_PUBLC_URL",
        "vestibule.publc_url",
        &[("https://ada:hunter2@a.example", "did you mean `public_url`?")],
    ),
    (
        "VESTIBULE_MAIL__SMTPURL",
        "vestibule.mail.smtpurl",
        &[
            ("smtp://ada:hunter2@mail.example", "did you mean `smtp_url`?"),
            ("[\"hunter2\"]", "did you mean `smtp_url`?"),
        ],
    ),
    ("VESTIBULE_TOKENS", "vestibule.tokens", &[("https://ada:hunter2@a.example", "expected ")]),
    (
        "VESTIBULE_CLIENTS__DESK__SECRET",
        "vestibule.clients.desk.secret",
        &[("hunter2", "known here are public, secret_sha256")],
    ),
];

#[test]
fn legal_forms_of_settings_are_accepted() {
    for (variable, values) in LEGAL {
        for value in values {
            let settings = [&CLIENT[..], &[(variable, *value)]].concat();
            let (code, output) = config(&settings);
            assert_eq!(code, Some(0), "{variable}={value:?}:\n{output}");
            assert!(!output.contains(SECRET), "{variable}={value:?}:\n{output}");
        }
    }
}

#[test]
fn r55_r57_f3_near_miss_stops_the_start_with_key_source_and_example() {
    for (variable, key, values) in NEAR_MISSES {
        for (value, expected) in values {
            let settings = [&CLIENT[..], &[(variable, *value)]].concat();
            let (code, output) = config(&settings);
            assert_eq!(code, Some(1), "{variable}={value:?}:\n{output}");
            let error = output.lines().find(|line| line.contains(&format!("setting `{key}")));
            let error = error.unwrap_or_else(|| panic!("{variable}={value:?}:\n{output}"));
            assert!(error.contains(variable), "{variable}={value:?}: no place in {error}");
            assert!(error.contains(expected), "{variable}={value:?}: {error}");
            if value.contains("hunter") {
                assert!(!output.contains("hunter"), "{variable}={value:?}:\n{output}");
            }
        }
    }
    // variables that the driver reads beside the URL
    let database = ("DATABASE_URL", "postgres://ada@db/v");
    for (variable, value) in [
        ("PGSSLMODE", "hunter2"),
        ("PGSSL_MODE", "require"),
        ("PGPORT", "hunter2"),
        ("PGSSLCRL", "x"),
    ] {
        let (code, output) = config(&[&CLIENT[..], &[database, (variable, value)]].concat());
        assert_eq!(code, Some(1), "{variable}={value:?}:\n{output}");
        assert!(
            output.contains("databases.vestibule.url") && output.contains(variable),
            "{output}"
        );
        assert!(!output.contains("hunter"), "{output}");
        // SQLite ignores them
        assert_eq!(config(&[&CLIENT[..], &[(variable, value)]].concat()).0, Some(0));
    }
    // the service does not start with a value that `config` refuses
    for value in
        ["postgres://ada:hunter2@127.0.0.1:1/v?ssl_mode=require", "postgres://ada:1#hunter2@db/v"]
    {
        let output = Program::fail(&[("DATABASE_URL", value.to_owned())]);
        assert!(output.contains("databases.vestibule.url"), "{output}");
        assert!(!output.contains("hunter"), "{output}");
    }
}

/// Environment variables that Rocket would ignore, or refuse with an error of its own.
const ROCKETS: [(&str, &str, &str); 9] = [
    ("ROCKET_TLS__CERTS", "certs.pem", "ROCKET_TLS={certs=…}"),
    ("ROCKET_DATABASES__VESTIBULE__URL", "postgres://ada:hunter2@db/v", "DATABASE_URL"),
    ("ROCKET_ADRESS", "0.0.0.0", "did you mean `address`?"),
    ("ROCKET_CONFIG", "/nonexistent.toml", "there is no file /nonexistent.toml"),
    ("ROCKET_IP_HEADER", "X-Real-IP", "vestibule.trusted_proxies"),
    ("ROCKET_WORKERS", "x", "\"WORKERS\" in `ROCKET_`"),
    ("ROCKET_TLS", "{certs=\"none.pem\",key=\"none.pem\"}", "setting `tls.certs`"),
    ("ROCKET_DATABASES", "{vestibule={max_connection=9}}", "max_connection"),
    ("ROCKET_DATABASES", "{vestible={max_connections=9}}", "did you mean `vestibule`?"),
];

/// The same in the file.
const IN_THE_FILE: [(&str, &str); 7] = [
    ("[default.vestible.limits]\nfailures_in_a_row = 9", "did you mean `vestibule`?"),
    ("[defualt.vestibule]\nname = \"x\"", "unknown profile; did you mean `default`?"),
    ("[realease.vestibule]\nname = \"x\"", "unknown profile; did you mean `release`?"),
    ("[default.database.vestibule]\nurl = \"hunter2\"", "did you mean `databases`?"),
    ("[default.tsl]\ncerts = \"hunter2\"", "did you mean `tls`?"),
    ("[default]\nadress = \"0.0.0.0\"", "did you mean `address`?"),
    ("[default]\nsmtp = \"hunter2", "cannot be read: TOML parse error at line 2"),
];

#[test]
fn r55_r57_f3_f6_variables_that_rocket_ignores_stop_config_and_service() {
    let stops = |program: &Program, expected: &str, what: &str| {
        for arguments in [&["config"][..], &["serve"]] {
            let (code, output) = program.run(arguments);
            assert_eq!(code, Some(1), "{what} {arguments:?}:\n{output}");
            assert!(output.contains(expected), "{what} {arguments:?}:\n{output}");
            assert!(!output.contains(SECRET), "{what} {arguments:?}:\n{output}");
        }
    };
    for (variable, value, expected) in ROCKETS {
        let program = Program::prepare(&[(variable, value.to_owned())]);
        stops(&program, expected, variable);
    }
    for (text, expected) in IN_THE_FILE {
        let program = Program::prepare(&[]);
        std::fs::write(program.path("Rocket.toml"), text).expect("a file");
        stops(&program, expected, text);
    }
    // sections of other profiles, and every key that Rocket knows
    let program = Program::prepare(&[]);
    let legal = "[default]\nkeep_alive = 5\nident = \"x\"\nlimits = { form = \"1 kB\" }\n\
                 [staging.vestibule]\nname = \"x\"\n[global]\nworkers = 2";
    std::fs::write(program.path("Rocket.toml"), legal).expect("a file");
    let (code, output) = program.run(&["config"]);
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn f2_unreadable_forwarded_address_is_logged_once_per_kind_without_values() {
    let program = Program::start(&[("VESTIBULE_TRUSTED_PROXIES", "127.0.0.1".to_owned())]);
    let body = r#"{"email":"ada@example.org"}"#;
    for header in [
        "X-Forwarded-For: 203.0.113.77, unknown",
        "X-Forwarded-For: 203.0.113.77, _marked",
        "X-Forwarded-For: 203.0.113.77, marked nonsense",
        "Forwarded: for=203.0.113.77",
        "X-Forwarded-For: 203.0.113.77:4711",
    ] {
        for _ in 0..3 {
            let request = format!(
                "POST /v1/password-resets HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            assert_eq!(program.raw(&request).expect("an answer").status, 202);
        }
    }
    let output = program.stop();
    for kind in ["unknown", "obfuscated", "malformed", "other-header"] {
        let lines = output.lines().filter(|line| line.contains(&format!("\"kind\":\"{kind}\"")));
        assert_eq!(lines.count(), 1, "{kind}: {output}");
    }
    assert!(!output.contains("203.0.113.77") && !output.contains("marked"), "{output}");
}
