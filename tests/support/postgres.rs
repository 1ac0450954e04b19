//! A PostgreSQL server for tests: one throw-away cluster for a test process, and a fresh database
//! for each caller.
//!
//! The server needs no set-up. This module finds the installed programs and starts them in a new
//! directory on a free port; the server ends with the test process. Without PostgreSQL, [`cluster`]
//! says so once on standard error and returns `None`, unless `TEST_REQUIRE` names `postgres`: then
//! the test fails.
//!
//! A static is never dropped, and a killed process drops nothing at all, so this process cannot end
//! the cluster. A shell, [`KEEPER`], owns the cluster instead. It reads from a pipe whose other end
//! only this process holds. When the process ends in any way, the pipe closes, and the keeper stops
//! the server and removes its directory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many ports to try. Another process may take a free port before the server does.
const PORTS: usize = 8;

/// Shell script that makes a cluster, obeys the commands on its input (start on a port, stop in a
/// mode), and removes the cluster when its input ends. Its arguments are the directory with
/// PostgreSQL's programs, the directory to work below, and a directory with files for the cluster:
/// a `more.conf`, and the files that it names.
const KEEPER: &str = r#"
set -u
trap '' HUP INT TERM PIPE
export LC_ALL=C
programs=$1
owner=$(id -un)

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    owner=postgres
    id "$owner" >/dev/null 2>&1 || owner=nobody
fi

as_owner() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    elif command -v runuser >/dev/null; then
        runuser -u "$owner" -- "$@"
    elif command -v setpriv >/dev/null; then
        setpriv --reuid="$(id -u "$owner")" --regid="$(id -g "$owner")" --clear-groups "$@"
    else
        su -s /bin/sh -c 'exec "$0" "$@"' -- "$owner" "$@"
    fi
}

# The directory for temporary files may be one that only we may enter.
for parent in "$2" /tmp; do
    directory=$(mktemp -d "$parent/vestibule-postgres.XXXXXX") || continue
    if { [ "$(id -u)" != 0 ] || chown "$owner" "$directory"; } && as_owner test -w "$directory"; then
        break
    fi
    rmdir "$directory"
    directory=
done
if [ -z "$directory" ] || ! cd "$directory"; then
    echo "no directory that $owner may write to"
    exit 1
fi
exec 2>"$directory/log"
chmod a+w log

# The path of a Unix socket cannot be longer than about a hundred bytes.
sockets=$directory
[ "${#directory}" -le 80 ] || sockets=

state=failed
if as_owner "$programs/initdb" --pgdata=data --username=postgres --no-sync -A trust --locale=C -E UTF8 \
    </dev/null >>log && cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = '$sockets'
max_connections = 300
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 128MB
END
then
    if [ -n "${3:-}" ]; then
        cat "$3/more.conf" >>data/postgresql.conf
        cp "$3"/* data
        if [ "$(id -u)" = 0 ]; then chown -R "$owner" data; fi
        chmod 600 data/*.key
    fi
    state=ready
fi
echo $state

while read -r command argument; do
    if [ "$command" = stop ]; then
        as_owner "$programs/pg_ctl" stop --pgdata=data --mode="$argument" --silent </dev/null >>log
        state=stopped
    elif as_owner "$programs/pg_ctl" start --pgdata=data --wait --timeout=60 --silent \
        --log=log -o "-p $argument" </dev/null >>log; then
        state=started
    else
        state=failed
    fi
    echo $state
done

if [ $state = failed ]; then
    tail -n 5 log
elif [ $state = stopped ]; then
    :
elif ! as_owner "$programs/pg_ctl" stop --pgdata=data --mode=immediate --silent </dev/null >>log; then
    kill -KILL "$(head -n 1 data/postmaster.pid)"
fi
cd /
rm -rf "$directory"
"#;

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    psql: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Held open while the tests need the server.
    keeper: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// This process's cluster; the first call starts it.
///
/// # Panics
///
/// When `TEST_REQUIRE` contains `postgres` and there is no PostgreSQL, or it does not start.
#[allow(dead_code, clippy::allow_attributes, reason = "not every test binary shares one")]
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();

    let started = CLUSTER.get_or_init(|| {
        let started = programs().and_then(|programs| Cluster::start(&programs, None, &[]));
        if let Err(reason) = &started
            && !required()
        {
            say_skipped(reason);
        }
        started
    });
    match started {
        Ok(cluster) => Some(cluster),
        Err(reason) if required() => fail(&format!("PostgreSQL is required: {reason}")),
        Err(_) => None,
    }
}

/// A cluster for one test alone, which may stop it. The directory `more` holds a `more.conf` and
/// the files that it names.
///
/// # Panics
///
/// When this cluster does not start although the process's own cluster does.
#[allow(dead_code, clippy::allow_attributes, reason = "not every test binary stops one")]
pub fn own_cluster(more: Option<&Path>) -> Option<Cluster> {
    cluster()?;
    match programs().and_then(|programs| Cluster::start(&programs, more, &[])) {
        Ok(cluster) => Some(cluster),
        Err(reason) => fail(&format!("another cluster: {reason}")),
    }
}

/// A cluster that keeps all acknowledged writes through any crash, as a server in service does and
/// the tests' other clusters do not. Its programs get this environment.
///
/// # Panics
///
/// As [`cluster`] does.
#[allow(dead_code, clippy::allow_attributes, reason = "few tests break one")]
pub fn lasting_cluster(environment: &[(&str, &str)]) -> Option<Cluster> {
    match programs().and_then(|programs| Cluster::start(&programs, None, environment)) {
        Ok(cluster) => {
            for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
                cluster.ask("postgres", &format!("ALTER SYSTEM SET {setting} = on"));
            }
            cluster.ask("postgres", "SELECT pg_reload_conf()");
            Some(cluster)
        }
        Err(reason) if required() => fail(&format!("PostgreSQL is required: {reason}")),
        Err(reason) => {
            say_skipped(&reason);
            None
        }
    }
}

fn say_skipped(reason: &str) {
    // Straight to the stream: a test's `print` macros show only if the test fails.
    let line = format!("SKIPPED: tests that need PostgreSQL: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl Cluster {
    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub fn new_database(&self) -> String {
        // From `template0`, which takes no connections, so that many databases can be made at once.
        self.create("template0")
    }

    /// Makes a copy of a database without open connections, and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    #[allow(dead_code, clippy::allow_attributes, reason = "not every test binary copies one")]
    pub fn copy_of(&self, url: &str) -> String {
        self.create(url.rsplit('/').next().unwrap_or_default())
    }

    fn create(&self, template: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        self.url(&name)
    }

    /// The answer to a statement, one row in each line.
    fn ask(&self, database: &str, sql: &str) -> String {
        self.try_to_ask(database, sql).unwrap_or_else(|reason| fail(&format!("{sql}: {reason}")))
    }

    /// The same on a server that may be down.
    pub fn try_to_ask(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(&self.psql)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
            ])
            .arg(format!("--dbname={}", self.url(database)))
            .arg(format!("--command={sql}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", self.psql.display()))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Stops the server, `fast` or `immediate`, which cuts off its clients.
    #[allow(dead_code, clippy::allow_attributes, reason = "not every test binary stops one")]
    pub fn stop(&self, mode: &str) {
        assert_eq!(self.tell(&format!("stop {mode}")), "stopped\n");
    }

    /// Starts the server on its former port, unless it recovers by itself.
    ///
    /// # Panics
    ///
    /// When it does not start after many attempts.
    #[allow(dead_code, clippy::allow_attributes, reason = "not every test binary stops one")]
    pub fn start_again(&self) {
        // backends of the killed server may still hold its memory
        let started = (0..100).any(|_| {
            let started = self.tell(&format!("start {}", self.port)) == "started\n"
                || self.try_to_ask("postgres", "SELECT 1").is_ok();
            if !started {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            started
        });
        assert!(started, "PostgreSQL does not start again");
    }

    #[allow(dead_code, clippy::allow_attributes, reason = "not every test binary asks")]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn tell(&self, command: &str) -> String {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = String::new();
        let told = writeln!(keeper.0, "{command}").and_then(|()| keeper.1.read_line(&mut answer));
        match told {
            Ok(_) => answer,
            Err(error) => fail(&format!("the keeper of the cluster: {error}")),
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn start(
        programs: &Path,
        more: Option<&Path>,
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("the keeper of the cluster: {error}");

        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper"])
            .args([programs, &std::env::temp_dir()])
            .args(more)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Ctrl-C at the terminal is for the tests; the keeper still has work to do.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut child: Child = command.spawn().map_err(told)?;
        let (Some(mut keeper), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the keeper of the cluster has no pipes".to_owned());
        };
        let mut answers = BufReader::new(answers);
        let mut answer = String::new();
        answers.read_line(&mut answer).map_err(told)?;
        if answer == "ready\n" {
            for _ in 0..PORTS {
                let port = free_port().map_err(told)?;
                keeper.write_all(format!("start {port}\n").as_bytes()).map_err(told)?;
                answer.clear();
                answers.read_line(&mut answer).map_err(told)?;
                if answer == "started\n" {
                    return Ok(Self {
                        psql: programs.join("psql"),
                        port,
                        databases: AtomicU32::new(0),
                        keeper: Mutex::new((keeper, answers)),
                    });
                }
            }
        }

        // The keeper's last output is the reason.
        drop(keeper);
        let mut reason = answer.replace("failed\n", "");
        answers.read_to_string(&mut reason).map_err(told)?;
        child.wait().map_err(told)?;
        let reason: Vec<&str> = reason.lines().collect();
        Err(format!("PostgreSQL in {} does not start: {}", programs.display(), reason.join(" | ")))
    }
}

/// The directory with PostgreSQL's programs: one on the path, or the newest of Debian's.
fn programs() -> Result<PathBuf, String> {
    const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "psql"];
    const DEBIAN: &str = "/usr/lib/postgresql";

    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    debian.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));

    std::env::split_paths(&path)
        .chain(debian.into_iter().map(|(_, version)| version.join("bin")))
        .filter(|directory| cfg!(unix) && directory.is_absolute())
        .find(|directory| NEEDED.iter().all(|program| directory.join(program).is_file()))
        .ok_or_else(|| format!("PostgreSQL not found, neither on the path nor in {DEBIAN}/*/bin"))
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn required() -> bool {
    std::env::var("TEST_REQUIRE")
        .is_ok_and(|list| list.split(',').any(|name| name.trim() == "postgres"))
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn fail(message: &str) -> ! {
    panic!("{message}")
}
