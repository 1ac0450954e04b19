//! The real program as a service for tests: started in a directory of its own, with the shipped
//! `Rocket.toml`, an environment without other variables, and a free port.
//!
//! The module also has helpers around it: a plain HTTP request, the path of an installed program,
//! and the message that a test was skipped.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]
#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// The password of every account without another one.
pub const PASSWORD: &str = "correct horse battery staple";

/// The pause between two looks at an expected event, and the number of looks.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: usize = 1_500;

/// A running service. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub struct Service {
    process: Child,
    directory: TempDir,
    pub port: u16,
}

impl Service {
    /// Starts the service with these settings in its environment.
    pub fn start(environment: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("Rocket.toml");
        std::fs::copy(shipped, directory.path().join("Rocket.toml")).expect("Rocket.toml");
        // another process may take a free port before the service does
        for _ in 0..8 {
            let port = free_port();
            let mut process = launch(&directory, port, environment);
            if is_up(&mut process, port) {
                return Self { process, directory, port };
            }
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("the service does not start:\n{log}");
    }

    /// Restarts the service on the same data and the same port, with other settings.
    pub fn restart(&mut self, environment: &[(&str, &str)]) {
        self.stop();
        self.process = launch(&self.directory, self.port, environment);
        let is_up = is_up(&mut self.process, self.port);
        assert!(is_up, "the service does not start again:\n{}", self.log());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Signs up with this browser's `User-Agent`.
    pub fn sign_up(&self, email: &str, password: &str, user_agent: &str) {
        let body = json!({ "email": email, "password": password }).to_string();
        let headers = [("Content-Type", "application/json"), ("User-Agent", user_agent)];
        let answer = request(self.port, "POST", "/v1/accounts", &headers, &body);
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// The link in the last letter to `email`, once there are `count` letters.
    pub fn link(&self, email: &str, count: usize) -> String {
        let found = poll_until_some(|| {
            let mut letters = self.letters_to(email);
            if letters.len() < count { None } else { letters.pop() }
        });
        let letter = found.unwrap_or_else(|| panic!("fewer than {count} letters to {email}"));
        let link = letter.split_whitespace().find(|word| word.contains("/activate?token="));
        link.expect("a letter with a link").to_owned()
    }

    /// The letters to `email` as files, oldest first: their names are UUIDv7.
    fn letters_to(&self, email: &str) -> Vec<String> {
        let folder = std::fs::read_dir(self.directory.path().join("data/mail"));
        let mut files: Vec<PathBuf> =
            folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        files.sort();
        let to = format!("To: {email}");
        let letters = files.iter().map(|path| std::fs::read_to_string(path).expect("a letter"));
        letters.filter(|letter| letter.lines().any(|line| line == to)).collect()
    }

    /// Makes an account with [`PASSWORD`], by signing up and using the link.
    pub fn account(&self, email: &str) {
        self.sign_up(email, PASSWORD, "tests");
        self.activate(&self.link(email, 1));
    }

    /// Uses a link by JSON, as a program does.
    pub fn activate(&self, link: &str) {
        let (_, token) = link.split_once("token=").expect("a link with a token");
        let body = json!({ "token": token }).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = request(self.port, "POST", "/v1/activations", &headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Signs in through the client `web`, and returns the status.
    pub fn sign_in(&self, email: &str, password: &str) -> u16 {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", "web")
            .append_pair("username", email)
            .append_pair("password", password)
            .finish();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        request(self.port, "POST", "/oauth/token", &headers, &body).status
    }

    /// Asks the process to end (SIGTERM).
    #[cfg(unix)]
    pub fn terminate(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill");
        assert!(sent.success(), "there is no process {id}");
    }

    /// Waits until the process has ended, and returns its exit code; `None` is a signal.
    pub fn exit_code(&mut self) -> Option<i32> {
        let ended = poll_until_some(|| self.process.try_wait().expect("a child"));
        ended.expect("the service does not end").code()
    }

    /// The log of the process, from before a restart as well.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Kills the process, as a power cut would.
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(directory: &TempDir, port: u16, environment: &[(&str, &str)]) -> Child {
    let mut options = std::fs::File::options();
    let log = options.create(true).append(true).open(directory.path().join("log")).expect("a log");
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .current_dir(directory.path())
        .env_clear()
        .env("ROCKET_PROFILE", "debug")
        .env("ROCKET_PORT", port.to_string())
        // all requests of a test come from one address
        .env("VESTIBULE_LIMITS__ENABLED", "false")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("the service's own program")
}

/// Waits for the service to be ready; `false` if it has ended instead.
fn is_up(process: &mut Child, port: u16) -> bool {
    let up = poll_until_some(|| {
        if process.try_wait().expect("a child").is_some() {
            return Some(false);
        }
        let ready = try_request(port, "GET", "/health/ready", &[], "");
        ready.is_ok_and(|answer| answer.status == 200).then_some(true)
    });
    up.expect("the service is not ready, and has not ended either")
}

/// Calls `look` again and again until it returns a value, for half a minute at most.
pub fn poll_until_some<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..PATIENCE {
        let seen = look();
        if seen.is_some() {
            return seen;
        }
        sleep(PAUSE);
    }
    None
}

/// A port that was free a moment ago. It is below the ports that the system gives to connections
/// (from 32768 on, on Linux): so no connection takes a service's port while a test restarts the
/// service.
pub fn free_port() -> u16 {
    let start = RandomState::new().build_hasher().finish();
    let mut ports = (0..12_000_u64).map(|step| 20_000 + (start.wrapping_add(step) % 12_000) as u16);
    let free = ports.find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok());
    free.expect("a free port")
}

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// With names in lower case.
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// All values of a header, joined by commas.
    pub fn header(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        let values = self.headers.iter().filter(|(other, _)| *other == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

/// One request to a server on this machine.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    try_request(port, method, path, headers, body)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// The same, for a server that may be down.
pub fn try_request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut headers = headers.to_vec();
    headers.push(("Connection", "close"));
    connect(port)?.exchange(method, path, &headers, body)
}

/// A connection for several requests, one after another.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

/// Connects to a server on this machine.
pub fn connect(port: u16) -> io::Result<Connection> {
    connect_from(Ipv4Addr::LOCALHOST, port)
}

/// Connects to a server on this machine from one of the machine's addresses (all of 127.0.0.0/8 on
/// Linux).
pub fn connect_from(client: Ipv4Addr, port: u16) -> io::Result<Connection> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if client != Ipv4Addr::LOCALHOST {
        socket.bind(&SocketAddr::from((client, 0)).into())?;
    }
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    Ok(Connection { reader: BufReader::new(stream) })
}

impl Connection {
    /// One request whose body comes in two parts; `between` runs between them.
    pub fn exchange_in_two_parts(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        between: impl FnOnce(),
    ) -> io::Result<Answer> {
        let (start, rest) = body.split_at(body.len() / 2);
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        self.send("POST", path, &headers, start)?;
        between();
        self.reader.get_mut().write_all(rest.as_bytes())?;
        self.receive("POST")
    }

    /// One request and its answer.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Answer> {
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        self.send(method, path, &headers, body)?;
        self.receive(method)
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.reader.get_mut().write_all(format!("{head}{body}").as_bytes())
    }

    fn receive(&mut self, method: &str) -> io::Result<Answer> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let reader = &mut self.reader;
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken("no status"))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(broken("half a head"));
            }
            match line.trim_end().split_once(':') {
                None => break,
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = Vec::new();
        match length.filter(|_| method != "HEAD") {
            Some((_, length)) => {
                body.resize(length.parse().map_err(|_| broken("no length"))?, 0);
                reader.read_exact(&mut body)?;
            }
            // the server closes the connection, as the request asked
            None if method != "HEAD" && status != 204 => {
                reader.read_to_end(&mut body)?;
            }
            None => {}
        }
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// A setting of the tests themselves.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Prints that tests were skipped, or fails where `TEST_REQUIRE` names the missing program.
pub fn skip(what: &str, reason: &str) {
    let required = setting("TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == what), "{what} is required: {reason}");
    // one line for each program, however many tests need it; straight to the stream, since a test's
    // `print` macros show only if the test fails
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned()) {
        let line = format!("SKIPPED: tests that need {what}: {reason}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// The path of an installed program, by the first of these names that is found.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|candidate| candidate.is_file())
}
