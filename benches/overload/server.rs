//! The service under load, and its use of processors and memory.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::wire::{ask, connect, post};

pub const PASSWORD: &str = "correct horse battery staple";
/// Linux counts the time of processes in ticks; this many make a second.
const TICKS: f64 = 100.0;

/// The service's process, with the settings of production apart from a measurement's own settings.
pub struct Server {
    child: Child,
    command: Command,
    pub port: u16,
    directory: PathBuf,
    _temporary: tempfile::TempDir,
}

/// Tokens of a sign-in.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Server {
    pub fn start(binary: &Path, settings: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let directory = temporary.path().to_path_buf();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let binary = fs::canonicalize(binary).unwrap();
        let mut command = Command::new(binary);
        command
            .current_dir(&directory)
            .env_clear()
            .env("ROCKET_PROFILE", "release")
            .env("ROCKET_PORT", port.to_string())
            .env("VESTIBULE_PUBLIC_URL", "https://accounts.example.org")
            .env("VESTIBULE_MAIL__TRANSPORT", "file")
            .env("VESTIBULE_METRICS__ADDRESS", "127.0.0.1:0")
            .env("VESTIBULE_CLIENTS__WEB__PUBLIC", "true")
            .env("VESTIBULE_CLIENTS__WEB__GRANTS", "[password, refresh_token]")
            .env("VESTIBULE_CLIENTS__WEB__SCOPES", "[account.read, account.write]")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let child = command.spawn().unwrap();
        let mut server = Self { child, command, port, directory, _temporary: temporary };
        server.wait();
        server
    }

    /// Ends the program, works on its database, and starts it again.
    pub fn while_stopped(&mut self, work: impl FnOnce()) {
        let process = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(process.unwrap(), rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "the server failed");
        work();
        self.child = self.command.spawn().unwrap();
        self.wait();
    }

    /// URL of the default database.
    pub fn database(&self) -> String {
        format!("sqlite://{}", self.directory.join("data/vestibule.db").display())
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let live = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
        while Instant::now() < deadline {
            if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port))
                && ask(&mut stream, live).is_ok_and(|answer| answer.status == 200)
            {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended");
            thread::sleep(Duration::from_millis(2));
        }
        panic!("the server does not answer");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Creates accounts, and returns one sign-in request for each.
    pub fn make_accounts(&self, count: usize) -> Vec<Vec<u8>> {
        let mut stream = connect(self.port);
        let address = |n: usize| format!("person{n}@example.org");
        for n in 0..count {
            let body = format!(r#"{{"email":"{}","password":"{PASSWORD}"}}"#, address(n));
            let request = post("/v1/accounts", "application/json", &body);
            assert_eq!(ask(&mut stream, &request).unwrap().status, 202);
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut links = Vec::new();
        while links.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} letters", links.len());
            thread::sleep(Duration::from_millis(100));
            links = self.links();
        }
        for token in links {
            let body = format!(r#"{{"token":"{token}"}}"#);
            let request = post("/v1/activations", "application/json", &body);
            assert_eq!(ask(&mut stream, &request).unwrap().status, 200);
        }
        let password = PASSWORD.replace(' ', "+");
        let sign_in = |n| {
            let form = format!(
                "grant_type=password&client_id=web&username={}&password={password}",
                address(n)
            );
            post("/oauth/token", "application/x-www-form-urlencoded", &form)
        };
        (0..count).map(sign_in).collect()
    }

    fn links(&self) -> Vec<String> {
        let letters =
            fs::read_dir(self.directory.join("data/mail")).into_iter().flatten().flatten();
        let letters = letters.filter(|entry| entry.path().extension().is_some_and(|e| e == "eml"));
        letters
            .filter_map(|entry| {
                let letter = fs::read_to_string(entry.path()).ok()?;
                let (_, rest) = letter.split_once("/activate?token=")?;
                rest.split_whitespace().next().map(str::to_owned)
            })
            .collect()
    }

    pub fn sign_in(&self, request: &[u8]) -> String {
        self.signed_in(request).access
    }

    pub fn signed_in(&self, request: &[u8]) -> Tokens {
        let answer = ask(&mut connect(self.port), request).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let token = |name: &str| body[name].as_str().unwrap().to_owned();
        Tokens { access: token("access_token"), refresh: token("refresh_token") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Samples the memory of the process twice a second until the sender of `stop` is dropped.
pub fn sample_memory(process: u32, zero: Instant, stop: &Receiver<()>) -> Vec<(Duration, f64)> {
    let mut weights = Vec::new();
    loop {
        weights.push((zero.elapsed(), resident_mib(process)));
        let waited = stop.recv_timeout(Duration::from_millis(500));
        if waited == Err(RecvTimeoutError::Disconnected) {
            return weights;
        }
    }
}

fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib / 1_024.0
}

/// Processor time used so far, in seconds.
pub struct Cpu {
    at: Instant,
    server: f64,
    generator: f64,
    all: f64,
}

impl Cpu {
    pub fn now(server: u32) -> Self {
        let of = |process: &str| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            // after the name, which may contain any character
            let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let ticks = fields.split_whitespace().skip(11).take(2);
            ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
        };
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields: Vec<f64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        // all states but idle and waiting for disks
        let busy: f64 = fields.iter().take(8).sum::<f64>()
            - fields.get(3).unwrap_or(&0.0)
            - fields.get(4).unwrap_or(&0.0);
        Self {
            at: Instant::now(),
            server: of(&server.to_string()),
            generator: of("self"),
            all: busy / TICKS,
        }
    }

    pub fn since(&self, server: u32) -> Shares {
        let now = Self::now(server);
        let lasted = now.at.duration_since(self.at).as_secs_f64();
        let (server, generator) = (now.server - self.server, now.generator - self.generator);
        let others = now.all - self.all - server - generator;
        Shares { server: server / lasted, generator: generator / lasted, others: others / lasted }
    }
}

/// Shares in processors.
pub struct Shares {
    server: f64,
    generator: f64,
    others: f64,
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, generator, others } = self;
        write!(
            f,
            "processors used: {server:.2} by the server, {generator:.2} by the load generator, \
             {others:.2} by anything else on the machine"
        )
    }
}
