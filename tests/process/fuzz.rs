//! Fuzz tests of the running program with raw bytes over sockets (R54): requests for every
//! operation of its own OpenAPI document, unchanged and mutated in many ways. For every input the
//! program gives none of its own errors, stays alive, and reveals no secret.
//!
//! `FUZZ_REQUESTS=1000000 cargo test --test process r54_ -- --nocapture` sends a million. A request
//! follows from the seed and its number. Each run chooses a new seed and prints it; `FUZZ_SEED`
//! sets it.

#![expect(clippy::print_stdout, reason = "the seed and the figures of a run")]
#![expect(clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "a process lives in real time")]

mod calls;
mod mutate;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use calls::{Keys, Operation};
use vestibule::crypto::entropy::Entropy;

use crate::program::{Program, free_port, scrape, wait_until};
use crate::seeded_random::SeededRandom;
use crate::{CLIENT_SECRET, PASSWORD, WRONG, activate, postgres, sign_up};

/// Requests of a plain run.
const FEW: u64 = 4_000;
/// The number of requests from which on the test measures memory, too: before, caches still fill.
const MANY: u64 = 1_000_000;
/// The concurrent clients. Mostly they wait for the answer to half a request.
const CLIENTS: u64 = 4;
/// The same in a run of many requests.
const MANY_CLIENTS: u64 = 16;
/// The memory is measured after each tenth of the requests.
const LOOKS: u64 = 10;
/// The requests between two sign-ins: among other things, requests sign people out.
const RENEWED_AFTER: u64 = 50;
/// The requests for one account. Exports of its growing history would take longer and longer.
const SOMEBODY_NEW_AFTER: u64 = 10_000;
/// The longest time for an answer to a health check, on a machine with other work.
const HEALTHY: Duration = Duration::from_secs(5);
/// How long a client waits for an answer before it closes the connection: half a request gets no
/// more.
const PATIENCE: Duration = Duration::from_millis(50);

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

struct Fuzz {
    program: Program,
    metrics: u16,
    operations: Vec<Operation>,
    seed: u64,
    requests: u64,
    next: AtomicU64,
    /// How often each status was seen.
    statuses: Mutex<BTreeMap<u16, u64>>,
    /// Memory after each tenth, in KiB.
    resident: Mutex<Vec<u64>>,
    /// All tokens of the run: the log may contain none.
    secrets: Mutex<Vec<String>>,
}

impl Fuzz {
    fn start(mut settings: Vec<(&'static str, String)>) -> Self {
        let metrics = free_port();
        let digest = vestibule::model::Digest::of(CLIENT_SECRET.as_bytes());
        settings.extend([
            ("VESTIBULE_HASHING__MEMORY_KIB", "8".to_owned()),
            ("VESTIBULE_HASHING__ITERATIONS", "1".to_owned()),
            ("VESTIBULE_LIMITS__ENABLED", "false".to_owned()),
            ("VESTIBULE_METRICS__ADDRESS", format!("127.0.0.1:{metrics}")),
            ("VESTIBULE_CLIENTS__SHOP__SECRET_SHA256", hex::encode(digest.as_bytes())),
            ("VESTIBULE_CLIENTS__SHOP__GRANTS", "[\"password\",\"refresh_token\"]".to_owned()),
            ("VESTIBULE_CLIENTS__SHOP__SCOPES", "[\"account.read\"]".to_owned()),
        ]);
        let program = Program::start(&settings);
        let operations = calls::operations(&program);
        let seed =
            number("FUZZ_SEED").unwrap_or_else(|| u64::from(u32::from_le_bytes(Entropy.bytes())));
        let requests = number("FUZZ_REQUESTS").unwrap_or(FEW);
        println!("FUZZ_SEED={seed} FUZZ_REQUESTS={requests}");
        Self {
            program,
            metrics,
            operations,
            seed,
            requests,
            next: AtomicU64::new(0),
            statuses: Mutex::default(),
            resident: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// Sends all requests, and checks the results.
    fn run(self) {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let clients = if self.requests < MANY { CLIENTS } else { MANY_CLIENTS };
            for client in 0..clients {
                let fuzz = &self;
                scope.spawn(move || fuzz.run_client(client));
            }
        });
        let took = began.elapsed();
        self.record_memory();
        let resident = self.resident.into_inner().expect("memory");
        let statuses = self.statuses.into_inner().expect("statuses");
        println!("{} requests in {took:.1?}, KiB {resident:?}: {statuses:?}", self.requests);
        for status in [200, 202, 204, 303, 400, 401, 404, 405, 413, 415, 422] {
            assert!(statuses.contains_key(&status), "no {status}: {statuses:?}");
        }
        // including requests whose clients did not wait for the answer
        let counted = scrape(self.metrics).expect("metrics").body;
        let failed = counted.lines().find(|line| {
            line.starts_with("vestibule_requests_total") && line.contains("status=\"500\"")
        });
        assert_eq!(failed, None, "FUZZ_SEED={}", self.seed);
        let log = self.program.stop();
        let seed = self.seed;
        for said in ["panic", PASSWORD, WRONG, CLIENT_SECRET] {
            let line = log.lines().find(|line| line.contains(said));
            assert_eq!(line, None, "FUZZ_SEED={seed}: {said} is in the log");
        }
        // one search for all tokens, since they are many
        let tokens = self.secrets.into_inner().expect("secrets");
        let planted: std::collections::HashSet<&str> =
            tokens.iter().map(|token| &token[..24]).collect();
        let words = log.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let told = words.filter(|word| word.len() >= 24).find(|word| planted.contains(&word[..24]));
        assert_eq!(told, None, "FUZZ_SEED={seed}: a token is in the log");
        // caches are full when half of the requests are sent
        let (early, late) = (resident[resident.len() / 2], resident[resident.len() - 1]);
        assert!(
            late <= early + early / 20 || self.requests < MANY,
            "memory grew from {early} to {late} KiB in the second half"
        );
    }

    fn run_client(&self, client: u64) {
        let (mut email, mut keys) = (String::new(), Keys::default());
        for sent in 0.. {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                break;
            }
            if number.is_multiple_of((self.requests / LOOKS).max(1)) {
                self.record_memory();
            }
            if sent % SOMEBODY_NEW_AFTER == 0 {
                email = format!("client-{client}-{sent}@example.org");
                sign_up(&self.program, &email);
                activate(&self.program, &email);
            }
            if sent % RENEWED_AFTER == 0 {
                keys = self.keys_of(&email);
                self.assert_healthy();
            }
            let bytes = self.request(number, &keys);
            let answers = exchange(self.program.port, &bytes);
            self.check_answers(number, &bytes, &answers);
        }
    }

    /// The same for each seed and number, except for the keys.
    fn request(&self, number: u64, keys: &Keys) -> Vec<u8> {
        let mut rng = SeededRandom::new(self.seed.wrapping_mul(1 << 32).wrapping_add(number));
        let mut call = || {
            let operation = &self.operations[rng.below(self.operations.len())];
            operation.call(keys, &mut rng)
        };
        let (call, other) = (call(), call());
        mutate::mutated(call, &other, &mut rng)
    }

    fn check_answers(&self, number: u64, bytes: &[u8], answers: &[u8]) {
        let text = String::from_utf8_lossy(answers);
        for answer in text.split("HTTP/1.1 ").skip(1) {
            let status: u16 = answer.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0);
            *self.statuses.lock().expect("statuses").entry(status).or_default() += 1;
            // a refusal says when to retry
            let is_put_off = status == 503 && answer.to_lowercase().contains("retry-after:");
            let sent = &bytes[..bytes.len().min(4_000)];
            assert!(
                (100..500).contains(&status) || is_put_off,
                "FUZZ_SEED={}, request {number}, {} bytes:\n{}\n\nanswered with\n{answer}",
                self.seed,
                bytes.len(),
                sent.escape_ascii(),
            );
        }
    }

    fn assert_healthy(&self) {
        let asked = Instant::now();
        assert_eq!(self.program.get("/health/ready", &[]).status, 200);
        assert!(asked.elapsed() < HEALTHY, "FUZZ_SEED={}: {:?}", self.seed, asked.elapsed());
    }

    fn record_memory(&self) {
        let counted = scrape(self.metrics).expect("metrics").body;
        let line =
            counted.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        let bytes = line.and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or_default();
        self.resident.lock().expect("memory").push(bytes / 1_024);
    }

    fn keys_of(&self, email: &str) -> Keys {
        let fields = [
            ("grant_type", "password"),
            ("client_id", "web"),
            ("username", email),
            ("password", PASSWORD),
        ];
        // the last requests may still sign out everywhere, and end this new sign-in
        let tokens = wait_until("a sign-in succeeds", || {
            let answer = self.program.post_form("/oauth/token", &fields, &[]);
            (answer.status == 200).then(|| answer.json())
        });
        let text = |name: &str| tokens[name].as_str().expect(name).to_owned();
        let form = [("email", email), ("password", PASSWORD)];
        let (cookie, form_token) = wait_until("a sign-in at the page succeeds", || {
            let answer = self.program.post_form("/account/sign-in", &form, &[]);
            let cookie = answer.header("Set-Cookie")?.split(';').next()?.to_owned();
            let page = self.program.get("/account", &[("Cookie", &cookie)]).body;
            let token = page.split("name=\"form_token\" value=\"").nth(1)?.split('"').next()?;
            Some((cookie, token.to_owned()))
        });
        let keys = Keys {
            email: email.to_owned(),
            access: text("access_token"),
            refresh: text("refresh_token"),
            cookie,
            form_token,
        };
        let value = keys.cookie.split_once('=').expect("a value").1;
        let secrets =
            [&keys.access, &keys.refresh, value, &keys.form_token].map(ToString::to_string);
        self.secrets.lock().expect("secrets").extend(secrets);
        keys
    }
}

/// Sends the bytes on a connection of their own, and returns the whole answer.
fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the service listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // the service may hang up before it has read everything
    let _ = stream.write_all(bytes);
    let (mut answers, mut buffer) = (Vec::new(), [0; 4_096]);
    let mut is_over = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return answers,
            Ok(count) => answers.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !is_over => {
                is_over = true;
                let _ = stream.shutdown(Shutdown::Write);
            }
            Err(_) => return answers,
        }
    }
}

#[test]
fn r54_random_requests_cause_no_failure_on_sqlite() {
    Fuzz::start(vec![]).run();
}

#[test]
fn r54_random_requests_cause_no_failure_on_postgresql() {
    let Some(cluster) = postgres::cluster() else { return };
    Fuzz::start(vec![("DATABASE_URL", cluster.new_database())]).run();
}
