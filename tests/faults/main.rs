//! Faults: the real program with many clients, killed, starved and cut off again and again. What it has
//! acknowledged is replayed from the clients' ledgers.
//!
//! A plain run takes a minute; `docs/reliability.md` says how to make a long one.

#![cfg(unix)]
#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, reason = "the figures of a run")]
#![expect(clippy::disallowed_methods, reason = "processes live in real time")]

mod account;
#[path = "../support/chance.rs"]
mod chance;
mod disk;
mod postbox;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/service.rs"]
mod service;
mod shutdown;
mod site;
#[path = "../support/smtp.rs"]
mod smtp;
mod storage;
mod storm;
mod wire;

use std::time::Duration;

use postbox::Postbox;
use service::setting;
use site::{Blow, Data, Site};
use storm::{Size, rage, rage_with};

/// What a plain run does, or what the environment asks for.
fn size(blows: usize, acknowledgements: u64) -> Size {
    let number = |name| {
        let text = setting(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    Size {
        clients: number("FAULT_CLIENTS").map_or(12, |clients: u64| clients as usize),
        blows: number("FAULT_KILLS").map_or(blows, |kills: u64| kills as usize),
        acknowledgements: number("FAULT_ACKNOWLEDGEMENTS").unwrap_or(acknowledgements),
        pause: number("FAULT_PAUSE").map_or(700, |pause: u64| pause as usize),
        seed: number("FAULT_SEED").unwrap_or(1),
        longest: Duration::from_secs(60 * number("FAULT_MINUTES").unwrap_or(60)),
        letters: true,
    }
}

#[test]
fn r28_r48_r50_nothing_acknowledged_is_lost_when_the_service_is_killed_on_sqlite() {
    let (postbox, size) = (Postbox::open(), size(20, 500));
    let mut site = Site::on_a_file(&postbox);
    rage(&mut site, &postbox, size).assert_kept("killed, on SQLite", size);
}

/// Few and short: for a run that has to find losses.
const FEW: Size = Size {
    clients: 4,
    blows: 4,
    acknowledgements: 0,
    pause: 1_500,
    seed: 1,
    longest: Duration::from_secs(60),
    letters: false,
};

#[test]
fn r28_r48_r50_nothing_acknowledged_is_lost_when_either_is_killed_on_postgresql() {
    let (postbox, size) = (Postbox::open(), size(20, 500));
    let Some(mut site) = Site::on_a_server(&postbox) else { return };
    rage(&mut site, &postbox, size).assert_kept("killed, on PostgreSQL", size);
}

/// The harness can fail: PostgreSQL that answers before a commit is in its log, as it does with
/// `synchronous_commit = off`, loses the last of them when one of its processes is killed.
#[test]
fn a_server_that_answers_early_is_found_out() {
    let postbox = Postbox::open();
    let Some(mut site) = Site::on_a_server(&postbox) else { return };
    if let Data::Server(cluster, _) = &site.data {
        for sql in [
            "ALTER SYSTEM SET synchronous_commit = off",
            "ALTER SYSTEM SET wal_writer_delay = '5s'",
            "SELECT pg_reload_conf()",
        ] {
            cluster.try_to_ask("postgres", sql).expect("a setting");
        }
    }
    let report = rage_with(&mut site, &postbox, FEW, |site, chance| {
        (Blow::Backend, site.strike(Blow::Backend, chance))
    });
    report.assert_found_out("PostgreSQL that answers early");
}
