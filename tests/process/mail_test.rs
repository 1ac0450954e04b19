//! Tests that `vestibule mail test` names the cause that keeps letters from leaving, and the
//! setting to change (F13).

use serde_json::Value;

use crate::ADA;
use crate::program::Program;
use crate::smtp::{Act, Authority, Certificate, SmtpServer, Step};

const URL: &str = "vestibule.mail.smtp_url";

/// The command's verdict on these settings, as JSON and in words. Checks that the command fails.
fn verdict(settings: &[(&'static str, String)]) -> (Value, String) {
    let mut all = vec![("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned())];
    all.extend(settings.iter().cloned());
    if !all.iter().any(|(key, _)| key.ends_with("TIMEOUT")) {
        all.push(("VESTIBULE_MAIL__TIMEOUT", "2s".to_owned()));
    }
    let program = Program::prepare(&all);
    let output = program.exec(&["mail", "test", ADA, "--json"], "");
    assert_eq!(output.code, Some(1), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(document["taken"], false);
    (document, output.stderr)
}

/// Checks that the diagnosis names the stage and the setting, and that both forms contain these
/// words.
fn assert_diagnosis(
    (document, words): &(Value, String),
    stage: &str,
    setting: Option<&str>,
    seen: &str,
    advice: &str,
) {
    assert_eq!(document["stage"], stage, "{document}");
    assert_eq!(document["setting"].as_str(), setting, "{document}");
    let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    assert!(text("seen").contains(seen), "{seen} is not in {document}");
    assert!(text("advice").contains(advice), "{advice} is not in {document}");
    assert!(words.contains(&text("seen")) && words.contains(&text("advice")), "{words}");
}

fn url(url: String) -> Vec<(&'static str, String)> {
    vec![("VESTIBULE_MAIL__SMTP_URL", url)]
}

#[test]
fn f13_wrong_tls_mode_is_diagnosed_as_implicit_or_starttls() {
    let authority = Authority::create();
    let starttls = SmtpServer::start_tls(&authority, "localhost");
    let implicit = SmtpServer::implicit_tls(&authority, "localhost");
    let plain = SmtpServer::start();
    let smtps = |server: &SmtpServer| url(format!("smtps://u:p@localhost:{}", server.port()));
    let smtp = |server: &SmtpServer, tls: &str| {
        url(format!("smtp://localhost:{}?tls={tls}", server.port()))
    };
    let found = verdict(&smtps(&starttls));
    assert_diagnosis(&found, "encryption", Some(URL), "greets in the clear", "?tls=required");
    let found = verdict(&smtps(&plain));
    assert_diagnosis(
        &found,
        "encryption",
        Some(URL),
        "greets in the clear",
        "no encryption at this port",
    );
    for tls in ["required", "opportunistic", "none"] {
        let found = verdict(&smtp(&implicit, tls));
        assert_diagnosis(&found, "greeting", Some(URL), "TLS from the first byte", "use smtps://");
    }
    let found = verdict(&smtp(&plain, "required"));
    assert_diagnosis(&found, "encryption", Some(URL), "offers no STARTTLS", "?tls=none");
    for server in [starttls, implicit, plain] {
        assert!(server.logins().is_empty(), "the diagnosis sends no password");
    }
}

#[test]
fn f13_each_kind_of_invalid_certificate_is_diagnosed() {
    let (authority, stranger) = (Authority::create(), Authority::create());
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).expect("a file");
    let ask = |server: &SmtpServer, host: &str| {
        let mut settings = url(format!("smtp://{host}:{}?tls=required", server.port()));
        settings.push(("VESTIBULE_MAIL__CA_FILE", file.display().to_string()));
        verdict(&settings)
    };
    let ca_file = Some("vestibule.mail.ca_file");
    for (authority, shown, setting, seen, advice) in [
        (&authority, Certificate::SelfSigned, ca_file, "is self-signed", "with this certificate"),
        (&stranger, Certificate::Good, ca_file, "an unknown authority", "PEM file"),
        (&authority, Certificate::Expired, None, "has expired", "renew the certificate"),
        (&authority, Certificate::Authority, None, "a CA certificate as its own", "CA:FALSE"),
    ] {
        let server = SmtpServer::showing(authority, shown);
        assert_diagnosis(&ask(&server, "localhost"), "encryption", setting, seen, advice);
    }
    let server = SmtpServer::start_tls(&authority, "elsewhere.example");
    let found = ask(&server, "localhost");
    assert_diagnosis(&found, "encryption", Some(URL), "for another name", "instead of `localhost`");
}

#[test]
fn f13_failed_smtp_authentication_is_diagnosed() {
    let authority = Authority::create();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).expect("a file");
    let server = SmtpServer::start_tls(&authority, "localhost");
    let clear = url(format!("smtp://u:p@localhost:{}?tls=none", server.port()));
    let mut encrypted = url(format!("smtp://u:p@localhost:{}?tls=required", server.port()));
    encrypted.push(("VESTIBULE_MAIL__CA_FILE", file.display().to_string()));
    let stage = "authentication";

    server.offers("", "PLAIN LOGIN");
    assert_diagnosis(
        &verdict(&clear),
        stage,
        Some(URL),
        "after STARTTLS only",
        "set ?tls=required",
    );
    server.offers("", "CRAM-MD5 XOAUTH2");
    assert_diagnosis(&verdict(&encrypted), stage, Some(URL), "CRAM-MD5, XOAUTH2", "PLAIN or LOGIN");
    server.offers("", "");
    assert_diagnosis(
        &verdict(&encrypted),
        stage,
        Some(URL),
        "no sign-in at this port",
        "leave out",
    );
    server.offers("PLAIN", "PLAIN");
    server.plays(|step| match step {
        Step::Auth { .. } => Act::HangUp,
        _ => Act::Behave,
    });
    assert_diagnosis(&verdict(&encrypted), stage, None, "did not answer", "log of the server");
    server.plays(|step| match step {
        Step::Auth { .. } => Act::Say("454 4.7.0 later"),
        _ => Act::Behave,
    });
    assert_diagnosis(&verdict(&encrypted), stage, None, "at present", "by itself");
    server.plays(|step| match step {
        Step::Auth { .. } => Act::Say("535 5.7.8 no"),
        _ => Act::Behave,
    });
    assert_diagnosis(&verdict(&encrypted), stage, Some(URL), "the user and the password", "%40");
    server.plays(|step| match step {
        Step::Auth { .. } => Act::Say("538 5.7.11 encrypt first"),
        _ => Act::Behave,
    });
    assert_diagnosis(
        &verdict(&clear),
        stage,
        Some(URL),
        "encrypted connections only",
        "set ?tls=required",
    );
}

#[test]
fn f13_refusal_of_sender_or_relaying_names_the_setting() {
    let server = SmtpServer::start();
    let near = url(server.url());
    let login = url(server.url().replace("://", "://u:p@"));
    let refuse = |at: &'static str, words: &'static str| {
        server.plays(move |step| if step.name() == at { Act::Say(words) } else { Act::Behave });
    };
    refuse("MAIL", "530 5.7.0 authentication required");
    assert_diagnosis(
        &verdict(&near),
        "sender",
        Some(URL),
        "signed-in users only",
        "user:password@host",
    );
    refuse("MAIL", "553 5.7.1 not yours");
    let from = Some("vestibule.mail.from");
    assert_diagnosis(&verdict(&near), "sender", from, "no-reply@", "may send from");
    refuse("RCPT", "554 5.7.1 relay access denied");
    assert_diagnosis(
        &verdict(&near),
        "recipient",
        Some(URL),
        "does not relay",
        "the user and the password",
    );
    assert_diagnosis(&verdict(&login), "recipient", Some(URL), "does not relay", "for this user");
    let hello = Some("vestibule.mail.hello_name");
    for (at, words, stage, setting, seen, advice) in [
        (
            "RCPT",
            "553 5.7.1 <a@b>: Sender address rejected: not owned by user u",
            "recipient",
            from,
            "refuses the sender",
            "may send from",
        ),
        (
            "RCPT",
            "450 4.7.1 <box>: Helo command rejected: Host not found",
            "recipient",
            hello,
            "in EHLO",
            "full name",
        ),
        ("EHLO", "504 5.5.2 no such name", "greeting", hello, "in EHLO", "full name"),
        (
            "RCPT",
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
            "recipient",
            None,
            "is on a block list",
            "from the block list",
        ),
        (
            "RCPT",
            "530 5.7.0 Must issue a STARTTLS command first",
            "recipient",
            Some(URL),
            "encrypted connections only",
            "?tls=required",
        ),
        ("AUTH", "503 5.5.1 not enabled", "authentication", Some(URL), "no sign-in", "leave out"),
        (
            "connected",
            "HTTP/1.1 400 Bad Request",
            "greeting",
            Some(URL),
            "not greet",
            "correct host",
        ),
    ] {
        refuse(at, words);
        assert_diagnosis(&verdict(&login), stage, setting, seen, advice);
    }
    server.plays(|step| if step.name() == "connected" { Act::HangUp } else { Act::Behave });
    assert_diagnosis(&verdict(&near), "greeting", None, "without a greeting", "may connect");
    refuse("RCPT", "550 5.7.1 looks like spam");
    assert_diagnosis(
        &verdict(&login),
        "recipient",
        None,
        "refuses this recipient",
        "another address",
    );
    refuse("RCPT", "550 5.1.1 no such user");
    assert_diagnosis(
        &verdict(&near),
        "recipient",
        None,
        "refuses this recipient",
        "another address",
    );
    refuse("DATA", "550 5.7.26 unauthenticated sender");
    assert_diagnosis(
        &verdict(&near),
        "content",
        from,
        "the content of the letter from `no-reply@",
        "SPF",
    );
    refuse("RCPT", "450 4.2.0 greylisted");
    assert_diagnosis(
        &verdict(&near),
        "recipient",
        None,
        "refuses the letter temporarily",
        "by itself",
    );
    refuse("connected", "554 5.7.1 go away");
    assert_diagnosis(&verdict(&near), "greeting", None, "refuses this machine", "may send");

    let authority = Authority::create();
    let starttls = SmtpServer::start_tls(&authority, "localhost");
    starttls.plays(|step| match step {
        Step::Sender(_) => Act::Say("530 5.7.0 must issue STARTTLS first"),
        _ => Act::Behave,
    });
    let clear = url(format!("{}?tls=none", starttls.url()));
    assert_diagnosis(
        &verdict(&clear),
        "sender",
        Some(URL),
        "encrypted connections only",
        "?tls=required",
    );
    starttls.plays(|step| match step {
        Step::Sender(_) => Act::Say("554 5.7.1 not yours"),
        _ => Act::Behave,
    });
    assert_diagnosis(
        &verdict(&clear),
        "sender",
        from,
        "refuses the sender `no-reply@",
        "may send from",
    );
    starttls.plays(|step| match step {
        Step::Sender(_) => Act::Say("530 5.7.0 authentication required"),
        _ => Act::Behave,
    });
    assert_diagnosis(
        &verdict(&clear),
        "sender",
        Some(URL),
        "signed-in users only",
        "user:password@host",
    );
}

#[test]
fn f15_test_letter_names_its_recipient_in_unicode() {
    let server = SmtpServer::start();
    let mut settings = url(server.url());
    settings.push(("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()));
    let program = Program::prepare(&settings);
    let output = program.exec(&["mail", "test", "ada@bücher.example"], "");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("A letter to ada@bücher.example was sent"), "{output:?}");
    // programs get the stored form
    let document = program.exec(&["mail", "test", "ada@bücher.example", "--json"], "").document();
    assert_eq!(document["email"], "ada@xn--bcher-kva.example");
}

#[test]
fn f13_unreachable_mail_server_is_named_with_host_and_port() {
    let gone = SmtpServer::start();
    gone.close();
    let found = verdict(&url(gone.url()));
    let port = format!("port {}", gone.port());
    assert_diagnosis(&found, "connection", Some(URL), &port, "correct host and port");
    let found = verdict(&url("smtp://nobody.invalid".to_owned()));
    assert_diagnosis(
        &found,
        "lookup",
        Some(URL),
        "`nobody.invalid` has no address",
        "correct the host",
    );
}
