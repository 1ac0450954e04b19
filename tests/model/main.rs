//! Model-based tests: random sequences of operations on sessions, against a simple reference (R22
//! to R27).
//!
//! The tests compare every answer with that of [`reference::Model`]. After every step they compare
//! the number of sessions that each owner sees and the waiting letters about theft. At the end they
//! try every token that was ever issued once more. They run the use cases of two nodes on one
//! database, so that a sequence costs a fraction of a second.
//!
//! `TEST_CASES=80 cargo test --test model` runs eighty times as many sequences. Sequences that have
//! failed once are in `regressions.txt`, and run first from then on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stdout, reason = "the test prints how often each answer came")]

#[path = "../support/postgres.rs"]
mod postgres;
mod reference;
mod service;
mod steps;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};
use tokio::runtime::Runtime;
use vestibule::storage::Store;
use vestibule::testing::TestApp;

use service::Service;
use steps::{Case, step};

/// The number of sequences, times `TEST_CASES`.
const SEQUENCES: u32 = 25;
/// Settings without limits: these have tests of their own, and would end a sequence with many wrong
/// passwords.
const SETTINGS: &str = "[default.vestibule.limits]\nenabled = false";
/// The steps of a sequence: sixty on average, and as few as suffice when a failure is shrunk.
const STEPS: std::ops::RangeInclusive<usize> = 1..=119;

#[test]
fn r22_r23_r26_r27_sessions_behave_as_the_reference_on_sqlite() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::configured(SETTINGS));
    compare(&runtime, &app);
}

#[test]
fn r22_r23_r26_r27_sessions_behave_as_the_reference_on_postgres() {
    let Some(cluster) = postgres::cluster() else { return };
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::on_database(&cluster.new_database(), SETTINGS));
    compare(&runtime, &app);
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn cases() -> u32 {
    let times = std::env::var("TEST_CASES").ok();
    SEQUENCES * times.map_or(1, |times| times.parse().unwrap())
}

fn compare(runtime: &Runtime, app: &TestApp) {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/regressions.txt");
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        max_shrink_iters: 3_000,
        ..Config::default()
    });
    let other = runtime.block_on(Store::open(app.client.rocket().figment())).unwrap();
    let met = RefCell::new(BTreeMap::<String, usize>::new());
    let sequences = (proptest::bool::weighted(0.8), vec(step(), STEPS));
    let outcome = runner.run(&sequences, |(graceful, steps)| {
        runtime.block_on(async {
            let service = Service::start(app, &other, if graceful { 30 } else { 0 }).await;
            let mut case = Case::new(service);
            let compared = case.run(&steps).await;
            for (what, times) in case.met {
                *met.borrow_mut().entry(what).or_default() += times;
            }
            compared.map_err(TestCaseError::fail)
        })
    });
    for (what, times) in met.borrow().iter() {
        println!("{times:>8}  {what}");
    }
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (graceful, steps))) => {
            panic!("{reason}\ngrace: {graceful}\n{steps:#?}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    // a kind of answer that the sequences never reach is not tested
    let usual = ["SignIn: Tokens", "Refresh: Tokens", "Use: Passed", "Introspect: Active"];
    let rare = [
        "Refresh: the same again",
        "Refresh: theft",
        "Refresh: Refused(RefreshToken)",
        "Refresh: Refused(Scope)",
        "Use: Refused(AccessToken)",
        "Use: Refused(InsufficientScope)",
        "Introspect: Inactive",
        "Revoke: Done",
        "Revoke: Refused(ForeignToken)",
        "ChangePassword: Done",
        "Reset: Done",
        "Delete: Done",
        "SignOut: Done",
        "SignOutEverywhere: Done",
        "EnableClient: Done",
    ];
    let wanted = usual.iter().chain(rare.iter().filter(|_| cases() >= 500));
    for what in wanted {
        assert!(met.borrow().contains_key(*what), "no sequence had {what}");
    }
}
