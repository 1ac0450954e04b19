//! Tests of a disk that is full, broken or lying, and of power cuts. kill -9 does not show these,
//! since the system's cache outlives the process.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::chaos::{rage, rage_with};
use crate::deployment::{Data, Deployment, InjectedFault};
use crate::disk::{Disk, Order};
use crate::postgres::lasting_cluster;
use crate::received_letters::ReceivedLetters;
use crate::service::{Answer, Service, patiently, request};
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
    let link = patiently(|| received_letters.activation(email)).expect("a letter");
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

fn is_unavailable(service: &Service, answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}\n{}", service.log());
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// While the disk takes no writes, write requests get 503 and reads succeed. Afterwards the same
/// process continues, with no write lost or half done.
fn writes_wait_and_reads_go_on(order: Order) {
    let received_letters = ReceivedLetters::open();
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    let Data::Disk(disk) = &deployment.data else { return };
    let service = &deployment.service;
    assert_eq!(sign_up(service, "ada@example.org").status, 202);
    activate(service, &received_letters, "ada@example.org");
    let pair = sign_in(service, "ada@example.org").json();
    let text = |name: &str| pair[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));

    disk.order(order);
    for round in 0..20 {
        is_unavailable(service, &sign_up(service, &format!("bob{round}@example.org")));
        is_unavailable(service, &sign_in(service, "ada@example.org"));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        is_unavailable(service, &token(service, &fields));
        assert_eq!(sessions(service, &access), 200, "reads go on");
        // a balancer sends no writes here (F1)
        assert_eq!(readiness(service), 503, "round {round}");
    }
    disk.recover(order);
    let back = Instant::now();
    // the service recovers by itself, before the first write
    deployment.wait_until_ready();
    let recovered = patiently(|| (sign_in(service, "ada@example.org").status == 200).then_some(()));
    assert!(recovered.is_some(), "it does not recover:\n{}", service.log());
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
fn r50_on_a_full_disk_writes_wait_and_reads_go_on() {
    writes_wait_and_reads_go_on(Order::Full);
}

#[test]
fn r50_on_a_disk_that_cannot_sync_writes_wait_and_reads_go_on() {
    writes_wait_and_reads_go_on(Order::Broken);
}

/// PostgreSQL stops when it cannot write its log, and may not even start. The service reports that,
/// and continues when PostgreSQL is back.
fn a_server_that_gives_up_is_waited_for(order: Order) {
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

    disk.order(order);
    for round in 0..2 {
        is_unavailable(service, &sign_up(service, &format!("bob{round}@example.org")));
    }
    disk.recover(order);
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
fn r50_postgresql_on_a_full_disk_is_waited_for() {
    a_server_that_gives_up_is_waited_for(Order::Full);
}

#[test]
fn r50_postgresql_on_a_disk_that_cannot_sync_is_waited_for() {
    a_server_that_gives_up_is_waited_for(Order::Broken);
}

/// The power fails; in two of three cases the disk was full or broken just before.
#[test]
fn r28_r48_r50_nothing_acknowledged_is_lost_when_the_disk_fails_and_the_power_goes() {
    let (received_letters, size) = (ReceivedLetters::open(), size(15, 300));
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    let report = rage_with(&mut deployment, &received_letters, size, |deployment, chance| {
        let order = [None, Some(Order::Full), Some(Order::Broken)][chance.below(3)];
        if let (Data::Disk(disk), Some(order)) = (&deployment.data, order) {
            disk.order(order);
            sleep(Duration::from_millis(chance.below(500) as u64));
            // in half of the cases the disk recovers before the power cut
            if chance.below(2) == 0 {
                disk.recover(order);
                sleep(Duration::from_millis(chance.below(500) as u64));
            } else {
                deployment.service.stop();
                disk.recover(order);
            }
        }
        (InjectedFault::Power, deployment.strike(InjectedFault::Power, chance))
    });
    report.assert_kept("disk failing and power lost, on SQLite", size);
    assert!(report.figures.of("answers 503") > 0, "the disk did not fail while somebody wrote");
}

/// The harness can fail: on a disk that acknowledges syncs without doing them (as with `synchronous
/// = OFF`) the same run has to find losses.
#[test]
fn a_disk_that_lies_is_found_out() {
    let received_letters = ReceivedLetters::open();
    let Some(mut deployment) = Deployment::on_a_disk(&received_letters) else { return };
    if let Data::Disk(disk) = &deployment.data {
        disk.order(Order::Lying);
    }
    rage(&mut deployment, &received_letters, FEW).assert_found_out("a disk that lies");
}
