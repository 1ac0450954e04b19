//! What the README's figures come from: `cargo bench --bench ratios`.
//!
//! Starts the release binary on a database of its own, drives it over sockets, and measures the
//! bare limits in the same run, since machines differ and are noisy: what counts are the ratios.
//! Load generator and server share the machine on both sides of each ratio.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot run says so"
)]
#![expect(clippy::print_stdout, reason = "this is its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rocket::{get, routes};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery staple";
/// How long each figure is measured.
const WINDOW: Duration = Duration::from_secs(5);
/// Windows of each figure, taken in turn with those of what it is compared with.
const WINDOWS: usize = 3;
const CONNECTIONS: usize = 16;
const ACCOUNTS: usize = 64;

fn main() {
    // `cargo test --benches` and the like only want to know that it builds
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if std::env::args().any(|argument| argument == "empty-route") {
        return serve_empty_route();
    }
    let server = Server::start();
    println!("time from exec to first 200: {:.0} ms", server.started_in.as_secs_f64() * 1e3);
    thread::sleep(Duration::from_secs(2));
    println!("memory idle: {:.1} MB", server.resident_mb());

    let accounts: Vec<String> = (0..ACCOUNTS).map(|n| server.make_account(n)).collect();
    let empty = EmptyRoute::start();
    let sessions: Vec<(String, String)> =
        (0..CONNECTIONS).map(|n| server.sign_in(&accounts[n])).collect();

    let mut rows: [(&str, Vec<f64>, &str, Vec<f64>); 3] = [
        ("GET /v1/me", vec![], "an empty Rocket route", vec![]),
        ("sign-in", vec![], "bare Argon2id on all cores", vec![]),
        ("refresh", vec![], "one-row SQLite commits, one thread", vec![]),
    ];
    let mut peak = 0.0_f64;
    let sessions = Arc::new(Mutex::new(sessions));
    for _ in 0..WINDOWS {
        let tokens: Vec<String> =
            sessions.lock().unwrap().iter().map(|(access, _)| access.clone()).collect();
        rows[0].1.push(rate(CONNECTIONS, |n| {
            let mut connection = Connection::open(server.port);
            let request = get_me(&tokens[n]);
            move || connection.send(&request).0 == 200
        }));
        rows[0].3.push(rate(CONNECTIONS, |_| {
            let mut connection = Connection::open(empty.port);
            move || connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0 == 200
        }));
        rows[1].1.push(rate(CONNECTIONS, |n| {
            let mut connection = Connection::open(server.port);
            let request = sign_in_request(&accounts[n]);
            move || connection.send(&request).0 == 200
        }));
        peak = peak.max(server.resident_mb());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        rows[1].3.push(rate(cores, |_| bare_argon2()));
        rows[2].1.push(rate(CONNECTIONS, |n| {
            let mut connection = Connection::open(server.port);
            let sessions = Arc::clone(&sessions);
            move || {
                let refresh = sessions.lock().unwrap()[n].1.clone();
                let form =
                    format!("grant_type=refresh_token&client_id=web&refresh_token={refresh}");
                let (status, body) = connection.send(&post_form("/oauth/token", &form));
                if status == 200 {
                    sessions.lock().unwrap()[n] = tokens_in(&body);
                }
                status == 200
            }
        }));
        rows[2].3.push(rate(1, |_| bare_commits(&server.directory)));
    }
    println!("memory under {CONNECTIONS} concurrent sign-ins: {peak:.1} MB");
    println!("\n| | per second | compared with | per second | ratio |\n|---|---|---|---|---|");
    for (name, ours, other, theirs) in &rows {
        let (ours, theirs) = (median(ours), median(theirs));
        println!("| {name} | {ours:.0} | {other} | {theirs:.0} | {:.2} |", ours / theirs);
    }
}

fn median(windows: &[f64]) -> f64 {
    let mut sorted = windows.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// How often per second `workers` threads get their work done; what fails does not count.
fn rate<W: FnMut() -> bool>(workers: usize, make: impl Fn(usize) -> W + Sync) -> f64 {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for n in 0..workers {
            let (done, make) = (&done, &make);
            scope.spawn(move || {
                let mut work = make(n);
                while began.elapsed() < WINDOW {
                    if work() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn bare_argon2() -> impl FnMut() -> bool {
    let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    move || {
        let mut tag = [0; 32];
        let salt = [7; 16];
        argon2
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut tag, &mut memory)
            .is_ok()
    }
}

/// Commits of one row with a write-ahead log and `synchronous=FULL`, on the disk that the service
/// uses.
fn bare_commits(directory: &std::path::Path) -> impl FnMut() -> bool {
    use sqlx::{Connection as _, Executor as _};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}/bare.db?mode=rwc", directory.display());
    let mut connection = runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"] {
            connection.execute(pragma).await.unwrap();
        }
        let table = "CREATE TABLE IF NOT EXISTS one (id BIGINT PRIMARY KEY, n BIGINT)";
        connection.execute(table).await.unwrap();
        connection.execute("INSERT OR IGNORE INTO one VALUES (1, 0)").await.unwrap();
        connection
    });
    move || {
        let update = "UPDATE one SET n = n + 1 WHERE id = 1";
        runtime.block_on(connection.execute(update)).is_ok()
    }
}

fn get_me(token: &str) -> String {
    format!("GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

fn post_form(path: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

fn sign_in_request(email: &str) -> String {
    let password = PASSWORD.replace(' ', "+");
    let form = format!("grant_type=password&client_id=web&username={email}&password={password}");
    post_form("/oauth/token", &form)
}

fn tokens_in(body: &str) -> (String, String) {
    let answer: Value = serde_json::from_str(body).unwrap();
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// A kept-alive connection that sends one request at a time.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, request: &str) -> (u16, String) {
        self.try_send(request).expect("the server answers")
    }

    fn try_send(&mut self, request: &str) -> io::Result<(u16, String)> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_until_serving(port: u16, request: &str, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            let answer = Connection(BufReader::new(stream)).try_send(request);
            if matches!(answer, Ok((200, _))) {
                return;
            }
        }
        assert!(child.try_wait().unwrap().is_none(), "the server ended");
        assert!(Instant::now() < deadline, "the server does not answer");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The release binary, with every setting as in production but no limit on letters.
struct Server {
    child: Child,
    port: u16,
    started_in: Duration,
    directory: std::path::PathBuf,
    _temporary: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let directory = temporary.path().to_path_buf();
        let port = free_port();
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .current_dir(&directory)
            .env_clear()
            .env("ROCKET_PROFILE", "release")
            .env("ROCKET_PORT", port.to_string())
            .env("VESTIBULE_PUBLIC_URL", "https://accounts.example.org")
            .env("VESTIBULE_MAIL__TRANSPORT", "file")
            // nobody should be refused here: what is measured is the rate, not the waiting
            .env("VESTIBULE_HASHING__MAX_WAIT", "60s")
            .env("VESTIBULE_CLIENTS__WEB__PUBLIC", "true")
            .env("VESTIBULE_CLIENTS__WEB__GRANTS", "[password, refresh_token]")
            .env("VESTIBULE_CLIENTS__WEB__SCOPES", "[account.read, account.write]")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        wait_until_serving(port, "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", &mut child);
        let started_in = began.elapsed();
        Self { child, port, started_in, directory, _temporary: temporary }
    }

    fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse().unwrap();
        kib / 1_024.0
    }

    fn make_account(&self, n: usize) -> String {
        let email = format!("person{n}@example.org");
        let mut connection = Connection::open(self.port);
        let json = |path: &str, body: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        assert_eq!(connection.send(&json("/v1/accounts", &body)).0, 202);
        let token = self.link_token(&email);
        let body = format!(r#"{{"token":"{token}"}}"#);
        assert_eq!(connection.send(&json("/v1/activations", &body)).0, 200);
        email
    }

    fn link_token(&self, email: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        let letters = self.directory.join("data/mail");
        while Instant::now() < deadline {
            for entry in fs::read_dir(&letters).into_iter().flatten().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                if text.contains(&format!("To: {email}\r\n"))
                    && let Some((_, rest)) = text.split_once("/activate?token=")
                {
                    return rest.split_whitespace().next().unwrap().to_owned();
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no letter to {email}");
    }

    fn sign_in(&self, email: &str) -> (String, String) {
        let (status, body) = Connection::open(self.port).send(&sign_in_request(email));
        assert_eq!(status, 200, "{body}");
        tokens_in(&body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rocket with one route that does nothing: what the framework itself can do.
struct EmptyRoute {
    child: Child,
    port: u16,
}

impl EmptyRoute {
    fn start() -> Self {
        let port = free_port();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("empty-route")
            .env("ROCKET_PORT", port.to_string())
            .env("ROCKET_LOG_LEVEL", "off")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until_serving(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut child);
        Self { child, port }
    }
}

impl Drop for EmptyRoute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[get("/")]
fn empty() {}

fn serve_empty_route() {
    let _ = rocket::execute(rocket::build().mount("/", routes![empty]).launch());
}
