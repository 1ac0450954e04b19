//! Tests of several processes on one database, started at the same moment (R27, R48).

use serde_json::json;
use tempfile::TempDir;

use crate::program::Program;
use crate::smtp::SmtpServer;
use crate::{ADA, assert_revoked_soon, me, postgres, refresh, sign_in, sign_up};

const NODES: usize = 4;

#[test]
fn r27_concurrently_started_processes_act_as_one_service_on_sqlite() {
    let folder = TempDir::new().expect("a temporary directory");
    act_as_one_service(&format!("sqlite://{}/vestibule.db", folder.path().display()));
}

#[test]
fn r27_concurrently_started_processes_act_as_one_service_on_postgres() {
    if let Some(cluster) = postgres::cluster() {
        act_as_one_service(&cluster.new_database());
    }
}

/// The database has no tables, so that the processes meet at the migrations as well.
fn act_as_one_service(database: &str) {
    let server = SmtpServer::start();
    let settings = [
        ("DATABASE_URL", database.to_owned()),
        ("VESTIBULE_MAIL__TRANSPORT", "smtp".to_owned()),
        ("VESTIBULE_MAIL__SMTP_URL", server.url()),
    ];
    let nodes: Vec<Program> = std::thread::scope(|scope| {
        let starting = [(); NODES].map(|()| scope.spawn(|| Program::start(&settings)));
        starting.map(|node| node.join().expect("a node")).into()
    });

    // each step goes to another node
    sign_up(&nodes[0], ADA);
    server.wait_for(1);
    let letter = server.letters_to(ADA).remove(0);
    let link = letter.raw.lines().find(|line| line.contains("/activate?token=")).expect("a link");
    let body = json!({ "token": link.split_once("token=").expect("a token").1 });
    assert_eq!(nodes[1].post_json("/v1/activations", &body).status, 200);
    let first = sign_in(&nodes[2], ADA);
    let second = refresh(&nodes[3], &first["refresh_token"]).json();
    for node in &nodes {
        assert_eq!(me(node, &second["access_token"]).status, 200);
        // a repeated refresh gets the same answer from every node
        assert_eq!(
            refresh(node, &first["refresh_token"]).json()["refresh_token"],
            second["refresh_token"]
        );
    }
    let token = second["refresh_token"].as_str().expect("a token");
    let fields = [("token", token), ("client_id", "web")];
    assert_eq!(nodes[0].post_form("/oauth/revoke", &fields, &[]).status, 200);
    assert_eq!(me(&nodes[0], &second["access_token"]).status, 401);
    for node in &nodes {
        assert_eq!(refresh(node, &second["refresh_token"]).status, 400);
        assert_revoked_soon(node, &second["access_token"]);
    }

    // four couriers, and one letter for each person
    let people: Vec<String> = (0..12).map(|number| format!("person{number}@example.org")).collect();
    for (email, node) in people.iter().zip(nodes.iter().cycle()) {
        sign_up(node, email);
    }
    server.wait_for(1 + people.len());
    for node in nodes {
        node.stop();
    }
    assert_eq!(server.letters().len(), 1 + people.len());
}
