//! Tests of the cause of failed deliveries: the recipient, the mail server or the service (R48).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocket::http::Status;
use serde_json::json;
use vestibule::storage::{LetterRecord, LetterState};
use vestibule::testing::{BEGINNING, PASSWORD, TestApp};

use crate::smtp::{Act, SmtpServer, Step};
use crate::support::{self, ADA};
use crate::support_accounts::post_as;

const POISONED: usize = 12;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(server: &SmtpServer) -> String {
    format!(
        "[default.vestibule.mail]\ntransport = \"smtp\"\ntimeout = \"2s\"\nsmtp_url = \"{}\"\n",
        server.url()
    )
}

async fn app_on(server: &SmtpServer) -> TestApp {
    support::configured(&settings(server)).await
}

async fn sign_up(app: &TestApp, email: &str) {
    assert_eq!(app.sign_up(email, PASSWORD).await, Status::Accepted);
}

fn person(number: usize) -> String {
    format!("person{number}@example.org")
}

fn is_poisoned(email: &str) -> bool {
    email.ends_with("@poison.example")
}

async fn outbox(app: &TestApp) -> Vec<LetterRecord> {
    const ALL: [LetterState; 4] =
        [LetterState::Waiting, LetterState::OnItsWay, LetterState::Dead, LetterState::Sent];
    let find = app.store().read(async |db| db.find_letters(&ALL, None, "", 1_000, BEGINNING).await);
    find.await.unwrap()
}

async fn count_in_state(app: &TestApp, state: LetterState) -> usize {
    outbox(app).await.iter().filter(|letter| letter.state == state).count()
}

/// Lets `steps` times `step` pass, with the courier at work.
async fn run_courier(app: &TestApp, steps: usize, step: Duration) {
    for _ in 0..steps {
        app.deliver().await;
        app.advance(step);
    }
    app.deliver().await;
}

/// A mail server's behaviour for a letter: the name of the step, and the act.
type ScriptedStep = (&'static str, Act);

fn script_step(server: &SmtpServer, (at, act): ScriptedStep, to_whom: fn(&str) -> bool) {
    let recipient = std::sync::Mutex::new(String::new());
    server.plays(move |step| {
        let mut last = recipient.lock().unwrap();
        match step {
            Step::Recipient(to) => to.clone_into(&mut last),
            Step::Letter(letter) => letter.to[0].clone_into(&mut last),
            _ => {}
        }
        match step.name() == at && to_whom(&last) {
            true => act,
            false => Act::Behave,
        }
    });
}

#[rocket::async_test]
async fn r48_s17_poisoned_recipients_delay_no_other_letter() {
    let whole = [
        ("RCPT", Act::Say("421 4.3.2 closing")),
        ("RCPT", Act::Say("450 4.2.0 later")),
        ("RCPT", Act::Say("454 4.7.0 not now")),
        ("RCPT", Act::Say("530 5.7.0 who are you?")),
        ("RCPT", Act::Say("550 5.7.1 no")),
        ("RCPT", Act::Say("554 no")),
        ("RCPT", Act::HangUp),
        ("letter", Act::Say("421 4.3.2 closing")),
        ("letter", Act::Say("451 4.3.0 later")),
        ("letter", Act::Say("535 5.7.8 who are you?")),
        ("letter", Act::Say("554 5.7.1 no")),
        ("letter", Act::HangUp),
    ];
    for step_and_act in whole {
        let server = SmtpServer::start();
        let app = app_on(&server).await;
        script_step(&server, step_and_act, is_poisoned);
        for number in 0..POISONED {
            sign_up(&app, &format!("p{number}@poison.example")).await;
        }
        app.deliver().await;
        for round in 0..6 {
            // no time passes between the sign-up and the letter
            sign_up(&app, &person(round)).await;
            app.deliver().await;
            assert_eq!(
                server.letters_to(&person(round)).len(),
                1,
                "{step_and_act:?}, round {round}"
            );
            // the service keeps delivering while it retries the poisoned letters
            run_courier(&app, 3, seconds(7)).await;
        }
        assert_eq!(server.letters().len(), 6, "{step_and_act:?}");
    }
}

#[rocket::async_test]
async fn r48_s17_limit_of_letters_per_connection_costs_no_attempt() {
    for (at, act) in [
        ("MAIL", Act::Say("421 4.7.0 too many letters on this connection")),
        ("RCPT", Act::Say("452 4.5.3 too many recipients on this connection")),
        ("DATA", Act::Say("421 4.7.0 too many letters on this connection")),
        ("MAIL", Act::HangUp),
        ("RCPT", Act::HangUp),
    ] {
        let server = SmtpServer::start();
        let app = app_on(&server).await;
        let taken = AtomicUsize::new(0);
        server.plays(move |step| match step {
            Step::Connected => {
                taken.store(0, Ordering::SeqCst);
                Act::Behave
            }
            Step::Letter(_) => {
                taken.fetch_add(1, Ordering::SeqCst);
                Act::Behave
            }
            step if step.name() == at && taken.load(Ordering::SeqCst) >= 2 => act,
            _ => Act::Behave,
        });
        for number in 0..6 {
            sign_up(&app, &person(number)).await;
            app.deliver().await;
            assert_eq!(server.letters_to(&person(number)).len(), 1, "{at} {act:?} {number}");
        }
        assert_eq!(server.connected(), 3, "{at}: a connection takes two letters");
        assert!(outbox(&app).await.iter().all(|letter| letter.tries == 0));
    }
}

#[rocket::async_test]
async fn r48_f12_refusal_of_every_letter_for_an_hour_loses_none() {
    for step_and_act in [
        ("connected", Act::Say("554 5.3.2 no service")),
        ("MAIL", Act::Say("550 5.7.1 not from you")),
        ("MAIL", Act::Say("552 5.2.2 over quota")),
        ("RCPT", Act::Say("550 5.7.1 relay access denied")),
        ("RCPT", Act::Say("550 5.1.8 bad sender")),
        ("RCPT", Act::Say("553 sorry")),
        ("RCPT", Act::Say("530 5.7.0 authentication required")),
        ("RCPT", Act::Say("452 4.5.3 too many")),
        ("DATA", Act::Say("554 5.7.1 quota exceeded")),
        ("DATA", Act::Say("535 5.7.8 who are you?")),
        ("letter", Act::Say("554 quota exceeded")),
        ("letter", Act::Say("552 5.3.4 too much for today")),
        ("letter", Act::Say("452 4.3.1 no room")),
    ] {
        let server = SmtpServer::start();
        let app = app_on(&server).await;
        sign_up(&app, ADA).await;
        app.deliver().await;
        assert_eq!(server.letters_to(ADA).len(), 1);
        // an open connection would not notice the change
        server.close();
        server.open();
        script_step(&server, step_and_act, |_| true);
        for number in 0..8 {
            sign_up(&app, &person(number)).await;
            app.deliver().await;
            app.advance(seconds(2));
        }
        run_courier(&app, 60, seconds(60)).await;
        assert_eq!(count_in_state(&app, LetterState::Waiting).await, 8, "{step_and_act:?}");
        server.behaves();
        run_courier(&app, 12, seconds(5)).await;
        for number in 0..8 {
            assert_eq!(server.letters_to(&person(number)).len(), 1, "{step_and_act:?} {number}");
        }
        assert_eq!(server.letters().len(), 9);
    }
}

#[rocket::async_test]
async fn r48_f12_dead_letters_are_retried_once_after_the_server_accepts_one() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    script_step(&server, ("RCPT", Act::Say("550 5.1.1 no such user")), |_| true);
    for number in 0..3 {
        sign_up(&app, &person(number)).await;
        app.deliver().await;
    }
    // this answer says that the addresses are wrong, so no letter is retried
    assert_eq!(count_in_state(&app, LetterState::Dead).await, 3);
    run_courier(&app, 20, seconds(60)).await;
    assert_eq!(count_in_state(&app, LetterState::Dead).await, 3);
    // two refusals were the server's fault, and one address is really wrong
    script_step(&server, ("RCPT", Act::Say("550 5.1.1 no such user")), |to| {
        to.starts_with("person1@")
    });
    sign_up(&app, ADA).await;
    run_courier(&app, 3, seconds(5)).await;
    for (number, count) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(server.letters_to(&person(number)).len(), count);
    }
    assert_eq!(count_in_state(&app, LetterState::Dead).await, 1);
    let said_to_the_wrong_one = || {
        let commands = server.commands();
        commands.iter().filter(|said| said.contains("person1@")).count()
    };
    assert_eq!(said_to_the_wrong_one(), 2, "the wrong address is tried once more only");
    sign_up(&app, &person(9)).await;
    run_courier(&app, 60, seconds(60)).await;
    assert_eq!(said_to_the_wrong_one(), 2);
}

#[rocket::async_test]
async fn r48_f12_single_permanent_refusal_among_accepted_letters_is_final() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    script_step(&server, ("letter", Act::Say("554 5.7.1 spam")), is_poisoned);
    for number in 0..3 {
        sign_up(&app, &person(number)).await;
        app.deliver().await;
    }
    sign_up(&app, "p0@poison.example").await;
    app.deliver().await;
    sign_up(&app, ADA).await;
    run_courier(&app, 10, seconds(60)).await;
    let letters = outbox(&app).await;
    let dead: Vec<_> = letters.iter().filter(|it| it.state == LetterState::Dead).collect();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].email.as_str(), dead[0].tries), ("p0@poison.example", 1));
    let said = server.commands();
    assert_eq!(said.iter().filter(|said| said.contains("p0@poison.example")).count(), 1);
}

#[rocket::async_test]
async fn r48_f12_server_that_accepts_one_letter_in_five_gets_all_letters() {
    for (at, act) in [
        ("DATA", Act::Say("554 5.7.1 quota exceeded")),
        ("letter", Act::Say("554 quota exceeded")),
        ("RCPT", Act::Say("452 4.5.3 too many")),
    ] {
        let server = SmtpServer::start();
        let app = app_on(&server).await;
        let seen = AtomicUsize::new(0);
        server.plays(move |step| match step.name() == at {
            true if !seen.fetch_add(1, Ordering::SeqCst).is_multiple_of(5) => act,
            _ => Act::Behave,
        });
        // four of five attempts are refused, so no refusal stands alone: a single refusal between
        // two accepted letters would be final
        for number in 0..20 {
            sign_up(&app, &person(number)).await;
            app.deliver().await;
        }
        run_courier(&app, 120, seconds(15)).await;
        // the last letters leave by their own retries, with pauses that double
        run_courier(&app, 40, seconds(900)).await;
        let letters = outbox(&app).await;
        let left = letters.iter().filter(|letter| letter.state == LetterState::Sent).count();
        assert_eq!(left, 20, "{at}: {letters:?}");
        for number in 0..20 {
            assert_eq!(server.letters_to(&person(number)).len(), 1, "{at} {number}");
        }
    }
}

#[rocket::async_test]
async fn r48_f12_new_courier_retries_letters_that_died_before_its_start() {
    let database = support::database().await;
    let server = SmtpServer::start();
    script_step(&server, ("DATA", Act::Say("554 5.7.1 quota exceeded")), |_| true);
    let app = TestApp::on_database(&database.url, &settings(&server)).await;
    sign_up(&app, &person(0)).await;
    app.deliver().await;
    assert_eq!(count_in_state(&app, LetterState::Dead).await, 1);
    drop(app);
    let app = TestApp::on_database(&database.url, &settings(&server)).await;
    app.courier_begins().await;
    sign_up(&app, &person(1)).await;
    app.deliver().await;
    assert_eq!(count_in_state(&app, LetterState::Waiting).await, 2);
    server.behaves();
    run_courier(&app, 12, seconds(5)).await;
    for number in 0..2 {
        assert_eq!(server.letters_to(&person(number)).len(), 1);
    }
}

#[rocket::async_test]
async fn r48_f12_notice_of_a_deletion_waits_for_the_server() {
    let server = SmtpServer::start();
    let app = app_on(&server).await;
    sign_up(&app, ADA).await;
    app.deliver().await;
    let letter = &server.letters_to(ADA)[0];
    let link = letter.raw.lines().find(|line| line.contains("/activate?token=")).unwrap();
    let token = link.split_once("token=").unwrap().1;
    let answer = app.post_json("/v1/activations", &json!({ "token": token })).await;
    assert_eq!(answer.status(), Status::Ok);
    let ada = app.sign_in(ADA).await;
    script_step(&server, ("letter", Act::Say("554 quota exceeded")), |_| true);
    let answer = post_as(&ada, "/v1/me/deletion", &json!({ "password": PASSWORD })).await;
    assert_eq!(answer.status, Status::NoContent);
    run_courier(&app, 60, seconds(60)).await;
    server.behaves();
    run_courier(&app, 12, seconds(5)).await;
    assert_eq!(server.letters_to(ADA).len(), 2);
    assert!(outbox(&app).await.is_empty(), "the outbox keeps no row of a deleted account");
}
