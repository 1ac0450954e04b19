//! Tests of letters and the real program: the operator's commands for them, on both engines, and
//! letters that were on their way when the program was killed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{CommandOutput, Program, wait_until};
use crate::smtp::{Act, Authority, SmtpServer, Step};
use crate::{ADA, postgres, sign_up};

const BOB: &str = "bob@example.org";
const EVE: &str = "eve@example.org";

/// Settings of a service that delivers its letters to this server.
fn settings(server: &SmtpServer) -> Vec<(&'static str, String)> {
    mail(&server.url())
}

fn mail(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
        ("VESTIBULE_MAIL__SMTP_URL", url.to_owned()),
        ("VESTIBULE_MAIL__TIMEOUT", "2s".to_owned()),
    ]
}

/// The JSON document that a command prints.
fn ask(program: &Program, arguments: &[&str]) -> Value {
    program.exec(&[arguments, &["--json"]].concat(), "").document()
}

/// The error of a command that does nothing.
fn refused(program: &Program, arguments: &[&str]) -> String {
    let CommandOutput { code, stdout, stderr } = program.exec(arguments, "");
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

#[test]
fn operator_lists_shows_retries_and_drops_letters_on_sqlite() {
    let server = SmtpServer::start();
    operator_handles_letters(&server, &Program::start(&settings(&server)));
}

#[test]
fn operator_lists_shows_retries_and_drops_letters_on_postgres() {
    let Some(cluster) = postgres::cluster() else { return };
    let server = SmtpServer::start();
    let mut settings = settings(&server);
    settings.push(("DATABASE_URL", cluster.new_database()));
    operator_handles_letters(&server, &Program::start(&settings));
}

fn operator_handles_letters(server: &SmtpServer, program: &Program) {
    server.plays(|step| match step {
        Step::Recipient(ADA) => Act::Say("550 5.1.1 \u{1b}[31mno such user"),
        Step::Recipient(BOB) => Act::Say("550 5.7.1 not you"),
        _ => Act::Behave,
    });
    for email in [ADA, BOB, EVE] {
        sign_up(program, email);
    }
    let dead = wait_until("two letters are dead", || {
        let dead = ask(program, &["mail", "list", "--dead"]);
        (dead["letters"].as_array().map(Vec::len) == Some(2)).then_some(dead)
    });
    let id_of = |email: &str| {
        let letters = dead["letters"].as_array().expect("letters");
        let letter = letters.iter().find(|letter| letter["email"] == email).expect("a letter");
        letter["id"].as_str().expect("an id").to_owned()
    };
    let (ada, bob) = (id_of(ADA), id_of(BOB));
    server.wait_for(1);

    // one page, without control characters for the terminal
    let first = ask(program, &["mail", "list", "--limit", "1"]);
    assert_eq!(first["next"], ada.as_str());
    let second = ask(program, &["mail", "list", "--after", &ada]);
    assert_eq!(second["letters"][0]["id"], bob.as_str());
    let words = program.exec(&["mail", "list"], "").stdout;
    assert!(
        words.starts_with("ID ") && !words.contains(EVE) && !words.contains('\u{1b}'),
        "{words}"
    );
    assert_eq!(ask(program, &["mail", "list", "--match", "bob"])["letters"][0]["email"], BOB);
    assert_eq!(ask(program, &["mail", "list", "--waiting"])["letters"], json!([]));

    let shown = ask(program, &["mail", "show", &ada]);
    assert_eq!((&shown["state"], &shown["tries"]), (&json!("dead"), &json!(1)));
    assert_eq!(shown["last_words"], "550 5.1.1  [31mno such user");
    assert!(!shown.to_string().contains("token"), "{shown}");
    let words = program.exec(&["mail", "show", &ada], "").stdout;
    for part in [ADA, "sign-up", "dead", "given up", "no such user"] {
        assert!(words.contains(part), "{part} is not in {words}");
    }

    let dropped = ask(program, &["mail", "drop", &bob]);
    assert_eq!((&dropped["dropped"], &dropped["letter"]["email"]), (&json!(true), &json!(BOB)));
    assert!(refused(program, &["mail", "drop", &bob]).contains("there is no letter"));
    assert!(refused(program, &["mail", "retry", &bob]).contains("there is no letter"));

    server.behaves();
    assert_eq!(ask(program, &["mail", "retry", &ada]), json!({ "retried": 1 }));
    server.wait_for(2);
    assert_eq!(server.letters_to(ADA)[0].message_id.split('@').next(), Some(&*format!("<{ada}")));
    wait_until("both letters are recorded as sent", || {
        let sent = ask(program, &["mail", "list", "--sent"]);
        (sent["letters"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    assert!(refused(program, &["mail", "drop", &ada]).contains("was sent already"));
    assert!(refused(program, &["mail", "retry", &ada]).contains("was sent already"));

    // a letter on its way is left alone
    server.plays(|step| match step {
        Step::Data => Act::Hang,
        _ => Act::Behave,
    });
    sign_up(program, BOB);
    let id = wait_until("a letter is on its way", || {
        let waiting = ask(program, &["mail", "list", "--waiting"]);
        let letter = &waiting["letters"][0];
        (letter["state"] == "on-its-way").then(|| letter["id"].as_str().map(str::to_owned))?
    });
    assert!(refused(program, &["mail", "drop", &id]).contains("on its way"));
    server.plays(|step| match step {
        Step::Recipient(_) => Act::Say("550 5.1.1 no"),
        _ => Act::Behave,
    });
    wait_until("no letter waits", || {
        let dead = ask(program, &["mail", "list", "--dead"]);
        (dead["letters"].as_array().map(Vec::len) == Some(1)).then_some(())
    });
    server.behaves();
    assert_eq!(ask(program, &["mail", "retry", "--all-dead"]), json!({ "retried": 1 }));
    server.wait_for(3);
}

#[test]
fn mail_test_reports_the_stage_of_a_failure() {
    let authority = Authority::create();
    let (plain, encrypted) = (SmtpServer::start(), SmtpServer::start_tls(&authority, "localhost"));
    plain.plays(|step| match step {
        Step::Auth { password: "right", .. } => Act::Behave,
        Step::Auth { .. } => Act::Say("535 5.7.8 \u{1b}]0;no"),
        Step::Recipient(BOB) => Act::Say("550 5.1.1 no such user"),
        Step::Sender(_) | Step::Recipient(_) => Act::Behave,
        Step::Letter(letter) if letter.to == [EVE] => Act::HangUp,
        _ => Act::Behave,
    });
    let verdict = |url: &str, to: &str| {
        let program = Program::prepare(&mail(url));
        let output = program.exec(&["mail", "test", to], "");
        let document = program.exec(&["mail", "test", to, "--json"], "");
        assert_eq!(output.code, document.code);
        assert!(!output.stderr.contains('\u{1b}'), "{output:?}");
        let document: Value = serde_json::from_str(&document.stdout).expect("JSON");
        let words = output.stdout + &output.stderr;
        (output.code, words, document)
    };
    let near = |user: &str| format!("smtp://{user}127.0.0.1:{}", plain.port());
    let tls = format!("smtp://localhost:{}?tls=required", encrypted.port());
    let gone = SmtpServer::start();
    gone.close();
    for (url, to, stage, code, words) in [
        ("smtp://nobody.invalid".to_owned(), ADA, "lookup", None, "name was not found"),
        (gone.url(), ADA, "connection", None, "cannot be reached"),
        (format!("{}?tls=required", plain.url()), ADA, "encryption", None, "no STARTTLS"),
        (tls, ADA, "encryption", None, "certificate"),
        (near("ada:wrong@"), ADA, "authentication", Some(535), "the user or the password"),
        (near(""), BOB, "recipient", Some(550), "refuses the recipient: 550 5.1.1 no such user"),
        (near(""), EVE, "content", None, "did not take the letter"),
    ] {
        let (exit, output, document) = verdict(&url, to);
        assert_eq!(exit, Some(1), "{output}");
        assert!(output.contains(words), "{output}");
        let found = (&document["taken"], &document["stage"], &document["code"]);
        assert_eq!(found, (&json!(false), &json!(stage), &json!(code)), "{document}");
    }
    assert!(plain.letters().is_empty() && encrypted.letters().is_empty());
    let (exit, output, document) = verdict(&near("ada:right@"), ADA);
    assert_eq!((exit, &document["taken"]), (Some(0), &json!(true)), "{output}");
    let letters = plain.letters_to(ADA);
    assert_eq!(letters.len(), 2);
    assert!(letters[0].raw.contains("Subject: A test from Vestibule"), "{}", letters[0].raw);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
fn r48_hanging_mail_server_is_probed_by_one_letter_at_a_time() {
    let server = SmtpServer::start();
    let probes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&probes);
    server.plays(move |step| match step {
        Step::Connected => {
            let mut seen = seen.lock().expect("no test panics here");
            seen.push(Instant::now());
            // the first letter finds that the server is down
            if seen.len() == 1 { Act::Say("421 4.3.2 not now") } else { Act::Hang }
        }
        _ => Act::Behave,
    });
    let program = Program::start(&settings(&server));
    sign_up(&program, ADA);
    wait_until("the first has failed", || {
        let waiting = ask(&program, &["mail", "list", "--waiting"]);
        waiting["letters"][0]["last_words"].is_string().then_some(())
    });
    for email in [BOB, EVE] {
        sign_up(&program, email);
    }
    wait_until("two probes", || {
        (probes.lock().expect("no test panics here").len() >= 3).then_some(())
    });
    let probes = probes.lock().expect("no test panics here");
    for pair in probes[1..].windows(2) {
        let between = pair[1] - pair[0];
        assert!(between >= Duration::from_secs(2), "a second probe after {between:?}");
    }
}

#[test]
fn r48_letter_in_delivery_at_a_kill_arrives_after_its_lease() {
    let server = SmtpServer::start();
    server.plays(|step| match step {
        Step::Data => Act::Hang,
        _ => Act::Behave,
    });
    let mut program = Program::start(&settings(&server));
    sign_up(&program, ADA);
    wait_until("the letter is on its way", || {
        server.commands().iter().any(|command| command == "DATA").then_some(())
    });
    program.signal("KILL");
    crate::has_exited_with(&mut program, None);
    server.behaves();
    program.start_again();
    // when the lease has ended: the time-out and 15 s
    assert_eq!(server.wait_for(1)[0].to, [ADA]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
fn r48_s17_forty_silent_recipients_delay_no_other_domain() {
    const HANGING: usize = 40;
    let server = SmtpServer::start();
    server.plays(move |step| match step {
        Step::Recipient(to) if to.ends_with("@tarpit.example") => Act::Hang,
        _ => Act::Behave,
    });
    let mut settings = settings(&server);
    settings.retain(|(key, _)| !key.ends_with("TIMEOUT"));
    settings.push(("VESTIBULE_LIMITS__SIGN_UPS_PER_ADDRESS", "1000".to_owned()));
    let program = Program::start(&settings);
    for number in 0..HANGING {
        sign_up(&program, &format!("p{number}@tarpit.example"));
    }
    for number in 0..5 {
        let email = format!("person{number}@example.org");
        sign_up(&program, &email);
        let signed_up = Instant::now();
        let letter = wait_until("the letter", || server.letters_to(&email).pop());
        let took = letter.at.saturating_duration_since(signed_up);
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

/// The test runs with a limit of the server on connections, and without.
#[test]
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
fn r48_s17_sixty_silent_domains_delay_no_other_letter() {
    const HANGING: usize = 60;
    for limit in [None, Some(10)] {
        let server = SmtpServer::start();
        server.limits(limit.unwrap_or(usize::MAX));
        server.plays(move |step| match step {
            Step::Recipient(to) if to.ends_with(".tarpit.example") => Act::Hang,
            _ => Act::Behave,
        });
        let mut settings = settings(&server);
        settings.retain(|(key, _)| !key.ends_with("TIMEOUT"));
        settings.push(("VESTIBULE_LIMITS__SIGN_UPS_PER_ADDRESS", "1000".to_owned()));
        let program = Program::start(&settings);
        for number in 0..HANGING {
            sign_up(&program, &format!("ada@n{number}.tarpit.example"));
        }
        for number in 0..8 {
            let email = format!("person{number}@example.org");
            sign_up(&program, &email);
            let signed_up = Instant::now();
            let letter = wait_until("the letter", || server.letters_to(&email).pop());
            let took = letter.at.saturating_duration_since(signed_up);
            assert!(took < Duration::from_secs(20), "{limit:?}: {took:?}");
        }
    }
}

/// Measures how long letters take beside recipients with this answer of the mail server. The
/// numbers are in `docs/performance.md`.
#[test]
#[expect(clippy::disallowed_methods, reason = "a process lives in real time")]
#[expect(clippy::print_stderr, reason = "figures are read by people")]
fn r48_s17_letters_leave_promptly_beside_failing_recipients() {
    const POISONED: usize = 12;
    const HONEST: usize = 20;
    let plays = [
        ("none", Act::Behave),
        ("421 at RCPT", Act::Say("421 4.3.2 closing")),
        ("450 at RCPT", Act::Say("450 4.2.0 later")),
        ("hang-up at RCPT", Act::HangUp),
        ("silence at RCPT", Act::Hang),
    ];
    for (name, act) in plays {
        let server = SmtpServer::start();
        server.plays(move |step| match step {
            Step::Recipient(to) if to.ends_with("@poison.example") => act,
            _ => Act::Behave,
        });
        let mut settings = settings(&server);
        settings.retain(|(key, _)| !key.ends_with("TIMEOUT"));
        let program = Program::start(&settings);
        for number in 0..POISONED {
            sign_up(&program, &format!("p{number}@poison.example"));
        }
        let mut times: Vec<Duration> = Vec::new();
        for number in 0..HONEST {
            let email = format!("person{number}@example.org");
            sign_up(&program, &email);
            let signed_up = Instant::now();
            let letter = wait_until("the letter", || server.letters_to(&email).pop());
            times.push(letter.at.saturating_duration_since(signed_up));
        }
        times.sort_unstable();
        let (median, most) = (times[HONEST / 2], times[HONEST - 1]);
        eprintln!(
            "failing recipients: {name}; other letters leave after {median:.1?}, at most {most:.1?}"
        );
        assert!(most < Duration::from_secs(10), "{name}: {most:?}");
    }
}
