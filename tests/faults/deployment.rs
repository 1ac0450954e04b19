//! The service with its database, and the faults that can be injected into both.

use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::disk::Disk;
use crate::postgres::{Cluster, lasting_cluster};
use crate::received_letters::ReceivedLetters;
use crate::seeded_random::SeededRandom;
use crate::service::{Service, poll_until_some, try_request};

/// The place of the data.
pub enum Data {
    File(TempDir),
    Disk(Disk),
    Server(Cluster, String),
}

/// A fault at a random moment.
#[derive(Clone, Copy, Debug)]
pub enum InjectedFault {
    /// SIGKILL to the service.
    Service,
    /// SIGKILL to a backend process of PostgreSQL: the server ends all backends and recovers.
    Backend,
    /// SIGKILL to PostgreSQL's first process, which has to be started again.
    Postmaster,
    /// SIGKILL to the service, and of its data only the synced part is left.
    Power,
}

pub struct Deployment {
    pub service: Service,
    pub data: Data,
    environment: Vec<(&'static str, String)>,
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

impl Deployment {
    pub fn on_a_file(received_letters: &ReceivedLetters) -> Self {
        Self::start(
            Data::File(TempDir::new().expect("a temporary directory")),
            received_letters,
            &[],
        )
    }

    /// `None` without a PostgreSQL server.
    pub fn on_a_server(received_letters: &ReceivedLetters) -> Option<Self> {
        let cluster = lasting_cluster(&[])?;
        let url = cluster.new_database();
        Some(Self::start(Data::Server(cluster, url), received_letters, &[]))
    }

    /// `None` where the faulty disk cannot be built.
    pub fn on_a_disk(received_letters: &ReceivedLetters) -> Option<Self> {
        Some(Self::start(Data::Disk(Disk::new()?), received_letters, &[]))
    }

    pub fn start(
        data: Data,
        received_letters: &ReceivedLetters,
        more: &[(&'static str, &str)],
    ) -> Self {
        let database = match &data {
            Data::File(folder) => format!("sqlite://{}/vestibule.db", folder.path().display()),
            Data::Disk(disk) => format!("sqlite://{}/vestibule.db", disk.data().display()),
            Data::Server(_, url) => url.clone(),
        };
        let mut environment = vec![
            ("DATABASE_URL", database),
            ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
            ("VESTIBULE_MAIL__SMTP_URL", received_letters.url()),
            // the database is the limit here, and not the hasher
            ("VESTIBULE_HASHING__MEMORY_KIB", "8".to_owned()),
            ("VESTIBULE_HASHING__ITERATIONS", "1".to_owned()),
            ("VESTIBULE_HASHING__MAX_WAIT", "30s".to_owned()),
            // longer than any run: a session ends only on request, and presenting a spent token
            // ends none
            ("VESTIBULE_TOKENS__ACCESS_TTL", "12h".to_owned()),
            ("VESTIBULE_TOKENS__REUSE_GRACE", "12h".to_owned()),
        ];
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if let Data::Disk(disk) = &data {
            environment.extend(disk.environment());
        }
        let service = Service::start(&borrowed(&environment));
        Self { service, data, environment }
    }

    pub fn restart(&mut self) {
        self.service.restart(&borrowed(&self.environment));
    }

    /// Chooses one of this deployment's faults.
    pub fn choose(&self, rng: &mut SeededRandom) -> InjectedFault {
        match &self.data {
            Data::File(_) => InjectedFault::Service,
            Data::Disk(_) => InjectedFault::Power,
            Data::Server(..) => match rng.below(20) {
                0..14 => InjectedFault::Service,
                14..18 => InjectedFault::Backend,
                _ => InjectedFault::Postmaster,
            },
        }
    }

    /// Injects the fault and waits for the recovery. Returns when it happened, and how long the
    /// service was not ready afterwards, unless the service itself was hit.
    pub fn inject(&mut self, fault: InjectedFault, rng: &mut SeededRandom) -> (Instant, Duration) {
        let at = Instant::now();
        match (fault, &self.data) {
            (InjectedFault::Power, Data::Disk(disk)) => {
                self.service.stop();
                disk.lose_power();
                self.restart();
            }
            (InjectedFault::Backend, Data::Server(cluster, _)) => {
                let sql = "SELECT pid FROM pg_stat_activity
                           WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                let backends = cluster.try_to_ask("postgres", sql).unwrap_or_default();
                let backends: Vec<&str> = backends.lines().collect();
                if let Some(id) = backends.get(rng.below(backends.len())) {
                    kill(id);
                    // the server ends the others and recovers only when it has noticed
                    let sql = format!("SELECT COUNT(*) FROM pg_stat_activity WHERE pid = {id}");
                    let gone =
                        || cluster.try_to_ask("postgres", &sql).ok().filter(|rows| rows == "0");
                    poll_until_some(gone).expect("a server that recovers");
                }
            }
            (InjectedFault::Postmaster, Data::Server(cluster, _)) => {
                let folder = cluster.try_to_ask("postgres", "SHOW data_directory");
                let file = format!("{}/postmaster.pid", folder.expect("a server that is there"));
                let file = std::fs::read_to_string(file).expect("the server's PID file");
                kill(file.lines().next().expect("an id"));
                cluster.start_again();
            }
            _ => self.restart(),
        }
        let up = Instant::now();
        self.wait_until_ready();
        (at, up.elapsed())
    }

    pub fn wait_until_ready(&self) {
        let port = self.service.port;
        let ready = poll_until_some(|| {
            let answer = try_request(port, "GET", "/health/ready", &[], "").ok()?;
            (answer.status == 200).then_some(())
        });
        assert!(ready.is_some(), "the service does not recover:\n{}", self.service.log());
    }
}

fn kill(id: &str) {
    // the process may have ended by itself
    let _ = Command::new("kill").args(["-KILL", id]).status();
}
