//! Tests of an outage of the database, which the service outlives (R52): meanwhile it answers 503
//! with `Retry-After`, at once or after a bounded time. It recovers within five seconds.

#![expect(clippy::disallowed_methods, reason = "a process lives in real time")]

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::runtime::Runtime;

use crate::database::Database;
use crate::program::{Answer, Program, wait_until};
use crate::stalled_network::Gate;
use crate::{ADA, activate, me, postgres, refresh, sign_in, sign_up};

/// The longest time between the database's return and the service's recovery.
const RECOVERY: Duration = Duration::from_secs(5);

fn started(url: &str) -> (Program, Value) {
    let program = Program::start(&[("DATABASE_URL", url.to_owned())]);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    (program, tokens)
}

fn timed(ask: impl FnOnce() -> Answer) -> (Answer, Duration) {
    let start = Instant::now();
    let answer = ask();
    (answer, start.elapsed())
}

/// Checks that a request is refused with `Retry-After`, within the limit.
fn assert_put_off(what: &str, limit: Duration, ask: impl FnOnce() -> Answer) {
    let (answer, took) = timed(ask);
    assert_eq!(answer.status, 503, "{what}: {answer:?}");
    assert!(answer.header("Retry-After").is_some(), "{what}: {answer:?}");
    assert_eq!(answer.header("WWW-Authenticate"), None, "{what}: the token is not refused");
    assert!(took < limit, "{what} took {took:?}");
}

fn assert_all_put_off(program: &Program, tokens: &Value, limit: Duration) {
    assert_put_off("a token", limit, || me(program, &tokens["access_token"]));
    assert_put_off("a refresh", limit, || refresh(program, &tokens["refresh_token"]));
    assert_put_off("readiness", limit, || program.get("/health/ready", &[]));
    assert_eq!(program.get("/health/live", &[]).status, 200);
}

/// Checks that the service recovers in time: it is ready, and reads and writes.
fn assert_recovered(program: &Program, tokens: &Value) {
    let start = Instant::now();
    wait_until("tokens work again", || {
        (me(program, &tokens["access_token"]).status == 200).then_some(())
    });
    assert_eq!(program.get("/health/ready", &[]).status, 200);
    assert_eq!(refresh(program, &tokens["refresh_token"]).status, 200);
    let took = start.elapsed();
    assert!(took < RECOVERY, "{took:?}");
}

fn restarted(mode: &str) {
    // the other tests' clusters may lose the latest commits when they crash
    let more = tempfile::tempdir().expect("a folder");
    let durable = "fsync = on\nsynchronous_commit = on\n";
    std::fs::write(more.path().join("more.conf"), durable).expect("a file");
    let Some(cluster) = postgres::own_cluster(Some(more.path())) else { return };
    let (program, tokens) = started(&cluster.new_database());
    cluster.stop(mode);
    // first the idle connections are closed, then new ones cannot be opened
    for _ in 0..3 {
        assert_all_put_off(&program, &tokens, Duration::from_secs(2));
    }
    cluster.start_again();
    assert_recovered(&program, &tokens);
    // no request came during the outage
    cluster.stop(mode);
    cluster.start_again();
    assert_recovered(&program, &sign_in(&program, ADA));
    assert!(!program.stop().contains("panic"));
}

#[test]
fn r52_service_recovers_from_a_shutdown_of_postgres() {
    restarted("fast");
}

#[test]
fn r52_service_recovers_from_a_crash_of_postgres() {
    restarted("immediate");
}

/// Checks that reads succeed, and that writes are refused until the server accepts them again.
fn assert_writes_put_off(program: &Program, tokens: &Value) {
    let limit = Duration::from_secs(2);
    for _ in 0..3 {
        assert_put_off("a refresh", limit, || refresh(program, &tokens["refresh_token"]));
        let sign_up =
            serde_json::json!({ "email": "bob@example.org", "password": crate::PASSWORD });
        assert_put_off("a sign-up", Duration::from_secs(20), || {
            program.post_json("/v1/accounts", &sign_up)
        });
        assert_put_off("readiness", limit, || program.get("/health/ready", &[]));
        assert_eq!(me(program, &tokens["access_token"]).status, 200, "reads succeed");
        assert_eq!(program.get("/health/live", &[]).status, 200);
    }
}

#[test]
fn f1_read_only_database_puts_writes_off_until_it_is_writable() {
    let Some(cluster) = postgres::own_cluster(None) else { return };
    let url = cluster.new_database();
    let (program, tokens) = started(&url);
    let name = url.rsplit('/').next().expect("a name");
    let tell = |sql: &str| cluster.try_to_ask("postgres", sql).expect(sql);
    // for every connection
    let all = |value: &str| {
        tell(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        tell("SELECT pg_reload_conf()");
    };
    // for new connections only: existing ones keep the value from their start
    let new = |value: &str| {
        tell(&format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}"));
    };
    all("on");
    wait_until("the setting holds", || {
        (program.get("/health/ready", &[]).status == 503).then_some(())
    });
    assert_writes_put_off(&program, &tokens);
    all("off");
    assert_recovers_soon(&program, &tokens);

    // connections that were made while the server was read-only
    let tokens = sign_in(&program, ADA);
    new("on");
    tell(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
    );
    wait_until("new connections take no writes", || {
        (program.get("/health/ready", &[]).status == 503).then_some(())
    });
    assert_writes_put_off(&program, &tokens);
    new("off");
    assert_recovers_soon(&program, &tokens);
}

/// The same as [`assert_recovered`], once the last old connection was given up.
fn assert_recovers_soon(program: &Program, tokens: &Value) {
    let start = Instant::now();
    wait_until("the service is ready", || {
        (program.get("/health/ready", &[]).status == 200).then_some(())
    });
    wait_until("the service writes", || {
        (refresh(program, &tokens["refresh_token"]).status == 200).then_some(())
    });
    let took = start.elapsed();
    assert!(took < RECOVERY, "{took:?}");
}

#[test]
fn f1_standby_puts_writes_off_until_its_promotion() {
    let durable = tempfile::tempdir().expect("a folder");
    let more = "fsync = on\nsynchronous_commit = on\n";
    std::fs::write(durable.path().join("more.conf"), more).expect("a file");
    let Some(cluster) = postgres::own_cluster(Some(durable.path())) else { return };
    let (program, tokens) = started(&cluster.new_database());
    let data = cluster.try_to_ask("postgres", "SHOW data_directory").expect("a folder");
    cluster.stop("fast");
    std::fs::write(std::path::Path::new(&data).join("standby.signal"), "").expect("a file");
    cluster.start_again();
    wait_until("the standby serves reads", || {
        (me(&program, &tokens["access_token"]).status == 200).then_some(())
    });
    assert_writes_put_off(&program, &tokens);
    cluster.try_to_ask("postgres", "SELECT pg_promote()").expect("a promotion");
    assert_recovers_soon(&program, &tokens);
    assert!(!program.stop().contains("panic"));
}

#[test]
fn f4_lost_answer_to_a_commit_is_reported_as_unknown() {
    let Some(cluster) = postgres::cluster() else { return };
    let gate = Gate::to(cluster.port());
    let direct = cluster.new_database();
    let url = direct.replace(&cluster.port().to_string(), &gate.port.to_string());
    let program = Program::prepare(&[("DATABASE_URL", url)]);
    for arguments in [&["migrate"][..], &["client", "add", "desk", "--scopes", "account.read"]] {
        assert_eq!(program.exec(arguments, "").code, Some(0), "{arguments:?}");
    }
    gate.lose_answers_to_commits();
    let output =
        program.exec(&["client", "rotate-secret", "desk", "--keep-old", "0s", "--json"], "");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("the secret may be valid"), "{output:?}");
    assert!(!output.stderr.contains("nothing has changed"), "{output:?}");
    // the lost commit has rotated the secret
    let rotated = "SELECT COUNT(*) FROM events WHERE kind = 'client-secret-rotated'";
    assert_eq!(Database::at(direct).count(rotated), 1);
}

#[test]
fn r52_silent_database_delays_requests_for_a_bounded_time() {
    let Some(cluster) = postgres::cluster() else { return };
    let gate = Gate::to(cluster.port());
    let direct = cluster.new_database();
    let url = direct.replace(&cluster.port().to_string(), &gate.port.to_string());
    let (program, tokens) = started(&url);
    // more than one connection
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(me(&program, &tokens["access_token"]).status, 200));
        }
    });
    gate.stall();
    // the token cache answers for up to a second
    let is_asked_for = || (me(&program, &tokens["access_token"]).status != 200).then_some(());
    wait_until("the token is asked for", is_asked_for);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let limit = Duration::from_secs(8);
                assert_put_off("a token", limit, || me(&program, &tokens["access_token"]));
            });
        }
    });
    assert_eq!(program.get("/health/live", &[]).status, 200);
    assert_put_off("readiness", Duration::from_secs(8), || program.get("/health/ready", &[]));
    gate.resume();
    assert_recovered(&program, &tokens);

    // inside a transaction
    let tokens = sign_in(&program, ADA);
    let holder = Holder::of(&direct, &["BEGIN", "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            assert_put_off("a refresh", Duration::from_secs(20), || {
                refresh(&program, &tokens["refresh_token"])
            });
        });
        holder.wait_for_waiters(1);
        gate.stall();
        holder.release();
        assert!(waiting.join().is_ok());
    });
    gate.resume();
    // the silent commit may have succeeded or not; the old token works in both cases
    assert_recovered(&program, &sign_in(&program, ADA));
}

#[test]
fn r52_full_pool_and_held_lock_put_requests_off_in_bounded_time() {
    let Some(cluster) = postgres::cluster() else { return };
    let url = cluster.new_database();
    let settings = format!("{{vestibule={{url=\"{url}\",max_connections=2,connect_timeout=1}}}}");
    let program = Program::start(&[("ROCKET_DATABASES", settings)]);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    let holder = Holder::of(&url, &["BEGIN", "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"]);
    std::thread::scope(|scope| {
        let ask = || {
            assert_put_off("who waits", Duration::from_secs(15), || {
                me(&program, &tokens["access_token"])
            });
        };
        let two = [scope.spawn(ask), scope.spawn(ask)];
        holder.wait_for_waiters(2);
        assert_put_off("who comes late", Duration::from_secs(3), || {
            me(&program, &tokens["access_token"])
        });
        assert_put_off("readiness", Duration::from_secs(3), || program.get("/health/ready", &[]));
        assert_eq!(program.get("/health/live", &[]).status, 200);
        for one in two {
            assert!(one.join().is_ok());
        }
    });
    holder.release();
    assert_recovered(&program, &tokens);
}

#[test]
fn r52_sqlite_lock_of_another_process_puts_writes_off() {
    let program = Program::start(&[]);
    sign_up(&program, ADA);
    activate(&program, ADA);
    let tokens = sign_in(&program, ADA);
    let url = format!("sqlite://{}", program.path("data/vestibule.db").display());
    let holder = Holder::of(&url, &["BEGIN EXCLUSIVE"]);
    assert_put_off("a refresh", Duration::from_secs(10), || {
        refresh(&program, &tokens["refresh_token"])
    });
    let answer = me(&program, &tokens["access_token"]);
    assert_eq!(answer.status, 200, "reads do not wait: {answer:?}");
    holder.release();
    assert_recovered(&program, &tokens);
}

/// Another client of the database, which holds a lock.
struct Holder {
    runtime: Runtime,
    connection: AnyConnection,
    url: String,
}

impl Holder {
    fn of(url: &str, statements: &[&'static str]) -> Self {
        sqlx::any::install_default_drivers();
        let runtime = Runtime::new().expect("a runtime");
        let connection = runtime.block_on(async {
            let mut connection = AnyConnection::connect(url).await.expect("a connection");
            for statement in statements {
                connection.execute(*statement).await.expect("a lock");
            }
            connection
        });
        Self { runtime, connection, url: url.to_owned() }
    }

    /// Waits until `count` connections wait for the lock.
    fn wait_for_waiters(&self, count: i64) {
        let database = crate::database::Database::at(self.url.clone());
        wait_until("the connections wait for the lock", || {
            let waiting = database.count(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            );
            (waiting >= count).then_some(())
        });
    }

    fn release(mut self) {
        self.runtime.block_on(async {
            self.connection.execute("COMMIT").await.expect("an end");
        });
    }
}
