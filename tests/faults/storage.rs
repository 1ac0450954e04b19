//! Tests of a disk that is full, broken or lying, and of power cuts. kill -9 does not show these,
//! since the system's cache outlives the process.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::chaos::{run_chaos, run_chaos_with};
use crate::deployment::{Data, Deployment, InjectedFault};
use crate::disk::{Disk, Order};
use crate::postgres::lasting_cluster;
use crate::received_letters::ReceivedLetters;
use crate::service::{Answer, Service, poll_until_some, request};
use crate::{FEW, service, size};

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn token(service: &Service, fields: &[(&str, &str)]) -> Answer {
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let fields = [&[("client_id", "web")], fields].concat();
    request(service.port, "POST", "/oauth/token", &kind, &form(&fields))
}

fn sign_in(service: &Service, email: &str) -> Answer {
    let fields = [("grant_type", "password"), ("username", email), ("password", service::PASSWORD)];
    token(service, &fields)
}

fn sign_up(service: &Service, email: &str) -> Answer {
    let body = json!({ "email": email, "password": service::PASSWORD }).to_string();
    request(service.port, "POST", "/v1/accounts", &[("Content-Type", "application/json")], &body)
}

fn activate(service: &Service, received_letters: &ReceivedLetters, email: &str) {
    let link = poll_until_some(|| received_letters.activation(email)).expect("a letter");
    let body = json!({ "token": link }).to_string();
    let kind = [("Content-Type", "application/json")];
    assert_eq!(request(service.port, "POST", "/v1/activations", &kind, &body).status, 200);
}

/// The status of a path that reads the database each time.
fn sessions(service: &Service, access: &str) -> u16 {
    let bearer = format!("Bearer {access}");
    request(service.port, "GET", "/v1/me/sessions", &[("Authorization", &bearer)], "").status
}

fn readiness(service: &Service) -> u16 {
    request(service.port, "GET", "/health/ready", &[], "").status
}

fn assert_unavailable(service: &Service, answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}\n{}", service.log());
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// While the disk takes no writes, write requests get 503 and reads succeed. Afterwards the same
/// process continues, with no write lost or half done.
fn writes_are_put_off_and_reads_succeed(order: Order) {
    let received_letters = ReceivedLetters::open();
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    let Data::Disk(disk) = &deployment.data else { return };
    let service = &deployment.service;
    assert_eq!(sign_up(service, "ada@example.org").status, 202);
    activate(service, &received_letters, "ada@example.org");
    let pair = sign_in(service, "ada@example.org").json();
    let text = |name: &str| pair[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));

    disk.begin_fault(order);
    for round in 0..20 {
        assert_unavailable(service, &sign_up(service, &format!("bob{round}@example.org")));
        assert_unavailable(service, &sign_in(service, "ada@example.org"));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        assert_unavailable(service, &token(service, &fields));
        assert_eq!(sessions(service, &access), 200, "reads succeed");
        // a balancer sends no writes here (F1)
        assert_eq!(readiness(service), 503, "round {round}");
    }
    disk.end_fault(order);
    let back = Instant::now();
    // the service recovers by itself, before the first write
    deployment.wait_until_ready();
    let recovered =
        poll_until_some(|| (sign_in(service, "ada@example.org").status == 200).then_some(()));
    assert!(recovered.is_some(), "the service does not recover:\n{}", service.log());
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());

    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let renewed = token(service, &fields);
    assert_eq!(renewed.status, 200, "a refresh that was answered 503 has spent nothing");
    assert_eq!(sign_up(service, "bob0@example.org").status, 202);
    activate(service, &received_letters, "bob0@example.org");
    // the writes acknowledged since then are on the disk
    if let Data::Disk(disk) = &deployment.data {
        deployment.service.stop();
        disk.lose_power();
    }
    deployment.restart();
    let renewed = renewed.json();
    let access = renewed["access_token"].as_str().expect("a token");
    assert_eq!(sessions(&deployment.service, access), 200);
    assert_eq!(sign_in(&deployment.service, "bob0@example.org").status, 200);
}

#[test]
fn r50_full_disk_puts_writes_off_and_serves_reads() {
    writes_are_put_off_and_reads_succeed(Order::Full);
}

#[test]
fn r50_failing_sync_puts_writes_off_and_serves_reads() {
    writes_are_put_off_and_reads_succeed(Order::Broken);
}

/// PostgreSQL stops when it cannot write its log, and may not even start. The service reports that,
/// and continues when PostgreSQL is back.
fn service_recovers_after_a_disk_fault_of_postgresql(order: Order) {
    let received_letters = ReceivedLetters::open();
    let Some(disk) = Disk::new() else { return };
    let environment = disk.environment_of_a_server();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(cluster) = lasting_cluster(&environment) else { return };
    let url = cluster.new_database();
    let deployment = Deployment::start(Data::Server(cluster, url), &received_letters, &[]);
    let Data::Server(cluster, _) = &deployment.data else { return };
    let service = &deployment.service;
    assert_eq!(sign_up(service, "ada@example.org").status, 202);
    activate(service, &received_letters, "ada@example.org");

    disk.begin_fault(order);
    for round in 0..2 {
        assert_unavailable(service, &sign_up(service, &format!("bob{round}@example.org")));
    }
    disk.end_fault(order);
    cluster.start_again();
    let back = Instant::now();
    deployment.wait_until_ready();
    let took = back.elapsed();
    println!("PostgreSQL on a disk that was {order:?}: ready again after {took:?}");
    assert_eq!(sign_in(service, "ada@example.org").status, 200);
    assert_eq!(sign_up(service, "bob0@example.org").status, 202);
    activate(service, &received_letters, "bob0@example.org");
    assert_eq!(sign_in(service, "bob0@example.org").status, 200);
}

#[test]
fn r50_service_recovers_after_a_full_disk_of_postgresql() {
    service_recovers_after_a_disk_fault_of_postgresql(Order::Full);
}

#[test]
fn r50_service_recovers_after_failing_syncs_of_postgresql() {
    service_recovers_after_a_disk_fault_of_postgresql(Order::Broken);
}

/// The power fails; in two of three cases the disk was full or broken just before.
#[test]
fn r28_r48_r50_acknowledged_writes_survive_disk_faults_and_power_cuts() {
    let (received_letters, size) = (ReceivedLetters::open(), size(15, 300));
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    let report = run_chaos_with(&mut deployment, &received_letters, size, |deployment, rng| {
        let order = [None, Some(Order::Full), Some(Order::Broken)][rng.below(3)];
        if let (Data::Disk(disk), Some(order)) = (&deployment.data, order) {
            disk.begin_fault(order);
            sleep(Duration::from_millis(rng.below(500) as u64));
            // in half of the cases the disk recovers before the power cut
            if rng.below(2) == 0 {
                disk.end_fault(order);
                sleep(Duration::from_millis(rng.below(500) as u64));
            } else {
                deployment.service.stop();
                disk.end_fault(order);
            }
        }
        (InjectedFault::Power, deployment.inject(InjectedFault::Power, rng))
    });
    report.assert_kept("disk failing and power lost, on SQLite", size);
    assert!(report.figures.of("answers 503") > 0, "no write met the disk fault");
}

/// The harness can fail: on a disk that acknowledges syncs without doing them (as with `synchronous
/// = OFF`) the same run has to find losses.
#[test]
fn harness_detects_losses_of_a_disk_without_sync() {
    let received_letters = ReceivedLetters::open();
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    if let Data::Disk(disk) = &deployment.data {
        disk.begin_fault(Order::Lying);
    }
    run_chaos(&mut deployment, &received_letters, FEW).assert_losses_found("a disk that lies");
}
