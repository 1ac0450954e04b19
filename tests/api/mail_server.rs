//! Tests of the delivery of letters under every behaviour of the mail server (R48), and of the
//! letters that it has accepted (R49).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocket::http::Status;
use rocket::tokio::time::Instant;
use serde_json::json;
use vestibule::storage::{LetterRecord, LetterState};
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::smtp::{Act, Authority, Letter, SmtpServer, Step};
use crate::support::{self, ADA, Database};

const BOB: &str = "bob@example.org";
const ALL_STATES: [LetterState; 4] =
    [LetterState::Waiting, LetterState::OnItsWay, LetterState::Dead, LetterState::Sent];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The service with this mail server and a time-out of two seconds.
async fn app_on(server: &SmtpServer) -> TestApp {
    app_with(&server.url(), "").await
}

async fn app_with(url: &str, more: &str) -> TestApp {
    support::configured(&settings(url, more)).await
}

fn settings(url: &str, more: &str) -> String {
    let mail = "[default.vestibule.mail]\ntransport = \"smtp\"\ntimeout = \"2s\"\n";
    format!("{mail}smtp_url = \"{url}\"\n{more}")
}

/// A person signs up; the service acknowledges that under every behaviour of the mail server.
async fn sign_up(app: &TestApp, email: &str) {
    assert_eq!(app.sign_up(email, PASSWORD).await, Status::Accepted);
}

/// The letters in the outbox.
async fn outbox(app: &TestApp) -> Vec<LetterRecord> {
    let now = BEGINNING;
    let store = app.store();
    store.read(async |db| db.find_letters(&ALL_STATES, None, "", 1_000, now).await).await.unwrap()
}

async fn letter_to(app: &TestApp, email: &str) -> LetterRecord {
    let mut letters = outbox(app).await;
    letters.retain(|letter| letter.email.as_str() == email);
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

/// Lets a minute pass in steps, with only the courier at work.
async fn run_courier_for_a_minute(app: &TestApp) {
    for _ in 0..12 {
        app.advance(seconds(5));
        app.deliver().await;
    }
}

/// Checks that each of these people has got one letter.
fn assert_one_letter_each(server: &SmtpServer, people: &[String]) {
    for email in people {
        assert_eq!(server.letters_to(email).len(), 1, "{email}");
    }
    assert_eq!(server.letters().len(), people.len());
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("person{number}@example.org")).collect()
}

/// Checks that letters outlast a day of this behaviour of the server. Once the server works again,
/// each person has their letter within a minute, and no letter was counted as at fault.
async fn assert_letters_outlast(
    plays: impl Fn(&SmtpServer),
    ends: impl Fn(&SmtpServer),
    hours: u64,
) {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    plays(&server);
    let people = people(12);
    for email in &people {
        sign_up(&app, email).await;
    }
    for _ in 0..hours * 4 {
        app.deliver().await;
        app.advance(seconds(15 * 60));
    }
    app.deliver().await;
    assert!(server.letters().is_empty());
    ends(&server);
    run_courier_for_a_minute(&app).await;
    assert_one_letter_each(&server, &people);
}

#[rocket::async_test]
async fn r48_letters_outlast_a_server_that_refuses_connections() {
    assert_letters_outlast(SmtpServer::close, SmtpServer::open, 24).await;
}

#[rocket::async_test]
async fn r48_letters_outlast_a_server_that_greets_with_421() {
    let closing = |step: Step<'_>| match step {
        Step::Connected => Act::Say("421 4.3.2 closing"),
        _ => Act::Behave,
    };
    assert_letters_outlast(|server| server.plays(closing), SmtpServer::behaves, 24).await;
}

#[rocket::async_test]
async fn r48_letters_outlast_a_server_that_greylists_every_recipient() {
    let later = |step: Step<'_>| match step {
        Step::Recipient(_) => Act::Say("450 4.2.0 greylisted"),
        _ => Act::Behave,
    };
    assert_letters_outlast(|server| server.plays(later), SmtpServer::behaves, 24).await;
}

#[rocket::async_test]
async fn r48_letters_outlast_a_server_that_refuses_the_sender() {
    let refuse = |step: Step<'_>| match step {
        Step::Sender(_) => Act::Say("550 5.7.1 not from you"),
        _ => Act::Behave,
    };
    assert_letters_outlast(|server| server.plays(refuse), SmtpServer::behaves, 24).await;
}

#[rocket::async_test]
async fn r48_outage_counts_no_failed_attempt() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    for (play, words) in [
        (None, "refused"),
        (Some("connected"), "421 4.3.2 down"),
        (Some("EHLO"), "421 4.3.2 down"),
        (Some("MAIL"), "421 4.3.2 down"),
    ] {
        // an open connection would not notice the change
        server.close();
        server.open();
        match play {
            None => server.close(),
            Some(at) => server.plays(move |step| match step.name() == at {
                true => Act::Say("421 4.3.2 down"),
                false => Act::Behave,
            }),
        }
        sign_up(&app, ADA).await;
        for _ in 0..30 {
            app.deliver().await;
            app.advance(seconds(60));
        }
        let letter = outbox(&app).await.pop().unwrap();
        assert_eq!((letter.state, letter.tries), (LetterState::Waiting, 0), "{letter:?}");
        assert!(letter.last_error.unwrap().contains(words));
        server.open();
        server.behaves();
        run_courier_for_a_minute(&app).await;
        assert!(outbox(&app).await.iter().all(|letter| letter.state == LetterState::Sent));
        // so that the hourly limit on letters has no effect
        app.advance(seconds(3_600));
    }
}

#[rocket::async_test]
async fn r48_bad_recipients_delay_no_other_letter() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    server.plays(|step| match step {
        Step::Recipient("person3@example.org") => Act::Say("450 4.2.2 mailbox full"),
        Step::Recipient("person5@example.org") => Act::Say("550 5.1.1 no such user\tgo\x1b[2Jaway"),
        Step::Recipient("person7@example.org") => Act::HangUp,
        _ => Act::Behave,
    });
    let people = people(30);
    for email in &people {
        sign_up(&app, email).await;
    }
    app.deliver().await;
    assert_eq!(server.letters().len(), 27);
    let full = letter_to(&app, "person3@example.org").await;
    // at most one attempt more than its own retries, made when the server accepted others
    assert!(full.state == LetterState::Waiting && full.tries <= 2, "{full:?}");
    assert_eq!(full.last_error.as_deref(), Some("450 4.2.2 mailbox full"));
    let unknown = letter_to(&app, "person5@example.org").await;
    assert_eq!(unknown.state, LetterState::Dead);
    assert_eq!(unknown.last_error.as_deref(), Some("550 5.1.1 no such user go [2Jaway"));
    assert_eq!(letter_to(&app, "person7@example.org").await.state, LetterState::Waiting);

    // a new letter leaves at once beside the waiting ones
    sign_up(&app, ADA).await;
    app.deliver().await;
    assert_eq!(server.letters_to(ADA).len(), 1);
    app.advance(seconds(60));
    app.deliver().await;
    assert!(letter_to(&app, "person3@example.org").await.tries > 1);
    server.behaves();
    app.advance(seconds(300));
    app.deliver().await;
    assert_eq!(server.letters_to("person3@example.org").len(), 1);
    assert_eq!(server.letters_to("person7@example.org").len(), 1);
    assert!(server.letters_to("person5@example.org").is_empty());
}

#[rocket::async_test]
async fn r48_letter_with_only_temporary_refusals_is_dead_after_two_days() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    server.plays(|step| match step {
        Step::Recipient(to) if to == ADA => Act::Say("452 4.2.2 over quota"),
        _ => Act::Behave,
    });
    sign_up(&app, ADA).await;
    app.deliver().await;
    sign_up(&app, BOB).await;
    app.deliver().await;
    let mut pauses = Vec::new();
    let mut waited = Duration::ZERO;
    let mut tries = 1;
    loop {
        app.advance(seconds(5));
        waited += seconds(5);
        app.deliver().await;
        let letter = letter_to(&app, ADA).await;
        if letter.tries > tries || letter.state == LetterState::Dead {
            tries = letter.tries;
            pauses.push(std::mem::take(&mut waited));
        }
        if letter.state == LetterState::Dead {
            break;
        }
        // far from the next attempt the clock takes larger steps
        if waited > seconds(600) {
            app.advance(seconds(600));
            waited += seconds(600);
        }
    }
    assert_eq!(tries, 17);
    let total: Duration = pauses.iter().sum();
    assert!(total > seconds(44 * 3_600) && total < seconds(60 * 3_600), "{total:?}");
    // each pause is at least as long as the one before, for every random draw
    assert!(pauses[2..12].is_sorted(), "{pauses:?}");
}

#[rocket::async_test]
async fn r48_connection_lost_before_acceptance_makes_no_duplicate() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    let lost = AtomicUsize::new(0);
    server.plays(move |step| match step {
        Step::Letter(_) if lost.fetch_add(1, Ordering::SeqCst) == 0 => Act::HangUp,
        _ => Act::Behave,
    });
    sign_up(&app, ADA).await;
    app.deliver().await;
    assert!(server.letters().is_empty());
    run_courier_for_a_minute(&app).await;
    assert_eq!(server.letters_to(ADA).len(), 1);
}

#[rocket::async_test]
async fn r48_a_lost_answer_makes_a_duplicate_with_the_same_message_id() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    let lost = AtomicUsize::new(0);
    server.plays(move |step| match step {
        Step::Letter(_) if lost.fetch_add(1, Ordering::SeqCst) == 0 => Act::LoseTheAnswer,
        _ => Act::Behave,
    });
    sign_up(&app, ADA).await;
    app.deliver().await;
    assert_eq!(server.letters_to(ADA).len(), 1);
    run_courier_for_a_minute(&app).await;
    let letters = server.letters_to(ADA);
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].message_id, letters[1].message_id);
    assert_eq!([letters[0].answer_lost, letters[1].answer_lost], [true, false]);
    // each letter has a link of its own, and both links work
    for letter in &letters {
        let body = json!({ "token": token_in(letter) });
        assert_eq!(app.post_json("/v1/activations", &body).await.status(), Status::Ok);
    }
}

/// The token in the link of a letter's text, which has a line of its own.
fn token_in(letter: &Letter) -> String {
    let line = letter.raw.lines().find(|line| line.contains("/activate?token="));
    let link = line.expect("a link in one piece");
    assert!(link.starts_with("https://"), "{link}");
    link.split_once("token=").expect("a token").1.to_owned()
}

#[rocket::async_test]
async fn r48_hanging_server_delays_letters_by_the_timeout_at_most() {
    for at in ["connected", "MAIL", "RCPT", "DATA"] {
        let server = SmtpServer::start();
        let app = app_on(&server).await;
        let hung = AtomicUsize::new(0);
        server.plays(move |step| {
            let is_there = step.name() == at;
            match is_there && hung.fetch_add(1, Ordering::SeqCst) == 0 {
                true => Act::Hang,
                false => Act::Behave,
            }
        });
        let people = people(9);
        for email in &people {
            sign_up(&app, email).await;
        }
        let begun = Instant::now();
        app.deliver().await;
        assert!(begun.elapsed() < seconds(8), "{:?}", begun.elapsed());
        assert!(server.letters().len() >= 7, "the other letters are not delayed");
        run_courier_for_a_minute(&app).await;
        assert_one_letter_each(&server, &people);
    }
}

#[rocket::async_test]
async fn r48_late_reply_is_not_taken_for_the_reply_to_the_next_letter() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    // the first answer comes after the service's time-out; the recipient after it does not exist
    let slow = AtomicUsize::new(0);
    server.plays(move |step| match step {
        Step::Sender(_) if slow.fetch_add(1, Ordering::SeqCst) == 0 => {
            Act::Slowly(Duration::from_millis(150))
        }
        Step::Recipient(to) if to == BOB => Act::Say("550 5.1.1 no such user"),
        _ => Act::Behave,
    });
    sign_up(&app, ADA).await;
    app.deliver().await;
    sign_up(&app, BOB).await;
    std::thread::sleep(seconds(1));
    run_courier_for_a_minute(&app).await;
    assert_eq!(letter_to(&app, BOB).await.state, LetterState::Dead);
    assert_eq!(server.letters_to(ADA).len(), 1);
}

#[rocket::async_test]
async fn r48_slow_reply_within_the_timeout_is_accepted() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    server.plays(|_| Act::Slowly(Duration::from_millis(1)));
    sign_up(&app, ADA).await;
    app.deliver().await;
    assert_eq!(server.letters_to(ADA).len(), 1);
    assert_eq!(letter_to(&app, ADA).await.tries, 0);
}

#[rocket::async_test]
async fn r48_connections_are_reused_and_replaced_after_a_restart() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    for email in people(5) {
        sign_up(&app, &email).await;
        app.deliver().await;
    }
    assert_eq!(server.connected(), 1);
    // the server restarts between two letters, which has no effect
    server.close();
    server.open();
    sign_up(&app, ADA).await;
    app.deliver().await;
    assert_eq!(server.letters_to(ADA).len(), 1);
    assert_eq!(server.letters().len(), 6);
}

#[rocket::async_test]
async fn r48_courier_that_lost_its_lease_while_sending_records_nothing() {
    let database = support::database().await;
    let server = SmtpServer::start();
    let one = node(&database, &server).await;
    sign_up(&one, ADA).await;
    // the answer to the final dot comes when the lease has ended and another node has the letter
    let other = node(&database, &server).await;
    let first = AtomicUsize::new(0);
    server.plays(move |step| match step {
        Step::Letter(_) if first.fetch_add(1, Ordering::SeqCst) == 0 => {
            Act::Slowly(Duration::from_millis(40))
        }
        _ => Act::Behave,
    });
    let lease_runs_out = async {
        wait_for_letters(&server, 1).await;
        other.advance(seconds(60));
        other.deliver().await;
    };
    rocket::futures::future::join(one.deliver(), lease_runs_out).await;
    let letters = server.letters_to(ADA);
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].message_id, letters[1].message_id);
    let letter = letter_to(&one, ADA).await;
    assert_eq!((letter.state, letter.tries), (LetterState::Sent, 0));
    // the node with the newer lease recorded it
    assert_eq!(letter.sent_at, Some(BEGINNING + seconds(60)));
    one.advance(seconds(600));
    one.deliver().await;
    assert_eq!(server.letters().len(), 2);
}

#[rocket::async_test]
async fn r48_delayed_courier_leaves_the_letter_to_the_next_lease() {
    let server = SmtpServer::start();
    // with one connection, writers take turns
    let one = "[default.databases.vestibule]\nmax_connections = 1";
    let app = app_with(&server.url(), one).await;
    sign_up(&app, ADA).await;
    // the lease lasts 17 seconds, of which the mail server may take two
    let held_up = async {
        while !is_on_its_way(&app).await {}
        app.advance(seconds(16));
    };
    rocket::futures::future::join(app.deliver(), held_up).await;
    assert!(server.letters().is_empty());
    app.advance(seconds(1));
    app.deliver().await;
    assert_eq!(server.letters_to(ADA).len(), 1);
    assert_eq!(letter_to(&app, ADA).await.tries, 0);
}

/// Whether the letter is on its way, as a writer reads it.
async fn is_on_its_way(app: &TestApp) -> bool {
    let find =
        app.store().write(async |tx| tx.find_letters(&ALL_STATES, None, "", 9, BEGINNING).await);
    find.await.unwrap().iter().any(|letter| letter.state == LetterState::OnItsWay)
}

/// One of several nodes on a database.
async fn node(database: &Database, server: &SmtpServer) -> TestApp {
    TestApp::on_database(&database.url, &settings(&server.url(), "")).await
}

async fn wait_for_letters(server: &SmtpServer, count: usize) {
    while server.letters().len() < count {
        rocket::tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[rocket::async_test]
async fn r48_new_courier_soon_retries_letters_refused_before_its_start() {
    let database = support::database().await;
    let server = SmtpServer::start();
    let app = node(&database, &server).await;
    server.plays(|step| match step {
        Step::Recipient(_) => Act::Say("450 4.2.0 later"),
        _ => Act::Behave,
    });
    sign_up(&app, ADA).await;
    for _ in 0..20 {
        app.deliver().await;
        app.advance(seconds(600));
    }
    let due_at = letter_to(&app, ADA).await.due_at;
    drop(app);
    server.behaves();
    let app = node(&database, &server).await;
    app.advance(seconds(20 * 600));
    assert!(due_at > BEGINNING + seconds(20 * 600 + 60), "the next regular attempt is later");
    app.courier_begins().await;
    run_courier_for_a_minute(&app).await;
    assert_eq!(server.letters_to(ADA).len(), 1);
}

#[rocket::async_test]
async fn required_tls_sends_only_to_a_server_with_a_valid_certificate() {
    let (authority, stranger) = (Authority::create(), Authority::create());
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let trusting = format!("ca_file = \"{}\"\n", file.display());
    let cases = [
        (SmtpServer::start_tls(&authority, "localhost"), "smtp", None),
        (SmtpServer::implicit_tls(&authority, "localhost"), "smtps", None),
        (SmtpServer::start_tls(&stranger, "localhost"), "smtp", Some("invalid peer certificate")),
        (
            SmtpServer::implicit_tls(&stranger, "localhost"),
            "smtps",
            Some("invalid peer certificate"),
        ),
        (
            SmtpServer::start_tls(&authority, "elsewhere.example"),
            "smtp",
            Some("not valid for name"),
        ),
        (SmtpServer::start(), "smtp", Some("no STARTTLS")),
    ];
    for (server, scheme, problem) in cases {
        let url = format!("{scheme}://ada:pass%20word@localhost:{}?tls=required", server.port());
        let app = app_with(&url, &trusting).await;
        sign_up(&app, ADA).await;
        app.deliver().await;
        let letter = letter_to(&app, ADA).await;
        match problem {
            None => {
                assert_eq!(server.letters_to(ADA).len(), 1, "{letter:?}");
                let logins = server.logins();
                assert_eq!(logins.len(), 1);
                assert!(logins[0].encrypted);
                assert_eq!((&*logins[0].user, &*logins[0].password), ("ada", "pass word"));
            }
            Some(words) => {
                assert!(server.letters().is_empty() && server.logins().is_empty());
                assert_eq!((letter.state, letter.tries), (LetterState::Waiting, 0));
                let said = letter.last_error.unwrap();
                assert!(said.contains(words), "{said}");
            }
        }
    }
}

#[rocket::async_test]
async fn opportunistic_tls_uses_starttls_where_offered() {
    let authority = Authority::create();
    for server in [SmtpServer::start_tls(&authority, "elsewhere.example"), SmtpServer::start()] {
        let app = app_on(&server).await;
        sign_up(&app, ADA).await;
        app.deliver().await;
        assert_eq!(server.letters_to(ADA).len(), 1, "{:?}", outbox(&app).await);
        let commands = server.commands();
        let offered = server.offers_starttls();
        assert_eq!(commands.iter().any(|command| command == "STARTTLS"), offered);
        // with `tls=none` the service sends no STARTTLS, even where the server offers it
        let none = app_with(&format!("{}?tls=none", server.url()), "").await;
        sign_up(&none, BOB).await;
        none.deliver().await;
        assert_eq!(server.letters_to(BOB).len(), 1);
        assert_eq!(
            server.commands().iter().filter(|said| *said == "STARTTLS").count(),
            usize::from(offered)
        );
    }
}

#[rocket::async_test]
async fn r48_refused_smtp_password_counts_no_failed_attempt() {
    let server = SmtpServer::start();
    server.plays(|step| match step {
        Step::Auth { password: "right", .. } => Act::Behave,
        Step::Auth { .. } => Act::Say("535 5.7.8 no"),
        _ => Act::Behave,
    });
    let url = server.url().replace("://", "://ada:wrong@");
    let app = app_with(&url, "hello_name = \"accounts.example.org\"\n").await;
    sign_up(&app, ADA).await;
    app.deliver().await;
    let letter = letter_to(&app, ADA).await;
    assert_eq!((letter.state, letter.tries), (LetterState::Waiting, 0));
    assert_eq!(letter.last_error.as_deref(), Some("535 5.7.8 no"));
    assert_eq!(server.commands()[0], "EHLO accounts.example.org");
}

#[rocket::async_test]
async fn r36_f5_sender_and_hello_name_are_sent_as_a_labels() {
    let server = SmtpServer::start();
    let more = "from = \"Bücher & Söhne <Konto@bücher.example>\"\nhello_name = \"konten.bücher.example\"\n";
    let app = app_with(&server.url(), more).await;
    sign_up(&app, ADA).await;
    app.deliver().await;
    let letter = &server.letters_to(ADA)[0];
    assert_eq!(letter.from, "Konto@xn--bcher-kva.example");
    let head = letter.raw.split_once("\r\n\r\n").unwrap().0;
    assert!(head.contains("<Konto@xn--bcher-kva.example>"), "{head}");
    assert_eq!(server.commands()[0], "EHLO konten.xn--bcher-kva.example");
    assert!(server.commands().iter().all(|command| command.is_ascii()));
}

#[rocket::async_test]
async fn r37_r49_line_with_a_single_dot_is_preserved() {
    let server = SmtpServer::start();
    let name = "[default.vestibule]\nname = \".\"\n";
    let mail = settings(&server.url(), "from = \"no-reply@accounts.example.org\"\n");
    let app = support::configured(&format!("{name}{mail}")).await;
    sign_up(&app, ADA).await;
    sign_up(&app, BOB).await;
    app.deliver().await;
    for to in [ADA, BOB] {
        let letter = &server.letters_to(to)[0];
        // the service's name ends the text, on a line of its own
        assert!(letter.raw.contains("\r\n.\r\nhttps://accounts.example.org\r\n"), "{}", letter.raw);
        assert!(letter.raw.contains("</html>"));
    }
}

#[rocket::async_test]
async fn r49_letters_arrive_with_unbroken_headers_and_links() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    sign_up(&app, ADA).await;
    app.deliver().await;
    let letter = &server.letters_to(ADA)[0];
    assert_eq!(
        (letter.from.as_str(), letter.to.as_slice()),
        ("no-reply@accounts.example.org", [ADA.to_owned()].as_slice())
    );
    assert!(letter.message_id.ends_with("@accounts.example.org>"));
    let head = letter.raw.split_once("\r\n\r\n").unwrap().0;
    for header in
        ["Date: ", "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "Content-Language: en"]
    {
        assert_eq!(head.matches(header).count(), 1, "{header}");
    }
    assert!(letter.raw.is_ascii());
    assert!(letter.raw.lines().all(|line| line.len() <= 998));
    let body = json!({ "token": token_in(letter) });
    assert_eq!(app.post_json("/v1/activations", &body).await.status(), Status::Ok);
}
