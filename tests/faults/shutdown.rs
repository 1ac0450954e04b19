//! Tests of a shutdown: SIGTERM with many clients at work (R53).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::deployment::{Data, Deployment};
use crate::postgres::lasting_cluster;
use crate::received_letters::ReceivedLetters;
use crate::service::{PASSWORD, connect, poll_until_some, try_request};

const CLIENTS: usize = 16;
const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const DELAY: Duration = Duration::from_secs(2);

/// The clients' observations.
#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<u16, u64>,
    /// Requests that were sent whole and never answered: from clients that heed readiness, and from
    /// the rest.
    dropped: [Vec<String>; 2],
    /// When connections began to be refused.
    refused: Option<Instant>,
}

impl Seen {
    fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }
}

/// A client that signs people up. If it heeds readiness, it stops when readiness fails, as behind a
/// load balancer; otherwise it goes on until connections are refused. Half of the clients keep
/// their connections.
fn client(port: u16, number: usize, heeds: bool, leave: &AtomicBool, seen: &Mutex<Seen>) {
    let seen = || seen.lock().expect("no client failed");
    let mut kept = None;
    for round in 0.. {
        if heeds && leave.load(Ordering::Acquire) {
            break;
        }
        let is_fresh = kept.is_none();
        let Ok(mut connection) = kept.take().map_or_else(|| connect(port), Ok) else {
            seen().refused.get_or_insert_with(Instant::now);
            break;
        };
        let (email, body) = sign_up(round, number);
        match connection.exchange("POST", "/v1/accounts", &JSON, &body) {
            Ok(answer) => {
                *seen().statuses.entry(answer.status).or_default() += 1;
                let ends = answer.header("connection").is_some_and(|value| value == "close");
                kept = (number % 4 < 2 && !ends).then_some(connection);
            }
            // the service may close an idle connection while the next request is on its way:
            // HTTP/1.1 cannot avoid that (RFC 9112 §9.5)
            Err(_) if !is_fresh => {}
            Err(error) => seen().dropped[usize::from(!heeds)].push(format!("{email}: {error}")),
        }
    }
}

fn sign_up(round: usize, client: usize) -> (String, String) {
    let email = format!("n{round}@c{client}.example");
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    (email, body)
}

/// A request that the service accepts before the listener closes, and that is complete only
/// afterwards.
fn straddling_request(port: u16, number: usize, signal: Instant) {
    let (email, body) = sign_up(number, CLIENTS);
    sleep((DELAY - Duration::from_secs(1)).saturating_sub(signal.elapsed()));
    let mut connection = connect(port).expect("the service still listens");
    let answer = connection.exchange_in_two_parts("/v1/accounts", &JSON, &body, || {
        poll_until_some(|| connect(port).is_err().then_some(()))
            .expect("the service stops listening");
    });
    let answer = answer.unwrap_or_else(|error| panic!("{email} was accepted and dropped: {error}"));
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// Checks that readiness answers 503 at once, that the listener stays for the configured time, that
/// every accepted request is answered, and that the exit code is 0.
fn check_shutdown(data: Data) {
    let received_letters = ReceivedLetters::open();
    let mut deployment =
        Deployment::start(data, &received_letters, &[("VESTIBULE_SHUTDOWN__DELAY", "2s")]);
    let port = deployment.service.port;
    let (leave, seen) = (AtomicBool::new(false), Mutex::new(Seen::default()));
    let listened = thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (leave, seen) = (&leave, &seen);
            scope.spawn(move || client(port, number, number % 2 == 0, leave, seen));
        }
        let at_work = || (seen.lock().expect("no client failed").answered() > 50).then_some(());
        poll_until_some(at_work).expect("clients at work");
        deployment.service.terminate();
        let signal = Instant::now();
        for number in 0..4 {
            scope.spawn(move || straddling_request(port, number, signal));
        }
        let unready = poll_until_some(|| {
            let answer = try_request(port, "GET", "/health/ready", &[], "").ok()?;
            (answer.status == 503).then_some(answer)
        });
        assert!(unready.expect("503 while it listens").header("retry-after").is_some());
        assert!(signal.elapsed() < DELAY, "readiness failed only after {:?}", signal.elapsed());
        leave.store(true, Ordering::Release);
        assert_eq!(deployment.service.exit_code(), Some(0), "{}", deployment.service.log());
        signal
    });
    let seen = seen.into_inner().expect("no client failed");
    let listened =
        seen.refused.map(|refused| refused - listened).expect("the service stopped listening");
    println!("SIGTERM: listened for {listened:?}: {:?}", seen.statuses);
    assert!(
        listened >= DELAY - Duration::from_millis(50),
        "the listener closed after {listened:?}"
    );
    let [heeding, stubborn] = seen.dropped;
    assert!(heeding.is_empty(), "dropped: {heeding:?}");
    // a client that connects in the moment in which the listener closes gets a connection that the
    // service has not accepted; if many do, it was more than a moment
    assert!(stubborn.len() <= CLIENTS / 4, "dropped: {stubborn:?}");
    println!("SIGTERM: {} came in the moment of closing", stubborn.len());
    assert!(seen.statuses.keys().all(|status| *status == 202), "{:?}", seen.statuses);
    assert!(!deployment.service.log().contains("outstanding"), "{}", deployment.service.log());
}

#[test]
fn r53_sigterm_under_load_drops_no_request_on_sqlite() {
    check_shutdown(Data::File(tempfile::TempDir::new().expect("a temporary directory")));
}

#[test]
fn r53_sigterm_under_load_drops_no_request_on_postgresql() {
    let Some(cluster) = lasting_cluster(&[]) else { return };
    let url = cluster.new_database();
    check_shutdown(Data::Server(cluster, url));
}
