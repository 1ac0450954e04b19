//! Fault tests: the real program with many clients, while it is killed, starved and cut off again
//! and again. The clients' ledgers then check everything that it has acknowledged.
//!
//! A plain run takes a minute; `docs/reliability.md` describes a long one.

#![cfg(unix)]
#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, reason = "the figures of a run")]
#![expect(clippy::disallowed_methods, reason = "processes live in real time")]

mod account;
mod chaos;
mod deployment;
mod disk;
#[path = "../support/postgres.rs"]
mod postgres;
mod received_letters;
#[path = "../support/seeded_random.rs"]
mod seeded_random;
#[path = "../support/service.rs"]
mod service;
mod shutdown;
#[path = "../support/smtp.rs"]
mod smtp;
mod storage;
mod wire;

use std::time::Duration;

use chaos::{Size, run_chaos, run_chaos_with};
use deployment::{Data, Deployment, InjectedFault};
use received_letters::ReceivedLetters;
use service::setting;

/// The size of a plain run, or the size that the environment asks for.
fn size(faults: usize, acknowledgements: u64) -> Size {
    let number = |name| {
        let text = setting(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    Size {
        clients: number("FAULT_CLIENTS").map_or(12, |clients: u64| clients as usize),
        faults: number("FAULT_KILLS").map_or(faults, |kills: u64| kills as usize),
        acknowledgements: number("FAULT_ACKNOWLEDGEMENTS").unwrap_or(acknowledgements),
        pause: number("FAULT_PAUSE").map_or(700, |pause: u64| pause as usize),
        seed: number("FAULT_SEED").unwrap_or(1),
        longest: Duration::from_secs(60 * number("FAULT_MINUTES").unwrap_or(60)),
        letters: true,
    }
}

#[test]
fn r28_r48_r50_acknowledged_writes_survive_kills_of_the_service_on_sqlite() {
    let (received_letters, size) = (ReceivedLetters::open(), size(20, 500));
    let mut deployment = Deployment::on_a_file(&received_letters);
    run_chaos(&mut deployment, &received_letters, size).assert_kept("killed, on SQLite", size);
}

/// Few and short: for a run that has to find losses.
const FEW: Size = Size {
    clients: 4,
    faults: 4,
    acknowledgements: 0,
    pause: 1_500,
    seed: 1,
    longest: Duration::from_secs(60),
    letters: false,
};

#[test]
fn r28_r48_r50_acknowledged_writes_survive_kills_of_service_and_server_on_postgresql() {
    let (received_letters, size) = (ReceivedLetters::open(), size(20, 500));
    let Some(mut deployment) = Deployment::on_a_server(&received_letters) else { return };
    run_chaos(&mut deployment, &received_letters, size).assert_kept("killed, on PostgreSQL", size);
}

/// The harness can fail: a PostgreSQL server that answers before a commit is in its log (as with
/// `synchronous_commit = off`) loses the last commits when one of its processes is killed.
#[test]
fn harness_detects_losses_of_asynchronous_commits() {
    let received_letters = ReceivedLetters::open();
    let Some(mut deployment) = Deployment::on_a_server(&received_letters) else { return };
    if let Data::Server(cluster, _) = &deployment.data {
        for sql in [
            "ALTER SYSTEM SET synchronous_commit = off",
            "ALTER SYSTEM SET wal_writer_delay = '5s'",
            "SELECT pg_reload_conf()",
        ] {
            cluster.try_to_ask("postgres", sql).expect("a setting");
        }
    }
    let report = run_chaos_with(&mut deployment, &received_letters, FEW, |deployment, rng| {
        (InjectedFault::Backend, deployment.inject(InjectedFault::Backend, rng))
    });
    report.assert_losses_found("PostgreSQL that answers early");
}
