//! The program as a process in a folder of its own, and a small HTTP client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how a test fails"
)]
#![expect(clippy::disallowed_methods, reason = "a process lives in real time")]

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const SMTP_SECRET: &str = "marked-smtp-secret-3b8d";

/// Longer than any step takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

pub fn wait_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(STEP);
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The output and exit code of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// The output, which must be one JSON document.
    pub fn document(&self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A process in a folder of its own with the repository's `Rocket.toml`; killed when dropped.
pub struct Program {
    pub port: u16,
    folder: TempDir,
    settings: Vec<(String, String)>,
    child: Option<Child>,
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends these bytes to a port of this machine, on a connection of their own.
fn exchange(port: u16, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    Program::read(&mut stream)
}

/// The metrics at a port of this machine, if it serves them.
pub fn scrape(port: u16) -> Option<Answer> {
    exchange(port, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

impl Program {
    /// Prepares a folder and settings, without a process.
    pub fn prepare(settings: &[(&str, String)]) -> Self {
        let folder = TempDir::new().unwrap();
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/Rocket.toml");
        std::fs::copy(shipped, folder.path().join("Rocket.toml")).unwrap();
        let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let settings = settings.iter().map(owned).collect();
        Self { port: free_port(), folder, settings, child: None }
    }

    /// Adds a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the program and waits until it is ready.
    pub fn start(settings: &[(&str, String)]) -> Self {
        let mut program = Self::prepare(settings);
        // another process may take a free port before the program does
        for _ in 0..8 {
            if program.try_start() {
                return program;
            }
            program.port = free_port();
        }
        panic!("the program does not start:\n{}", program.output());
    }

    pub fn start_again(&mut self) {
        assert!(self.try_start(), "its port is taken:\n{}", self.output());
    }

    /// Starts the program and waits until it is ready. `false` if another process has its port.
    fn try_start(&mut self) -> bool {
        let log = |name: &str| {
            let mut options = File::options();
            Stdio::from(
                options.create(true).write(true).truncate(true).open(self.path(name)).unwrap(),
            )
        };
        let mut command = self.command(&[]);
        self.child = Some(command.stdout(log("stdout")).stderr(log("stderr")).spawn().unwrap());
        wait_until("the program is ready", || {
            if let Some(exit) = self.child.as_mut().unwrap().try_wait().unwrap() {
                let output = self.output();
                assert!(
                    output.contains("cannot listen on"),
                    "the program ended with {exit:?}:\n{output}"
                );
                return Some(false);
            }
            let answer =
                self.raw("GET /health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            answer.filter(|answer| answer.status == 200).map(|_| true)
        })
    }

    /// The error of a start that must fail. Checks the exit code.
    pub fn fail(settings: &[(&str, String)]) -> String {
        Self::prepare(settings).expect_failure()
    }

    pub fn expect_failure(&self) -> String {
        let (code, output) = self.run(&[]);
        assert_eq!(code, Some(1), "{:?}:\n{output}", self.settings);
        output
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["VESTIBULE_", "ROCKET_"].iter().any(|prefix| text.starts_with(prefix))
                || text.starts_with("DATABASE_")
                || text.starts_with("PG")
                || text == "RUST_LOG"
            {
                command.env_remove(&name);
            }
        }
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env("ROCKET_PORT", self.port.to_string());
        // in an optimized build, too
        command.env("ROCKET_PROFILE", "debug");
        // tests run in parallel on few cores
        command.env("VESTIBULE_HASHING__MAX_WAIT", "60s");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command without waiting; standard output is discarded.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command to its end; its reader closes standard output before any output.
    pub fn run_with_closed_stdout(&self, arguments: &[&str]) -> Option<i32> {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments);
        let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the command ends", || child.try_wait().unwrap()).code()
    }

    /// Runs a command to its end; returns its exit code and its whole output.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(arguments);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let status = wait_until("the command ends", || child.try_wait().unwrap());
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
        (status.code(), output)
    }

    /// Runs a command to its end with `input` on its standard input.
    pub fn exec(&self, arguments: &[&str], input: &str) -> CommandOutput {
        // a file takes any output, without a reader
        self.exec_with_stdout(arguments, input, tempfile::tempfile().unwrap())
    }

    /// Runs a command whose standard output is full.
    pub fn run_with_full_stdout(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        self.exec_with_stdout(arguments, input, full)
    }

    fn exec_with_stdout(&self, arguments: &[&str], input: &str, stdout: File) -> CommandOutput {
        let [given, stderr] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let mut start = given.try_clone().unwrap();
        start.write_all(input.as_bytes()).unwrap();
        start.rewind().unwrap();
        let mut command = self.command(arguments);
        command.stdin(given).stdout(stdout.try_clone().unwrap());
        let mut child = command.stderr(stderr.try_clone().unwrap()).spawn().unwrap();
        let status = wait_until("the command ends", || child.try_wait().unwrap());
        let text = |mut file: File| {
            let mut text = String::new();
            // a device such as /dev/full has no end
            if file.metadata().unwrap().is_file() {
                file.rewind().unwrap();
                file.read_to_string(&mut text).unwrap();
            }
            text
        };
        CommandOutput { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The whole output so far.
    pub fn output(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        read("stdout") + &read("stderr")
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops the program in good order; returns its whole output.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        has_exited_with(&mut self, Some(0));
        self.output()
    }

    /// Reads one whole answer: the server may keep the connection open.
    fn read(stream: &mut TcpStream) -> Option<Answer> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let count = stream.read(&mut buffer).unwrap_or(0);
            bytes.extend(&buffer[..count]);
            let text = String::from_utf8_lossy(&bytes);
            let answer = Answer::parse(&text);
            if count == 0 {
                return answer;
            }
            if let Some(answer) = answer {
                let length = answer.header("content-length").and_then(|text| text.parse().ok());
                if length.is_some_and(|length: usize| answer.body.len() >= length) {
                    return Some(answer);
                }
            }
        }
    }

    /// Sends these bytes on a connection of their own.
    pub fn raw(&self, request: &str) -> Option<Answer> {
        exchange(self.port, request)
    }

    /// Sends a body in chunks until the server hangs up.
    pub fn send_endless_body(&self, head: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
            let mut sent = 0_u64;
            // far more than the service ever reads; the error means that the server has hung up
            while sent < 1 << 30 && sender.write_all(chunk.as_bytes()).is_ok() {
                sent += 1_024;
            }
            sent
        });
        let answer = Self::read(&mut stream).expect("an answer");
        let _ = stream.shutdown(std::net::Shutdown::Both);
        assert!(sending.join().unwrap() < 1 << 30, "the server read the whole body");
        answer
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.raw(&request).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "")
    }

    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }

    pub fn post_form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        self.ask("POST", path, &headers, &form(fields))
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Waits until the program ends; `None` is a signal.
pub fn has_exited_with(program: &mut Program, code: Option<i32>) {
    let child = program.child.as_mut().unwrap();
    let status = wait_until("the program ends", || child.try_wait().unwrap());
    program.child = None;
    assert_eq!(status.code(), code, "{}", program.output());
}
