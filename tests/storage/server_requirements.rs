//! Tests of the requirements on a PostgreSQL server, and of the messages for the operator where one
//! is not met (F7, F19).

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use vestibule::storage::chain;

use crate::database::open;
use crate::postgres::{Cluster, cluster};

fn run(cluster: &Cluster, database: &str, sql: &str) {
    cluster.try_to_ask(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn url(cluster: &Cluster, user: &str, database: &str) -> String {
    format!("postgres://{user}@127.0.0.1:{}/{database}", cluster.port())
}

#[tokio::test]
async fn f7_database_without_utf8_is_refused_with_a_remedy() {
    let Some(cluster) = cluster() else { return };
    for encoding in ["LATIN1", "SQL_ASCII", "WIN1252", "EUC_JP"] {
        let name = format!("f7_{}", encoding.to_lowercase());
        let sql = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        run(cluster, "postgres", &sql);
        let error = chain(&open(&url(cluster, "postgres", &name)).await.unwrap_err());
        assert!(error.contains(encoding), "{error}");
        assert!(error.contains("ENCODING 'UTF8'") && error.contains("pg_dump"), "{error}");
        let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(cluster.try_to_ask(&name, tables).unwrap().trim(), "0", "no table was created");
    }
    let sql =
        "CREATE DATABASE f7_utf8 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    run(cluster, "postgres", sql);
    open(&url(cluster, "postgres", "f7_utf8")).await.unwrap();
}

#[tokio::test]
async fn f19_missing_rights_on_the_schema_are_reported_with_the_grant() {
    let Some(cluster) = cluster() else { return };
    run(cluster, "postgres", "CREATE ROLE f19_user LOGIN");
    run(cluster, "postgres", "CREATE DATABASE f19_rights TEMPLATE template0 ENCODING 'UTF8'");
    run(cluster, "f19_rights", "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let url = url(cluster, "f19_user", "f19_rights");
    let error = chain(&open(&url).await.unwrap_err());
    assert!(error.contains("permission denied for schema public"), "{error}");
    assert!(error.contains("GRANT USAGE, CREATE ON SCHEMA public TO"), "{error}");
    assert!(!error.contains("at line"), "a line of PostgreSQL's source: {error}");
    run(cluster, "f19_rights", "GRANT USAGE, CREATE ON SCHEMA public TO f19_user");
    open(&url).await.unwrap();
}

#[tokio::test]
async fn f19_server_errors_contain_no_line_of_its_source() {
    let Some(cluster) = cluster() else { return };
    let error = chain(&open(&url(cluster, "f19_nobody", "postgres")).await.unwrap_err());
    assert!(error.contains("f19_nobody") && !error.contains("at line"), "{error}");
    let error = chain(&open(&url(cluster, "postgres", "f19_nowhere")).await.unwrap_err());
    assert!(error.contains("f19_nowhere") && !error.contains("at line"), "{error}");
}

/// The server answers as pgbouncer does when it is not set to ignore a startup parameter.
#[tokio::test]
async fn f19_pgbouncer_that_refuses_a_startup_parameter_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 8];
            while stream.read_exact(&mut head).is_ok() {
                // an SSLRequest is exactly eight bytes long
                if head[..4] == [0, 0, 0, 8] {
                    stream.write_all(b"N").unwrap();
                    continue;
                }
                let fields =
                    b"SFATAL\0C08P01\0Munsupported startup parameter: extra_float_digits\0\0";
                let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
                stream.write_all(&[&b"E"[..], &length, fields].concat()).unwrap();
                break;
            }
        }
    });
    let url = format!("postgres://ada:hunter2@127.0.0.1:{port}/v");
    let error = chain(&open(&url).await.unwrap_err());
    assert!(error.contains("ignore_startup_parameters = extra_float_digits"), "{error}");
    assert!(error.contains("pool_mode = session") && !error.contains("hunter2"), "{error}");
}
