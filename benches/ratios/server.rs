//! The service under load, and the framework that it is compared with.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fill::{self, Rows};
use crate::wire::Connection;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_until_serving(port: u16, request: &str, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            let answer = Connection::over(stream).try_send(request);
            if matches!(answer, Ok((200, _))) {
                return;
            }
        }
        assert!(child.try_wait().unwrap().is_none(), "the server ended");
        assert!(Instant::now() < deadline, "the server does not answer");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Site of the service: a directory, and a database that has its tables and some rows.
pub struct Site {
    directory: TempDir,
    /// URL of the database.
    pub url: String,
}

impl Site {
    pub fn on_sqlite(rows: Rows) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        let file = directory.path().join("data/vestibule.db");
        let site = Self { url: format!("sqlite://{}", file.display()), directory };
        site.fill(rows);
        // otherwise the first sync of the service waits for all these rows
        fs::File::open(&file).unwrap().sync_all().unwrap();
        site
    }

    /// With an empty database of a server.
    pub fn on_postgres(url: String, rows: Rows) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let site = Self { url, directory };
        site.fill(rows);
        site
    }

    fn fill(&self, rows: Rows) {
        let status = self.program().arg("migrate").stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "the database cannot be made");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fill::fill(&self.url, rows));
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The release binary with the settings of production, apart from limits that would keep one
    /// machine from playing all clients: the longest wait of a password for hashing, and sign-ups
    /// from one address and in total. The limits on guessing stay.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        command
            .current_dir(self.path())
            .env_clear()
            .env("DATABASE_URL", &self.url)
            .env("ROCKET_PROFILE", "release")
            .env("VESTIBULE_PUBLIC_URL", "https://accounts.example.org")
            .env("VESTIBULE_MAIL__TRANSPORT", "file")
            // no request should be refused here: the benchmark measures the rate, not the waiting
            .env("VESTIBULE_HASHING__MAX_WAIT", "60s")
            .env("VESTIBULE_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000")
            .env("VESTIBULE_LIMITS__SIGN_UPS_IN_ALL", "1000000")
            .env("VESTIBULE_CLIENTS__WEB__PUBLIC", "true")
            .env("VESTIBULE_CLIENTS__WEB__GRANTS", "[password, refresh_token]")
            .env("VESTIBULE_CLIENTS__WEB__SCOPES", "[account.read, account.write]")
            .stderr(Stdio::inherit());
        command
    }
}

pub struct Server {
    child: Child,
    pub port: u16,
    /// Time from exec to the first 200.
    pub started_in: Duration,
}

impl Server {
    pub fn start_in(site: &Site) -> Self {
        let port = free_port();
        let began = Instant::now();
        let mut child = site
            .program()
            .env("ROCKET_PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until_serving(port, "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", &mut child);
        Self { child, port, started_in: began.elapsed() }
    }

    pub fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse().unwrap();
        kib / 1_024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rocket with one route that does nothing: the limit of the framework itself.
pub struct EmptyRoute {
    child: Child,
    pub port: u16,
}

impl EmptyRoute {
    pub fn start() -> Self {
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
