//! Tests that every answer belongs to the account that asked: clients of many accounts, behind the
//! real nginx and the real Caddy with the configurations in `deploy/`, while nodes are killed,
//! stopped and started again.
//!
//! A proxy that sends a request to a second node may send another request's body with it. Up to
//! Caddy 2.10.2 `request_buffers` did so, and people got each other's sessions.

#![expect(clippy::disallowed_methods, reason = "the test measures real time")]

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::proxy::{self, shipped};
use crate::reverse_proxies::Front;
use crate::service::{self, Answer, Connection, PASSWORD, Service};

/// Accounts, with one client each.
const CLIENTS: usize = 12;
/// The minimum of answers of each kind before and after each kill; a run with fewer shows nothing.
const ENOUGH: usize = 25;
/// The shortest time between kills, longer than the health check's interval: until its check, Caddy
/// tries dead nodes.
const SHORTEST: Duration = Duration::from_millis(2_500);
const LONGEST: Duration = Duration::from_secs(30);
/// Requests of one connection and one address; nginx limits the requests of an address.
const REQUESTS: usize = 12;
/// The pause before a client repeats a refused or unanswered request.
const PAUSE: Duration = Duration::from_millis(5);

#[test]
fn o1_answers_behind_nginx_belong_to_the_requesting_account() {
    if let Some(program) = proxy::nginx() {
        no_mixups(|nodes| Front::nginx(&program, nodes));
    }
}

#[test]
fn o1_answers_behind_caddy_belong_to_the_requesting_account() {
    if let Some(program) = proxy::caddy() {
        no_mixups(|nodes| Front::caddy(&program, nodes));
    }
}

#[test]
fn o1_answers_behind_the_pinned_caddy_belong_to_the_requesting_account() {
    if let Some(program) = proxy::pinned_caddy() {
        no_mixups(|nodes| Front::caddy(&program, nodes));
    }
}

#[test]
fn o1_pinned_caddy_is_recent_enough_and_buffers_no_requests() {
    let version: Vec<u32> =
        proxy::pinned_version().split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(version >= vec![2, 11, 9], "{version:?}");
    let mut seen = 0;
    for folder in ["caddy", "compose"] {
        for entry in std::fs::read_dir(shipped(folder)).expect("a folder").flatten() {
            if !entry.file_name().to_string_lossy().ends_with("Caddyfile") {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("a file");
            let settings = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            for line in settings {
                assert!(!line.starts_with("request_buffers"), "{}", entry.path().display());
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 3, "Caddyfiles in deploy/");
}

/// The number of checked answers of each kind, and all faults in them.
#[derive(Default)]
struct Tally {
    /// Answers of `GET /v1/me`, `PATCH /v1/me` and the refresh grant.
    answers: [AtomicUsize; 3],
    wrong: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Tally {
    fn counts(&self) -> [usize; 3] {
        self.answers.each_ref().map(|count| count.load(Ordering::SeqCst))
    }

    fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check(&self, kind: usize, is_right: bool, said: impl FnOnce() -> String) {
        self.answers[kind].fetch_add(1, Ordering::SeqCst);
        if !is_right {
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(said());
        }
    }

    /// Waits for enough answers of each kind.
    fn wait_for_answers(&self, name: &str, after: &str) {
        let (before, begun) = (self.counts(), Instant::now());
        loop {
            thread::sleep(Duration::from_millis(20));
            let now = self.counts();
            let least = now.iter().zip(before).map(|(now, before)| now - before).min();
            if least >= Some(ENOUGH) && begun.elapsed() >= SHORTEST {
                return;
            }
            let wrong = self.wrong();
            assert!(
                begun.elapsed() < LONGEST,
                "{name}: answers {before:?}, and {now:?} after {after}: too few to show anything; {wrong:?}"
            );
        }
    }
}

/// One account's client behind the proxy.
struct Client<'a> {
    email: String,
    id: String,
    access: String,
    refresh: String,
    port: u16,
    /// A node that is never killed. Without the proxy, it tells which account a token belongs to.
    witness: u16,
    tally: &'a Tally,
    connection: Option<(Connection, usize)>,
}

impl<'a> Client<'a> {
    /// Signs in without the proxy.
    fn new(email: String, port: u16, witness: u16, tally: &'a Tally) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", "web")
            .append_pair("username", &email)
            .append_pair("password", PASSWORD)
            .finish();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let pair = service::request(witness, "POST", "/oauth/token", &kind, &form).json();
        let token = |name: &str| pair[name].as_str().expect("a token").to_owned();
        let (access, refresh) = (token("access_token"), token("refresh_token"));
        let id = owner(witness, &access).expect("an account");
        Self { email, id, access, refresh, port, witness, tally, connection: None }
    }

    fn run(mut self) {
        let mut round = 0_usize;
        while !self.tally.is_over.load(Ordering::SeqCst) {
            self.refresh();
            self.read();
            self.rename(&format!("{} {round}", self.email));
            round += 1;
        }
    }

    fn read(&mut self) {
        let bearer = format!("Bearer {}", self.access);
        let headers = [("Authorization", bearer.as_str())];
        if let Some(answer) = self.ask("GET", "/v1/me", &headers, "") {
            let is_right = answer.status == 200 && answer.json()["id"] == self.id.as_str();
            self.tally.check(0, is_right, || format!("{}: /v1/me: {answer:?}", self.email));
        }
    }

    /// Changes the name, with a body whose length differs between the clients.
    fn rename(&mut self, name: &str) {
        let bearer = format!("Bearer {}", self.access);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = json!({ "name": name }).to_string();
        if let Some(answer) = self.ask("PATCH", "/v1/me", &headers, &body) {
            let is_right = answer.status == 200 && {
                let account = answer.json();
                account["id"] == self.id.as_str() && account["name"] == name
            };
            self.tally.check(1, is_right, || format!("{}: {name}: {answer:?}", self.email));
        }
    }

    /// Continues with the pair in the answer, as a client does, even if it were another account's.
    fn refresh(&mut self) {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "web")
            .append_pair("refresh_token", &self.refresh)
            .finish();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let Some(answer) = self.ask("POST", "/oauth/token", &kind, &form) else { return };
        let mut said = format!("{}: refresh: {}", self.email, answer.status);
        let mut is_right = false;
        if answer.status == 200 {
            let pair = answer.json();
            let token = |name: &str| pair[name].as_str().expect("a token").to_owned();
            (self.access, self.refresh) = (token("access_token"), token("refresh_token"));
            let owner = owner(self.witness, &self.access);
            is_right = owner.as_ref() == Some(&self.id);
            said.push_str(&format!(", tokens of {owner:?} for {}", self.id));
        }
        self.tally.check(2, is_right, || said);
    }

    /// `None` without an answer, or with a refusal for now.
    fn ask(
        &mut self,
        method: &str,
        path: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let (mut connection, requests) = match self.connection.take() {
            Some(open) => open,
            None => match service::connect_from(next_address(), self.port) {
                Ok(connection) => (connection, 0),
                Err(_) => return self.pause(),
            },
        };
        let Ok(answer) = connection.exchange(method, path, head, body) else { return self.pause() };
        let is_closed = answer.header("Connection").is_some_and(|value| value == "close");
        if !is_closed && requests < REQUESTS {
            self.connection = Some((connection, requests + 1));
        }
        match answer.status {
            429 | 502..=504 => self.pause(),
            _ => Some(answer),
        }
    }

    fn pause(&self) -> Option<Answer> {
        thread::sleep(PAUSE);
        None
    }
}

/// The account of an access token, as a node tells it.
fn owner(node: u16, access: &str) -> Option<String> {
    let bearer = format!("Bearer {access}");
    let answer = service::request(node, "GET", "/v1/me", &[("Authorization", &bearer)], "");
    (answer.status == 200).then(|| answer.json()["id"].as_str().expect("an id").to_owned())
}

/// Another address of this machine each time.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0x7f01_0001);
    Ipv4Addr::from(NEXT.fetch_add(1, Ordering::SeqCst))
}

/// All clients keep asking while nodes end, alone and together, killed or stopped in good order.
fn no_mixups(start: impl Fn(&[u16]) -> Front) {
    let folder = TempDir::new().expect("a temporary directory");
    let database = format!("sqlite://{}", shown(&folder.path().join("vestibule.db")));
    let settings = [("DATABASE_URL", database.as_str())];
    let witness = Service::start(&settings);
    let emails: Vec<String> = (0..CLIENTS).map(|number| format!("p{number}@example.org")).collect();
    for email in &emails {
        witness.account(email);
    }
    let mut nodes = [Service::start(&settings), Service::start(&settings)];
    let front = start(&nodes.each_ref().map(|node| node.port));
    let (port, name) = (front.port(), front.proxy.name.as_str());
    let tally = Tally::default();

    let (outcome, wrong) = thread::scope(|scope| {
        for email in &emails {
            let client = Client::new(email.clone(), port, witness.port, &tally);
            scope.spawn(move || client.run());
        }
        // the clients end even if this fails
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tally.wait_for_answers(name, "the start");
            nodes[0].stop();
            tally.wait_for_answers(name, "the kill of a node");
            nodes[0].restart(&settings);
            tally.wait_for_answers(name, "its return");
            nodes[1].terminate();
            assert_eq!(nodes[1].exit_code(), Some(0), "{}", nodes[1].log());
            tally.wait_for_answers(name, "the end of the other node");
            nodes[1].restart(&settings);
            tally.wait_for_answers(name, "its return");
            for _ in 0..2 {
                // without any node, requests wait at the proxy
                nodes.iter_mut().for_each(Service::stop);
                thread::sleep(Duration::from_millis(500));
                nodes.iter_mut().for_each(|node| node.restart(&settings));
                tally.wait_for_answers(name, "the kill of both nodes");
            }
        }));
        tally.is_over.store(true, Ordering::SeqCst);
        (outcome, tally.wrong())
    });
    let (shown, counts) = (wrong.iter().take(8).collect::<Vec<_>>(), tally.counts());
    assert!(wrong.is_empty(), "{name}: {} of {counts:?} answers: {shown:#?}", wrong.len());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
